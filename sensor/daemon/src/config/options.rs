//! Settings on the command line: `-o a.b[0].c=value`.

use serde_json::{Map, Value};

use super::check::ConfigError;
use super::place::{Step, steps};

/// Sets `KEY=VALUE`, the key being a path with dots, `[N]` an item of a list and `[]` one more. `defaults` says where
/// a text is meant, which then need not be quoted.
pub(super) fn set(config: &mut Value, option: &str, defaults: &Value) -> Result<(), ConfigError> {
    let wrong = || ConfigError::Option { found: option.to_owned() };
    let (path, text) = option.split_once('=').ok_or_else(wrong)?;
    let steps = steps(path.trim()).ok_or_else(wrong)?;
    let value = value(text, default_at(defaults, &steps));
    let (mut at, mut default) = (config, Some(defaults));
    for step in steps {
        let next = default.and_then(|default| default_at(default, std::slice::from_ref(&step)));
        at = go(at, step, default)
            .ok_or_else(|| ConfigError::NoItem { found: option.to_owned() })?;
        default = next;
    }
    *at = value;
    Ok(())
}

/// The value one step on, made if it is not there; a list that is not there is the default one.
fn go<'v>(at: &'v mut Value, step: Step, default: Option<&Value>) -> Option<&'v mut Value> {
    match step {
        Step::Key(key) => {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            Some(at.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Step::Item(_) | Step::Next => {
            if !at.is_array() {
                let list = default.and_then(Value::as_array);
                *at = Value::Array(list.cloned().unwrap_or_default());
            }
            let list = at.as_array_mut()?;
            let number = if let Step::Item(number) = step { number } else { list.len() };
            if number == list.len() {
                list.push(Value::Null);
            }
            list.get_mut(number)
        }
    }
}

/// The default of what a path is about; `None` within what takes any keys.
fn default_at<'d>(defaults: &'d Value, steps: &[Step]) -> Option<&'d Value> {
    steps.iter().try_fold(defaults, |at, step| match step {
        Step::Key(key) => at.get(key),
        Step::Item(_) | Step::Next => None,
    })
}

/// What a text says where that default stands.
fn value(text: &str, default: Option<&Value>) -> Value {
    let literal = || Value::String(text.to_owned());
    let read = serde_saphyr::from_str(text).unwrap_or_else(|_| literal());
    let is_text = default.is_some_and(|default| default.is_string() || default.is_null());
    match read {
        // Such as a command with a colon in it.
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) if is_text => {
            literal()
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(option: &str) -> Value {
        let mut config = json!({"rules": [{"disable": {"rule": "*"}}], "tag": "x"});
        let defaults =
            json!({"rules": [], "tag": "x", "program": null, "on": false, "more": [{"y": 1}]});
        set(&mut config, option, &defaults).unwrap();
        config
    }

    #[test]
    fn paths_lead_through_mappings_and_lists() {
        assert_eq!(
            after("rules[0].disable.rule=a*")["rules"],
            json!([{"disable": {"rule": "a*"}}])
        );
        assert_eq!(after("rules[1].enable.tag=net")["rules"][1], json!({"enable": {"tag": "net"}}));
        assert_eq!(after("rules[].enable.tag=net")["rules"][1], json!({"enable": {"tag": "net"}}));
        assert_eq!(after(" on = true")["on"], true);
        assert_eq!(after("a[0][0]=1")["a"], json!([[1]]));
        // What is not in the file is there all the same.
        assert_eq!(after("more[].x=1")["more"], json!([{"y": 1}, {"x": 1}]));
    }

    #[test]
    fn a_text_needs_no_quotes_where_one_is_meant() {
        let command = r#"curl -H "A: b" http://x"#;
        assert_eq!(after(&format!("program={command}"))["program"], command);
        assert_eq!(after("tag=5")["tag"], "5");
        assert_eq!(after("tag=\"5\"")["tag"], "5");
        assert_eq!(after("program=")["program"], Value::Null);
        assert_eq!(after("program=null")["program"], Value::Null);
        assert_eq!(after("on=true")["on"], true);
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for option in ["on", "=x", "a..b=1", "a[x]=1", "a[0=1", "a[0]b=1", "[0]=1"] {
            let refused = set(&mut json!({}), option, &json!({}));
            assert!(matches!(refused, Err(ConfigError::Option { .. })), "{option}: {refused:?}");
        }
        let refused = set(&mut json!({"rules": [1]}), "rules[2]=1", &json!({}));
        assert!(refused.unwrap_err().to_string().contains("`rules[2]=1`"));
    }
}
