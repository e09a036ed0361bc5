//! What Spin does to a request before a component sees it.

use std::net::SocketAddr;

use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};

/// Gives the request the scheme and authority of its `Host`, and Spin's headers, which are put
/// behind those that the client sent under the same names. Spin answers 500 where this fails.
///
/// # Errors
/// The host is no authority, or a header is no UTF-8.
pub fn arrive<B>(request: Request<B>, client: Option<SocketAddr>) -> Result<Request<B>, String> {
    let (mut head, body) = request.into_parts();
    head.headers.remove("connection");
    for (name, value) in &head.headers {
        std::str::from_utf8(value.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
    }
    let host = head.headers.get(HOST).ok_or("no host")?;
    let authority: Authority =
        host.to_str().map_err(text)?.parse().map_err(|error| format!("{host:?}: {error}"))?;
    let mut parts = head.uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    head.uri = Uri::from_parts(parts).map_err(text)?;
    let path = head.uri.path();
    let client = client.map(|client| client.to_string());
    let told = [
        ("spin-path-info", Some(path.to_owned())),
        ("spin-full-url", Some(format!("http://{authority}{path}"))),
        ("spin-matched-route", Some("/...".to_owned())),
        ("spin-base-path", Some("/".to_owned())),
        ("spin-raw-component-route", Some("/...".to_owned())),
        ("spin-component-route", Some(String::new())),
        ("spin-client-addr", client),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            let value = HeaderValue::from_str(&value).map_err(text)?;
            head.headers.append(HeaderName::from_static(name), value);
        }
    }
    Ok(Request::from_parts(head, body))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
