//! The seams of the control plane over AWS: links, keys and control data in DynamoDB, counting in
//! DynamoDB and S3. The only crate that names the SDK.
//!
//! Out of scope: what the data means (`waypost-service`), events and answers of Lambda
//! (`waypost-functions`).

pub mod calls;
pub mod clients;
pub mod control;
pub mod counters;
pub mod edge_table;
mod files;
pub mod host;
pub mod inbox;
pub mod item;
pub mod jobs;
pub mod keys;
pub mod links;
pub mod queue;
pub mod schema;
mod sealing;
pub mod secrets;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tries;
pub mod walk;
