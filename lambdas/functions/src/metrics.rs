//! Metrics as lines of the log, which CloudWatch reads (Embedded Metric Format): no call, no wait.
//!
//! Never a slug, a key or an address among the dimensions: each value of one is a metric of its own
//! and costs $0.30 a month.

use std::io::{self, Write};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use waypost_wire::time::Timestamp;

/// Where the metrics are found in CloudWatch.
pub const NAMESPACE: &str = "Waypost";

/// What a number counts, as CloudWatch names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Time.
    Milliseconds,
    /// Time.
    Seconds,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How much.
    pub value: f64,
}

/// A number of things.
pub const fn count(name: &'static str, value: u64) -> Metric {
    Metric { name, unit: Unit::Count, value: value as f64 }
}

/// A line with metrics of a function of a stack, so that several stacks in an account are told
/// apart. `properties` can be searched for in the log, and cost nothing.
pub fn line(
    stack: &str,
    function: &str,
    metrics: &[Metric],
    properties: &[(&'static str, Value)],
    now: Timestamp,
) -> String {
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|metric| json!({ "Name": metric.name, "Unit": metric.unit.name() }))
        .collect();
    let mut object = Map::new();
    let directive = json!({
        "Timestamp": now.0,
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [["Stack", "Function"]],
            "Metrics": definitions,
        }],
    });
    object.insert("_aws".into(), directive);
    object.insert("Stack".into(), stack.into());
    object.insert("Function".into(), function.into());
    for metric in metrics {
        object.insert(metric.name.into(), metric.value.into());
    }
    for (name, value) in properties {
        object.insert((*name).into(), value.clone());
    }
    Value::Object(object).to_string()
}

/// What the stack is called; the template says it in `WAYPOST_STACK`.
static STACK: OnceLock<String> = OnceLock::new();

/// Writes such a line to where Lambda takes the log from.
pub fn emit(
    function: &str,
    metrics: &[Metric],
    properties: &[(&'static str, Value)],
    now: Timestamp,
) {
    let stack = STACK.get_or_init(|| std::env::var("WAYPOST_STACK").unwrap_or_default());
    // If the log is gone, nobody can be told.
    let _ = writeln!(io::stdout(), "{}", line(stack, function, metrics, properties, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let duration = Metric { name: "Duration", unit: Unit::Milliseconds, value: 1.5 };
        let metrics = [count("Requests", 1), duration];
        let line = line("go", "api", &metrics, &[("route", "/health".into())], Timestamp(7));
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            read,
            json!({
                "_aws": {
                    "Timestamp": 7,
                    "CloudWatchMetrics": [{
                        "Namespace": "Waypost",
                        "Dimensions": [["Stack", "Function"]],
                        "Metrics": [
                            { "Name": "Requests", "Unit": "Count" },
                            { "Name": "Duration", "Unit": "Milliseconds" },
                        ],
                    }],
                },
                "Stack": "go",
                "Function": "api",
                "Requests": 1.0,
                "Duration": 1.5,
                "route": "/health",
            })
        );
        assert!(!line.contains('\n'));
    }
}
