//! The one text of a tree: what descriptions print and what tests compare.
//!
//! Groups are always in parentheses, blanks are single, values are quoted only where the grammar
//! needs it. Parsing the canonical text gives the same canonical text again, but for an empty
//! value, which prints as nothing.
use super::ast::{
    Argument, Check, Expr, FieldRef, Literal, Operand, Operator, Right, TransformArg, TransformCall,
};

/// The canonical text of a condition. Bytes that are not UTF-8 print as `\xHH` escapes.
pub fn canonical(expr: &Expr) -> String {
    let mut out = String::new();
    write_expr(expr, &mut out);
    out
}

/// The canonical text of a list of values, with its parentheses.
pub fn canonical_list<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut out = String::from("(");
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            out.push_str(", ");
        }
        write_value(value, &mut out);
    }
    out.push(')');
    out
}

fn write_expr(expr: &Expr, out: &mut String) {
    match expr {
        Expr::And(parts) => write_group(parts, " and ", out),
        Expr::Or(parts) => write_group(parts, " or ", out),
        Expr::Not(inner) => {
            out.push_str("not ");
            write_expr(inner, out);
        }
        Expr::Check(check) => write_check(check, out),
        Expr::Macro(reference) => out.push_str(&reference.name),
    }
}

fn write_group(parts: &[Expr], joint: &str, out: &mut String) {
    out.push('(');
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            out.push_str(joint);
        }
        write_expr(part, out);
    }
    out.push(')');
}

fn write_check(check: &Check, out: &mut String) {
    write_operand(&check.left, out);
    out.push(' ');
    out.push_str(if check.doubled && check.op == Operator::Eq { "==" } else { check.op.as_str() });
    if let Some(modifier) = check.modifier {
        out.push(' ');
        out.push_str(modifier.as_str());
    }
    if !matches!(check.right, Right::None) {
        out.push(' ');
    }
    match &check.right {
        Right::None => {}
        Right::Literal(literal) => write_value(&literal.value, out),
        Right::List(values) => out.push_str(&canonical_list(values.iter().map(literal_bytes))),
        Right::Operand(operand) => write_operand(operand, out),
    }
}

fn literal_bytes(literal: &Literal) -> &[u8] {
    &literal.value
}

fn write_operand(operand: &Operand, out: &mut String) {
    match operand {
        Operand::Field(field) => write_field(field, out),
        Operand::Transform(call) => write_call(call, out),
    }
}

fn write_field(field: &FieldRef, out: &mut String) {
    out.push_str(&field.name);
    write_argument(field.argument.as_ref(), out);
}

fn write_argument(argument: Option<&Argument>, out: &mut String) {
    let Some(argument) = argument else { return };
    out.push('[');
    if argument.as_bytes().is_empty() {
        out.push_str("\"\"");
    } else {
        write_value(argument.as_bytes(), out);
    }
    out.push(']');
}

fn write_call(call: &TransformCall, out: &mut String) {
    out.push_str(call.transform.as_str());
    out.push('(');
    write_args(&call.args, ",", out);
    out.push(')');
    write_argument(call.selector.as_ref(), out);
}

fn write_args(args: &[TransformArg], joint: &str, out: &mut String) {
    for (n, arg) in args.iter().enumerate() {
        if n > 0 {
            out.push_str(joint);
        }
        match arg {
            TransformArg::Literal(literal) => write_value(&literal.value, out),
            TransformArg::Operand(operand) => write_operand(operand, out),
            TransformArg::List(items, _) => {
                out.push('(');
                write_args(items, ", ", out);
                out.push(')');
            }
        }
    }
}

fn write_value(value: &[u8], out: &mut String) {
    let text = std::str::from_utf8(value);
    match text {
        Ok(text) if !text.contains(needs_quotes) => out.push_str(text),
        Ok(text) => write_quoted(text.chars(), out),
        Err(_) => write_quoted_bytes(value, out),
    }
}

fn needs_quotes(c: char) -> bool {
    matches!(c, ' ' | '=' | '"' | '\'' | '\\' | '\0' | '\x08' | '\x0c' | '\n' | '\r' | '\t')
}

fn write_quoted(chars: impl Iterator<Item = char>, out: &mut String) {
    out.push('"');
    for c in chars {
        write_escaped(c, out);
    }
    out.push('"');
}

fn write_escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\0' => out.push_str("\\x00"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => out.push(other),
    }
}

fn write_quoted_bytes(value: &[u8], out: &mut String) {
    out.push('"');
    for chunk in value.utf8_chunks() {
        chunk.valid().chars().for_each(|c| write_escaped(c, out));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
}
