//! The fields of the language as JSON.
use serde_json::{Value, json};

use crate::fields::{FIELDS, Field, Flags, Forms};

/// Every field that can be written, by the part of its name before the first dot.
pub fn field_classes() -> Value {
    let mut classes: Vec<(&str, Vec<&Field>)> = Vec::new();
    for field in listed_fields() {
        let class = field.name.split('.').next().unwrap_or(field.name);
        match classes.iter_mut().find(|(name, _)| *name == class) {
            Some((_, fields)) => fields.push(field),
            None => classes.push((class, vec![field])),
        }
    }
    let class = |(name, fields): &(&str, Vec<&Field>)| {
        let sources: Vec<&str> = if fields.iter().all(|f| f.source.covers("any other")) {
            Vec::new()
        } else {
            vec!["syscall"]
        };
        json!({
            "name": name,
            "event_sources": sources,
            "fields": fields.iter().map(|field| described(field)).collect::<Vec<_>>(),
        })
    };
    json!({ "fieldclasses": classes.iter().map(class).collect::<Vec<_>>() })
}

/// The names of every field that can be written.
pub fn field_names() -> Value {
    json!({ "fieldnames": listed_fields().map(|field| field.name).collect::<Vec<_>>() })
}

/// The fields that are offered. Hidden and deprecated ones work, but are not.
pub fn listed_fields() -> impl Iterator<Item = &'static Field> {
    let offered =
        |field: &&Field| !field.flags.has(Flags::HIDDEN) && !field.flags.has(Flags::DEPRECATED);
    FIELDS.iter().filter(offered)
}

fn described(field: &Field) -> Value {
    let forms = field.argument.forms;
    let index = forms.has(Forms::INDEX).then_some("INDEX");
    let key = (forms.has(Forms::KEY) || forms.has(Forms::TAIL)).then_some("KEY");
    let types: Vec<&str> = index.into_iter().chain(key).collect();
    let argument = if types.is_empty() {
        Value::Null
    } else {
        json!({ "required": field.argument.required, "type": types })
    };
    json!({
        "name": field.name,
        "type": field.ty.name(),
        "desc": field.description,
        "is_list": field.flags.has(Flags::LIST),
        "argument": argument,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_listed_by_class() {
        let classes = field_classes();
        let all = classes["fieldclasses"].as_array().unwrap();
        let proc = all.iter().find(|class| class["name"] == "proc").unwrap();
        let named = |name: &str| {
            let fields = proc["fields"].as_array().unwrap();
            fields.iter().find(|field| field["name"] == name).unwrap().clone()
        };
        assert_eq!(named("proc.name")["argument"], Value::Null);
        assert_eq!(named("proc.aname")["argument"]["type"], json!(["INDEX"]));
        assert_eq!(named("proc.name")["type"], "charbuf");
    }

    #[test]
    fn deprecated_fields_are_left_out() {
        let names = field_names();
        let names = names["fieldnames"].as_array().unwrap();
        assert!(names.contains(&json!("proc.name")) && !names.contains(&json!("evt.dir")));
    }
}
