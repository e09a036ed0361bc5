//! A place in a pass.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a pass goes on. Its text is for whoever keeps it until then, and for nobody to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cursor {
    /// By what the store lists.
    List {
        /// The store's own cursor; `None`: its start.
        from: Option<String>,
        /// All keys up to this one have been compared.
        after: Option<String>,
    },
    /// By the keys of the table.
    Walk {
        /// The slice of a store that only lists.
        slice: Slice,
        /// The table's own cursor; `None`: its start.
        table: Option<String>,
    },
}

/// Keys that a store lists in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The store's cursor where it begins.
    pub(super) from: Option<String>,
    /// The last key before it.
    pub(super) after: Option<String>,
    /// The last key in it; `None`: it goes to the end.
    pub(super) until: Option<String>,
    /// The store's cursor behind it.
    pub(super) next: Option<String>,
}

impl Slice {
    /// Whether a key belongs to it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| after < key)
            && self.until.as_deref().is_none_or(|until| key <= until)
    }
}

impl Default for Cursor {
    /// The start.
    fn default() -> Self {
        Self::List { from: None, after: None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The text is no cursor of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one a pass gave")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        serde_json::from_str(text).map_err(|_| NoCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_were_written() {
        let slice = Slice {
            from: Some("AAA=\"\n".into()),
            after: None,
            until: Some("s.example/é".into()),
            next: None,
        };
        for cursor in [
            Cursor::default(),
            Cursor::List { from: Some("x".into()), after: Some("s.example/a".into()) },
            Cursor::Walk { slice, table: Some(String::new()) },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "{}", "null", r#"{"list":{"from":null,"after":null,"x":1}}"#] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn a_slice_has_the_keys_between_its_ends() {
        let slice = |after: Option<&str>, until: Option<&str>| Slice {
            after: after.map(Into::into),
            until: until.map(Into::into),
            ..Slice::default()
        };
        let all = ["a", "b", "c"];
        let of = |slice: Slice| all.into_iter().filter(|key| slice.has(key)).collect::<String>();
        assert_eq!(of(slice(None, None)), "abc");
        assert_eq!(of(slice(Some("a"), None)), "bc");
        assert_eq!(of(slice(Some("a"), Some("b"))), "b");
        assert_eq!(of(slice(None, Some("a"))), "a");
    }
}
