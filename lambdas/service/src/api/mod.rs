//! The API over HTTP: a request in, an answer out, whatever host carries them.
//!
//! Every answer is JSON: an object, a list as `{"data": [..], "next_cursor": ..}`, or a problem
//! document (RFC 9457). Nothing is cached. Checks come in this order: does it exist, can it be
//! done, who asks, how often, may they, can we talk to each other, is the body right.

pub(crate) mod answer;
mod auth;
mod body;
mod cleanup;
mod conditional;
mod explain;
mod keys;
mod limits;
mod links;
pub(crate) mod params;
mod recount;
mod route;
mod stats;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use waypost_wire::time::Timestamp;

use crate::ambient::{Clock, Draws};
use crate::keys::Role;
use crate::links::{Host, Service};
use crate::problem::Problem;

pub use auth::SETTING_KEY_ID;
pub use body::BODY_MAX_BYTES;
pub use limits::ApiLimits;

use auth::Principal;
use limits::Said;
use route::{Action, Resource};

/// What a host knows of a request beside the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What the log knows the request by; problems repeat it.
    pub request_id: String,
    /// Where it comes from: an IPv6 address, IPv4 is mapped. As the host's own connection or gateway
    /// says, never as a client could make it up.
    pub client_ip: Option<u128>,
}

/// What a host logs and measures of an answer: among the extensions of every response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// The resource, with names in place of what varies; `None` if there is no such resource.
    pub route: Option<&'static str>,
    /// The id of the key that was used.
    pub key_id: Option<String>,
    /// What went wrong that the caller is not told.
    pub log: Option<String>,
    /// Why a limit was not asked, so that the request passed.
    pub limit_failed: Option<String>,
}

/// A request that may do what it asks for.
struct Call<'a, H> {
    service: &'a Service<H>,
    parts: &'a Parts,
    body: &'a [u8],
    /// The part of the path that varies, decoded.
    name: String,
    principal: Principal,
    now: Timestamp,
}

/// Answers a request to the API. Never fails: what goes wrong is an answer too.
pub async fn handle<H: Host>(
    service: &Service<H>,
    request: Request<Bytes>,
    caller: Caller,
) -> Response<Bytes> {
    // The only place that asks for time and randomness.
    let now = service.host.ambient().now();
    let draws = Draws::new(service.host.ambient());
    let (parts, body) = request.into_parts();
    let (mut handled, mut said) = (Handled::default(), Said::default());
    let asked = Asked { parts: &parts, body: &body, client_ip: caller.client_ip, now, draws };
    let mut response = match dispatch(service, asked, &mut handled, &mut said).await {
        Ok(response) => response,
        Err(problem) => {
            handled.log = problem.log.clone().or(handled.log);
            answer::problem(&problem, &caller.request_id)
        }
    };
    handled.limit_failed = said.failed;
    if let Some(standing) = said.standing {
        standing.write_to(&mut response);
    }
    let is_refused_method = response.status() == http::StatusCode::METHOD_NOT_ALLOWED;
    if let Ok((resource, _)) = Resource::find(parts.uri.path())
        && is_refused_method
    {
        response
            .headers_mut()
            .extend(HeaderValue::try_from(resource.allow()).map(|all| (ALLOW, all)));
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.extensions_mut().insert(handled);
    match parts.method {
        Method::HEAD => without_body(response),
        _ => response,
    }
}

/// Whether a request carries a key of at least `role`: for what a host answers beside the API. Its
/// wrong keys count with those at the API.
///
/// # Errors
/// [`Kind::Unauthenticated`](crate::problem::Kind), [`Kind::Forbidden`](crate::problem::Kind),
/// [`Kind::RateLimited`](crate::problem::Kind), or the store's fault.
pub async fn authorize<H: Host>(
    service: &Service<H>,
    headers: &HeaderMap,
    client_ip: Option<u128>,
    role: Role,
) -> Result<(), Problem> {
    let now = service.host.ambient().now();
    let said = &mut Said::default();
    let principal = auth::authenticate(service, headers, client_ip, now, said).await?;
    principal.require(role)
}

/// A request, in parts.
struct Asked<'a> {
    parts: &'a Parts,
    body: &'a [u8],
    client_ip: Option<u128>,
    now: Timestamp,
    draws: Draws,
}

async fn dispatch<H: Host>(
    service: &Service<H>,
    asked: Asked<'_>,
    handled: &mut Handled,
    said: &mut Said,
) -> Result<Response<Bytes>, Problem> {
    let Asked { parts, body, client_ip, now, draws } = asked;
    let (resource, name) = Resource::find(parts.uri.path())?;
    handled.route = Some(resource.template);
    let (action, role) = resource.action(parts.method.as_str())?;
    let principal = auth::authenticate(service, &parts.headers, client_ip, now, said).await?;
    handled.key_id = Some(principal.key_id.clone());
    handled.log.clone_from(&principal.touch_failed);
    // What is refused below has taken a token too.
    limits::take(service, &principal, now, said).await?;
    principal.require(role)?;
    body::check_accept(&parts.headers)?;
    if action.reads_body() {
        body::check_size(body)?;
        if !(body.is_empty() && action.body_may_be_empty()) {
            body::check_json(&parts.headers, action == Action::UpdateLink)?;
        }
    }
    let call = Call { service, parts, body, name, principal, now };
    match action {
        Action::BlockLink => links::block(&call).await,
        Action::Cleanup => cleanup::run(&call).await,
        Action::CreateKey => keys::create(&call, draws).await,
        Action::CreateLink => links::create(&call, draws).await,
        Action::DeleteLink => links::delete(&call).await,
        Action::ExplainLink => explain::explain(&call).await,
        Action::Integrity => stats::integrity(&call).await,
        Action::LinkStats => stats::link(&call).await,
        Action::ListKeys => keys::list(&call).await,
        Action::ListLinks => links::list(&call).await,
        Action::ReadLink => links::read(&call).await,
        Action::Recount => recount::run(&call).await,
        Action::RevokeKey => keys::revoke(&call).await,
        Action::SiteStats => stats::site(&call).await,
        Action::UnblockLink => links::unblock(&call).await,
        Action::UpdateLink => links::update(&call, draws).await,
    }
}

/// What HEAD is answered (RFC 9110 9.3.2): the headers of GET, its length among them.
pub(crate) fn without_body(mut response: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    if response.status() != http::StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response.map(|_| Bytes::new())
}
