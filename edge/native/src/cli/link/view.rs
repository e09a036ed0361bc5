//! A link as people read it. Reads what it knows from the server's answer, and shows the rest of
//! it under its own name, so that a newer server's fields are not hidden.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::table::{grouped, pairs};

/// Fields in the order they are shown; those not named here follow.
const ORDER: [&str; 33] = [
    "short_url",
    "destination",
    "destination_display",
    "warnings",
    "state",
    "clicks",
    "max_clicks",
    "title",
    "tags",
    "notes",
    "status",
    "starts_at",
    "expires_at",
    "expired_destination",
    "forward_query",
    "forward_path",
    "utm",
    "ios_destination",
    "android_destination",
    "has_password",
    "rules",
    "preview",
    "blocked",
    "keep",
    "external_id",
    "domain",
    "slug",
    "id",
    "version",
    "created_at",
    "updated_at",
    "deleted_at",
    "quarantine_until",
];

/// What the details need not repeat: `state` says it, or it is about edits.
const LEFT_OUT: [&str; 2] = ["disabled", "edits_visible_within_seconds"];

/// A link as the server answered it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LinkView {
    short_url: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl LinkView {
    pub(super) fn short_url(&self) -> &str {
        &self.short_url
    }

    /// A text; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn clicks(&self) -> String {
        grouped(self.fields.get("clicks").and_then(Value::as_u64).unwrap_or_default())
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &str> {
        let warnings = self.fields.get("warnings").and_then(Value::as_array);
        warnings.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Which link it is, in one line.
    pub(super) fn summary(&self) -> String {
        let (destination, clicks) = (self.text("destination"), self.clicks());
        format!("{} (to {destination}, {clicks} clicks)", self.short_url)
    }

    /// Everything there is to say.
    pub(super) fn details(&self) -> String {
        let known = ORDER.into_iter().filter_map(|name| match name {
            "short_url" => Some(("short url".to_owned(), self.short_url.clone())),
            name => row(name, self.fields.get(name)?),
        });
        let is_new = |name: &str| !ORDER.contains(&name) && !LEFT_OUT.contains(&name);
        let new = self.fields.iter().filter(|(name, _)| is_new(name));
        let rows: Vec<_> = known.chain(new.filter_map(|(name, value)| row(name, value))).collect();
        pairs(&rows)
    }
}

/// A field with something to say.
fn row(name: &str, value: &Value) -> Option<(String, String)> {
    let label = name.replace('_', " ");
    let text = match value {
        Value::Bool(false) | Value::Null => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Bool(true) => "yes".to_owned(),
        Value::Array(items) if name == "rules" => rules(items),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let parts = fields.iter().map(|(name, value)| format!("{name}={}", plain(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) if matches!(name, "clicks" | "max_clicks") => {
            number.as_u64().map_or_else(|| number.to_string(), grouped)
        }
        other => plain(other),
    };
    Some((label, text))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How many, and the names of those that have one.
fn rules(items: &[Value]) -> String {
    let names: Vec<&str> =
        items.iter().filter_map(|rule| rule.get("name").and_then(Value::as_str)).collect();
    match names.as_slice() {
        [] => items.len().to_string(),
        names => format!("{} ({})", items.len(), names.join(", ")),
    }
}
