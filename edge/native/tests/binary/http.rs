//! Asking over HTTP, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};

/// A browser.
pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A browser on a telephone.
pub(crate) const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                                 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

/// A program that searches the web.
pub(crate) const GOOGLEBOT: &str =
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// Most time for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A request to be made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A request without a body.
pub(crate) fn call(method: &'static str, path: &str) -> Call {
    Call { method, path: path.to_owned(), headers: Vec::new(), body: None }
}

/// A GET request.
pub(crate) fn get(path: &str) -> Call {
    call("GET", path)
}

/// A request with JSON.
pub(crate) fn send(method: &'static str, path: &str, body: &Value) -> Call {
    let call = call(method, path).header("content-type", "application/json");
    call.body(body.to_string().as_bytes())
}

/// A request with a form.
pub(crate) fn post_form(path: &str, form: &str) -> Call {
    let call = call("POST", path).header("content-type", "application/x-www-form-urlencoded");
    call.body(form.as_bytes())
}

/// What creates a link.
pub(crate) fn create(link: &Value) -> Call {
    send("POST", "/api/v1/links", link)
}

impl Call {
    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        Self { body: Some(body.to_vec()), ..self }
    }

    /// By this program.
    pub(crate) fn agent(self, user_agent: &str) -> Self {
        self.header("user-agent", user_agent)
    }

    /// From this address; servers of these tests believe it.
    pub(crate) fn from(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// It must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        self
    }

    /// It must be a redirect.
    #[track_caller]
    pub(crate) fn to(&self) -> &str {
        assert!((300..400).contains(&self.status), "{self:?}");
        self.header("location")
    }

    /// A header's value; empty if there is none.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The body as a document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

/// Asks one server; follows no redirect, tries nothing twice, sends no header unasked.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    address: SocketAddr,
    key: Option<String>,
}

impl Client {
    /// For the server at an address, with a key for its API.
    pub(crate) fn new(address: SocketAddr, key: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .build();
        Self { agent: config.new_agent(), address, key }
    }

    /// Where the server listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a call; `Err` if there was no answer, or only the beginning of one.
    pub(crate) fn ask(&self, call: &Call) -> Result<Answer, String> {
        let uri = format!("http://{}{}", self.address, call.path);
        let mut request = Request::builder().method(call.method).uri(uri);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let text = |error: ureq::Error| error.to_string();
        let answer = match &call.body {
            Some(body) => self.agent.run(request.body(&body[..]).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let (parts, mut body) = answer.map_err(text)?.into_parts();
        let body = body.read_to_vec().map_err(text)?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Makes a call; the server must answer.
    #[track_caller]
    pub(crate) fn answer(&self, call: &Call) -> Answer {
        self.ask(call).unwrap_or_else(|error| panic!("{call:?}: {error}"))
    }

    /// The call with the key.
    pub(crate) fn signed(&self, call: Call) -> Call {
        match &self.key {
            Some(key) => call.header("authorization", &format!("Bearer {key}")),
            None => call,
        }
    }

    /// Calls the API; the server must answer.
    #[track_caller]
    pub(crate) fn api(&self, call: Call) -> Answer {
        self.answer(&self.signed(call))
    }

    /// The document at an address of the API.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        self.api(get(path)).expect(200).json()
    }

    /// All links, page by page.
    pub(crate) fn links(&self) -> Vec<Value> {
        let mut links = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.read(&format!("/api/v1/links?limit=100{cursor}"));
            links.extend(page["data"].as_array().expect("a page").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return links,
            }
        }
    }
}
