//! From text to tree: the boolean part of the grammar.
//!
//! Comparisons are in `comparison`, fields and transformers in `operand`; all three are methods
//! of one [`Parser`].
use std::sync::Arc;

use super::ast::{Expr, MacroRef, Operand, Span};
use super::lexer::Lexer;
use super::{Limits, PARTS, SyntaxCode, SyntaxError};

/// Parses a whole condition.
pub fn parse(text: &str, limits: Limits) -> Result<Expr, SyntaxError> {
    let mut parser = Parser::new(text, limits);
    parser.lexer.blank();
    if parser.lexer.done() {
        return Err(parser.error(SyntaxCode::Empty, "the condition is empty"));
    }
    let expr = parser.or()?;
    parser.lexer.blank();
    if parser.lexer.done() { Ok(expr) } else { Err(parser.leftover()) }
}

/// Parses a whole text as one field or transformer call; no blanks around it.
pub fn parse_operand(text: &str, limits: Limits) -> Result<Operand, SyntaxError> {
    let mut parser = Parser::new(text, limits);
    let operand = parser.required_operand()?;
    if parser.lexer.done() { Ok(operand) } else { Err(parser.leftover()) }
}

/// Parses the longest field or transformer call at the start of a text, and tells its length.
pub fn parse_operand_prefix(text: &str, limits: Limits) -> Result<(Operand, usize), SyntaxError> {
    let mut parser = Parser::new(text, limits);
    let operand = parser.required_operand()?;
    Ok((operand, parser.lexer.at()))
}

/// The grammar over one text.
pub(super) struct Parser<'t> {
    pub(super) lexer: Lexer<'t>,
    limits: Limits,
    depth: usize,
    parts: usize,
    pub(super) calls: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, limits: Limits) -> Self {
        Self { lexer: Lexer::new(text), limits, depth: 0, parts: 0, calls: 0 }
    }

    fn or(&mut self) -> Result<Expr, SyntaxError> {
        self.deeper(|parser| parser.joined("or", Self::and, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, SyntaxError> {
        self.deeper(|parser| parser.joined("and", Self::not, Expr::And))
    }

    /// Parts joined by a word, which must be followed by a blank or an opening parenthesis.
    fn joined(
        &mut self,
        word: &'static str,
        part: fn(&mut Self) -> Result<Expr, SyntaxError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, SyntaxError> {
        let first = part(self)?;
        let mut parts = Vec::new();
        loop {
            self.lexer.blank();
            if !self.lexer.exact(word) {
                break;
            }
            parts.push(if self.lexer.blank() {
                part(self)?
            } else if self.lexer.exact("(") {
                self.embedded()?
            } else {
                return Err(self.run_on(word));
            });
        }
        if parts.is_empty() {
            return Ok(first);
        }
        parts.insert(0, first);
        Ok(join(parts))
    }

    fn not(&mut self) -> Result<Expr, SyntaxError> {
        self.deeper(|parser| {
            parser.lexer.blank();
            let mut negated = false;
            while parser.lexer.word_and_blank("not") {
                negated = !negated;
            }
            let inner = if parser.lexer.exact("not(") {
                negated = !negated;
                parser.embedded()?
            } else {
                parser.check()?
            };
            Ok(if negated { Expr::Not(Box::new(inner)) } else { inner })
        })
    }

    /// The rest of a condition in parentheses, after the opening one.
    fn embedded(&mut self) -> Result<Expr, SyntaxError> {
        self.deeper(|parser| {
            let opened = parser.lexer.at() - 1;
            let inner = parser.or()?;
            parser.lexer.blank();
            if parser.lexer.exact(")") {
                return Ok(inner);
            }
            let error = parser.expected("`)`, `and` or `or`");
            Err(match error.hint {
                None => SyntaxError {
                    hint: Some(format!("the parenthesis at offset {opened} is not closed")),
                    ..error
                },
                Some(_) => error,
            })
        })
    }

    fn check(&mut self) -> Result<Expr, SyntaxError> {
        self.deeper(|parser| {
            let start = parser.lexer.at();
            if parser.lexer.exact("(") {
                return parser.embedded();
            }
            parser.parts += 1;
            if parser.parts > PARTS {
                let message = format!("the condition has more than {PARTS} comparisons");
                return Err(parser.error(SyntaxCode::Length, message));
            }
            if let Some(left) = parser.operand()? {
                return parser.comparison(left, start).map(|check| Expr::Check(Arc::new(check)));
            }
            if let Some(name) = parser.lexer.identifier() {
                let span = parser.span(start);
                return Ok(Expr::Macro(MacroRef { name: name.to_owned(), span }));
            }
            Err(parser.expected("a field, a transformer, a macro's name or `(`"))
        })
    }

    /// Runs one grammar level deeper.
    pub(super) fn deeper<T>(
        &mut self,
        level: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            let message = format!("nested deeper than {} levels", self.limits.depth);
            return Err(self.error(SyntaxCode::Depth, message));
        }
        let result = level(self);
        self.depth -= 1;
        result
    }

    /// The span from `start` to the cursor.
    pub(super) fn span(&self, start: usize) -> Span {
        Span { text: self.limits.text, start: start as u32, end: self.lexer.at() as u32 }
    }
}
