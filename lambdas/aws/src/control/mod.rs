//! Control data in DynamoDB: who may do what at the moment. In the table `control`:
//!
//! | `pk` | `sk` | |
//! | --- | --- | --- |
//! | `machines` | 4 digits | a Snowflake machine's [lease](machine) |
//! | `run#<name>` | `lease` | a [run] of a background job |
//! | `attempts#<link>#<client>` | `count` | [tries](attempts) of passwords |
//! | `bucket#<name>` | `tokens` | a [rate limit](bucket) |
//! | `bookmark#<store>` | `place` | where a pass over an edge store goes on |
//!
//! Every reader compares times itself; `ttl` only clears away.

pub mod attempts;
mod bookmark;
pub mod bucket;
mod gate;
pub mod lease;
pub mod machine;
pub mod own;
pub mod run;
