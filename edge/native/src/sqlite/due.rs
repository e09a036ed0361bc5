//! What is due, found by index.

use rusqlite::{Connection, params};
use waypost_service::model::LinkId;
use waypost_service::seams::{Due, StoredLink};
use waypost_wire::time::Timestamp;

use super::rows::{row_id, stored, stored_columns};

/// A page of what is due, earliest first.
pub(super) fn due(
    connection: &Connection,
    kind: Due,
    until: Timestamp,
    after: Option<(Timestamp, LinkId)>,
    limit: usize,
) -> rusqlite::Result<Vec<(Timestamp, StoredLink)>> {
    let (after_at, after_id) = match after {
        Some((at, id)) => (at.0, row_id(id)?),
        None => (i64::MIN, i64::MIN),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(statement(kind))?
        .query_map(params![after_at, after_id, until.0, limit], |row| {
            Ok((Timestamp(row.get(0)?), stored(row, 1)?))
        })?
        .collect()
}

macro_rules! due_statement {
    ($at:literal, $index:literal, $when:literal) => {
        concat!(
            "SELECT ", $at, ", ", stored_columns!(), " FROM links INDEXED BY ", $index,
            " WHERE ", $when, " AND (", $at, ", id) > (?1, ?2) AND ", $at, " <= ?3",
            " ORDER BY ", $at, ", id LIMIT ?4"
        )
    };
}

/// The conditions are those of the partial indexes, word for word: SQLite compares them.
const fn statement(kind: Due) -> &'static str {
    match kind {
        Due::Expired => due_statement!(
            "expires_at",
            "links_expired",
            "expires_at IS NOT NULL AND state <> 'deleted'"
        ),
        Due::QuarantineEnded => {
            due_statement!("quarantine_until", "links_quarantine", "state = 'deleted'")
        }
        Due::Recompile => {
            due_statement!("recompile_at", "links_recompile", "recompile_at IS NOT NULL")
        }
        Due::Transition => due_statement!(
            "next_transition_at",
            "links_transition",
            "next_transition_at IS NOT NULL"
        ),
        Due::Unused => {
            due_statement!("last_used_at", "links_unused", "keep = 0 AND state <> 'deleted'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn every_kind_walks_its_index_in_order() {
        let kinds = [
            (Due::Expired, "links_expired (expires_at>? AND expires_at<?)"),
            (Due::QuarantineEnded, "links_quarantine (quarantine_until>? AND quarantine_until<?)"),
            (Due::Recompile, "links_recompile (recompile_at>? AND recompile_at<?)"),
            (
                Due::Transition,
                "links_transition (next_transition_at>? AND next_transition_at<?)",
            ),
            (Due::Unused, "links_unused (last_used_at>? AND last_used_at<?)"),
        ];
        for (kind, index) in kinds {
            let plan = plans::of(statement(kind), 4);
            assert_eq!(plan, [format!("SEARCH links USING INDEX {index}")], "{kind:?}");
        }
    }
}
