//! A body as JSON: strict where RFC 8259 leaves a choice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::faults::{At, Faults};
use crate::problem::{FieldFault, Kind, Problem};

/// Largest body that is read.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Reads a body that must be one object.
///
/// A name that an object has twice is a fault: parsers disagree about which one counts (RFC 8259
/// 4), and a gateway may have checked the other. Nesting is bounded by `serde_json` (128).
pub(super) fn read_object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.len() > BODY_MAX_BYTES {
        let detail = format!("the body has {} bytes, {BODY_MAX_BYTES} are the most", body.len());
        return Err(Problem::new(Kind::BodyTooLarge, detail));
    }
    let mut duplicates = Faults::default();
    let mut from = serde_json::Deserializer::from_slice(body);
    let node = Node { at: At::Body, duplicates: &mut duplicates };
    let value = node
        .deserialize(&mut from)
        .and_then(|value| from.end().map(|()| value))
        .map_err(|error| malformed(&error))?;
    duplicates.finish()?;
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(Problem::invalid(vec![FieldFault::new(
            "",
            format!("is {}", kind_of(&other)),
            "an object such as {\"destination\": \"https://example.com/page\"}",
        )])),
    }
}

/// The values a JSON merge patch (RFC 7396) gives to the fields it mentions; `target` holds those
/// fields that are objects now.
pub(super) fn merged(patch: Map<String, Value>, target: &Map<String, Value>) -> Map<String, Value> {
    let field = |(name, value): (String, Value)| {
        let before = target.get(&name).cloned().unwrap_or_default();
        let after = merge(before, value);
        (name, after)
    };
    patch.into_iter().map(field).collect()
}

fn merge(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut fields = match target {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.remove(&name)),
            value => {
                let before = fields.remove(&name).unwrap_or_default();
                fields.insert(name, merge(before, value));
            }
        }
    }
    Value::Object(fields)
}

/// A value's type, as people call it.
pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let fault = FieldFault::new("", error.to_string(), "a JSON object (RFC 8259) in UTF-8");
    Problem {
        errors: vec![fault],
        ..Problem::new(Kind::MalformedJson, format!("the body is no JSON: {error}"))
    }
}

/// Reads one value and notes names that come twice.
struct Node<'a, 'f> {
    at: At<'a>,
    duplicates: &'f mut Faults,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let node = Node { at: self.at.item(items.len()), duplicates: &mut *self.duplicates };
            match from.next_element_seed(node)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let at = self.at.field(&name);
            if fields.contains_key(&name) {
                self.duplicates.add(at, "is there twice", "every name once");
            }
            let node = Node { at, duplicates: &mut *self.duplicates };
            let value = from.next_value_seed(node)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_those_of_serde_json() {
        let text = r#"{"a": [1, -2, 1.5, 1e300, 18446744073709551615, true, null, "\ud83d\ude00"], "": {"b": {}}}"#;
        let expected: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(read_object(text.as_bytes()).map(Value::Object), Ok(expected));
    }

    #[test]
    fn names_that_come_twice_are_faults_wherever_they_are() {
        let text = r#"{"a": 1, "b": [{"c/d": 1, "c/d": 1}], "\u0061": 2}"#;
        let problem = read_object(text.as_bytes()).expect_err("faults");
        let pointers: Vec<_> = problem.errors.iter().map(|fault| &fault.pointer).collect();
        assert_eq!(pointers, ["/b/0/c~1d", "/a"]);
        assert_eq!(problem.kind, Kind::InvalidRequest);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "{} x",
            "{\"a\": 1e999}",
            "{\"a\": \"\\ud800\"}",
            "{'a': 1}",
            "{\"a\": NaN}",
            "\u{FEFF}{}",
            "{\"a\": \"\0\"}",
            &"[".repeat(60_000),
            &"{\"a\":".repeat(5_000),
        ] {
            let problem = read_object(text.as_bytes()).expect_err(text);
            assert_eq!(problem.kind, Kind::MalformedJson, "{text}");
            assert!(problem.detail.contains(" at line 1 column "), "{}", problem.detail);
            assert_eq!(problem.errors.len(), 1);
        }
        assert_eq!(read_object(b"{\"a\": \"\xff\"}").map_err(|p| p.kind), Err(Kind::MalformedJson));
    }

    #[test]
    fn other_json_and_large_bodies() {
        for (text, detail) in [
            ("null", "the body: is null"),
            ("[{}]", "the body: is a list"),
            ("\"{}\"", "the body: is a string"),
        ] {
            let problem = read_object(text.as_bytes()).expect_err(text);
            assert_eq!((problem.kind, problem.detail.as_str()), (Kind::InvalidRequest, detail));
        }
        let mut body = b"{}".to_vec();
        body.resize(BODY_MAX_BYTES, b' ');
        assert_eq!(read_object(&body), Ok(Map::new()));
        body.push(b' ');
        assert_eq!(read_object(&body).map_err(|p| p.kind), Err(Kind::BodyTooLarge));
    }

    /// RFC 7396 appendix A, as far as target and patch are objects.
    #[test]
    fn merge_patches() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"a": "foo"}), json!(null), json!(null)),
        ] {
            assert_eq!(merge(target.clone(), patch.clone()), expected, "{target} {patch}");
        }
    }
}
