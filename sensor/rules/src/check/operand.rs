//! Left sides, right-hand fields and transformers: what they are and of which type.

use super::Scope;
use super::error::CheckError;
use super::ir::{Class, Left, Selector, Source, Type};
use crate::fields::{self, Argument, FieldError, FieldId, Flags, ResolvedField};
use crate::index::schema;
use crate::syntax::ast::{self, FieldRef, Operand, Span, Transform, TransformArg, TransformCall};
use crate::syntax::canonical_operand;

/// A value source with its type.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// Where the value comes from.
    pub(crate) source: Source,
    /// What it is.
    pub(crate) ty: Type,
}

impl Typed {
    /// The field, unless it is a constant or a call.
    pub(crate) fn field(&self) -> Option<FieldId> {
        match self.source {
            Source::Field(id, _) => Some(id),
            _ => None,
        }
    }

    /// Restrictions of the field.
    pub(super) fn flags(&self) -> Flags {
        self.field().map_or(Flags::NONE, |id| id.field().flags)
    }
}

/// Resolves a field or a transformer call.
pub(crate) fn operand(operand: &Operand, scope: Scope<'_>) -> Result<Typed, CheckError> {
    match operand {
        Operand::Field(field) => self::field(field, scope),
        Operand::Transform(call) => self::call(call, scope),
    }
}

fn field(written: &FieldRef, scope: Scope<'_>) -> Result<Typed, CheckError> {
    let argument = written.argument.as_ref().map(ast::Argument::as_bytes);
    let fail = |error| CheckError::Field { error, span: written.span };
    let resolved = fields::resolve(&written.name, argument, scope.source).map_err(fail)?;
    if resolved.id == FieldId::Static {
        return constant_field(&resolved, scope).ok_or_else(|| {
            fail(FieldError::Unknown {
                name: written.name.clone(),
                event_source: scope.source.to_owned(),
            })
        });
    }
    let row = resolved.id.field();
    let class = Class::of(row.ty).unwrap_or_else(|| parameter_class(&resolved.argument));
    // `fd.types[N]` is the type of one descriptor, and so of every list field with an index.
    let list = row.flags.has(Flags::LIST) && !matches!(resolved.argument, Argument::Index(_));
    Ok(Typed { source: Source::Field(resolved.id, resolved.argument), ty: Type { class, list } })
}

fn constant_field(resolved: &ResolvedField, scope: Scope<'_>) -> Option<Typed> {
    let Argument::Key(name) = &resolved.argument else { return None };
    let value = scope.statics.get(std::str::from_utf8(name).ok()?)?;
    Some(Typed { source: Source::Constant(value.as_bytes().into()), ty: Type::single(Class::Text) })
}

fn parameter_class(argument: &Argument) -> Class {
    let Argument::Key(name) = argument else { return Class::Opaque };
    std::str::from_utf8(name).ok().and_then(schema::parameter_type).unwrap_or(Class::Opaque)
}

/// `val(field)`, the mark of a field on the right side.
pub(super) fn val(call: &TransformCall, scope: Scope<'_>) -> Result<Typed, CheckError> {
    if call.selector.is_some() {
        return Err(refuse(call.transform, "takes no argument in brackets", call.span));
    }
    match &call.args[..] {
        [TransformArg::Operand(Operand::Field(written))] => field(written, scope),
        _ => Err(refuse(call.transform, "takes exactly one field", call.span)),
    }
}

fn refuse(transform: Transform, reason: impl Into<String>, span: Span) -> CheckError {
    CheckError::Transform { transform: transform.as_str(), reason: reason.into(), span }
}

fn call(call: &TransformCall, scope: Scope<'_>) -> Result<Typed, CheckError> {
    let selector = selector(call)?;
    let mut args = Vec::with_capacity(call.args.len());
    for arg in &call.args {
        args.push(argument(call, arg, scope)?);
    }
    let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
    let ty = result_type(call.transform, &types, selector)
        .map_err(|reason| refuse(call.transform, reason, call.span))?;
    let sources = args.into_iter().map(|arg| arg.source).collect();
    Ok(Typed { source: Source::Call(call.transform, sources, selector), ty })
}

/// The option letter in brackets: one character, and only after `getopt`.
fn selector(call: &TransformCall) -> Result<Selector, CheckError> {
    let Some(written) = &call.selector else { return Ok(None) };
    if call.transform != Transform::GetOpt {
        return Err(refuse(call.transform, "takes no argument in brackets", call.span));
    }
    match written.as_bytes() {
        [letter] => Ok(Some(*letter)),
        _ => Err(refuse(call.transform, "takes one option letter in brackets", call.span)),
    }
}

fn argument(
    call: &TransformCall,
    arg: &TransformArg,
    scope: Scope<'_>,
) -> Result<Typed, CheckError> {
    match arg {
        TransformArg::Literal(literal) => Ok(Typed {
            source: Source::Constant(literal.value.clone().into()),
            ty: Type::single(Class::Text),
        }),
        TransformArg::Operand(inner) => {
            let typed = operand(inner, scope)?;
            if typed.flags().has(Flags::NO_TRANSFORMER) {
                let reason = format!("cannot take the field `{}`", canonical_operand(inner));
                return Err(refuse(call.transform, reason, inner.span()));
            }
            Ok(typed)
        }
        TransformArg::List(items, span) => list(call, items, *span, scope),
    }
}

fn list(
    call: &TransformCall,
    items: &[TransformArg],
    span: Span,
    scope: Scope<'_>,
) -> Result<Typed, CheckError> {
    let mut sources = Vec::with_capacity(items.len());
    let mut class = Class::Text;
    for item in items {
        let typed = argument(call, item, scope)?;
        if typed.ty.list || !prints_in_list(typed.ty.class) {
            let reason = format!("a list cannot hold {}", typed.ty.words());
            return Err(refuse(call.transform, reason, span));
        }
        if typed.ty.class != Class::Text {
            class = Class::Opaque;
        }
        sources.push(typed.source);
    }
    Ok(Typed { source: Source::List(sources), ty: Type::list(class) })
}

fn prints_in_list(class: Class) -> bool {
    matches!(class, Class::Text | Class::Signed(_) | Class::Unsigned(_) | Class::Time | Class::Port)
}

/// The type of a call, or what its arguments should have been.
fn result_type(
    transform: Transform,
    args: &[Type],
    selector: Selector,
) -> Result<Type, &'static str> {
    const TEXT: Type = Type { class: Class::Text, list: false };
    match (transform, args) {
        (Transform::ToLower | Transform::ToUpper, [arg]) if arg.class == Class::Text => Ok(*arg),
        (Transform::ToLower | Transform::ToUpper, _) => Err("takes one text or one list of texts"),
        (Transform::Basename, [arg]) if *arg == TEXT => Ok(TEXT),
        (Transform::Basename, _) => Err("takes one text"),
        (Transform::B64, [arg]) if !arg.list && matches!(arg.class, Class::Text | Class::Bytes) => {
            Ok(*arg)
        }
        (Transform::B64, _) => Err("takes one text or one byte buffer"),
        (Transform::Len, [arg]) if arg.list || matches!(arg.class, Class::Text | Class::Bytes) => {
            Ok(Type::single(Class::Unsigned(64)))
        }
        (Transform::Len, _) => Err("takes one text, one byte buffer or one list"),
        (Transform::Join, [separator, list]) if *separator == TEXT && list.list => Ok(TEXT),
        (Transform::Join, _) => Err("takes a separator and a list"),
        (Transform::Concat, [_, _, ..]) if args.iter().all(|arg| *arg == TEXT) => Ok(TEXT),
        (Transform::Concat, _) => Err("takes two or more texts"),
        (Transform::GetOpt, [list, options])
            if *list == Type::list(Class::Text) && *options == TEXT =>
        {
            Ok(Type { class: Class::Text, list: selector.is_none() })
        }
        (Transform::GetOpt, _) => Err("takes a list of texts and the option letters"),
        (Transform::Val, _) => Err("can only stand on the right side of a comparison"),
    }
}

/// How a check gets the values of its left side.
pub(super) fn reach(typed: &Typed) -> Left {
    let Source::Field(id, argument) = &typed.source else {
        return Left::Value(typed.source.clone());
    };
    let plain = |id| Left::Value(Source::Field(id, Argument::None));
    let name = |address| Left::Name { name: *id, address };
    match (id, argument) {
        (id, Argument::None | Argument::Key(_)) if id.is_of_ancestors() => {
            Left::Ancestors { field: *id, key: argument.clone() }
        }
        (FieldId::FdIp | FieldId::FdNet, _) => Left::EndAddresses,
        (FieldId::FdPort | FieldId::FdProto, _) => Left::EndPorts,
        (FieldId::FdCnet, _) => plain(FieldId::FdCip),
        (FieldId::FdSnet, _) => plain(FieldId::FdSip),
        (FieldId::FdLnet, _) => plain(FieldId::FdLip),
        (FieldId::FdRnet, _) => plain(FieldId::FdRip),
        (FieldId::FdCipName, _) => name(FieldId::FdCip),
        (FieldId::FdSipName, _) => name(FieldId::FdSip),
        (FieldId::FdLipName, _) => name(FieldId::FdLip),
        (FieldId::FdRipName, _) => name(FieldId::FdRip),
        (FieldId::EvtAround, Argument::Key(time)) => Left::Around(
            std::str::from_utf8(time).ok().and_then(|time| time.parse().ok()).unwrap_or_default(),
        ),
        _ => Left::Value(typed.source.clone()),
    }
}
