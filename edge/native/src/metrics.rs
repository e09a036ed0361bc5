//! Numbers for Prometheus. A slug or an address is never a label.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper ends of the request histogram: a redirect from memory takes tens of microseconds, a
/// creation waits for the disk.
const DURATION_SECONDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Route {
    /// The API.
    Api,
    /// A question of an edge.
    Edge,
    /// A link, or a page in its place.
    Follow,
    /// `/health`.
    Health,
    /// `/metrics`.
    Metrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Route,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    decision: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuestionLabels {
    question: &'static str,
    outcome: &'static str,
}

/// Counters that events move, and gauges that [`Metrics::text`] is handed.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram>,
    decisions: Family<DecisionLabels, Counter>,
    questions: Family<QuestionLabels, Counter>,
    clicks: Counter,
    panics: Counter,
    readings: Vec<(&'static str, Reading)>,
}

/// Where a number goes that is read when it is asked for.
#[derive(Debug)]
enum Reading {
    /// Only rises; kept elsewhere.
    Counter(Counter),
    /// Comes and goes.
    Gauge(Gauge<f64, AtomicU64>),
}

/// Numbers that only rise: name (Prometheus adds `_total`), help.
const COUNTERS: [(&str, &str); 9] = [
    ("cache_hits", "Requests answered with a record from memory"),
    ("cache_missing_hits", "Requests answered with a remembered absence"),
    ("cache_misses", "Requests that read the database"),
    ("clicks_accepted", "Clicks given a number, by all processes so far"),
    ("clicks_counted", "Clicks stored"),
    ("clicks_duplicate", "Clicks that came again"),
    ("clicks_late", "Clicks that came after their window had closed"),
    ("store_commits", "Transactions since the start"),
    ("store_writes", "Writes since the start"),
];

/// Numbers that come and go: name, help.
const GAUGES: [(&str, &str); 7] = [
    ("cache_entries", "Entries in memory"),
    ("cache_bytes", "Bytes of the entries in memory"),
    ("click_queue_depth", "Clicks accepted and not yet stored"),
    ("click_queue_age_seconds", "Age of the oldest click not yet stored"),
    ("clicks_lost", "Clicks given up; those that still come are taken off again"),
    ("store_queue_depth", "Writes that wait for the database"),
    ("store_read_seconds", "Time of one read of the database just now"),
];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<RequestLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(DURATION_SECONDS)
        });
        let decisions = Family::<DecisionLabels, Counter>::default();
        let questions = Family::<QuestionLabels, Counter>::default();
        let (clicks, panics) = (Counter::default(), Counter::default());
        registry.register_with_unit(
            "http_request_duration",
            "Time from request to answer",
            Unit::Seconds,
            requests.clone(),
        );
        registry.register(
            "decisions",
            "Requests for links by decision and reason",
            decisions.clone(),
        );
        registry.register(
            "edge_questions",
            "Questions of edges by question and outcome",
            questions.clone(),
        );
        registry.register(
            "link_clicks",
            "Hits on links, people and programs alike",
            clicks.clone(),
        );
        registry.register(
            "panics",
            "Requests that met a bug and were answered 500",
            panics.clone(),
        );
        let mut readings = Vec::new();
        for (name, help) in COUNTERS {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            readings.push((name, Reading::Counter(counter)));
        }
        for (name, help) in GAUGES {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            readings.push((name, Reading::Gauge(gauge)));
        }
        Self { registry, requests, decisions, questions, clicks, panics, readings }
    }
}

impl Metrics {
    /// A request was answered.
    pub fn request(&self, route: Route, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route, status }).observe(took.as_secs_f64());
    }

    /// A link was decided on.
    pub fn decision(&self, decision: &'static str, reason: &'static str) {
        self.decisions.get_or_create(&DecisionLabels { decision, reason }).inc();
    }

    /// An edge was answered.
    pub fn edge_question(&self, question: &'static str, outcome: &'static str) {
        self.questions.get_or_create(&QuestionLabels { question, outcome }).inc();
    }

    /// A click was accepted.
    pub fn click(&self) {
        self.clicks.inc();
    }

    /// A request met a bug.
    pub fn panic(&self) {
        self.panics.inc();
    }

    /// All numbers in the OpenMetrics text format, with the given readings of this moment.
    pub fn text(&self, readings: &[(&'static str, f64)]) -> String {
        for (name, value) in readings {
            match self.readings.iter().find(|(known, _)| known == name) {
                Some((_, Reading::Counter(counter))) => {
                    counter.inner().store(*value as u64, Ordering::Relaxed);
                }
                Some((_, Reading::Gauge(gauge))) => {
                    gauge.set(*value);
                }
                None => {}
            }
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_that_dashboards_know() {
        let metrics = Metrics::default();
        metrics.request(Route::Follow, 302, Duration::from_micros(80));
        metrics.decision("redirect", "destination");
        metrics.edge_question("resolve", "found");
        metrics.click();
        let text = metrics.text(&[("cache_hits", 3.0), ("cache_bytes", 1.5)]);
        for line in [
            "link_clicks_total 1",
            "http_request_duration_seconds_bucket{le=\"0.0001\",route=\"Follow\",status=\"302\"} 1",
            "decisions_total{decision=\"redirect\",reason=\"destination\"} 1",
            "edge_questions_total{question=\"resolve\",outcome=\"found\"} 1",
            "cache_hits_total 3",
            "cache_bytes 1.5",
            "# EOF",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
