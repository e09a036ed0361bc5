//! This process as the origin of edges: their questions, answered from the same cache, stores and
//! limits as its own visitors'.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use waypost_service::api::Caller;
use waypost_service::edge::{self, Gate, Handled};
use waypost_service::links::Service;
use waypost_service::seams::StoreError;
use waypost_wire::key::LinkKey;
use waypost_wire::origin::sign::OriginKey;
use waypost_wire::time::Timestamp;

use crate::attempts::Attempts;
use crate::host::NativeHost;
use crate::metrics::Metrics;

/// What answering edges needs.
pub struct Edges {
    /// The control plane.
    pub service: Arc<Service<NativeHost>>,
    /// Tries at passwords, those of this process's own visitors too.
    pub attempts: Arc<Attempts>,
    /// The key that edges sign with.
    pub key: OriginKey,
    /// Numbers.
    pub metrics: Arc<Metrics>,
}

impl Gate for Edges {
    type Record = Arc<[u8]>;

    async fn record(&self, key: &str, now: Timestamp) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.service.host.records.record(key, now).await
    }

    async fn admits_attempt(
        &self,
        key: &LinkKey,
        client_ip: Option<u128>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let store = &self.service.host.db;
        store.admits_attempt(&self.attempts, key, client_ip, now).await
    }
}

impl Edges {
    /// Answers a question, counts and logs it: what was asked, never about what. Checking a
    /// password takes tens of milliseconds of the calling thread.
    pub async fn answer(&self, request: Request<Bytes>, request_id: String) -> Response<Bytes> {
        let since = Instant::now();
        // Edges are not limited here.
        let caller = Caller { request_id: request_id.clone(), client_ip: None };
        let mut response = edge::handle(&self.service, self, &self.key, request, caller).await;
        let handled = response.extensions_mut().remove::<Handled>().unwrap_or_default();
        let Handled { question, outcome, log } = handled;
        let question = question.unwrap_or("none");
        self.metrics.edge_question(question, outcome);
        let status = response.status().as_u16();
        let duration_ms = since.elapsed().as_secs_f64() * 1_000.0;
        match log {
            Some(problem) if response.status().is_server_error() => {
                tracing::error!(request_id, question, outcome, status, duration_ms, problem);
            }
            Some(problem) if response.status().is_client_error() => {
                tracing::info!(request_id, question, outcome, status, duration_ms, problem);
            }
            // Clicks that are none: somebody has lost some.
            Some(problem) => {
                tracing::warn!(request_id, question, outcome, status, duration_ms, problem);
            }
            // As many as there are misses at edges: like redirects, they are not worth a line each.
            None => tracing::debug!(request_id, question, outcome, status, duration_ms),
        }
        response
    }
}
