//! Changes of a link: each reads it first and writes only if nobody else wrote in between.

use clap::Args;
use serde_json::{Map, Value, json};

use super::fields::{Fields, put};
use super::name::LinkName;
use super::view::LinkView;
use crate::cli::client::{Call, Remote};
use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;

const UPDATE_EXAMPLES: &str = "\
Examples:
  waypost link update summer --destination https://example.com/autumn
  waypost link update summer --clear expires-at --clear password
  waypost link update summer --tag campaign --tag 2031 --forward-query=false
  waypost link update summer --clear utm.term --utm-source flyer

Tags and rules are replaced as a whole; everything not mentioned stays.";

/// What --clear takes: every field with a value to remove, or a default to go back to.
const CLEARABLE: [&str; 26] = [
    "title",
    "tags",
    "notes",
    "status",
    "starts-at",
    "expires-at",
    "expired-destination",
    "max-clicks",
    "forward-query",
    "forward-path",
    "utm",
    "utm.source",
    "utm.medium",
    "utm.campaign",
    "utm.term",
    "utm.content",
    "ios",
    "android",
    "password",
    "rules",
    "preview",
    "preview.title",
    "preview.description",
    "preview.image",
    "external-id",
    "keep",
];

#[derive(Args, Clone, Debug)]
#[command(after_help = UPDATE_EXAMPLES)]
pub(in crate::cli) struct UpdateArgs {
    #[command(flatten)]
    link: LinkName,
    /// Where the link leads from now on
    #[arg(long, value_name = "URL")]
    destination: Option<String>,
    #[command(flatten)]
    fields: Fields,
    /// Remove a field, or set it back to its default; give it again for more
    #[arg(long, value_name = "FIELD", value_parser = CLEARABLE)]
    clear: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  waypost link disable summer")]
pub(in crate::cli) struct DisableArgs {
    #[command(flatten)]
    link: LinkName,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  waypost link enable summer")]
pub(in crate::cli) struct EnableArgs {
    #[command(flatten)]
    link: LinkName,
    #[command(flatten)]
    remote: Remote,
}

impl UpdateArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let mut fields = self.fields.document(surroundings)?;
        put(&mut fields, "destination", self.destination.as_ref());
        for name in &self.clear {
            clear(&mut fields, name)?;
        }
        if fields.is_empty() {
            return Err(Failure::Usage(
                "there is nothing to change: give at least one field".to_owned(),
            ));
        }
        change(&self.link, &self.remote, fields, surroundings)
    }
}

impl DisableArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        change(&self.link, &self.remote, disabled(true), surroundings)
    }
}

impl EnableArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        change(&self.link, &self.remote, disabled(false), surroundings)
    }
}

fn disabled(value: bool) -> Map<String, Value> {
    Map::from_iter([("disabled".to_owned(), json!(value))])
}

fn change(
    link: &LinkName,
    remote: &Remote,
    fields: Map<String, Value>,
    surroundings: &mut Surroundings<'_>,
) -> Result<(), Failure> {
    let client = remote.client(surroundings)?;
    let etag = link.call(&client, None, &Call::default())?.etag;
    let headers: Vec<_> = etag.iter().map(|etag| ("if-match", etag.as_str())).collect();
    let body = Some(Value::Object(fields).to_string().into_bytes());
    let call = Call { method: "PATCH", headers: &headers, body, ..Call::default() };
    let answer = link.call(&client, None, &call)?;
    match remote.json {
        true => surroundings.say(&answer.json()),
        false => surroundings.say(&answer.read::<LinkView>()?.details()),
    }
}

/// Adds the removal of a field to a merge patch (RFC 7396).
fn clear(fields: &mut Map<String, Value>, name: &str) -> Result<(), Failure> {
    let twice = || Failure::Usage(format!("{name} is to be set and to be cleared: choose one"));
    let (outer, inner) = match name.split_once('.') {
        Some((outer, inner)) => (outer.to_owned(), Some(inner)),
        None => (api_name(name), None),
    };
    let Some(inner) = inner else {
        return match fields.insert(outer, Value::Null) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(twice()),
        };
    };
    let object =
        fields.entry(outer).or_insert_with(|| json!({})).as_object_mut().ok_or_else(twice)?;
    match object.insert(inner.to_owned(), Value::Null) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(twice()),
    }
}

/// The API's name of a flag.
fn api_name(flag: &str) -> String {
    match flag {
        "android" | "ios" => format!("{flag}_destination"),
        other => other.replace('-', "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleared(fields: Value, names: &[&str]) -> Option<Value> {
        let Value::Object(mut fields) = fields else { return None };
        for name in names {
            clear(&mut fields, name).ok()?;
        }
        Some(Value::Object(fields))
    }

    #[test]
    fn cleared_fields_are_null() {
        for (fields, names, expected) in [
            (
                json!({}),
                &["title", "ios", "expires-at", "title"][..],
                json!({"title": null, "ios_destination": null, "expires_at": null}),
            ),
            (
                json!({"utm": {"source": "a"}}),
                &["utm.term", "utm.term"],
                json!({"utm": {"source": "a", "term": null}}),
            ),
            (json!({}), &["preview.image"], json!({"preview": {"image": null}})),
        ] {
            assert_eq!(cleared(fields, names), Some(expected));
        }
    }

    #[test]
    fn a_field_is_set_or_cleared_but_not_both() {
        for (fields, names) in [
            (json!({"title": "a"}), &["title"][..]),
            (json!({"utm": {"term": "a"}}), &["utm.term"]),
            (json!({"utm": {"source": "a"}}), &["utm"]),
            (json!({}), &["utm", "utm.term"]),
            (json!({}), &["utm.term", "utm"]),
        ] {
            assert_eq!(cleared(fields, names), None, "{names:?}");
        }
    }
}
