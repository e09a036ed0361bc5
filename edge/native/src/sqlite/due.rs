//! What is due, found by index.

use rusqlite::Connection;
use waypost_service::model::LinkId;
use waypost_service::seal::fields::Sealing;
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
    sealing: &Sealing,
) -> rusqlite::Result<Vec<(Timestamp, StoredLink)>> {
    let (after_at, after_id) = match after {
        Some((at, id)) => (at.0, row_id(id)?),
        None => (i64::MIN, i64::MIN),
    };
    let until = until.0;
    let statements = statements(kind);
    let mut due = Vec::new();
    let mut take = |statement: &str, places: (i64, i64)| -> rusqlite::Result<()> {
        let room = i64::try_from(limit - due.len()).unwrap_or(i64::MAX);
        let mut found = connection.prepare_cached(statement)?;
        let rows = found.query_map((places.0, places.1, room), |row| {
            Ok((Timestamp(row.get(0)?), stored(row, 1, sealing)?))
        })?;
        for row in rows {
            due.push(row?);
        }
        Ok(())
    };
    if after_at <= until {
        take(statements.same_time, (after_at, after_id))?;
    }
    take(statements.later, (after_at, until))?;
    Ok(due)
}

/// Two ranges of an index: SQLite does not seek by `(time, id) > (?, ?)` if the id is the rowid,
/// but reads all links of that time, and a whole window of clicks gives its links one time.
struct Statements {
    /// At the time of the last one seen, with a higher id.
    same_time: &'static str,
    /// Later.
    later: &'static str,
}

macro_rules! due_statements {
    ($at:literal, $index:literal, $when:literal) => {
        Statements {
            same_time: concat!(
                due_statements!(@from $at, $index, $when),
                $at, " = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
            ),
            later: concat!(
                due_statements!(@from $at, $index, $when),
                $at, " > ?1 AND ", $at, " <= ?2 ORDER BY ", $at, ", id LIMIT ?3"
            ),
        }
    };
    (@from $at:literal, $index:literal, $when:literal) => {
        concat!(
            "SELECT ", $at, ", ", stored_columns!(), " FROM links INDEXED BY ", $index,
            " WHERE ", $when, " AND "
        )
    };
}

/// The conditions are those of the partial indexes, word for word: SQLite compares them.
const fn statements(kind: Due) -> Statements {
    match kind {
        Due::Expired => due_statements!(
            "expires_at",
            "links_expired",
            "expires_at IS NOT NULL AND state <> 'deleted'"
        ),
        Due::QuarantineEnded => {
            due_statements!("quarantine_until", "links_quarantine", "state = 'deleted'")
        }
        Due::Recompile => {
            due_statements!("recompile_at", "links_recompile", "recompile_at IS NOT NULL")
        }
        Due::Transition => due_statements!(
            "next_transition_at",
            "links_transition",
            "next_transition_at IS NOT NULL"
        ),
        Due::Unused => {
            due_statements!("last_used_at", "links_unused", "keep = 0 AND state <> 'deleted'")
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
            (Due::Expired, "links_expired", "expires_at"),
            (Due::QuarantineEnded, "links_quarantine", "quarantine_until"),
            (Due::Recompile, "links_recompile", "recompile_at"),
            (Due::Transition, "links_transition", "next_transition_at"),
            (Due::Unused, "links_unused", "last_used_at"),
        ];
        for (kind, index, at) in kinds {
            let Statements { same_time, later } = statements(kind);
            let index = format!("SEARCH links USING INDEX {index}");
            assert_eq!(plans::of(same_time, 3), [format!("{index} ({at}=? AND rowid>?)")]);
            assert_eq!(plans::of(later, 3), [format!("{index} ({at}>? AND {at}<?)")]);
        }
    }
}
