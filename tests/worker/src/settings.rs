//! The settings of a Worker in tests.

use serde_json::{Map, Value};
use waypost_core::policy::Policy;
use waypost_tests::hosts::edge;

use crate::stub::{ACCESS_KEY_ID, ORIGIN_KEY, ORIGIN_URL, QUEUE_URL, SECRET_ACCESS_KEY};

/// Where clicks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// To SQS.
    Queue,
    /// To the origin.
    Origin,
}

/// The settings that make a Worker follow a policy, with clicks that wait for no others.
pub fn of(policy: &Policy, has_origin: bool, sink: Sink) -> Map<String, Value> {
    let mut settings = edge::settings(policy, &ORIGIN_KEY);
    if has_origin {
        settings.insert("waypost_origin_url", ORIGIN_URL.to_owned());
    }
    if sink == Sink::Queue {
        settings.insert("waypost_sqs_queue_url", QUEUE_URL.to_owned());
        settings.insert("waypost_aws_access_key_id", ACCESS_KEY_ID.to_owned());
        settings.insert("waypost_aws_secret_access_key", SECRET_ACCESS_KEY.to_owned());
    }
    let upper = |(name, value): (&str, String)| (name.to_ascii_uppercase(), Value::String(value));
    settings.into_iter().map(upper).collect()
}
