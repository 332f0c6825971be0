//! The text of a tree: what descriptions print, what tests compare, what a formatter writes.
//!
//! Groups are always in parentheses and blanks are single. The [`canonical`] text quotes values by
//! the documented rule, which other tools compare with; it cannot always be read back (an empty
//! value prints as nothing). The [`readable`] text quotes a little more and always can.
use std::fmt::Write as _;

use super::ast::{
    Argument, Check, Expr, FieldRef, Literal, Operand, Operator, Right, TransformArg, TransformCall,
};

/// The canonical text of a condition. Bytes that are not UTF-8 print as `\xHH` escapes.
pub fn canonical(expr: &Expr) -> String {
    Writer::text(Quotes::Documented, |writer| writer.expr(expr))
}

/// The text of a condition that parses to the same canonical text again.
pub fn readable(expr: &Expr) -> String {
    Writer::text(Quotes::Readable, |writer| writer.expr(expr))
}

/// The canonical text of a field or a transformer call.
pub fn canonical_operand(operand: &Operand) -> String {
    Writer::text(Quotes::Documented, |writer| writer.operand(operand))
}

/// Which values stand in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Documented,
    Readable,
}

struct Writer {
    quotes: Quotes,
    out: String,
}

impl Writer {
    fn text(quotes: Quotes, write: impl FnOnce(&mut Self)) -> String {
        let mut writer = Self { quotes, out: String::new() };
        write(&mut writer);
        writer.out
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::And(parts) => self.group(parts, " and "),
            Expr::Or(parts) => self.group(parts, " or "),
            // `not not` is read as nothing at all, so a second negation needs parentheses.
            Expr::Not(inner)
                if self.quotes == Quotes::Readable && matches!(**inner, Expr::Not(_)) =>
            {
                self.out.push_str("not (");
                self.expr(inner);
                self.out.push(')');
            }
            Expr::Not(inner) => {
                self.out.push_str("not ");
                self.expr(inner);
            }
            Expr::Check(check) => self.check(check),
            Expr::Macro(reference) => self.out.push_str(&reference.name),
        }
    }

    fn group(&mut self, parts: &[Expr], joint: &str) {
        self.out.push('(');
        self.joined(parts, joint, Self::expr);
        self.out.push(')');
    }

    fn joined<T>(&mut self, parts: &[T], joint: &str, write: impl Fn(&mut Self, &T)) {
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                self.out.push_str(joint);
            }
            write(self, part);
        }
    }

    fn check(&mut self, check: &Check) {
        self.operand(&check.left);
        self.out.push(' ');
        let doubled = check.doubled && check.op == Operator::Eq;
        self.out.push_str(if doubled { "==" } else { check.op.as_str() });
        if let Some(modifier) = check.modifier {
            self.out.push(' ');
            self.out.push_str(modifier.as_str());
        }
        if check.right != Right::None {
            self.out.push(' ');
        }
        match &check.right {
            Right::None => {}
            Right::Literal(literal) => self.value(&literal.value),
            Right::List(values) => self.list(values),
            Right::Operand(operand) => self.operand(operand),
        }
    }

    fn list(&mut self, values: &[Literal]) {
        self.out.push('(');
        self.joined(values, ", ", |writer, literal| writer.value(&literal.value));
        self.out.push(')');
    }

    fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Field(field) => self.field(field),
            Operand::Transform(call) => self.call(call),
        }
    }

    fn field(&mut self, field: &FieldRef) {
        self.out.push_str(&field.name);
        self.argument(field.argument.as_ref());
    }

    fn argument(&mut self, argument: Option<&Argument>) {
        let Some(argument) = argument else { return };
        self.out.push('[');
        match argument {
            // Brackets end an argument without quotes, so one that was quoted may need to stay so.
            Argument::Quoted(value)
                if value.is_empty() || value.iter().any(|b| b"[]".contains(b)) =>
            {
                self.quoted(value);
            }
            other => self.value(other.as_bytes()),
        }
        self.out.push(']');
    }

    fn call(&mut self, call: &TransformCall) {
        self.out.push_str(call.transform.as_str());
        self.out.push('(');
        self.joined(&call.args, ",", Self::call_argument);
        self.out.push(')');
        self.argument(call.selector.as_ref());
    }

    fn call_argument(&mut self, arg: &TransformArg) {
        match arg {
            // Without quotes only a number can be read back here.
            TransformArg::Literal(literal) if literal.quoted && self.quotes == Quotes::Readable => {
                self.quoted(&literal.value);
            }
            TransformArg::Literal(literal) => self.value(&literal.value),
            TransformArg::Operand(operand) => self.operand(operand),
            TransformArg::List(items, _) => {
                self.out.push('(');
                self.joined(items, ",", Self::call_argument);
                self.out.push(')');
            }
        }
    }

    fn value(&mut self, value: &[u8]) {
        let quotes = self.quotes;
        match std::str::from_utf8(value) {
            Ok("") if quotes == Quotes::Readable => self.out.push_str("\"\""),
            Ok(text) if !text.contains(|c| needs_quotes(c, quotes)) => self.out.push_str(text),
            _ => self.quoted(value),
        }
    }

    fn quoted(&mut self, value: &[u8]) {
        self.out.push('"');
        // A quote behind a backslash does not end a quoted text.
        let (value, last) = match value.strip_suffix(b"\\") {
            Some(rest) if self.quotes == Quotes::Readable => (rest, "\\x5c"),
            _ => (value, ""),
        };
        for chunk in value.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.escaped(c));
            for byte in chunk.invalid() {
                // Writing to a text cannot fail.
                let _ = write!(self.out, "\\x{byte:02x}");
            }
        }
        self.out.push_str(last);
        self.out.push('"');
    }

    fn escaped(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\0' => self.out.push_str("\\x00"),
            '\x08' => self.out.push_str("\\b"),
            '\x0c' => self.out.push_str("\\f"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            other => self.out.push(other),
        }
    }
}

fn needs_quotes(c: char, quotes: Quotes) -> bool {
    match c {
        ' ' | '=' | '"' | '\'' | '\\' | '\0' | '\x08' | '\x0c' | '\n' | '\r' | '\t' => true,
        '(' | ')' | ',' | '\x0b' => quotes == Quotes::Readable,
        _ => false,
    }
}
