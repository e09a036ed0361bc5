//! The redirect decision: facts about a request and a link record in, decision out.
//!
//! In scope: routing a path, evaluating a record, choosing a destination, rendering the reply,
//! describing the click. Out of scope: reading records, clocks, randomness, sockets, logging.
#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod agent;
pub mod click;
pub mod decide;
pub mod decision;
pub mod facts;
pub mod flow;
pub mod language;
pub mod pages;
pub mod policy;
mod query;
pub mod reply;
mod route;
pub mod rule;
mod target;
mod unlock;
mod visitor;
