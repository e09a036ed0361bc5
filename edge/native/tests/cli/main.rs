//! The command line from outside: arguments in, requests and files and text out. The server is a
//! stub that answers what each test says, so that whole requests can be compared.

#![expect(clippy::expect_used, reason = "a test that fails says what it expected")]

mod doctor;
mod edge;
mod importing;
mod keys;
mod links;
mod local;
mod output;
mod recount;
mod sealing;
mod serving;
mod stats;
mod stub;
mod waypost;
