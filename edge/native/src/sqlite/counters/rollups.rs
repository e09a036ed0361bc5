//! Rollups, from the closing of a window on.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use waypost_service::counting::classify::Class;
use waypost_service::counting::compact::merge;
use waypost_service::counting::rollup::{Rollup, Subject, Totals};
use waypost_service::counting::store::{Closed, ClosingWindow, Row, WindowRecord};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_wire::time::Timestamp;

use super::super::error::damaged;
use super::{at_most, closed_until, days, marks};

pub(super) const FINER: &str = "SELECT start, span, rollup FROM rollups
    WHERE subject = ?1 AND start >= ?2 AND start < ?3 AND span < 2";

// The condition that the index on `span` has is repeated, or SQLite could not use it.
pub(super) const OF_HOUR: &str = "SELECT row, subject, rollup FROM rollups
    WHERE span IN (0, 1) AND span < 2 AND start >= ?1 AND start < ?2";

pub(super) const WINDOWS: &str = "SELECT start, subject FROM rollups
    WHERE span = 0 AND span < 2 AND start < ?1 ORDER BY start, subject LIMIT ?2";

pub(super) const PARTS_OF_HOUR: &str = "SELECT row, rollup FROM rollups
    WHERE subject = ?1 AND start >= ?2 AND start < ?3 AND span < 2 ORDER BY start, span";

pub(super) fn close(connection: &Connection, closing: &ClosingWindow) -> rusqlite::Result<Closed> {
    let window = closing.window;
    if window < closed_until(connection)? {
        return Ok(Closed::Already);
    }
    write_all(connection, window.start(), Span::Window, &closing.counted)?;
    let mut used = connection
        .prepare_cached("UPDATE links SET last_used_at = ?2 WHERE id = ?1 AND last_used_at < ?2")?;
    for (link, at) in &closing.counted.last_clicks {
        used.execute((link.0.cast_signed(), at.0))?;
    }
    if closing.record.batches > 0 {
        write_record(connection, window, &closing.record)?;
    }
    connection
        .prepare_cached("UPDATE counting SET closed_until = ?1")?
        .execute([window.next().start().0])?;
    Ok(Closed::Closed)
}

pub(super) fn rewrite_hour(
    connection: &Connection,
    hour: Timestamp,
    windows: &[(Window, WindowRecord)],
    counted: &Counted,
) -> rusqlite::Result<bool> {
    let end = hour.plus_ms(Span::Hour.ms());
    let (closed_until, levels) = marks(connection)?;
    if closed_until.start() < end || hour < levels.hours_from {
        return Ok(false);
    }
    let mut subjects: BTreeSet<i64> =
        counted.rollups.keys().map(|subject| subject.code()).collect();
    let old: Vec<(i64, i64, Rollup)> = connection
        .prepare_cached(OF_HOUR)?
        .query_map([hour.0, end.0], |row| {
            Ok((row.get(0)?, row.get(1)?, decode(row.get_ref(2)?.as_blob()?)?))
        })?
        .collect::<Result<_, _>>()?;
    for (row, subject, rollup) in old {
        subjects.insert(subject);
        delete(connection, row)?;
        if let Subject::Link(link) = Subject::from_code(subject) {
            let mut left = totals(connection, link)?;
            left.subtract(&rollup.totals);
            write_totals(connection, link, &left)?;
        }
    }
    write_all(connection, hour, Span::Hour, counted)?;
    days::make_again(connection, hour, subjects, levels)?;
    for (window, record) in windows {
        write_record(connection, *window, record)?;
    }
    Ok(true)
}

pub(super) fn compact(
    connection: &Connection,
    into: Span,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    match into {
        Span::Window => return Ok(0),
        Span::Day => return days::make(connection, before, limit),
        Span::Hour => {}
    }
    let until = Span::Hour.start(before.min(closed_until(connection)?.start()));
    let groups: BTreeSet<(i64, i64)> = connection
        .prepare_cached(WINDOWS)?
        .query_map((until.0, at_most(limit)), |row| {
            let start = Timestamp(row.get(0)?);
            Ok((Span::Hour.start(start).0, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (hour, subject) in &groups {
        make_hour(connection, Timestamp(*hour), *subject)?;
    }
    Ok(groups.len())
}

/// Makes an hour of its windows, and of what is there of it already.
fn make_hour(connection: &Connection, hour: Timestamp, subject: i64) -> rusqlite::Result<()> {
    let end = hour.plus_ms(Span::Hour.ms());
    let parts: Vec<(i64, Rollup)> = connection
        .prepare_cached(PARTS_OF_HOUR)?
        .query_map((subject, hour.0, end.0), |row| {
            Ok((row.get(0)?, decode(row.get_ref(1)?.as_blob()?)?))
        })?
        .collect::<Result<_, _>>()?;
    for (row, _) in &parts {
        delete(connection, *row)?;
    }
    let merged = merge(parts.iter().map(|(_, rollup)| rollup));
    insert(connection, subject, hour, Span::Hour, &merged)
}

/// Rows of windows and hours.
pub(super) fn finer(
    connection: &Connection,
    subject: Subject,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<Row>> {
    connection
        .prepare_cached(FINER)?
        .query_map([subject.code(), from.0, until.0], |row| {
            let span: u8 = row.get(1)?;
            Ok(Row {
                start: Timestamp(row.get(0)?),
                span: Span::from_code(span).ok_or_else(|| damaged(format!("span {span}")))?,
                rollup: decode(row.get_ref(2)?.as_blob()?)?,
            })
        })?
        .collect()
}

/// The clicks of a link in all closed windows.
pub(super) fn totals(connection: &Connection, link: LinkId) -> rusqlite::Result<Totals> {
    let totals = connection
        .prepare_cached(
            "SELECT head, prefetch, link_preview, bot, datacentre, burst, human
             FROM link_totals WHERE link = ?1",
        )?
        .query_row([link.0.cast_signed()], |row| {
            let mut totals = Totals::default();
            for (column, class) in Class::ALL.into_iter().enumerate() {
                totals.add(class, row.get::<_, i64>(column)?.cast_unsigned());
            }
            Ok(totals)
        })
        .optional()?;
    Ok(totals.unwrap_or_default())
}

pub(super) fn forget(
    connection: &Connection,
    link: LinkId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let id = link.0.cast_signed();
    connection
        .prepare_cached("DELETE FROM rollups WHERE subject = ?1")?
        .execute([Subject::Link(link).code()])?;
    connection.prepare_cached("DELETE FROM link_totals WHERE link = ?1")?.execute([id])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO forgotten_links (link, at) VALUES (?1, ?2)")?
        .execute([id, now.0])?;
    Ok(())
}

/// Writes rollups that start at `start` and adds to the totals of their links.
fn write_all(
    connection: &Connection,
    start: Timestamp,
    span: Span,
    counted: &Counted,
) -> rusqlite::Result<()> {
    for (subject, rollup) in &counted.rollups {
        if let Subject::Link(link) = subject {
            if is_forgotten(connection, *link)? {
                continue;
            }
            let mut sum = totals(connection, *link)?;
            sum.merge(&rollup.totals);
            write_totals(connection, *link, &sum)?;
        }
        insert(connection, subject.code(), start, span, rollup)?;
    }
    Ok(())
}

pub(super) fn insert(
    connection: &Connection,
    subject: i64,
    start: Timestamp,
    span: Span,
    rollup: &Rollup,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO rollups (subject, start, span, rollup) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((subject, start.0, span.code(), rollup.encode()))?;
    if span == Span::Hour {
        days::note(connection, start, subject)?;
    }
    Ok(())
}

fn delete(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM rollups WHERE row = ?1")?.execute([row])?;
    Ok(())
}

fn write_record(
    connection: &Connection,
    window: Window,
    record: &WindowRecord,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO windows (window, batches, digest, revision, closed_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            window.start().0,
            record.batches.cast_signed(),
            record.digest,
            record.revision,
            record.closed_at.0,
        ))?;
    Ok(())
}

fn write_totals(connection: &Connection, link: LinkId, totals: &Totals) -> rusqlite::Result<()> {
    let [head, prefetch, link_preview, bot, datacentre, burst, human] =
        Class::ALL.map(|class| totals.of(class).cast_signed());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO link_totals
                 (link, head, prefetch, link_preview, bot, datacentre, burst, human)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            link.0.cast_signed(),
            head,
            prefetch,
            link_preview,
            bot,
            datacentre,
            burst,
            human,
        ])?;
    Ok(())
}

fn is_forgotten(connection: &Connection, link: LinkId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM forgotten_links WHERE link = ?1)")?
        .query_row([link.0.cast_signed()], |row| row.get(0))
}

pub(super) fn decode(bytes: &[u8]) -> rusqlite::Result<Rollup> {
    Rollup::decode(bytes).map_err(|fault| damaged(format!("a rollup: {fault}")))
}
