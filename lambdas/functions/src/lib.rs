//! Lambda functions: events in, calls of the service, answers out.
//!
//! In scope: the shapes of events and answers, time limits of an invocation, log lines and metrics.
//! Out of scope: what is decided (`waypost-service`), how AWS is called (`waypost-aws`).

pub mod aggregate;
pub mod api;
pub mod cleanup;
pub mod export;
pub mod invocation;
pub mod logs;
pub mod metrics;
pub mod path;
pub mod publish;
pub mod renewal;
pub mod rollup;
pub mod serving;
pub mod start;

#[cfg(test)]
mod tests;
