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

/// Every column: its name, which is the API's unless it is part of an object, and what it holds.
pub(super) const COLUMNS: [(&str, Kind); 29] = [
    ("destination", Kind::Text),
    ("slug", Kind::Text),
    ("domain", Kind::Text),
    ("title", Kind::Text),
    ("tags", Kind::Tags),
    ("notes", Kind::Text),
    ("status", Kind::Number),
    ("starts_at", Kind::Text),
    ("expires_at", Kind::Text),
    ("expired_destination", Kind::Text),
    ("max_clicks", Kind::Number),
    ("forward_query", Kind::Flag),
    ("forward_path", Kind::Flag),
    ("utm_source", Kind::Part("utm", "source")),
    ("utm_medium", Kind::Part("utm", "medium")),
    ("utm_campaign", Kind::Part("utm", "campaign")),
    ("utm_term", Kind::Part("utm", "term")),
    ("utm_content", Kind::Part("utm", "content")),
    ("ios_destination", Kind::Text),
    ("android_destination", Kind::Text),
    ("preview_title", Kind::Part("preview", "title")),
    ("preview_description", Kind::Part("preview", "description")),
    ("preview_image", Kind::Part("preview", "image")),
    ("external_id", Kind::Text),
    ("password", Kind::Text),
    ("keep", Kind::Flag),
    ("disabled", Kind::Flag),
    (KEY_COLUMN, Kind::Key),
    (REASON_COLUMN, Kind::Ignored),
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
pub(super) fn column(name: &str) -> Option<(&'static str, Kind)> {
    let wanted = plain(name);
    COLUMNS.into_iter().find(|(known, _)| plain(known) == wanted)
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
    let ranked = COLUMNS.into_iter().map(|(known, _)| {
        let known_plain = plain(known);
        (strsim::osa_distance(&wrong, &known_plain), known_plain.len(), known)
    });
    let (distance, length, known) = ranked.min_by_key(|(distance, ..)| *distance)?;
    (distance * 3 <= length).then_some(known)
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-', ' '], "")
}

/// Puts a cell that is not empty into the body; says what would be right if it is not readable.
pub(super) fn put(
    body: &mut Map<String, Value>,
    name: &str,
    kind: Kind,
    cell: &str,
) -> Result<(), &'static str> {
    match kind {
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
    let leads_here = |kind| matches!(kind, Kind::Part(object, part) if object == first && part == second);
    let part = COLUMNS.into_iter().find(|(_, kind)| leads_here(*kind));
    part.map_or(first, |(name, _)| name).to_owned()
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
            assert_eq!(column(name), Some(("expires_at", Kind::Text)), "{name}");
        }
        for name in ["", "expires", "url", "Destination URL"] {
            assert_eq!(column(name), None, "{name}");
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
            assert!(column(meant).is_some(), "{alias}");
            assert_eq!(column(alias), None, "{alias}");
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
