//! What every store needs to answer lists alike: the filters, and the cursor between pages.

use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher24;
use waypost_wire::time::Timestamp;

use crate::model::{Link, LinkId, LinkState};
use crate::seal::fields::is_private;
use crate::seams::{ListQuery, Sort, StoreError};

/// Most links on a page.
pub const LIMIT_MAX: usize = 100;

/// What a list asks of each link.
#[derive(Clone, Debug)]
pub struct Filters<'a> {
    query: &'a ListQuery,
    q: Option<String>,
    text_of: fn(&Link) -> String,
    now: Timestamp,
}

impl<'a> Filters<'a> {
    /// The filters of a query, with states as they are at `now`.
    pub fn new(query: &'a ListQuery, now: Timestamp) -> Self {
        Self { query, q: query.q.as_deref().map(fold), text_of: searched_text, now }
    }

    /// The same, with `q` looked for in less of a link.
    #[must_use]
    pub fn searching(self, text_of: fn(&Link) -> String) -> Self {
        Self { text_of, ..self }
    }

    /// Whether the link belongs on the list.
    pub fn match_link(&self, link: &Link) -> bool {
        let ListQuery { tag, domain, state, .. } = self.query;
        let live = link.state(self.now);
        let state_matches = match state {
            Some(state) => live == *state,
            None => live != LinkState::Deleted,
        };
        state_matches
            && domain.as_ref().is_none_or(|domain| link.domain == *domain)
            && tag.as_ref().is_none_or(|tag| link.tags.contains(tag))
            && self.q.as_ref().is_none_or(|q| (self.text_of)(link).contains(q))
    }
}

/// The text that `q` is looked for in, folded. No match reaches from one field into the next.
pub fn searched_text(link: &Link) -> String {
    text_of(link, [Some(&link.destination), link.title.as_ref(), link.notes.as_ref()])
}

/// What is left of it where an index must not tell what is sealed: without notes, and without the
/// destination of a link with a password.
pub fn open_text(link: &Link) -> String {
    let destination = Some(&link.destination).filter(|_| !is_private(link));
    text_of(link, [destination, link.title.as_ref(), None])
}

fn text_of(link: &Link, fields: [Option<&String>; 3]) -> String {
    let mut text = String::new();
    for field in [Some(&link.slug)].into_iter().chain(fields).flatten().chain(&link.tags) {
        text.push_str(&fold(field));
        text.push('\n');
    }
    text
}

/// Lower case, character by character, with control characters as spaces. What ignores case
/// compares texts folded this way.
pub fn fold(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().flat_map(char::to_lowercase).map(visible).collect()
}

/// A place in a list: behind this link. Lists by creation use the id alone, which rises with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// When the link was last written.
    pub updated_at: Timestamp,
    /// The link.
    pub id: LinkId,
}

impl Position {
    /// The place of a link.
    pub fn of(link: &Link) -> Self {
        Self { updated_at: link.updated_at, id: link.id }
    }

    /// The cursor of the page that starts behind this place.
    pub fn to_cursor(self, query: &ListQuery) -> String {
        let (place, digest) = (self.to_bytes(), self.digest(query));
        URL_SAFE_NO_PAD.encode([place.as_slice(), &digest].concat())
    }

    /// The place a query starts behind; `None` at the start of the list.
    pub fn from_cursor(query: &ListQuery) -> Result<Option<Self>, StoreError> {
        let Some(cursor) = &query.cursor else { return Ok(None) };
        match Self::read(cursor, query) {
            Some(position) => Ok(Some(position)),
            None => Err(StoreError::BadCursor),
        }
    }

    fn read(cursor: &str, query: &ListQuery) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (updated_at, rest) = bytes.split_first_chunk()?;
        let (id, digest) = rest.split_first_chunk()?;
        let position = Self {
            updated_at: Timestamp(i64::from_be_bytes(*updated_at)),
            id: LinkId(u64::from_be_bytes(*id)),
        };
        (digest == position.digest(query)).then_some(position)
    }

    fn to_bytes(self) -> [u8; 16] {
        let place = (u128::from(self.updated_at.0.cast_unsigned()) << 64) | u128::from(self.id.0);
        place.to_be_bytes()
    }

    /// Ties a cursor to its list. It guards against mistakes, not against forgery: a forged
    /// cursor can only skip links of the caller's own list.
    fn digest(self, query: &ListQuery) -> [u8; 8] {
        // A page's size may change from page to page.
        let ListQuery { limit: _, cursor: _, q, tag, domain, state, sort } = query;
        let sort = match sort {
            Sort::CreatedAscending => 0_u8,
            Sort::CreatedDescending => 1,
            Sort::UpdatedDescending => 2,
        };
        let mut hasher = SipHasher24::new();
        (self.to_bytes(), sort, q, tag, domain, state).hash(&mut hasher);
        hasher.finish().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(tag: &str, cursor: Option<String>) -> ListQuery {
        ListQuery { limit: 3, cursor, tag: Some(tag.into()), ..ListQuery::default() }
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        for (updated_at, id) in [(0, 0), (-1, u64::MAX), (i64::MAX, 1), (i64::MIN, 7)] {
            let position = Position { updated_at: Timestamp(updated_at), id: LinkId(id) };
            let cursor = position.to_cursor(&query("a", None));
            let mut next = query("a", Some(cursor));
            next.limit = 50;
            assert_eq!(Position::from_cursor(&next), Ok(Some(position)));
        }
        assert_eq!(Position::from_cursor(&query("a", None)), Ok(None));
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let position = Position { updated_at: Timestamp(5), id: LinkId(9) };
        let cursor = position.to_cursor(&query("a", None));
        let other = [
            query("b", Some(cursor.clone())),
            ListQuery { sort: Sort::UpdatedDescending, ..query("a", Some(cursor.clone())) },
            ListQuery { q: Some("abc".into()), ..query("a", Some(cursor.clone())) },
            ListQuery { domain: Some("a".into()), tag: None, ..query("a", Some(cursor)) },
        ];
        for query in other {
            assert_eq!(Position::from_cursor(&query), Err(StoreError::BadCursor), "{query:?}");
        }
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        let position = Position { updated_at: Timestamp(5), id: LinkId(9) };
        let cursor = position.to_cursor(&query("a", None));
        let mut changed = cursor.clone().into_bytes();
        changed[0] ^= 1;
        let changed = String::from_utf8(changed).expect("still ASCII");
        for cursor in ["", "!", "é", "AAAA", &cursor[1..], &format!("{cursor}AAAA"), &changed] {
            let query = query("a", Some(cursor.into()));
            assert_eq!(Position::from_cursor(&query), Err(StoreError::BadCursor), "{cursor}");
        }
    }

    #[test]
    fn folding_ignores_case_and_control_characters() {
        assert_eq!(fold("ÄÖ Straße\tI\0J"), "äö straße i j");
        assert_eq!(fold("\u{130}"), "i\u{307}");
    }
}
