//! The control plane: making and managing links, counting clicks, cleaning up.
//!
//! In scope: what the API accepts and answers, what is stored, how clicks become numbers. Out of
//! scope: sockets, databases, clocks and randomness (they come in through [`seams`] and
//! arguments), and every vendor's SDK. The native binary and the Lambda functions call the same
//! functions here.
#![warn(missing_docs)]
#![expect(async_fn_in_trait, reason = "hosts prove Send for their own types where they spawn")]

pub mod ambient;
pub mod api;
pub mod cleanup;
pub mod codes;
pub mod compile;
mod condition;
pub mod counting;
pub mod destination;
pub mod draft;
pub mod edge;
mod id;
pub mod keys;
pub mod limits;
pub mod links;
pub mod listing;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod model;
pub mod password;
pub mod problem;
pub mod publish;
pub mod seal;
pub mod seams;
pub mod slug;
pub mod stats;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod zone;
