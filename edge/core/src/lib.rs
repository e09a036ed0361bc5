//! The redirect decision: facts about a request and a link record in, decision out.
//!
//! In scope: routing a path, evaluating a record, choosing a destination, rendering the reply,
//! describing the click. Out of scope: reading records, clocks, randomness, sockets, logging.
//!
//! The calling order: [`flow::Flow`] says what to read, [`decide::decide`] decides on what was found,
//! [`reply::reply`] renders the decision, [`click::of`] describes what is to be counted.
//!
//! ```
//! use waypost_core::decide::decide;
//! use waypost_core::facts::RequestFacts;
//! use waypost_core::flow::{Flow, Lookup, Next};
//! use waypost_core::policy::{Domain, Policy, Secrets};
//! use waypost_core::reply::reply;
//! use waypost_wire::codec::encode;
//! use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
//! use waypost_wire::time::Timestamp;
//!
//! # let policy = Policy {
//! #     domains: vec![Domain {
//! #         name: "s.example".into(),
//! #         base_url: "https://s.example".into(),
//! #         ignore_case: false,
//! #         check: None,
//! #         home: None,
//! #     }],
//! #     any_host: false,
//! #     slashes: false,
//! #     read_through: false,
//! #     edit_delay_seconds: 90,
//! #     https: true,
//! #     unlock_seconds: 3_600,
//! #     secrets: Secrets { cookie_key: [0; 32], sticky_key: [0; 16] },
//! # };
//! # let record = LinkRecord {
//! #     id: 1,
//! #     version: 1,
//! #     state: LinkState::Live,
//! #     created_at: Timestamp(0),
//! #     destination: "https://example.com/",
//! #     readable_destination: None,
//! #     status: RedirectStatus::Found,
//! #     starts_at: None,
//! #     expires_at: None,
//! #     expired_destination: None,
//! #     limited: false,
//! #     used_up: false,
//! #     forward_query: false,
//! #     forward_path: false,
//! #     ios_destination: None,
//! #     android_destination: None,
//! #     password_version: None,
//! #     title: None,
//! #     preview: None,
//! #     rules: vec![],
//! # };
//! let facts = RequestFacts { host: "s.example", path: "/hello", ..RequestFacts::default() };
//! let mut flow = Flow::start(&facts, &policy).expect("a path that can be a link");
//! assert_eq!(flow.read().key.as_str(), "s.example/hello");
//!
//! let bytes = encode(&record); // what the store holds under that key
//! let Next::Found(found) = flow.take(Lookup::Found(&bytes)) else { panic!("it is there") };
//! let decision = decide(&facts, &found, Timestamp(1_800_000_000_000), &policy);
//! let reply = reply(&decision, &facts, &policy);
//! assert_eq!(reply.status, 302);
//! assert_eq!(reply.headers[0], ("location", "https://example.com/".into()));
//! ```
#![no_std]
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

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
