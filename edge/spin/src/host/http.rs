//! Requests and answers as WASI has them. Spin's own types for Rust would copy each twice.

use futures_util::future::join;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{Fields, Method, Request, Response, Scheme};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn};
use waypost_outpost::{HttpAnswer, HttpRequest};
use waypost_wire::origin::sign::HEADER;

use super::platform::within;
use crate::answer::Answer;
use crate::facts::Head;

/// How much of a body is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Longest answer that is taken: four times a state with all the changes it can have.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// The head of a request.
pub(super) fn head(request: &Request) -> Head {
    let method = match request.get_method() {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        Method::Put => "PUT".to_owned(),
        Method::Delete => "DELETE".to_owned(),
        Method::Connect => "CONNECT".to_owned(),
        Method::Options => "OPTIONS".to_owned(),
        Method::Trace => "TRACE".to_owned(),
        Method::Patch => "PATCH".to_owned(),
        Method::Other(name) => name,
    };
    Head {
        method,
        authority: request.get_authority(),
        target: request.get_path_with_query().unwrap_or_else(|| "/".to_owned()),
        headers: request.get_headers().copy_all(),
    }
}

/// The first bytes of a body; nothing if they do not arrive in time.
pub(super) async fn body(request: Request, bytes_max: usize, wait_ms: u32) -> Vec<u8> {
    let (_done, ours) = wit_future::new(|| Ok(()));
    let (stream, _trailers) = Request::consume_body(request, ours);
    within(wait_ms, read(stream, bytes_max)).await.unwrap_or_default()
}

async fn read(mut stream: StreamReader<u8>, bytes_max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < bytes_max {
        let room = Vec::with_capacity(CHUNK_BYTES.min(bytes_max - body.len()));
        let (result, chunk) = stream.read(room).await;
        body.extend_from_slice(&chunk);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    body
}

/// The answer, as WASI wants it. Without a body there is no stream, and with `content-length`
/// there is nothing to wait for: head and end leave in one write.
pub(super) fn response(answer: Answer) -> Response {
    let (trailers, ours) = wit_future::new(|| Ok(None));
    let contents = match answer.body.is_empty() {
        true => {
            drop(trailers);
            None
        }
        false => {
            let (writer, reader) = wit_stream::new();
            spawn(async move {
                write(writer, answer.body).await;
                drop(trailers);
            });
            Some(reader)
        }
    };
    let (response, _sent) = Response::new(fields(&answer.headers), contents, ours);
    // Every status of an answer is one that exists.
    let _ = response.set_status_code(answer.status);
    response
}

async fn write(mut writer: StreamWriter<u8>, body: Vec<u8>) {
    // What is not taken any more need not be sent: the client is gone.
    drop(writer.write_all(body).await);
}

/// Headers. A value that cannot be one is left out, whatever happened before; without it the
/// answer is still one.
fn fields(headers: &[(String, Vec<u8>)]) -> Fields {
    Fields::from_list(headers).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in headers {
            let _ = fields.append(name, value);
        }
        fields
    })
}

/// Posts a request and reads its whole answer.
///
/// # Errors
/// What went wrong, for the log. No header is in it.
pub(super) async fn post(request: &HttpRequest) -> Result<HttpAnswer, String> {
    let (scheme, rest) = match request.url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err("its address is none of the web".to_owned()),
    };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    // The engine writes `host` and refuses to be told.
    let told = request.headers.iter().filter(|(name, _)| *name != "host");
    let mut headers: Vec<(String, Vec<u8>)> =
        told.map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())).collect();
    headers.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    let headers = Fields::from_list(&headers).map_err(|error| format!("a header: {error}"))?;
    let (writer, reader) = wit_stream::new();
    let (trailers, ours) = wit_future::new(|| Ok(None));
    let (wasi, _sent) = Request::new(headers, Some(reader), ours, None);
    let is_set = wasi.set_method(&Method::Post).is_ok()
        && wasi.set_scheme(Some(&scheme)).is_ok()
        && wasi.set_authority(Some(authority)).is_ok()
        && wasi.set_path_with_query(Some(path)).is_ok();
    if !is_set {
        return Err("its address is refused".to_owned());
    }
    let sending = async {
        write(writer, request.body.clone()).await;
        drop(trailers);
    };
    let (answer, ()) = join(client::send(wasi), sending).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.get_status_code();
    let signature = answer.get_headers().get(HEADER).into_iter().next();
    let (_done, ours) = wit_future::new(|| Ok(()));
    let (stream, rest) = Response::consume_body(answer, ours);
    let body = read(stream, ANSWER_MAX_BYTES + 1).await;
    if body.len() > ANSWER_MAX_BYTES {
        return Err(format!("its answer has more than {ANSWER_MAX_BYTES} bytes"));
    }
    // Only this tells a whole answer from one that was cut off.
    rest.await.map_err(|error| error.to_string())?;
    let signature = signature.and_then(|value| String::from_utf8(value).ok());
    Ok(HttpAnswer { status, signature, body })
}
