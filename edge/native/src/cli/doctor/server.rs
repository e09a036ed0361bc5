//! A running server: its own word on its health, its numbers, its clock.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;
use waypost_wire::time::Timestamp;

use super::check::Check;
use crate::cli::client::{Answer, Call, Client};
use crate::cli::failure::Failure;

/// Statistics and limits by time are wrong by as much as clocks differ.
const CLOCK_MAX_MS: i64 = 5_000;

#[derive(Deserialize)]
struct Health {
    status: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    checks: BTreeMap<String, Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    status: String,
    latency_ms: Option<f64>,
    waiting: Option<u64>,
}

/// All checks of a server.
pub(super) fn checks(base: Url, key: Option<&str>, now: Timestamp) -> Vec<Check> {
    let client = Client::new(base, key);
    let mut checks = Vec::new();
    match client.send(&Call { path: &["health"], ..Call::default() }) {
        Ok(answer) => {
            checks.extend(health(&answer));
            checks.push(clock(&answer, now));
        }
        Err(failure) => {
            // Whoever does not answer this answers nothing.
            checks.push(Check::fail(
                "health",
                failure.line(),
                "start the server, or correct --url",
            ));
            return checks;
        }
    }
    checks.push(metrics(client.send(&Call { path: &["metrics"], ..Call::default() })));
    checks
}

fn health(answer: &Answer) -> Vec<Check> {
    const NAME: &str = "health";
    let health: Health = match answer.read() {
        Ok(health) => health,
        Err(failure) => return vec![Check::fail(NAME, failure.line(), "correct --url")],
    };
    let found = format!("{} ({}), version {}", health.status, answer.status, health.version);
    let whole = match answer.status {
        200 => Check::ok(NAME, found),
        _ => Check::fail(NAME, found, "look at what is down below, and at the server's log"),
    };
    let parts = health.checks.iter().map(|(name, dependency)| dependency.check(name));
    std::iter::once(whole).chain(parts).collect()
}

impl Dependency {
    fn check(&self, name: &str) -> Check {
        let name = format!("health: {}", name.replace('_', " "));
        let latency = self.latency_ms.map(|ms| format!(", {ms} ms"));
        let waiting = self.waiting.map(|count| format!(", {count} waiting"));
        let found =
            [Some(self.status.clone()), latency, waiting].into_iter().flatten().collect::<String>();
        match self.status.as_str() {
            "ok" | "off" => Check::ok(&name, found),
            "down" => Check::fail(&name, found, "look at the server's log"),
            _ => Check::warn(&name, found, "look at the server's log, and again in a minute"),
        }
    }
}

fn clock(answer: &Answer, now: Timestamp) -> Check {
    const NAME: &str = "clock of the server";
    let date = answer.date.as_deref().and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(date) = date else {
        return Check::warn(
            NAME,
            "the server does not say what time it is",
            "is a proxy in between?",
        );
    };
    let apart_ms = now.ms_since(Timestamp(date.timestamp().as_millisecond()));
    let found = format!("{} s apart from this machine's", apart_ms / 1_000);
    match apart_ms.abs() <= CLOCK_MAX_MS {
        true => Check::ok(NAME, found),
        false => Check::warn(NAME, found, "set both clocks right (for example with NTP)"),
    }
}

fn metrics(answer: Result<Answer, Failure>) -> Check {
    const NAME: &str = "metrics";
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Check::fail(NAME, failure.line(), "look at the server's log"),
    };
    let text = String::from_utf8_lossy(&answer.body);
    let numbers = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    match answer.status {
        200 if text.contains("link_clicks") => Check::ok(NAME, format!("{numbers} numbers")),
        401 | 403 => Check::warn(NAME, "not shown without a key", "give --key or WAYPOST_KEY"),
        status => {
            Check::fail(NAME, format!("the answer is {status}, and no numbers"), "correct --url")
        }
    }
}
