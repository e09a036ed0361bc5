//! What was written lately, as edges are told of it.

use std::cmp::Reverse;

use rusqlite::{Connection, Row};
use waypost_service::seams::Changed;
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use super::error::damaged;
use super::rows;

/// Links last written after `after`, latest first, at most `limit`. Reads neither records nor
/// documents.
pub(crate) fn changed(
    connection: &Connection,
    after: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Changed>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut changed = Vec::new();
    for statement in STATEMENTS {
        let mut found = connection.prepare_cached(statement)?;
        let found = found.query_map((after.0, most), one)?;
        for link in found {
            changed.push(link?);
        }
    }
    changed.sort_unstable_by_key(|link: &Changed| Reverse((link.at, link.generation.link_id)));
    changed.truncate(limit);
    Ok(changed)
}

macro_rules! statement {
    ($index:literal, $when:literal) => {
        concat!(
            "SELECT updated_at, key, id, version, state FROM links INDEXED BY ",
            $index,
            " WHERE ",
            $when,
            " AND updated_at > ?1 ORDER BY updated_at DESC, id DESC LIMIT ?2"
        )
    };
}

/// The indexes of lists, deleted links apart: an index of its own would cost every write more.
const STATEMENTS: [&str; 2] = [
    statement!("links_live_updated", "state <> 'deleted'"),
    statement!("links_state_updated", "state = 'deleted'"),
];

fn one(row: &Row<'_>) -> rusqlite::Result<Changed> {
    let number = |column| {
        let number: i64 = row.get(column)?;
        u64::try_from(number).map_err(|_| damaged(format!("{number} is no id and no version")))
    };
    let state: String = row.get(4)?;
    Ok(Changed {
        at: Timestamp(row.get(0)?),
        key: rows::key(row, 1)?,
        generation: Generation { link_id: number(2)?, version: number(3)? },
        // These do not come and go with the time, so the column is right about them.
        stopped: matches!(state.as_str(), "blocked" | "deleted" | "disabled"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn changes_walk_an_index_in_order() {
        let [live, deleted] = STATEMENTS.map(|statement| plans::of(statement, 2));
        assert_eq!(live, ["SEARCH links USING INDEX links_live_updated (updated_at>?)"]);
        assert_eq!(
            deleted,
            ["SEARCH links USING INDEX links_state_updated (state=? AND updated_at>?)"]
        );
    }
}
