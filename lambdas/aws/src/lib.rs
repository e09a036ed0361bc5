//! The seams of the control plane over AWS: links, keys and control data in DynamoDB, counting in
//! DynamoDB and S3. The only crate that names the SDK.
//!
//! Out of scope: what the data means (`waypost-service`), events and answers of Lambda
//! (`waypost-functions`).

pub mod clients;
pub mod item;
pub mod schema;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
