//! Pages of links: one index is walked in order, the other filters are asked of each link.
//!
//! The index is that of the filter that leaves the fewest links. The walk stops after a bounded
//! number of entries, so a page costs the same however many links there are.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use waypost_service::listing::{Filters, LIMIT_MAX, Position, fold};
use waypost_service::model::{Link, LinkState};
use waypost_service::seams::{ListQuery, Page, Sort, StoreError};
use waypost_wire::time::Timestamp;

use super::Db;
use super::rows::{self, state_name};

/// Index entries walked per link asked for, and at least so many per page.
const BUDGET_PER_LINK: usize = 10;
const BUDGET_MIN: usize = 500;

/// Most links that are put in order by their last write after a search for text, whose index is in
/// order of creation. A text that more links hold is frequent enough to be met on the way through
/// any other index.
const SORTED_MAX: u32 = 2_000;

/// Most groups of three characters of `q` looked up; the links found are compared with all of it.
const TRIGRAMS_MAX: usize = 24;

/// A page of links.
pub(super) async fn list(db: &Db, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError> {
    let from = Position::from_cursor(query)?;
    let query = query.clone();
    db.read(move |connection| page(connection, &query, from, now)).await
}

fn page(
    connection: &Connection,
    query: &ListQuery,
    from: Option<Position>,
    now: Timestamp,
) -> rusqlite::Result<Page> {
    let mut page = Collector::new(query, now);
    match text_to_match(query) {
        Some(text) if query.sort == Sort::UpdatedDescending => {
            match sorted_matches(connection, &text, from)? {
                Some(places) => page.take_each(connection, places)?,
                None => page.take_walk(connection, &Walk::without_text(query, from)?)?,
            }
        }
        Some(text) => page.take_walk(connection, &Walk::text(query, from, text)?)?,
        None => page.take_walk(connection, &Walk::without_text(query, from)?)?,
    }
    Ok(page.finish(query))
}

/// What a page has so far.
struct Collector<'a> {
    filters: Filters<'a>,
    budget: usize,
    limit: usize,
    links: Vec<Link>,
    last: Option<Position>,
    more: bool,
}

impl<'a> Collector<'a> {
    fn new(query: &'a ListQuery, now: Timestamp) -> Self {
        let limit = query.limit.clamp(1, LIMIT_MAX);
        Self {
            filters: Filters::new(query, now),
            budget: BUDGET_MIN.max(limit * BUDGET_PER_LINK),
            limit,
            links: Vec::new(),
            last: None,
            more: false,
        }
    }

    /// Takes what the walk meets until the page is full, the budget is spent or the walk ends.
    fn take_walk(&mut self, connection: &Connection, walk: &Walk) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&walk.sql)?;
        let mut rows = statement.query(params_from_iter(&walk.values))?;
        while let Some(row) = rows.next()? {
            if !self.take(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes links by id, in the order given.
    fn take_each(&mut self, connection: &Connection, places: Vec<(i64, i64)>) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare_cached("SELECT doc FROM links WHERE id = ?1")?;
        for (_, id) in places {
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()?
                && !self.take(row)?
            {
                break;
            }
        }
        Ok(())
    }

    /// Looks at one link; `false` if there is no room to look at it on this page.
    fn take(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        if self.links.len() == self.limit || self.budget == 0 {
            self.more = true;
            return Ok(false);
        }
        self.budget -= 1;
        let link = rows::link(row, 0)?;
        self.last = Some(Position::of(&link));
        if self.filters.match_link(&link) {
            self.links.push(link);
        }
        Ok(true)
    }

    fn finish(self, query: &ListQuery) -> Page {
        let next_cursor = self.last.filter(|_| self.more).map(|last| last.to_cursor(query));
        Page { links: self.links, next_cursor }
    }
}

/// A way through an index, from a place on, in the order of the query.
struct Walk {
    sql: String,
    values: Vec<Value>,
}

impl Walk {
    /// Through the links that hold the trigrams of `q`. They are found by id only, so this is no
    /// way to sort by the last write.
    fn text(query: &ListQuery, from: Option<Position>, text: String) -> rusqlite::Result<Self> {
        let source = "link_texts t CROSS JOIN links l ON l.id = t.rowid WHERE link_texts MATCH ? AND";
        Self::new(source, Some(text), "t.rowid", "l.updated_at", query.sort, from)
    }

    /// Through the index of the tag, the state, the domain, or all that are not deleted.
    fn without_text(query: &ListQuery, from: Option<Position>) -> rusqlite::Result<Self> {
        let by = match query.sort {
            Sort::CreatedAscending | Sort::CreatedDescending => "",
            Sort::UpdatedDescending => "_updated",
        };
        let live = "l.state <> 'deleted' AND";
        let (source, value) = match query {
            ListQuery { tag: Some(tag), .. } => {
                let source = "link_tags t CROSS JOIN links l ON l.id = t.link WHERE t.tag = ? AND";
                let (id, updated_at) = ("t.link", "t.updated_at");
                return Self::new(source, Some(tag.clone()), id, updated_at, query.sort, from);
            }
            // Most links of most domains are active, so the domain says more than that.
            ListQuery { domain: Some(domain), state: None | Some(LinkState::Active), .. } => {
                let source = format!("links l INDEXED BY links_domain{by} WHERE l.domain = ? AND {live}");
                (source, Some(domain.clone()))
            }
            ListQuery { state: Some(state), .. } => {
                let source = format!("links l INDEXED BY links_state{by} WHERE l.state = ? AND");
                (source, Some(state_name(*state).to_owned()))
            }
            ListQuery { state: None, domain: None, .. } => {
                (format!("links l INDEXED BY links_live{by} WHERE {live}"), None)
            }
        };
        Self::new(&source, value, "l.id", "l.updated_at", query.sort, from)
    }

    fn new(
        source: &str,
        value: Option<String>,
        id: &str,
        updated_at: &str,
        sort: Sort,
        from: Option<Position>,
    ) -> rusqlite::Result<Self> {
        let mut values: Vec<Value> = value.into_iter().map(Value::from).collect();
        let from_id = from.map(|from| rows::row_id(from.id)).transpose()?;
        let order = match sort {
            Sort::CreatedAscending => {
                values.push(from_id.unwrap_or(i64::MIN).into());
                format!("{id} > ? ORDER BY {id}")
            }
            Sort::CreatedDescending => {
                values.push(from_id.unwrap_or(i64::MAX).into());
                format!("{id} < ? ORDER BY {id} DESC")
            }
            Sort::UpdatedDescending => {
                values.push(from.map_or(i64::MAX, |from| from.updated_at.0).into());
                values.push(from_id.unwrap_or(i64::MAX).into());
                format!(
                    "({updated_at}, {id}) < (?, ?) ORDER BY {updated_at} DESC, {id} DESC"
                )
            }
        };
        Ok(Self { sql: format!("SELECT l.doc FROM {source} {order}"), values })
    }
}

/// What the text index is asked for; `None` if `q` is missing, or too short to be looked up.
fn text_to_match(query: &ListQuery) -> Option<String> {
    let q: Vec<char> = fold(query.q.as_ref()?).chars().collect();
    let quoted = |trigram: &[char]| {
        let text: String = trigram.iter().collect();
        format!("\"{}\"", text.replace('"', "\"\""))
    };
    let trigrams: Vec<String> = q.windows(3).take(TRIGRAMS_MAX).map(quoted).collect();
    (!trigrams.is_empty()).then(|| trigrams.join(" AND "))
}

const MATCHES: &str = "SELECT l.updated_at, l.id
    FROM link_texts t CROSS JOIN links l ON l.id = t.rowid WHERE link_texts MATCH ? LIMIT ?";

/// The links behind `from` that hold the trigrams, last written first, as `(updated_at, id)`;
/// `None` if there are too many to sort.
fn sorted_matches(
    connection: &Connection,
    text: &str,
    from: Option<Position>,
) -> rusqlite::Result<Option<Vec<(i64, i64)>>> {
    let mut places = connection
        .prepare_cached(MATCHES)?
        .query_map((text, SORTED_MAX + 1), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    if (SORTED_MAX as usize) < places.len() {
        return Ok(None);
    }
    if let Some(from) = from {
        let from = (from.updated_at.0, rows::row_id(from.id)?);
        places.retain(|place| *place < from);
    }
    places.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Some(places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    const SORTS: [Sort; 3] =
        [Sort::CreatedAscending, Sort::CreatedDescending, Sort::UpdatedDescending];

    fn queries() -> Vec<ListQuery> {
        let texts = |text: &str| [None, Some(text.to_owned())];
        let states = [None, Some(LinkState::Active), Some(LinkState::Deleted)];
        let mut queries = Vec::new();
        for sort in SORTS {
            for tag in texts("news") {
                for domain in texts("s.example") {
                    for state in states {
                        let (tag, domain) = (tag.clone(), domain.clone());
                        queries.push(ListQuery { sort, tag, domain, state, ..Default::default() });
                    }
                }
            }
        }
        queries
    }

    fn plan(walk: &Walk) -> Vec<String> {
        plans::of(&walk.sql, walk.values.len())
    }

    /// What a plan must be: one index walked in order, and the links of its entries looked up.
    fn wanted(query: &ListQuery) -> Vec<String> {
        let updated = query.sort == Sort::UpdatedDescending;
        let (id, place, suffix) = match query.sort {
            Sort::CreatedAscending => ("rowid>?", "", ""),
            Sort::CreatedDescending => ("rowid<?", "", ""),
            Sort::UpdatedDescending => ("", "(updated_at,rowid)<(?,?)", "_updated"),
        };
        let place = format!("{id}{place}");
        if query.tag.is_some() {
            let index = match query.sort {
                Sort::CreatedAscending => "PRIMARY KEY (tag=? AND link>?)",
                Sort::CreatedDescending => "PRIMARY KEY (tag=? AND link<?)",
                Sort::UpdatedDescending => {
                    "COVERING INDEX link_tags_updated (tag=? AND (updated_at,link)<(?,?))"
                }
            };
            let links = "SEARCH l USING INTEGER PRIMARY KEY (rowid=?)".to_owned();
            return vec![format!("SEARCH t USING {index}"), links];
        }
        let index = match (&query.domain, query.state) {
            (Some(_), None | Some(LinkState::Active)) => {
                format!("links_domain{suffix} (domain=? AND {place})")
            }
            (_, Some(_)) => format!("links_state{suffix} (state=? AND {place})"),
            (None, None) if updated => format!("links_live_updated ({place})"),
            (None, None) => format!("links_live ({})", place.replace("rowid", "id")),
        };
        vec![format!("SEARCH l USING INDEX {index}")]
    }

    #[test]
    fn every_list_walks_an_index_in_order() {
        for query in queries() {
            let walk = Walk::without_text(&query, None).expect("no place to convert");
            assert_eq!(plan(&walk), wanted(&query), "{query:?}");
        }
    }

    #[test]
    fn a_search_walks_the_text_index_in_order() {
        let links = "SEARCH l USING INTEGER PRIMARY KEY (rowid=?)";
        for (sort, index) in [(Sort::CreatedAscending, "0:M1>1"), (Sort::CreatedDescending, "0:M1<1")] {
            let query = ListQuery { sort, q: Some("abcd".into()), ..Default::default() };
            let walk = Walk::text(&query, None, "abc".into()).expect("no place to convert");
            let texts = format!("SCAN t VIRTUAL TABLE INDEX {index}");
            assert_eq!(plan(&walk), [texts.as_str(), links], "{sort:?}");
        }
        assert_eq!(plans::of(MATCHES, 2), ["SCAN t VIRTUAL TABLE INDEX 0:M1", links]);
    }

    #[test]
    fn text_is_looked_up_by_its_trigrams_quoted() {
        let matched = |q: &str| {
            text_to_match(&ListQuery { q: Some(q.into()), ..Default::default() })
        };
        assert_eq!(matched("ÄBCd"), Some("\"äbc\" AND \"bcd\"".into()));
        assert_eq!(matched("a\"* "), Some("\"a\"\"*\" AND \"\"\"* \"".into()));
        assert_eq!(matched("ab"), None);
        assert_eq!(matched(""), None);
        assert_eq!(text_to_match(&ListQuery::default()), None);
        let long = matched(&"x".repeat(1_000)).expect("there are trigrams");
        assert_eq!(long.matches("\"xxx\"").count(), TRIGRAMS_MAX);
    }
}
