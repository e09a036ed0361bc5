//! The API as its callers see it: [`waypost_service::api::handle`] on a host in memory.
//!
//! `cases` runs what `tests/cases/api` describes, `races` asks many times at once, and `roles`
//! tries every method of every resource with every role; `recounting` counts closed hours again;
//! `limits` asks too much.
#![expect(
    clippy::expect_used,
    reason = "a test that fails by panicking has said what it had to say"
)]

mod case;
mod cases;
mod limits;
mod matching;
mod races;
mod recounting;
mod roles;
mod world;
