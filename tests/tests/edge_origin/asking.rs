//! An edge of a running server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use serde_json::{Value, json};
use waypost_host::ambient::Ambient;
use waypost_native::cli::{Surroundings, run_in};
use waypost_service::model::LinkId;
use waypost_tests::server::Server;
use waypost_tests::wire::{Raw, exchange};
use waypost_wire::click::{BatchWriter, Click, Target};
use waypost_wire::origin::sign::{HEADER, OriginKey, QuestionMac};
use waypost_wire::origin::{Answer, Question, Stored, Unlocked, Used};
use waypost_wire::time::Timestamp;

/// The time of servers with a clock of their own: 2027-01-15T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What `waypost` prints about the data of a running server.
pub(crate) fn printed(server: &Server, args: &[&str]) -> Vec<u8> {
    let directory = server.directory.path().to_str().expect("a path");
    waypost(&[args, &["--data-dir", directory]].concat())
}

/// What `waypost` prints, without a variable in its environment.
pub(crate) fn waypost(args: &[&str]) -> Vec<u8> {
    let args = [&["waypost"], args].concat();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut surroundings = Surroundings {
        environment: BTreeMap::new(),
        stdin: &mut &b""[..],
        stdout: &mut out,
        stderr: &mut err,
        stdin_is_terminal: false,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        ambient: Ambient::system(),
        pause: |_| {},
    };
    let code = run_in(args.into_iter().map(OsString::from), &mut surroundings, |_| {
        unreachable!("no server is started")
    });
    assert_eq!(code, ExitCode::SUCCESS, "{}", String::from_utf8_lossy(&err));
    out
}

/// The key that edges of a server sign with, as its operator hands it to them.
pub(crate) fn key(server: &Server) -> OriginKey {
    let line = String::from_utf8(printed(server, &["edge", "keys"])).expect("text");
    let hex = line.split_whitespace().find_map(|word| word.strip_prefix("origin:"));
    let digits = hex.expect("a key").as_bytes();
    assert_eq!(digits.len(), 64);
    let mut key = [0; 32];
    for (pair, byte) in digits.chunks_exact(2).zip(&mut key) {
        let pair = std::str::from_utf8(pair).expect("ASCII");
        *byte = u8::from_str_radix(pair, 16).expect("hex");
    }
    OriginKey::new(key)
}

/// Sends bytes; nothing about them is made right.
pub(crate) async fn post(server: &Server, line: &str, signature: &str, body: &[u8]) -> Raw {
    let length = body.len();
    // A browser would send the last two; an edge's answer must not depend on them.
    let head = format!(
        "{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{HEADER}: {signature}\r\n\
         content-type: application/octet-stream\r\ncontent-length: {length}\r\n\
         accept-encoding: gzip, br\r\norigin: https://app.example\r\n\r\n"
    );
    let request = [head.as_bytes(), body].concat();
    exchange(server.address, &request).await.expect("an answer")
}

/// Asks as an edge does.
pub(crate) struct Edge<'a> {
    pub(crate) server: &'a Server,
    pub(crate) key: OriginKey,
}

impl<'a> Edge<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        Self { server, key: key(server) }
    }

    /// The answer as it came, and what it is checked with.
    pub(crate) async fn raw(&self, question: &Question<'_>, now: Timestamp) -> (Raw, QuestionMac) {
        let (path, body) = (question.path(), question.encode());
        let (signature, mac) = self.key.sign_question(path, &body, now);
        (post(self.server, &format!("POST {path}"), &signature, &body).await, mac)
    }

    /// The content of an answer, which must be the origin's.
    pub(crate) async fn ask(&self, question: &Question<'_>, now: Timestamp) -> Vec<u8> {
        let (answer, mac) = self.raw(question, now).await;
        let signature = answer.header(HEADER).unwrap_or_default();
        let is_answer = self.key.is_answer(signature, &mac, answer.status, &answer.body);
        assert!(is_answer && answer.status == 200, "{} {}", answer.status, answer.text());
        answer.body
    }

    pub(crate) async fn consume(&self, id: u64, now: Timestamp) -> Used {
        let answer = self.ask(&Question::Consume { link_id: id }, now).await;
        Used::decode(&answer).expect("an answer")
    }

    pub(crate) async fn unlock(&self, key: &str, password: &str, ip: Option<u128>) -> Unlocked {
        let question = Question::Unlock { key, password, client_ip: ip };
        Unlocked::decode(&self.ask(&question, NOW).await).expect("an answer")
    }

    pub(crate) async fn clicks(&self, batches: Vec<&[u8]>, now: Timestamp) -> Vec<bool> {
        let answer = self.ask(&Question::Clicks { batches }, now).await;
        Stored::decode(&answer).expect("an answer").batches
    }
}

/// A server whose clock stands still, and that lets browsers from everywhere call its API.
pub(crate) async fn server() -> Server {
    let settings =
        [("cors_origins", "*"), ("public_url", "https://go.example"), ("slug_slashes", "true")];
    let server = Server::start_at(&settings, Ambient::with_clock(|| NOW)).await;
    // Its keys are made by the time it answers.
    assert_eq!(server.send("GET /health", &[], "").await.status, 200);
    server
}

/// Makes a link; its id.
pub(crate) async fn create(server: &Server, slug: &str, fields: Value) -> u64 {
    let mut body = json!({"destination": "https://example.com/", "slug": slug});
    let fields = fields.as_object().expect("fields");
    body.as_object_mut().expect("a link").extend(fields.clone());
    let answer = server.api("POST /api/v1/links", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let link: Value = serde_json::from_slice(&answer.body).expect("JSON");
    link["id"].as_str().expect("an id").parse::<LinkId>().expect("an id").0
}

/// Changes a link; the answer's status must be 200.
pub(crate) async fn change(server: &Server, slug: &str, fields: &Value) {
    let line = format!("PATCH /api/v1/links/{slug}");
    let answer = server.api(&line, &fields.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Clicks on a link, as an edge packs them.
pub(crate) fn packed(source: u64, link_id: u64, count: usize, at: Timestamp) -> Vec<u8> {
    let mut batch = BatchWriter::new(source, 0);
    let user_agent = waypost_tests::clicks::FIREFOX;
    let click = Click { link_id, at, user_agent, target: Target::Default, ..Click::default() };
    for _ in 0..count {
        batch.push(&click);
    }
    batch.finish()
}
