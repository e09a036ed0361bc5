//! Comparing JSON, with patterns for what a test cannot know.

use serde_json::Value;

/// What a pattern in an expected text stands for.
fn pattern(name: &str, actual: &str) -> bool {
    let base62 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match name {
        "<code>" => actual.len() == 8 && base62(actual),
        "<id>" => (1..=11).contains(&actual.len()) && base62(actual),
        "<password hash>" => actual.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "<secret>" => {
            actual.strip_prefix("wp_").is_some_and(|rest| rest.len() == 36 && base62(rest))
        }
        "<text>" => !actual.is_empty(),
        _ => panic!("{name} is no pattern"),
    }
}

/// Every place in which `actual` is not what was expected.
pub(crate) fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(expected, actual, "", &mut found);
    found
}

fn compare(expected: &Value, actual: &Value, at: &str, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                let at = format!("{at}/{name}");
                match actual.get(name) {
                    Some(actual) => compare(value, actual, &at, found),
                    None => found.push(format!("{at}: is missing, expected {value}")),
                }
            }
            let unexpected = actual.iter().filter(|(name, _)| !expected.contains_key(*name));
            found
                .extend(unexpected.map(|(name, value)| format!("{at}/{name}: unexpected {value}")));
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(expected, actual, &format!("{at}/{index}"), found);
            }
        }
        (Value::String(name), Value::String(actual))
            if name.starts_with('<') && name.ends_with('>') =>
        {
            if !pattern(name, actual) {
                found.push(format!("{at}: {actual:?} is no {name}"));
            }
        }
        _ if expected == actual => {}
        _ => found.push(format!("{at}: expected {expected}, is {actual}")),
    }
}

#[test]
fn differences_have_places() {
    use serde_json::json;
    let expected = json!({"a": [1, {"b": "<id>"}], "c": null, "d": "x"});
    let same = json!({"a": [1, {"b": "9z"}], "c": null, "d": "x"});
    assert_eq!(differences(&expected, &same), Vec::<String>::new());
    let other = json!({"a": [2, {"b": "-"}], "d": "y", "e": 0});
    let places = [
        "/a/0: expected 1, is 2",
        "/a/1/b: \"-\" is no <id>",
        "/c: is missing, expected null",
        "/d: expected \"x\", is \"y\"",
        "/e: unexpected 0",
    ];
    assert_eq!(differences(&expected, &other), places);
    assert_eq!(differences(&json!([]), &json!([1])).len(), 1);
}
