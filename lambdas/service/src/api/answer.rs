//! Building answers.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::problem::{Kind, Problem};

/// A list, the shape of every answer that holds more than one thing.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

/// `value` as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response<Bytes>, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(json_bytes(status, bytes))
}

/// JSON that is written already.
pub(super) fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response<Bytes> {
    let mut response = empty(status);
    *response.body_mut() = Bytes::from(bytes);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// No body.
pub(super) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// `response` with one header more.
pub(super) fn with(
    mut response: Response<Bytes>,
    name: HeaderName,
    value: String,
) -> Result<Response<Bytes>, Problem> {
    let value = HeaderValue::try_from(value)
        .map_err(|_| Problem::internal(format!("a value of {name} is no header value")))?;
    response.headers_mut().insert(name, value);
    Ok(response)
}

/// A problem document, with the headers that belong to its kind.
pub(crate) fn problem(problem: &Problem, request_id: &str) -> Response<Bytes> {
    let status =
        StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_bytes(status, problem.to_json(request_id));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    if problem.kind == Kind::Unauthenticated {
        let challenge = HeaderValue::from_static("Bearer realm=\"waypost\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = problem.retry_after_seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
