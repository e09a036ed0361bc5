//! What edges ask of the place where links are written, answered over HTTP
//! ([`waypost_wire::origin`]), whatever host carries it.
//!
//! Nothing is read or done for a question whose signature is not right. What was answered is
//! signed, 200 and bytes; everything else is a problem document (RFC 9457), which an edge takes
//! for a failure. Checks come in this order: is it asked here, is it posted, is it short enough,
//! who asks, can it be read.

mod ask;
pub mod state;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode};
use waypost_wire::key::LinkKey;
use waypost_wire::origin::sign::{self, OriginKey, QuestionMac, SKEW_MAX_SECONDS, SignatureFault};
use waypost_wire::origin::{CONTENT_TYPE as BYTES, OriginError, QUESTION_MAX_BYTES, Question};
use waypost_wire::time::Timestamp;

use crate::ambient::Clock;
use crate::api::{Caller, answer, without_body};
use crate::links::{Host, Service};
use crate::problem::{Kind, Problem};
use crate::seams::StoreError;

/// Every path that begins so is answered here.
pub const PATH_PREFIX: &str = "/api/v1/edge/";

/// What answering edges needs of a host beside [`Host`].
pub trait Gate {
    /// A record's bytes.
    type Record: AsRef<[u8]>;

    /// The record under the text of a key, as the host's own redirects read it.
    ///
    /// # Errors
    /// The store's fault.
    async fn record(&self, key: &str, now: Timestamp) -> Result<Option<Self::Record>, StoreError>;

    /// Whether this client may try one more password at a link; counts the try. Tries at edges
    /// and at the host itself add up.
    ///
    /// # Errors
    /// The fault of a store that counts tries.
    async fn admits_attempt(
        &self,
        key: &LinkKey,
        client_ip: Option<u128>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// What a host logs and measures of an answer: among the extensions of every response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// The question: the last part of its path; `None` if nothing is asked there.
    pub question: Option<&'static str>,
    /// How it ended, in a word; of a failure, the name of its [`Kind`].
    pub outcome: &'static str,
    /// What went wrong, for the log: never with a key, a password or a signature.
    pub log: Option<String>,
}

/// Answers a question. Never fails: what goes wrong is an answer too.
pub async fn handle<H: Host, G: Gate>(
    service: &Service<H>,
    gate: &G,
    key: &OriginKey,
    request: Request<Bytes>,
    caller: Caller,
) -> Response<Bytes> {
    // The only place that asks for the time.
    let now = service.host.ambient().now();
    let (parts, body) = request.into_parts();
    let mut handled = Handled::default();
    let mut response = match answered(service, gate, key, &parts, &body, now, &mut handled).await {
        Ok(response) => response,
        Err(problem) => {
            handled.outcome = problem.kind.about().name;
            handled.log = Some(problem.log.as_ref().unwrap_or(&problem.detail).clone());
            refused(&problem, &caller.request_id)
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.extensions_mut().insert(handled);
    match parts.method {
        Method::HEAD => without_body(response),
        _ => response,
    }
}

async fn answered<H: Host, G: Gate>(
    service: &Service<H>,
    gate: &G,
    key: &OriginKey,
    parts: &Parts,
    body: &[u8],
    now: Timestamp,
    handled: &mut Handled,
) -> Result<Response<Bytes>, Problem> {
    let path = parts.uri.path();
    let name = name(path)
        .ok_or_else(|| Problem::new(Kind::NotFound, format!("there is nothing at {path}")))?;
    handled.question = Some(name);
    if parts.method != Method::POST {
        return Err(Problem::new(Kind::MethodNotAllowed, format!("{path} takes POST")));
    }
    if body.len() > QUESTION_MAX_BYTES {
        let detail = format!("a question has at most {QUESTION_MAX_BYTES} bytes");
        return Err(Problem::new(Kind::BodyTooLarge, detail));
    }
    let mac = believed(key, parts, body, now)?;
    let read = Question::decode(path, body).unwrap_or(Err(OriginError::OtherQuestion));
    let question = read.map_err(unreadable)?;
    let asked = ask::ask(service, gate, &question, now).await?;
    handled.outcome = asked.outcome;
    handled.log = asked.log;
    signed(key.sign_answer(&mac, StatusCode::OK.as_u16(), &asked.answer), asked.answer)
}

/// The last part of the path of a question.
fn name(path: &str) -> Option<&'static str> {
    const NAMES: [&str; 5] = ["clicks", "consume", "resolve", "state", "unlock"];
    let below = path.strip_prefix(PATH_PREFIX)?;
    NAMES.into_iter().find(|name| *name == below)
}

/// Makes sure that the question comes from a holder of the key, is unchanged and is not old.
fn believed(
    key: &OriginKey,
    parts: &Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<QuestionMac, Problem> {
    let mut values = parts.headers.get_all(sign::HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(unsigned(format!("there is not one header {}", sign::HEADER)));
    };
    let header = value.to_str().unwrap_or_default();
    key.check_question(header, parts.uri.path(), body, now).map_err(|fault| {
        unsigned(match fault {
            SignatureFault::Malformed => {
                format!("{} is not of the form t=<unix seconds>,s=<64 hex digits>", sign::HEADER)
            }
            SignatureFault::Time => {
                format!("the clock differs by more than {SKEW_MAX_SECONDS} s from this one")
            }
            SignatureFault::Wrong => {
                "the signature is not that of this path and body under the key of this origin"
                    .to_owned()
            }
        })
    })
}

fn unsigned(detail: String) -> Problem {
    Problem::new(Kind::Unauthenticated, detail)
}

fn unreadable(error: OriginError) -> Problem {
    let detail = match error {
        OriginError::UnknownVersion => "the question is of a version that this origin cannot read",
        OriginError::OtherQuestion | OriginError::UnknownValue | OriginError::Value(_) => {
            "the question is damaged: a value is missing, unknown or too many"
        }
    };
    Problem::new(Kind::MalformedQuestion, detail)
}

fn signed(signature: String, answer: Vec<u8>) -> Result<Response<Bytes>, Problem> {
    let signature = HeaderValue::try_from(signature)
        .map_err(|_| Problem::internal("a signature is no header value"))?;
    let mut response = Response::new(Bytes::from(answer));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BYTES));
    headers.insert(HeaderName::from_static(sign::HEADER), signature);
    Ok(response)
}

fn refused(problem: &Problem, request_id: &str) -> Response<Bytes> {
    let mut response = answer::problem(problem, request_id);
    let headers = response.headers_mut();
    match problem.kind {
        // Not a key of the API: those are of no use here.
        Kind::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Waypost-Signature"));
        }
        Kind::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}
