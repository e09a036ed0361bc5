//! The cases in process: the shell that all hosts share, over a store in memory.

use std::cell::RefCell;
use std::net::IpAddr;

use waypost_core::decision::Decision;
use waypost_core::facts::{Method, RequestFacts};
use waypost_core::flow::Source;
use waypost_shell::seams::{Failed, LinkReader, Origin, Unlock, Use};
use waypost_shell::{Outcome, serve};
use waypost_wire::click::{self, Target};
use waypost_wire::key::LinkKey;

use crate::case::{self, Case, Place, TakeUse};
use crate::host::{Answer, Click, Host, UTM};
use crate::seed::{self, Record};

/// Runs cases without a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Core;

impl Host for Core {
    fn name(&self) -> &'static str {
        "core"
    }

    async fn run(&self, case: &Case) -> Result<Answer, String> {
        let request = &case.request;
        let agent = request.user_agent()?;
        let facts = facts(request, agent.as_deref())?;
        let policy = seed::policy(case);
        let memory = Memory {
            case,
            records: seed::records(case)?,
            reads: RefCell::default(),
            asks: RefCell::default(),
        };
        let mut answer = serve(&facts, &policy, case.now, Some(&seed::SALT), &memory, answer).await;
        answer.reads = Some(memory.reads.into_inner());
        answer.asks = Some(memory.asks.into_inner());
        Ok(answer)
    }
}

/// The facts as every host must take them from a request.
fn facts<'a>(
    request: &'a case::Request,
    agent: Option<&'a str>,
) -> Result<RequestFacts<'a>, String> {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target.as_str(), None),
    };
    let geo = &request.geo;
    Ok(RequestFacts {
        method: Method::from_name(&request.method),
        host: &request.host,
        path,
        query,
        user_agent: agent,
        accept_language: request.header("accept-language"),
        referer: request.header("referer"),
        cookie: request.header("cookie"),
        purpose: ["sec-purpose", "purpose", "x-moz"]
            .into_iter()
            .find_map(|name| request.header(name)),
        do_not_track: ["dnt", "sec-gpc"].into_iter().any(|name| request.header(name) == Some("1")),
        client_ip: request.ip.as_deref().map(address).transpose()?,
        country: geo.country.as_deref(),
        region: geo.region.as_deref(),
        city: geo.city.as_deref(),
        continent: geo.continent.as_deref(),
        datacentre: geo.datacentre,
        form: request.form.as_deref().unwrap_or_default().as_bytes(),
        draw: request.draw,
    })
}

/// An address as facts have it.
fn address(text: &str) -> Result<u128, String> {
    match text.parse() {
        Ok(IpAddr::V4(v4)) => Ok(v4.to_ipv6_mapped().to_bits()),
        Ok(IpAddr::V6(v6)) => Ok(v6.to_bits()),
        Err(_) => Err(format!("{text:?} is no address")),
    }
}

fn answer(outcome: Outcome<'_>) -> Answer {
    let Outcome { reply, click, decision } = outcome;
    let headers = reply.headers.into_iter();
    Answer {
        status: reply.status,
        headers: headers.map(|(name, value)| (name.to_owned(), value.into_owned())).collect(),
        body: reply.body.into_owned(),
        decision: Some(words(decision)),
        click: Some(click.as_ref().map(counted)),
        reads: None,
        asks: None,
    }
}

fn words(decision: &Decision<'_>) -> (String, String) {
    (decision.name().to_owned(), decision.reason().to_owned())
}

/// A click as cases write it.
pub fn counted(click: &click::Click<'_>) -> Click {
    let utm = UTM.into_iter().zip(click.utm).filter(|(_, value)| !value.is_empty());
    Click {
        at: click.at,
        link: click.link_id,
        slug: click.slug.to_owned(),
        target: target(click.target),
        head: click.head,
        prefetch: click.prefetch,
        datacentre: click.datacentre,
        visitor: click.visitor.is_some(),
        user_agent: click.user_agent.to_owned(),
        referrer_host: click.referrer_host.to_owned(),
        place: [click.country, click.region, click.city, click.continent].map(str::to_owned),
        language: click.language.to_owned(),
        utm: utm.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// As [`case::Counted::target`] writes it.
pub fn target(target: Target) -> String {
    match target {
        Target::Android => "android".to_owned(),
        Target::Default => "default".to_owned(),
        Target::Expired => "expired".to_owned(),
        Target::Ios => "ios".to_owned(),
        Target::Nowhere => "nowhere".to_owned(),
        Target::Rule { rule, variant } => format!("rule {rule}/{variant}"),
    }
}

/// The stores of one case, and what they were asked.
struct Memory<'c> {
    case: &'c Case,
    records: Vec<Record>,
    reads: RefCell<Vec<String>>,
    asks: RefCell<Vec<String>>,
}

impl LinkReader for Memory<'_> {
    type Bytes = Vec<u8>;

    async fn read(&self, source: Source, key: &LinkKey) -> Result<Option<Vec<u8>>, Failed> {
        let (word, elsewhere) = match source {
            Source::Edge => ("edge", Place::Origin),
            Source::Origin => ("origin", Place::Edge),
        };
        let read = format!("{word} {key}");
        let fails = self.case.failing_reads.contains(&read);
        self.reads.borrow_mut().push(read);
        if fails {
            return Err(Failed);
        }
        let mut here = self.records.iter().filter(|record| record.place != elsewhere);
        Ok(here.find(|record| record.key == *key).map(|record| record.bytes.clone()))
    }
}

impl Origin for Memory<'_> {
    async fn take_use(&self, link_id: u64) -> Result<Use, Failed> {
        self.asks.borrow_mut().push(format!("take_use {link_id}"));
        match self.case.origin.take_use {
            Some(TakeUse::Exhausted) => Ok(Use::Exhausted),
            Some(TakeUse::Taken) => Ok(Use::Taken),
            Some(TakeUse::Failed) | None => Err(Failed),
        }
    }

    async fn unlock(
        &self,
        key: &LinkKey,
        password: &str,
        _: Option<u128>,
    ) -> Result<Unlock, Failed> {
        self.asks.borrow_mut().push(format!("unlock {key} {password}"));
        match self.case.origin.unlock {
            Some(case::Unlock::Right) => Ok(Unlock::Right),
            Some(case::Unlock::TooMany) => Ok(Unlock::TooMany),
            Some(case::Unlock::Wrong) => Ok(Unlock::Wrong),
            Some(case::Unlock::Failed) | None => Err(Failed),
        }
    }
}
