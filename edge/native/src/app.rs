//! Which part of the program answers a request, and what every answer has in common.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use waypost_service::ambient::Draws;
use waypost_service::api::{self, BODY_MAX_BYTES, Caller, Handled};
use waypost_service::edge;
use waypost_service::links::Service;
use waypost_service::problem::{Kind, Problem};
use waypost_wire::origin::QUESTION_MAX_BYTES;

use crate::edge::Edges;
use crate::facts::Client;
use crate::follow::Follow;
use crate::health::Health;
use crate::host::NativeHost;
use crate::metrics::{Metrics, Route};
use crate::server::{Body, Handler};

/// About 95 bits: ids of different requests do not meet.
const REQUEST_ID_CHARS: usize = 16;

/// The whole program behind the listener.
pub struct App {
    follow: Follow,
    health: Health,
    metrics: Arc<Metrics>,
    api: BoxCloneSyncService<Request<Bytes>, Response<Body>, Infallible>,
    edges: Arc<Edges>,
    /// Threads of the API and of edges.
    threads: Handle,
    body_timeout: Duration,
    service: Arc<Service<NativeHost>>,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        follow: Follow,
        edges: Edges,
        health: Health,
        threads: Handle,
        cors_origins: &[String],
    ) -> Self {
        let service = Arc::clone(&follow.service);
        Self {
            metrics: Arc::clone(&follow.metrics),
            api: api_service(Arc::clone(&service), threads.clone(), cors_origins),
            edges: Arc::new(edges),
            threads,
            body_timeout: follow.body_timeout,
            follow,
            health,
            service,
        }
    }

    async fn route(&self, peer: SocketAddr, request: Request<Incoming>) -> (Route, Response<Body>) {
        match request.uri().path() {
            "/health" => (Route::Health, self.health.answer(&self.service).await),
            "/metrics" => {
                let (trust, headers) = (&self.follow.trust, request.headers());
                let answer = self.health.metrics(&self.service, peer, trust, headers).await;
                (Route::Metrics, answer)
            }
            path if path.starts_with(edge::PATH_PREFIX) => (Route::Edge, self.edge(request).await),
            path if path == "/api" || path.starts_with("/api/") => {
                (Route::Api, self.api(peer, request).await)
            }
            _ => (Route::Follow, self.follow.handle(peer, request).await),
        }
    }

    async fn api(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let client = Client::of(request.headers(), peer.ip(), &self.follow.trust);
        let caller = Caller { request_id: self.request_id(), client_ip: Some(client.address) };
        let collected = self.collected(request, BODY_MAX_BYTES).await;
        let mut request = match collected {
            Ok(request) => request,
            Err(fault) => return fault.answer(Kind::MalformedJson, &caller.request_id),
        };
        request.extensions_mut().insert(caller);
        match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Edges are programs of ours: no browser asks, and what is asked and answered is packed.
    async fn edge(&self, request: Request<Incoming>) -> Response<Body> {
        let id = self.request_id();
        let request = match self.collected(request, QUESTION_MAX_BYTES).await {
            Ok(request) => request,
            Err(fault) => return fault.answer(Kind::MalformedQuestion, &id),
        };
        let (edges, request_id) = (Arc::clone(&self.edges), id.clone());
        let answered =
            self.threads.spawn(async move { edges.answer(request, request_id).await }).await;
        let mut response = resume(answered);
        identify(&mut response, &id);
        response.map(|body| Either::Left(Full::new(body)))
    }

    /// The request with its whole body.
    async fn collected(
        &self,
        request: Request<Incoming>,
        bytes_max: usize,
    ) -> Result<Request<Bytes>, BodyFault> {
        let (parts, body) = request.into_parts();
        let collected = Limited::new(body, bytes_max).collect();
        match tokio::time::timeout(self.body_timeout, collected).await {
            Ok(Ok(collected)) => Ok(Request::from_parts(parts, collected.to_bytes())),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(BodyFault::TooLarge { bytes_max })
            }
            Ok(Err(_)) => Err(BodyFault::CutOff),
            Err(_) => Err(BodyFault::Late),
        }
    }

    /// What a request is known by, in its answer and in the log.
    fn request_id(&self) -> String {
        Draws::new(&self.service.host.ambient).base62(REQUEST_ID_CHARS)
    }
}

impl Handler for App {
    /// A bug in one request is that request's 500, and nobody else's business.
    async fn handle(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let since = Instant::now();
        let answer = AssertUnwindSafe(self.route(peer, request)).catch_unwind().await;
        let (route, response) = answer.unwrap_or_else(|_| {
            let request_id = self.request_id();
            self.metrics.panic();
            tracing::error!(request_id, "a request met a bug; its panic is above");
            let detail = "this is our fault; it is in the server's log by this request's id";
            (Route::Follow, problem(Kind::Internal, detail, &request_id))
        });
        self.metrics.request(route, response.status().as_u16(), since.elapsed());
        response
    }
}

/// Why a request has no whole body.
enum BodyFault {
    CutOff,
    Late,
    TooLarge { bytes_max: usize },
}

impl BodyFault {
    /// `cut_off`: what a body is that ended early.
    fn answer(&self, cut_off: Kind, request_id: &str) -> Response<Body> {
        match self {
            Self::CutOff => problem(cut_off, "the body ended early", request_id),
            Self::Late => {
                problem(Kind::RequestTimeout, "the body did not arrive in time", request_id)
            }
            Self::TooLarge { bytes_max } => {
                let detail = format!("the body has more than {bytes_max} bytes");
                problem(Kind::BodyTooLarge, &detail, request_id)
            }
        }
    }
}

/// The API with compression and CORS around it, on threads of its own: hashing a password or
/// adding up a year of statistics takes nothing from visitors.
fn api_service(
    service: Arc<Service<NativeHost>>,
    threads: Handle,
    cors_origins: &[String],
) -> BoxCloneSyncService<Request<Bytes>, Response<Body>, Infallible> {
    let answer = service_fn(move |request: Request<Bytes>| {
        let service = Arc::clone(&service);
        let answered = threads.spawn(async move { answer(&service, request).await });
        async move { Ok::<_, Infallible>(resume(answered.await).map(Full::new)) }
    });
    let layered = ServiceBuilder::new()
        .option_layer(cors(cors_origins))
        .layer(CompressionLayer::new())
        .service(answer);
    let boxed = layered.map_response(|response: Response<_>| {
        response
            .map(|body| Either::Right(BodyExt::boxed_unsync(BodyExt::map_err(body, Into::into))))
    });
    BoxCloneSyncService::new(boxed)
}

/// Hands a panic on to whoever waits, where it is caught and answered.
fn resume<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Answers one call and logs it: what was called, never with what.
async fn answer(service: &Service<NativeHost>, request: Request<Bytes>) -> Response<Bytes> {
    let since = Instant::now();
    let nobody = || Caller { request_id: String::new(), client_ip: None };
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(nobody);
    let request_id = caller.request_id.clone();
    let method = request.method().clone();
    let mut response = api::handle(service, request, caller).await;
    let handled = response.extensions_mut().remove::<Handled>().unwrap_or_default();
    let status = response.status().as_u16();
    let duration_ms = since.elapsed().as_secs_f64() * 1_000.0;
    let route = handled.route.unwrap_or("none");
    let key_id = handled.key_id.as_deref().unwrap_or("none");
    if let Some(problem) = handled.limit_failed {
        tracing::warn!(request_id, key_id, problem, "a limit could not be asked; it let pass");
    }
    match handled.log {
        Some(problem) if response.status().is_server_error() => {
            tracing::error!(request_id, %method, route, status, duration_ms, key_id, problem);
        }
        _ => tracing::info!(request_id, %method, route, status, duration_ms, key_id),
    }
    identify(&mut response, &request_id);
    response
}

/// Tells the caller what the log knows the request by.
fn identify<T>(response: &mut Response<T>, request_id: &str) {
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
}

/// `None` if no origin may call: then nothing about CORS is answered.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let allowed = match origins {
        [] => return None,
        [all] if all == "*" => AllowOrigin::from(Any),
        origins => AllowOrigin::list(
            origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()),
        ),
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(Any)
        .allow_headers([
            http::header::AUTHORIZATION,
            http::header::CONTENT_TYPE,
            http::header::IF_MATCH,
            http::header::IF_NONE_MATCH,
            http::HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers([
            http::header::ETAG,
            http::header::LOCATION,
            http::header::RETRY_AFTER,
            http::HeaderName::from_static("ratelimit"),
            http::HeaderName::from_static("ratelimit-policy"),
            http::HeaderName::from_static("x-ratelimit-limit"),
            http::HeaderName::from_static("x-ratelimit-remaining"),
            http::HeaderName::from_static("x-ratelimit-reset"),
            http::HeaderName::from_static("x-request-id"),
        ])
        .max_age(Duration::from_secs(3_600));
    Some(layer)
}

/// A problem that arises before or beside the API.
fn problem(kind: Kind, detail: &str, request_id: &str) -> Response<Body> {
    let problem = Problem::new(kind, detail);
    let body = Bytes::from(problem.to_json(request_id));
    let mut response = plain(problem.status(), "application/problem+json", body);
    identify(&mut response, request_id);
    response
}

/// A whole answer.
pub(crate) fn plain(status: u16, content_type: &'static str, body: Bytes) -> Response<Body> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
