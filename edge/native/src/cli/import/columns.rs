//! The columns an import knows, and what their cells become in the body of a creation.

use serde_json::{Map, Value, json};

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// true or false.
    Flag,
    /// Not for the server: what an earlier import wrote down.
    Ignored,
    /// The idempotency key of the creation.
    Key,
    /// A whole number.
    Number,
    /// A text in an object of the body.
    Part(&'static str, &'static str),
    /// Tags with `|` or `,` between them.
    Tags,
    /// A text.
    Text,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// The API's name, unless it is part of an object there.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

/// Every column.
pub(super) const COLUMNS: [Column; 29] = [
    column("destination", Kind::Text),
    column("slug", Kind::Text),
    column("domain", Kind::Text),
    column("title", Kind::Text),
    column("tags", Kind::Tags),
    column("notes", Kind::Text),
    column("status", Kind::Number),
    column("starts_at", Kind::Text),
    column("expires_at", Kind::Text),
    column("expired_destination", Kind::Text),
    column("max_clicks", Kind::Number),
    column("forward_query", Kind::Flag),
    column("forward_path", Kind::Flag),
    column("utm_source", Kind::Part("utm", "source")),
    column("utm_medium", Kind::Part("utm", "medium")),
    column("utm_campaign", Kind::Part("utm", "campaign")),
    column("utm_term", Kind::Part("utm", "term")),
    column("utm_content", Kind::Part("utm", "content")),
    column("ios_destination", Kind::Text),
    column("android_destination", Kind::Text),
    column("preview_title", Kind::Part("preview", "title")),
    column("preview_description", Kind::Part("preview", "description")),
    column("preview_image", Kind::Part("preview", "image")),
    column("external_id", Kind::Text),
    column("password", Kind::Text),
    column("keep", Kind::Flag),
    column("disabled", Kind::Flag),
    column(KEY_COLUMN, Kind::Key),
    column(REASON_COLUMN, Kind::Ignored),
];

/// Written for failed rows, so that trying them again cannot make a link twice.
pub(super) const KEY_COLUMN: &str = "idempotency_key";

/// Written for failed rows.
pub(super) const REASON_COLUMN: &str = "reason";

/// What exports of other shorteners call a column, without separators and in lower case.
const ALIASES: [(&str, &str); 14] = [
    ("alias", "slug"),
    ("archived", "disabled"),
    ("code", "slug"),
    ("description", "notes"),
    ("destinationurl", "destination"),
    ("expirationat", "expires_at"),
    ("forwardqueryparams", "forward_query"),
    ("keyword", "slug"),
    ("longlink", "destination"),
    ("longurl", "destination"),
    ("originalurl", "destination"),
    ("shortcode", "slug"),
    ("target", "destination"),
    ("url", "destination"),
];

/// The column of a name in a header. Case, and which separators a name has, make no difference.
pub(super) fn named(name: &str) -> Option<Column> {
    let wanted = plain(name);
    COLUMNS.into_iter().find(|column| plain(column.name) == wanted)
}

/// The column that an unknown name was most likely meant to be: what others call it, or a name of
/// which at most a third differs.
pub(super) fn closest(name: &str) -> Option<&'static str> {
    /// Longer names are no misspelt ones, and comparing them would take long.
    const LONGEST_CHARS: usize = 40;
    if name.chars().count() > LONGEST_CHARS {
        return None;
    }
    let wrong = plain(name);
    let alias = ALIASES.into_iter().find(|(alias, _)| *alias == wrong);
    if let Some((_, meant)) = alias {
        return Some(meant);
    }
    let ranked = COLUMNS.into_iter().map(|Column { name, .. }| {
        let known = plain(name);
        (strsim::osa_distance(&wrong, &known), known.len(), name)
    });
    let (distance, length, name) = ranked.min_by_key(|(distance, ..)| *distance)?;
    (distance * 3 <= length).then_some(name)
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-', ' '], "")
}

/// Puts a cell that is not empty into the body; says what would be right if it is not readable.
pub(super) fn put(
    body: &mut Map<String, Value>,
    column: Column,
    cell: &str,
) -> Result<(), &'static str> {
    let name = column.name;
    match column.kind {
        Kind::Flag => {
            let flag = flag(cell).ok_or("true or false (or yes, no, 1, 0)")?;
            body.insert(name.to_owned(), json!(flag));
        }
        Kind::Ignored | Kind::Key => {}
        Kind::Number => {
            let number: u64 = cell.trim().parse().map_err(|_| "a whole number")?;
            body.insert(name.to_owned(), json!(number));
        }
        Kind::Part(object, part) => {
            let object = body.entry(object).or_insert_with(|| json!({}));
            if let Some(fields) = object.as_object_mut() {
                fields.insert(part.to_owned(), json!(cell));
            }
        }
        Kind::Tags => {
            let tags = cell.split(['|', ',']).map(str::trim).filter(|tag| !tag.is_empty());
            body.insert(name.to_owned(), tags.collect());
        }
        Kind::Text => {
            body.insert(name.to_owned(), json!(cell));
        }
    }
    Ok(())
}

/// The column that a JSON pointer of the API leads to.
pub(super) fn column_at(pointer: &str) -> String {
    let path = pointer.trim_start_matches('/');
    let mut parts = path.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_here = |column: &Column| match column.kind {
        Kind::Part(object, part) => (object, part) == (first, second),
        _ => false,
    };
    let part = COLUMNS.into_iter().find(is_here);
    part.map_or(first, |column| column.name).to_owned()
}

fn flag(cell: &str) -> Option<bool> {
    match cell.trim().to_lowercase().as_str() {
        "1" | "on" | "true" | "yes" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_may_be_spelled_as_people_do() {
        for name in ["expires_at", "Expires At", " EXPIRES-AT ", "expiresAt", "ExpiresAt"] {
            assert_eq!(named(name), Some(column("expires_at", Kind::Text)), "{name}");
        }
        for name in ["", "expires", "url", "Destination URL"] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn unknown_names_lead_to_known_ones() {
        for (name, meant) in [
            ("longUrl", Some("destination")),
            ("Long URL", Some("destination")),
            ("destinaton", Some("destination")),
            ("Short Code", Some("slug")),
            ("utm_sorce", Some("utm_source")),
            ("tag", Some("tags")),
            ("visits", None),
            ("", None),
        ] {
            assert_eq!(closest(name), meant, "{name}");
        }
        assert_eq!(closest(&"slug".repeat(1_000)), None);
    }

    #[test]
    fn every_alias_leads_to_a_column() {
        for (alias, meant) in ALIASES {
            assert!(named(meant).is_some(), "{alias}");
            assert_eq!(named(alias), None, "{alias}");
        }
    }

    #[test]
    fn pointers_lead_back_to_columns() {
        for (pointer, name) in [
            ("/destination", "destination"),
            ("/utm/source", "utm_source"),
            ("/preview/image", "preview_image"),
            ("/tags/3", "tags"),
            ("/utm", "utm"),
            ("", ""),
        ] {
            assert_eq!(column_at(pointer), name);
        }
    }
}
