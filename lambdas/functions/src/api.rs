//! The function behind the HTTP API: everything below `/api/`, the questions of edges, and how the
//! installation is.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};
use serde_json::json;
use waypost_service::ambient::{Clock, Draws};
use waypost_service::api::{self, Caller};
use waypost_service::counting::store::CounterStore;
use waypost_service::edge::{self, Gate};
use waypost_service::links::{Host, Service};
use waypost_service::problem::{Kind, Problem};
use waypost_wire::origin::sign::OriginKey;

use crate::metrics::{Metric, Unit, count, emit};
use crate::path::restored;

/// About 95 bits: ids of different requests do not meet.
const REQUEST_ID_CHARS: usize = 16;

/// What a request is answered with.
pub struct Api<H, G> {
    /// The control plane.
    pub service: Service<H>,
    /// What answering edges needs beside it.
    pub gate: G,
    /// What edges sign with.
    pub origin_key: OriginKey,
}

/// What the log knows of a request.
#[derive(Debug, Default)]
struct Told {
    route: &'static str,
    key_id: Option<String>,
    outcome: Option<&'static str>,
    problem: Option<String>,
    limit_failed: Option<String>,
}

impl<H: Host, G: Gate> Api<H, G> {
    /// Answers a request. Never fails: what goes wrong is an answer too.
    pub async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        if let Some(uri) = restored(request.uri()) {
            *request.uri_mut() = uri;
        }
        let ambient = self.service.host.ambient();
        let begun = ambient.now();
        let request_id = Draws::new(ambient).base62(REQUEST_ID_CHARS);
        let method = request.method().clone();
        let caller = Caller { request_id: request_id.clone(), client_ip: client_ip(&request) };
        let (mut response, told) = self.routed(request.map(whole), caller).await;
        if let Ok(value) = HeaderValue::try_from(&request_id) {
            response.headers_mut().insert("x-request-id", value);
        }
        let now = ambient.now();
        let status = response.status();
        let errors = u64::from(status.is_server_error());
        let duration_ms = now.ms_since(begun).max(0) as f64;
        let duration = Metric { name: "Duration", unit: Unit::Milliseconds, value: duration_ms };
        let properties = [
            ("request_id", request_id.into()),
            ("method", method.as_str().into()),
            ("route", told.route.into()),
            ("status", status.as_u16().into()),
            ("key_id", told.key_id.into()),
            ("outcome", told.outcome.into()),
            ("problem", told.problem.into()),
            ("limit_failed", told.limit_failed.into()),
        ];
        emit("api", &[count("Requests", 1), count("Errors", errors), duration], &properties, now);
        response.map(body)
    }

    async fn routed(&self, request: Request<Bytes>, caller: Caller) -> (Response<Bytes>, Told) {
        let path = request.uri().path();
        if path == "/health" {
            return (self.health().await, Told { route: "/health", ..Told::default() });
        }
        if path.starts_with(edge::PATH_PREFIX) {
            let (service, key) = (&self.service, &self.origin_key);
            let mut response = edge::handle(service, &self.gate, key, request, caller).await;
            let handled = response.extensions_mut().remove::<edge::Handled>().unwrap_or_default();
            let route = handled.question.unwrap_or("none");
            let outcome = Some(handled.outcome);
            let problem = handled.log;
            return (response, Told { route, outcome, problem, ..Told::default() });
        }
        if path == "/api" || path.starts_with("/api/") {
            let mut response = api::handle(&self.service, request, caller).await;
            let handled = response.extensions_mut().remove::<api::Handled>().unwrap_or_default();
            let route = handled.route.unwrap_or("none");
            let api::Handled { key_id, log: problem, limit_failed, .. } = handled;
            let told = Told { route, key_id, outcome: None, problem, limit_failed };
            return (response, told);
        }
        let detail = "there is nothing here: the API is below /api/v1, and links are followed at \
                      the edge";
        let problem = Problem::new(Kind::NotFound, detail);
        let json = problem.to_json(&caller.request_id);
        let answer = plain(problem.status(), "application/problem+json", json);
        (answer, Told { route: "none", ..Told::default() })
    }

    /// 200 if the tables answer, 503 if not.
    async fn health(&self) -> Response<Bytes> {
        let ambient = self.service.host.ambient();
        let since = ambient.now();
        let read = self.service.host.counters().open().await;
        let latency_ms = ambient.now().ms_since(since);
        let state = if read.is_ok() { "ok" } else { "down" };
        let document = json!({
            "status": state,
            "version": env!("CARGO_PKG_VERSION"),
            "checks": { "tables": { "status": state, "latency_ms": latency_ms } },
        });
        let status = if read.is_ok() { 200 } else { 503 };
        plain(status, "application/json", document.to_string())
    }
}

fn plain(status: u16, content_type: &'static str, text: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn whole(body: Body) -> Bytes {
    match body {
        Body::Text(text) => text.into(),
        Body::Binary(bytes) => bytes.into(),
        _ => Bytes::new(),
    }
}

/// Whom API Gateway heard from: what headers say, clients can make up.
fn client_ip(request: &Request<Body>) -> Option<u128> {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
        return None;
    };
    match context.http.source_ip.as_deref()?.parse().ok()? {
        IpAddr::V4(v4) => Some(v4.to_ipv6_mapped().to_bits()),
        IpAddr::V6(v6) => Some(v6.to_bits()),
    }
}

/// Text stays text; whatever is none travels as base64.
fn body(bytes: Bytes) -> Body {
    if bytes.is_empty() {
        return Body::Empty;
    }
    match String::from_utf8(bytes.into()) {
        Ok(text) => Body::Text(text),
        Err(error) => Body::Binary(error.into_bytes()),
    }
}
