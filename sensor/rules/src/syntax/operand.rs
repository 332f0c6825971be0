//! Fields, transformer calls, quoted texts.
use super::ast::{Argument, FieldRef, Literal, Operand, Transform, TransformArg, TransformCall};
use super::parser::Parser;
use super::quoted::unquote;
use super::{CALL_DEPTH, SyntaxCode, SyntaxError};

impl Parser<'_> {
    /// A field or a transformer call, if one begins here.
    pub(super) fn operand(&mut self) -> Result<Option<Operand>, SyntaxError> {
        if let Some(field) = self.field()? {
            return Ok(Some(Operand::Field(field)));
        }
        Ok(self.call()?.map(Operand::Transform))
    }

    pub(super) fn required_operand(&mut self) -> Result<Operand, SyntaxError> {
        self.operand()?.ok_or_else(|| self.expected("a field or a transformer"))
    }

    /// A transformer call or `val(field)`, if one begins here.
    pub(super) fn right_operand(&mut self) -> Result<Option<Operand>, SyntaxError> {
        let start = self.lexer.at();
        if !self.lexer.exact("val(") {
            return Ok(self.call()?.map(Operand::Transform));
        }
        self.lexer.blank();
        let Some(field) = self.field()? else { return Err(self.expected("a field")) };
        self.close()?;
        let selector = self.argument()?;
        Ok(Some(Operand::Transform(TransformCall {
            transform: Transform::Val,
            args: vec![TransformArg::Operand(Operand::Field(field))],
            selector,
            span: self.span(start),
        })))
    }

    fn field(&mut self) -> Result<Option<FieldRef>, SyntaxError> {
        let start = self.lexer.at();
        let Some(name) = self.lexer.field_name() else { return Ok(None) };
        let argument = self.argument()?;
        Ok(Some(FieldRef { name: name.to_owned(), argument, span: self.span(start) }))
    }

    /// `[…]` directly after a field or a call.
    fn argument(&mut self) -> Result<Option<Argument>, SyntaxError> {
        if !self.lexer.exact("[") {
            return Ok(None);
        }
        let argument = if let Some(quoted) = self.quoted()? {
            Argument::Quoted(quoted.value)
        } else if let Some(bare) = self.lexer.bare_argument() {
            Argument::Bare(bare.to_owned())
        } else {
            return Err(self.expected("a field argument, quoted or without blanks and brackets"));
        };
        if self.lexer.exact("]") { Ok(Some(argument)) } else { Err(self.expected("`]`")) }
    }

    fn call(&mut self) -> Result<Option<TransformCall>, SyntaxError> {
        let start = self.lexer.at();
        let Some(transform) = self.transform_name() else { return Ok(None) };
        if self.calls == CALL_DEPTH {
            let message = format!("calls are nested deeper than {CALL_DEPTH} levels");
            return Err(self.error(SyntaxCode::Depth, message));
        }
        self.calls += 1;
        let call = self.deeper(|parser| {
            let mut args = Vec::new();
            loop {
                parser.lexer.blank();
                args.push(parser.call_argument()?);
                parser.lexer.blank();
                if !parser.lexer.exact(",") {
                    break;
                }
            }
            parser.close()?;
            let selector = parser.argument()?;
            Ok(Some(TransformCall { transform, args, selector, span: parser.span(start) }))
        });
        self.calls -= 1;
        call
    }

    /// A transformer's name with the parenthesis right behind it.
    fn transform_name(&mut self) -> Option<Transform> {
        let start = self.lexer.at();
        for transform in Transform::CALLS {
            if self.lexer.exact(transform.as_str()) && self.lexer.exact("(") {
                return Some(transform);
            }
            self.lexer.rewind(start);
        }
        None
    }

    fn call_argument(&mut self) -> Result<TransformArg, SyntaxError> {
        let start = self.lexer.at();
        if !self.lexer.exact("(") {
            return self.simple_argument();
        }
        let mut items = Vec::new();
        self.lexer.blank();
        if !self.lexer.exact(")") {
            loop {
                self.lexer.blank();
                items.push(self.simple_argument()?);
                self.lexer.blank();
                if !self.lexer.exact(",") {
                    break;
                }
            }
            self.close()?;
        }
        Ok(TransformArg::List(items, self.span(start)))
    }

    fn simple_argument(&mut self) -> Result<TransformArg, SyntaxError> {
        if let Some(number) = self.number() {
            return Ok(TransformArg::Literal(number));
        }
        if let Some(quoted) = self.quoted()? {
            return Ok(TransformArg::Literal(quoted));
        }
        match self.operand()? {
            Some(operand) => Ok(TransformArg::Operand(operand)),
            None => Err(self.expected("a field, a transformer, a quoted text or a number")),
        }
    }

    /// Blanks and a closing parenthesis.
    fn close(&mut self) -> Result<(), SyntaxError> {
        self.lexer.blank();
        if self.lexer.exact(")") { Ok(()) } else { Err(self.expected("`)`")) }
    }

    pub(super) fn number(&mut self) -> Option<Literal> {
        let start = self.lexer.at();
        let value = self.lexer.number()?.as_bytes().to_vec();
        Some(Literal { value, quoted: false, span: self.span(start) })
    }

    pub(super) fn quoted(&mut self) -> Result<Option<Literal>, SyntaxError> {
        let start = self.lexer.at();
        let Some(token) = self.lexer.quoted() else { return Ok(None) };
        let Ok(token) = token else {
            let error = self.error(SyntaxCode::Unterminated, "the quoted text has no end");
            return Err(SyntaxError {
                hint: self.lexer.rest().contains('\\').then(|| {
                    "a quote directly after a backslash does not end a quoted text".to_owned()
                }),
                ..error
            });
        };
        let value = unquote(token).map_err(|bad| SyntaxError {
            code: SyntaxCode::Escape,
            message: bad.message,
            offset: start + bad.offset,
            hint: Some("write `\\\\` for a backslash".to_owned()),
        })?;
        Ok(Some(Literal { value, quoted: true, span: self.span(start) }))
    }
}
