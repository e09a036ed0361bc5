//! How SQLite would run a statement, for tests that prove the use of indexes.

use rusqlite::{Connection, params_from_iter};

use super::DbOptions;
use super::open::open_writer;

/// The steps of the plan of a statement with so many parameters, on an empty database.
pub(super) fn of(sql: &str, parameters: usize) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory for the database");
    let connection = open_writer(&directory.path().join("plans.db"), &DbOptions::default())
        .expect("a new database opens");
    on(&connection, sql, parameters)
}

fn on(connection: &Connection, sql: &str, parameters: usize) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let rows = statement
        .query_map(params_from_iter((0..parameters).map(|_| 1)), |row| row.get(3))
        .expect("the parameters fit");
    rows.collect::<Result<_, _>>().expect("a plan is text")
}
