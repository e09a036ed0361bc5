//! Pages of links: one index is walked in order, the other filters are asked of each link.
//!
//! The index is that of the filter that leaves the fewest links. The walk stops after a bounded
//! number of entries, so a page costs the same however many links there are.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use waypost_service::listing::{Filters, LIMIT_MAX, Position, fold};
use waypost_service::model::{Link, LinkState};
use waypost_service::seal::fields::Sealing;
use waypost_service::seams::{ListQuery, Page, Sort, StoreError};
use waypost_wire::time::Timestamp;

use super::Db;
use super::rows::{self, state_name, text_for};

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
    let (query, sealing) = (query.clone(), db.sealing());
    db.read(move |connection| page(connection, &query, from, now, &sealing)).await
}

fn page(
    connection: &Connection,
    query: &ListQuery,
    from: Option<Position>,
    now: Timestamp,
    sealing: &Sealing,
) -> rusqlite::Result<Page> {
    let mut page = Collector::new(query, now, sealing);
    match text_to_match(query) {
        Some(text) if query.sort == Sort::UpdatedDescending => {
            match sorted_matches(connection, &text, from)? {
                Some(places) => page.take_each(connection, places)?,
                None => page.take_walk(connection, &walk_columns(query, from)?)?,
            }
        }
        Some(text) => page.take_walk(connection, &walk_text(query, from, text)?)?,
        None => page.take_walk(connection, &walk_columns(query, from)?)?,
    }
    Ok(page.finish(query))
}

/// What a page has so far.
struct Collector<'a> {
    filters: Filters<'a>,
    sealing: &'a Sealing,
    budget: usize,
    limit: usize,
    links: Vec<Link>,
    last: Option<Position>,
    more: bool,
}

impl<'a> Collector<'a> {
    fn new(query: &'a ListQuery, now: Timestamp, sealing: &'a Sealing) -> Self {
        let limit = query.limit.clamp(1, LIMIT_MAX);
        Self {
            // The same text as in the index, whichever way links are found.
            filters: Filters::new(query, now).searching(text_for(sealing.is_on())),
            sealing,
            budget: BUDGET_MIN.max(limit * BUDGET_PER_LINK),
            limit,
            links: Vec::new(),
            last: None,
            more: false,
        }
    }

    /// Takes what the walk meets until the page is full, the budget is spent or the walk ends.
    fn take_walk(&mut self, connection: &Connection, walk: &[Leg]) -> rusqlite::Result<()> {
        for leg in walk {
            let mut statement = connection.prepare_cached(&leg.sql)?;
            let mut rows = statement.query(params_from_iter(&leg.values))?;
            while let Some(row) = rows.next()? {
                if !self.take(row)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes links by id, in the order given.
    fn take_each(
        &mut self,
        connection: &Connection,
        places: Vec<(i64, i64)>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(DOCUMENT_OF)?;
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
        let link = rows::link(row, 0, self.sealing)?;
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

/// Part of a walk: a range of an index, in the order of the query.
struct Leg {
    sql: String,
    values: Vec<Value>,
}

/// Through the links that hold the trigrams of `q`. They are found by id only, so this is no way
/// to sort by the last write.
fn walk_text(
    query: &ListQuery,
    from: Option<Position>,
    text: String,
) -> rusqlite::Result<Vec<Leg>> {
    let source = "link_texts t CROSS JOIN links l ON l.id = t.rowid WHERE link_texts MATCH ? AND";
    Source { source, value: Some(text), id: "t.rowid", updated_at: "l.updated_at" }
        .legs(query.sort, from)
}

/// Through the index of the tag, the state, the domain, or all that are not deleted.
fn walk_columns(query: &ListQuery, from: Option<Position>) -> rusqlite::Result<Vec<Leg>> {
    let by = match query.sort {
        Sort::CreatedAscending | Sort::CreatedDescending => "",
        Sort::UpdatedDescending => "_updated",
    };
    let (source, value) = match query {
        ListQuery { tag: Some(tag), .. } => {
            let source = "link_tags t CROSS JOIN links l ON l.id = t.link WHERE t.tag = ? AND";
            let value = Some(tag.clone());
            return Source { source, value, id: "t.link", updated_at: "t.updated_at" }
                .legs(query.sort, from);
        }
        // Most links of most domains are active, so the domain says more than that.
        ListQuery { domain: Some(domain), state: None | Some(LinkState::Active), .. } => (
            format!(
                "links l INDEXED BY links_domain{by} WHERE l.domain = ? AND l.state <> 'deleted' AND"
            ),
            Some(domain.clone()),
        ),
        ListQuery { state: Some(state), .. } => (
            format!("links l INDEXED BY links_state{by} WHERE l.state = ? AND"),
            Some(state_name(*state).to_owned()),
        ),
        ListQuery { state: None, domain: None, .. } => {
            (format!("links l INDEXED BY links_live{by} WHERE l.state <> 'deleted' AND"), None)
        }
    };
    Source { source: &source, value, id: "l.id", updated_at: "l.updated_at" }.legs(query.sort, from)
}

/// An index to walk: tables and conditions, the value of the one parameter in them, and how its
/// entries call the two columns that order them.
struct Source<'a> {
    source: &'a str,
    value: Option<String>,
    id: &'a str,
    updated_at: &'a str,
}

impl Source<'_> {
    fn legs(&self, sort: Sort, from: Option<Position>) -> rusqlite::Result<Vec<Leg>> {
        let Self { id, updated_at: at, .. } = self;
        let from_id = from.map(|from| rows::row_id(from.id)).transpose()?;
        Ok(match sort {
            Sort::CreatedAscending => {
                let from_id = from_id.unwrap_or(i64::MIN);
                vec![self.leg(&format!("{id} > ? ORDER BY {id}"), &[from_id])]
            }
            Sort::CreatedDescending => {
                let from_id = from_id.unwrap_or(i64::MAX);
                vec![self.leg(&format!("{id} < ? ORDER BY {id} DESC"), &[from_id])]
            }
            // Two ranges: SQLite does not seek by `(updated_at, id) < (?, ?)` if the id is the
            // rowid, but reads all links of that time.
            Sort::UpdatedDescending => {
                let from_at = from.map_or(i64::MAX, |from| from.updated_at.0);
                let from_id = from_id.unwrap_or(i64::MAX);
                vec![
                    self.leg(
                        &format!("{at} = ? AND {id} < ? ORDER BY {id} DESC"),
                        &[from_at, from_id],
                    ),
                    self.leg(&format!("{at} < ? ORDER BY {at} DESC, {id} DESC"), &[from_at]),
                ]
            }
        })
    }

    fn leg(&self, range: &str, places: &[i64]) -> Leg {
        let value = self.value.iter().cloned().map(Value::from);
        Leg {
            sql: format!("SELECT l.id, ifnull(l.sealed, l.doc) FROM {} {range}", self.source),
            values: value.chain(places.iter().copied().map(Value::from)).collect(),
        }
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

const DOCUMENT_OF: &str = "SELECT id, ifnull(sealed, doc) FROM links WHERE id = ?1";

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

    fn plan(walk: &[Leg]) -> Vec<Vec<String>> {
        walk.iter().map(|leg| plans::of(&leg.sql, leg.values.len())).collect()
    }

    /// What a plan must be: one index walked in order, and the links of its entries looked up.
    fn wanted(query: &ListQuery) -> Vec<Vec<String>> {
        let updated = query.sort == Sort::UpdatedDescending;
        let suffix = if updated { "_updated" } else { "" };
        let index = match query {
            ListQuery { tag: Some(_), .. } if updated => {
                "t COVERING INDEX link_tags_updated (tag=?"
            }
            ListQuery { tag: Some(_), .. } => "t PRIMARY KEY (tag=?",
            ListQuery { domain: Some(_), state: None | Some(LinkState::Active), .. } => {
                &format!("l INDEX links_domain{suffix} (domain=?")
            }
            ListQuery { state: Some(_), .. } => &format!("l INDEX links_state{suffix} (state=?"),
            ListQuery { .. } => &format!("l INDEX links_live{suffix} ("),
        };
        let id = match query {
            ListQuery { tag: Some(_), .. } => "link",
            ListQuery { domain: None, state: None, .. } if !updated => "id",
            ListQuery { .. } => "rowid",
        };
        let ranges = match query.sort {
            Sort::CreatedAscending => vec![format!("{id}>?")],
            Sort::CreatedDescending => vec![format!("{id}<?")],
            Sort::UpdatedDescending => {
                vec![format!("updated_at=? AND {id}<?"), "updated_at<?".to_owned()]
            }
        };
        let leg = |range: String| {
            let (table, index) = index.split_once(' ').expect("a table and its index");
            let and = if index.ends_with('(') { "" } else { " AND " };
            let walked = format!("SEARCH {table} USING {index}{and}{range})");
            let links = "SEARCH l USING INTEGER PRIMARY KEY (rowid=?)".to_owned();
            [walked].into_iter().chain((table == "t").then_some(links)).collect()
        };
        ranges.into_iter().map(leg).collect()
    }

    #[test]
    fn every_list_walks_an_index_in_order() {
        for query in queries() {
            let walk = walk_columns(&query, None).expect("no place to convert");
            assert_eq!(plan(&walk), wanted(&query), "{query:?}");
        }
    }

    #[test]
    fn a_search_walks_the_text_index_in_order() {
        let links = "SEARCH l USING INTEGER PRIMARY KEY (rowid=?)";
        // 64: in order of the rowid; 192: in descending order of it.
        for (sort, index) in
            [(Sort::CreatedAscending, "64:M1>"), (Sort::CreatedDescending, "192:M1<")]
        {
            let query = ListQuery { sort, q: Some("abcd".into()), ..Default::default() };
            let walk = walk_text(&query, None, "abc".into()).expect("no place to convert");
            let texts = format!("SCAN t VIRTUAL TABLE INDEX {index}");
            assert_eq!(plan(&walk), [[texts.as_str(), links]], "{sort:?}");
        }
        assert_eq!(plans::of(MATCHES, 2), ["SCAN t VIRTUAL TABLE INDEX 0:M1", links]);
    }

    #[test]
    fn text_is_looked_up_by_its_trigrams_quoted() {
        let matched =
            |q: &str| text_to_match(&ListQuery { q: Some(q.into()), ..Default::default() });
        assert_eq!(matched("ÄBCd"), Some("\"äbc\" AND \"bcd\"".into()));
        assert_eq!(matched("a\"* "), Some("\"a\"\"*\" AND \"\"\"* \"".into()));
        assert_eq!(matched("ab"), None);
        assert_eq!(matched(""), None);
        assert_eq!(text_to_match(&ListQuery::default()), None);
        let long = matched(&"x".repeat(1_000)).expect("there are trigrams");
        assert_eq!(long.matches("\"xxx\"").count(), TRIGRAMS_MAX);
    }
}
