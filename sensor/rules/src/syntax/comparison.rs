//! Comparisons: operators, modifiers, right sides.
use super::ast::{Check, Literal, Modifier, Operand, Operator, Right};
use super::parser::Parser;
use super::{LIST_LENGTH, SyntaxCode, SyntaxError};

const NUMBER_OPERATORS: [Operator; 4] = [Operator::Le, Operator::Lt, Operator::Ge, Operator::Gt];

/// Text operators that are words and need a blank behind them.
const WORD_OPERATORS: [Operator; 9] = [
    Operator::Glob,
    Operator::IGlob,
    Operator::Contains,
    Operator::IContains,
    Operator::BContains,
    Operator::StartsWith,
    Operator::BStartsWith,
    Operator::EndsWith,
    Operator::Regex,
];

const LIST_OPERATORS: [Operator; 3] = [Operator::Intersects, Operator::In, Operator::PMatch];

/// An operator as it was found.
struct Found {
    op: Operator,
    doubled: bool,
    /// A modifier may follow: the operator had a blank behind it.
    blank: bool,
}

impl Found {
    fn plain(op: Operator) -> Self {
        Self { op, doubled: false, blank: false }
    }
}

impl Parser<'_> {
    /// What follows the left side that began at `start`.
    pub(super) fn comparison(&mut self, left: Operand, start: usize) -> Result<Check, SyntaxError> {
        self.deeper(|parser| {
            parser.lexer.blank();
            let op_start = parser.lexer.at();
            let Some(found) = parser.operator() else { return Err(parser.no_operator()) };
            let op_span = parser.operator_span(op_start);
            let (modifier, right) = parser.right(&found)?;
            let Found { op, doubled, .. } = found;
            let span = parser.span(start);
            Ok(Check { left, op, doubled, modifier, right, span, op_span })
        })
    }

    fn operator_span(&self, start: usize) -> super::ast::Span {
        let mut span = self.span(start);
        let word = self.lexer.since(start).trim_end_matches(super::lexer::is_blank);
        span.end = span.start + word.len() as u32;
        span
    }

    fn operator(&mut self) -> Option<Found> {
        if self.lexer.exact(Operator::Exists.as_str()) {
            return Some(Found::plain(Operator::Exists));
        }
        if let Some(op) = self.first_of(&NUMBER_OPERATORS) {
            return Some(Found::plain(op));
        }
        if let Some(found) = self.text_operator() {
            return Some(found);
        }
        self.first_of(&LIST_OPERATORS).map(Found::plain)
    }

    fn text_operator(&mut self) -> Option<Found> {
        let doubled = self.lexer.exact("==");
        if doubled || self.lexer.exact("=") {
            return Some(Found { op: Operator::Eq, doubled, blank: self.lexer.blank() });
        }
        if self.lexer.exact("!=") {
            return Some(Found { op: Operator::Ne, doubled, blank: self.lexer.blank() });
        }
        let op = WORD_OPERATORS.into_iter().find(|op| self.lexer.word_and_blank(op.as_str()))?;
        Some(Found { op, doubled, blank: true })
    }

    fn first_of(&mut self, operators: &[Operator]) -> Option<Operator> {
        operators.iter().copied().find(|op| self.lexer.exact(op.as_str()))
    }

    fn right(&mut self, found: &Found) -> Result<(Option<Modifier>, Right), SyntaxError> {
        if found.op == Operator::Exists {
            return Ok((None, Right::None));
        }
        self.lexer.blank();
        if found.op.takes_list() {
            return Ok((None, self.list_right()?));
        }
        if found.op.takes_text()
            && found.blank
            && let Some(modifier) = self.modifier()
        {
            return Ok((Some(modifier), self.modified_right()?));
        }
        let right = if found.op.takes_number() { self.number_right() } else { self.text_right() };
        Ok((None, right?))
    }

    /// A modifier's word, if a list or a list's name follows it; else the word is a value.
    fn modifier(&mut self) -> Option<Modifier> {
        let start = self.lexer.at();
        for modifier in Modifier::ALL {
            if self.lexer.word_and_blank(modifier.as_str()) && self.list_follows() {
                return Some(modifier);
            }
            self.lexer.rewind(start);
        }
        None
    }

    fn list_follows(&mut self) -> bool {
        let at = self.lexer.at();
        let follows = self.lexer.exact("(")
            || self.lexer.identifier().is_some_and(|word| !matches!(word, "and" | "or" | "not"));
        self.lexer.rewind(at);
        follows
    }

    fn number_right(&mut self) -> Result<Right, SyntaxError> {
        if let Some(number) = self.number() {
            return Ok(Right::Literal(number));
        }
        match self.right_operand()? {
            Some(operand) => Ok(Right::Operand(operand)),
            None => Err(self.expected("a number, a transformer or `val(…)`")),
        }
    }

    fn text_right(&mut self) -> Result<Right, SyntaxError> {
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.text()? {
            Some(text) => Ok(Right::Literal(text)),
            None => Err(self.expected("a value")),
        }
    }

    fn list_right(&mut self) -> Result<Right, SyntaxError> {
        if let Some(list) = self.list()? {
            return Ok(Right::List(list));
        }
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.list_name() {
            Some(name) => Ok(Right::Literal(name)),
            None => Err(self.expected("a list in parentheses, a list's name or `val(…)`")),
        }
    }

    fn modified_right(&mut self) -> Result<Right, SyntaxError> {
        if let Some(list) = self.list()? {
            return Ok(Right::List(list));
        }
        match self.list_name() {
            Some(name) => Ok(Right::Literal(name)),
            None => Err(self.expected("a list in parentheses or a list's name")),
        }
    }

    fn list_name(&mut self) -> Option<Literal> {
        let start = self.lexer.at();
        let value = self.lexer.identifier()?.as_bytes().to_vec();
        Some(Literal { value, quoted: false, span: self.span(start) })
    }

    fn list(&mut self) -> Result<Option<Vec<Literal>>, SyntaxError> {
        if !self.lexer.exact("(") {
            return Ok(None);
        }
        self.deeper(|parser| {
            let mut values = Vec::new();
            parser.lexer.blank();
            if parser.lexer.exact(")") {
                return Ok(Some(values));
            }
            loop {
                parser.lexer.blank();
                if values.len() == LIST_LENGTH {
                    let message = format!("a list has more than {LIST_LENGTH} values");
                    return Err(parser.error(SyntaxCode::Length, message));
                }
                match parser.text()? {
                    Some(text) => values.push(text),
                    None => return Err(parser.expected("a value")),
                }
                parser.lexer.blank();
                if parser.lexer.exact(")") {
                    return Ok(Some(values));
                }
                if !parser.lexer.exact(",") {
                    return Err(parser.expected("`,` or `)`"));
                }
            }
        })
    }

    fn text(&mut self) -> Result<Option<Literal>, SyntaxError> {
        if let Some(quoted) = self.quoted()? {
            return Ok(Some(quoted));
        }
        let start = self.lexer.at();
        let Some(bare) = self.lexer.bare_text() else { return Ok(None) };
        let value = bare.as_bytes().to_vec();
        Ok(Some(Literal { value, quoted: false, span: self.span(start) }))
    }
}
