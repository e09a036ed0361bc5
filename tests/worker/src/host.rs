//! The cases on the Worker, in one workerd for all of them: a case is an env of its own.

use std::fmt::Write;

use serde_json::{Value, json};
use waypost_tests::case::{self, Case, DOMAIN, Place, Request, TakeUse, Unlock};
use waypost_tests::host::{Answer, Click, Host};
use waypost_tests::hosts::core::counted;
use waypost_tests::hosts::edge;
use waypost_tests::seed;
use waypost_tests::wire::Raw;
use waypost_wire::click::Batch;
use waypost_wire::origin::{Unlocked, Used};
use waypost_wire::state::STATE_KEY;

use crate::client::Client;
use crate::control::{Command, Control};
use crate::settings::{self, Sink};
use crate::stub::{Behind, Mood, Stub, Topic};
use crate::workerd::{Build, CF_HEADER, Workerd};

/// Runs cases on the Worker.
#[derive(Debug)]
pub struct Worker {
    stub: Stub,
    workerd: Workerd,
    control: Control,
    visitors: Client,
}

impl Worker {
    /// Starts workerd.
    ///
    /// # Errors
    /// What does not start.
    pub async fn start() -> Result<Self, String> {
        let stub = Stub::start().await?;
        let workerd = Workerd::start(Build::Deployed, stub.address).await?;
        let (control, visitors) = (Control::new(workerd.control), Client::new(workerd.proxy));
        Ok(Self { stub, workerd, control, visitors })
    }

    /// The answer to a case's request as it comes, with nothing set up for it.
    ///
    /// # Errors
    /// There is none.
    pub async fn ask(&self, case: &Case) -> Result<Raw, String> {
        self.visitors.send(&bytes(case)?).await
    }

    /// How many requests reached the Worker.
    pub async fn requests(&self) -> u64 {
        self.control.status().await.began
    }

    /// What all cases together must not have led to.
    ///
    /// # Errors
    /// What they did.
    pub async fn end(self) -> Result<(), String> {
        let status = self.control.status().await;
        let thrown = status.failed + status.duties_failed;
        match thrown {
            0 if self.workerd.errors().is_empty() => Ok(()),
            _ => Err(format!("{thrown} failed: {:#?}\n{}", status.lines, self.workerd.errors())),
        }
    }
}

impl Host for Worker {
    fn name(&self) -> &'static str {
        "worker"
    }

    fn skips(&self, case: &Case) -> Option<&'static str> {
        let Request { target, host, geo, .. } = &case.request;
        if geo.datacentre {
            return Some("Cloudflare tells nobody of datacentres");
        }
        if geo.region.is_some() && geo.country.is_none() {
            return Some("Cloudflare tells regions as parts of countries");
        }
        if target.contains([' ', '\t', '\r', '\n', '\0']) {
            return Some("a request line ends there");
        }
        if !target.starts_with('/') || host.contains('/') {
            return Some("no address says this");
        }
        workerd_refuses(case).then_some("workerd answers it by itself")
    }

    async fn run(&self, case: &Case) -> Result<Answer, String> {
        *self.stub.behind() = behind(case)?;
        let settings = settings::of(&seed::policy(case), edge::has_origin(case), Sink::Queue);
        let commands = [
            Command::now(case.now),
            Command::draw(Some(case.request.draw)),
            Command::waits(true),
            Command::begin(&settings),
        ];
        self.control.run(&commands).await;
        // Whoever comes first makes the Worker read the state, salts and all, after the answer.
        let scheme = if case.policy.http { "http" } else { "https" };
        let first =
            format!("GET {scheme}://{DOMAIN}/robots.txt HTTP/1.1\r\nhost: {DOMAIN}\r\n\r\n");
        self.visitors.send(first.as_bytes()).await?;
        let warm_up = self.stub.behind().take_seen();
        if warm_up != [format!("edge {STATE_KEY}")] {
            return Err(format!("before the case was read: {warm_up:?}"));
        }
        let raw = self.visitors.send(&bytes(case)?).await?;
        let behind = self.stub.behind();
        if !behind.faults.is_empty() {
            return Err(format!("{:?}", behind.faults));
        }
        let seen = |topics: &[Topic]| {
            let seen = behind.seen.iter().filter(|seen| topics.contains(&seen.topic));
            Some(seen.map(|seen| seen.what.clone()).collect())
        };
        Ok(Answer {
            status: raw.status,
            body: raw.text(),
            headers: raw.headers,
            decision: None,
            reads: seen(&[Topic::Store, Topic::Resolve]),
            asks: seen(&[Topic::Consume, Topic::Unlock]),
            click: Some(clicks(&behind.batches)?),
        })
    }
}

/// Whether workerd does not hand the case's request to a Worker: its parser knows methods by name.
pub fn workerd_refuses(case: &Case) -> bool {
    const METHODS: [&str; 8] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"];
    !METHODS.contains(&case.request.method.as_str())
}

/// What is behind the Worker in a case.
fn behind(case: &Case) -> Result<Behind, String> {
    let mut behind = Behind::default();
    behind.now = case.now;
    for record in seed::records(case)? {
        let key = record.key.as_str();
        if record.place != Place::Origin {
            behind.store.insert(key.to_owned(), record.bytes.clone());
        }
        if record.place != Place::Edge {
            behind.links.insert(key.to_owned(), record.bytes);
        }
    }
    behind.store.insert(STATE_KEY.to_owned(), edge::quiet_state(case.now));
    for read in &case.failing_reads {
        match read.split_once(' ') {
            Some(("edge", key)) => behind.set_for(Topic::Store, key, Mood::Status(500)),
            Some(("origin", key)) => behind.set_for(Topic::Resolve, key, Mood::Page(502)),
            _ => return Err(format!("no read can fail that is called {read:?}")),
        }
    }
    behind.uses = match case.origin.take_use {
        Some(TakeUse::Exhausted) => Some(Used::Exhausted),
        Some(TakeUse::Taken) => Some(Used::Taken),
        Some(TakeUse::Failed) | None => None,
    };
    behind.unlocks = match case.origin.unlock {
        Some(Unlock::Right) => Some(Unlocked::Right),
        Some(Unlock::TooMany) => Some(Unlocked::TooMany),
        Some(Unlock::Wrong) => Some(Unlocked::Wrong),
        Some(Unlock::Failed) | None => None,
    };
    Ok(behind)
}

/// The request as Cloudflare hands it to the Worker: the address as it came, the visitor's address
/// in a header, and beside it what is known of the place.
fn bytes(case: &Case) -> Result<Vec<u8>, String> {
    let Request { method, host, target, .. } = &case.request;
    let request = &case.request;
    let scheme = if case.policy.http { "http" } else { "https" };
    let mut head = format!("{method} {scheme}://{host}{target} HTTP/1.1\r\nhost: {host}\r\n");
    let mut header = |name: &str, value: &str| {
        write!(head, "{name}: {value}\r\n").map_err(|error| error.to_string())
    };
    if let Some(agent) = request.user_agent()? {
        header("user-agent", &agent)?;
    }
    for (name, value) in &request.headers {
        header(name, value)?;
    }
    if let Some(ip) = &request.ip {
        header("cf-connecting-ip", ip)?;
    }
    header(CF_HEADER, &cf(&request.geo).to_string())?;
    let form = request.form.as_deref().unwrap_or_default();
    if request.form.is_some() {
        header("content-type", "application/x-www-form-urlencoded")?;
        header("content-length", &form.len().to_string())?;
    }
    head.push_str("\r\n");
    head.push_str(form);
    Ok(head.into_bytes())
}

/// What Cloudflare knows of a place. Names of regions are theirs, codes are those of ISO 3166-2.
fn cf(geo: &case::Geo) -> Value {
    let region = geo.region.as_deref().and_then(|region| region.split_once('-'));
    let mut cf = json!({ "colo": "TST", "asn": 64_496 });
    for (name, value) in [
        ("country", geo.country.as_deref()),
        ("regionCode", region.map(|(_, code)| code)),
        ("region", region.map(|_| "The name of a region")),
        ("city", geo.city.as_deref()),
        ("continent", geo.continent.as_deref()),
    ] {
        if let Some(value) = value {
            cf[name] = value.into();
        }
    }
    cf
}

/// The one click of a case.
fn clicks(batches: &[Vec<u8>]) -> Result<Option<Click>, String> {
    let mut clicks = Vec::new();
    for bytes in batches {
        let batch = Batch::parse(bytes).map_err(|error| format!("{error:?}"))?;
        clicks.extend(batch.clicks().map(|(_, click)| counted(&click)));
    }
    match clicks.len() {
        0 | 1 => Ok(clicks.pop()),
        _ => Err(format!("{} clicks were counted: {clicks:?}", clicks.len())),
    }
}
