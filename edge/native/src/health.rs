//! `/health` and `/metrics`: how this process is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::json;
use waypost_service::ambient::Clock;
use waypost_service::api;
use waypost_service::keys::Role;
use waypost_service::links::{Host, Service};

use crate::app::plain;
use crate::clicks::Clicks;
use crate::counting::Counting;
use crate::facts::{Client, Trust};
use crate::host::NativeHost;
use crate::metrics::Metrics;
use crate::server::Body;

/// Clicks that may wait before the process calls itself degraded: about half a minute of a busy
/// installation.
const BACKLOG_MAX: u64 = 10_000;

/// What is looked at.
pub struct Health {
    /// Where clicks come from.
    pub clicks: Arc<Clicks>,
    /// Where they go.
    pub counting: Arc<Counting>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Whether addresses can be looked up.
    pub has_geoip: bool,
}

impl Health {
    /// 200 with the state of each dependency, 503 if one that following needs is down. A backlog
    /// of clicks degrades nothing but statistics, so it is told but answers 200.
    pub async fn answer(&self, service: &Service<NativeHost>) -> Response<Body> {
        let db = &service.host.db;
        let since = Instant::now();
        let read = db.record("!health", service.host.ambient.now()).await;
        let read_ms = ms(since);
        let since = Instant::now();
        let write = db.touch().await;
        let write_ms = ms(since);
        let waiting = self.waiting();
        let is_up = read.is_ok() && write.is_ok();
        let state = |ok: bool| if ok { "ok" } else { "down" };
        let document = json!({
            "status": state(is_up),
            "version": env!("CARGO_PKG_VERSION"),
            "checks": {
                "database_read": { "status": state(read.is_ok()), "latency_ms": read_ms },
                "database_write": { "status": state(write.is_ok()), "latency_ms": write_ms },
                "clicks": {
                    "status": if waiting <= BACKLOG_MAX { "ok" } else { "behind" },
                    "waiting": waiting,
                },
                "geoip": { "status": if self.has_geoip { "ok" } else { "off" } },
            },
        });
        let status = if is_up { 200 } else { 503 };
        plain(status, "application/json", Bytes::from(document.to_string()))
    }

    /// All numbers, for callers on this machine and for holders of a key.
    pub async fn metrics(
        &self,
        service: &Service<NativeHost>,
        peer: SocketAddr,
        trust: &Trust,
        headers: &HeaderMap,
    ) -> Response<Body> {
        // Behind a proxy on this machine everybody comes from loopback.
        let is_forwarded =
            ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
        if !peer.ip().to_canonical().is_loopback() || is_forwarded {
            let client_ip = Some(Client::of(headers, peer.ip(), trust).address);
            let allowed = api::authorize(service, headers, client_ip, Role::Viewer).await;
            if let Err(problem) = allowed {
                let body = Bytes::from(problem.to_json(""));
                return plain(problem.status(), "application/problem+json", body);
            }
        }
        let text = self.metrics.text(&self.readings(service).await);
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        plain(200, content_type, Bytes::from(text))
    }

    fn waiting(&self) -> u64 {
        let progress = self.clicks.progress();
        progress.accepted.saturating_sub(progress.dropped + self.counting.delivered())
    }

    async fn readings(&self, service: &Service<NativeHost>) -> Vec<(&'static str, f64)> {
        let cache = service.host.records().report();
        let since = Instant::now();
        // A failure shows in the time it took, and in /health.
        let _ = service.host.db.record("!metrics", service.host.ambient.now()).await;
        let read_seconds = since.elapsed().as_secs_f64();
        let mut readings = vec![
            ("cache_hits", cache.hits as f64),
            ("cache_missing_hits", cache.missing_hits as f64),
            ("cache_misses", cache.misses as f64),
            ("cache_entries", cache.entries as f64),
            ("cache_bytes", cache.bytes as f64),
            ("click_queue_depth", self.waiting() as f64),
            ("click_queue_age_seconds", self.counting.waiting_seconds()),
            ("store_read_seconds", read_seconds),
        ];
        if let Some((queued, written)) = service.host.db.written() {
            readings.extend([
                ("store_queue_depth", queued as f64),
                ("store_commits", written.commits as f64),
                ("store_writes", written.jobs as f64),
            ]);
        }
        readings.extend(self.counting.readings().await);
        readings
    }
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
