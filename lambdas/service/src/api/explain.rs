//! `POST /api/v1/links/{slug}/explain`: what a visitor would get, and why. Asks the same
//! `decide` as the edge, with the same record.

use std::net::IpAddr;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use waypost_core::decide::{Found, decide_observed, unlocked};
use waypost_core::decision::{Decision, Via};
use waypost_core::facts::{Method, RequestFacts};
use waypost_core::flow::{Flow, Lookup, Next};
use waypost_core::policy::Policy;
use waypost_core::reply::reply;
use waypost_core::rule::Observer;
use waypost_wire::time::Timestamp;

use super::links::link_key;
use super::{Call, answer, body};
use crate::compile::condition_place;
use crate::links::Host;
use crate::model::{Link, Rule};
use crate::problem::Problem;
use crate::seams::StoredLink;
use crate::time::{rfc3339, rfc3339_option};

/// A request that nobody made. Everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Hypothetical {
    /// GET if missing.
    method: Option<String>,
    /// The path behind the slug, beginning with `/`.
    path: String,
    query: Option<String>,
    user_agent: Option<String>,
    /// `Accept-Language`.
    language: Option<String>,
    referrer: Option<String>,
    country: Option<String>,
    region: Option<String>,
    city: Option<String>,
    continent: Option<String>,
    ip: Option<IpAddr>,
    /// Now if missing.
    #[serde(with = "rfc3339_option")]
    time: Option<Timestamp>,
    /// With the `+` behind the address.
    preview: bool,
    /// The visitor has given the link's password.
    unlocked: bool,
}

const EXPECTED: &str = "any of method, path, query, user_agent, language, referrer, country, \
    region, city, continent, ip, time, preview and unlocked";

/// What the visitor would get.
#[derive(Debug, Serialize)]
struct Explanation {
    decision: &'static str,
    reason: &'static str,
    status: u16,
    location: Option<String>,
    cache_control: Option<String>,
    /// One of the clicks of a link with `max_clicks` would be used.
    takes_use: bool,
    /// Position of the rule that matched.
    matched_rule: Option<usize>,
    /// Position of its destination.
    matched_destination: Option<usize>,
    rules: Vec<RuleFate>,
    #[serde(with = "rfc3339")]
    time: Timestamp,
}

/// How a rule fared.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct RuleFate {
    name: Option<String>,
    outcome: Outcome,
    /// Where the first condition that did not hold is, as JSON pointer into the link.
    failed: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// A condition did not hold.
    Failed,
    /// All conditions held, and this rule gave the destination.
    Matched,
    /// An earlier rule matched, or no rule was asked.
    NotReached,
    /// All conditions held, but no destination has any weight.
    SwitchedOff,
}

pub(super) async fn explain<H: Host>(call: &Call<'_, H>) -> Result<Response<Bytes>, Problem> {
    let key = link_key(call)?;
    let asked = match call.body {
        [] => Hypothetical::default(),
        body => body::read(body, EXPECTED)?,
    };
    let stored = call.service.read(&key).await?;
    let explanation = explanation(&stored, &asked, &call.service.policy, call.now);
    answer::json(StatusCode::OK, &explanation)
}

fn explanation(
    stored: &StoredLink,
    asked: &Hypothetical,
    policy: &Policy,
    now: Timestamp,
) -> Explanation {
    let now = asked.time.unwrap_or(now);
    let link = &stored.link;
    let plus = if asked.preview { "+" } else { "" };
    let path = format!("/{}{}{plus}", link.slug, asked.path);
    let facts = facts(link, asked, &path);
    let cookie = asked.unlocked.then(|| cookie(&facts, link, now, policy));
    let facts = RequestFacts { cookie: cookie.as_deref(), ..facts };
    let mut fates = Fates::of(&link.rules);
    let decision = decision(stored, &facts, now, policy, &mut fates);
    let reply = reply(&decision, &facts, policy);
    let header = |name: &str| {
        let found = reply.headers.iter().find(|(its_name, _)| *its_name == name);
        found.map(|(_, value)| value.to_string())
    };
    let (matched_rule, matched_destination) = match &decision {
        Decision::Redirect(redirect) => match redirect.via {
            Via::Rule { rule, variant } => (Some(rule), Some(variant)),
            Via::Android | Via::Default | Via::Ios => (None, None),
        },
        _ => (None, None),
    };
    Explanation {
        decision: decision.name(),
        reason: decision.reason(),
        status: reply.status,
        location: header("location"),
        cache_control: header("cache-control"),
        takes_use: matches!(&decision, Decision::Redirect(redirect) if redirect.takes_use),
        matched_rule,
        matched_destination,
        rules: fates.0.into_iter().map(|(_, fate)| fate).collect(),
        time: now,
    }
}

fn facts<'a>(link: &'a Link, asked: &'a Hypothetical, path: &'a str) -> RequestFacts<'a> {
    RequestFacts {
        method: asked.method.as_deref().map_or(Method::Get, Method::from_name),
        host: &link.domain,
        path,
        query: asked.query.as_deref(),
        user_agent: asked.user_agent.as_deref(),
        accept_language: asked.language.as_deref(),
        referer: asked.referrer.as_deref(),
        client_ip: asked.ip.map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        }),
        country: asked.country.as_deref(),
        region: asked.region.as_deref(),
        city: asked.city.as_deref(),
        continent: asked.continent.as_deref(),
        ..RequestFacts::default()
    }
}

/// The cookie of a visitor who gave the password.
fn cookie(facts: &RequestFacts<'_>, link: &Link, now: Timestamp, policy: &Policy) -> String {
    match unlocked(facts, link.id.0, link.password_version, now, policy) {
        Decision::Unlocked { cookie, .. } => {
            cookie.split(';').next().unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// The decision, as the edge comes to it with this link as the only one.
fn decision<'a>(
    stored: &'a StoredLink,
    facts: &'a RequestFacts<'a>,
    now: Timestamp,
    policy: &'a Policy,
    fates: &mut Fates,
) -> Decision<'a> {
    let mut flow = match Flow::start(facts, policy) {
        Ok(flow) => flow,
        Err(decision) => return decision,
    };
    loop {
        let lookup = match flow.read().key == stored.key {
            true => Lookup::Found(&stored.record),
            false => Lookup::Missing,
        };
        match flow.take(lookup) {
            Next::Done(decision) => return decision,
            Next::Found(found) => return decided(facts, found, now, policy, fates),
            Next::Read => {}
        }
    }
}

fn decided<'a>(
    facts: &'a RequestFacts<'a>,
    found: Found<'a>,
    now: Timestamp,
    policy: &Policy,
    fates: &mut Fates,
) -> Decision<'a> {
    decide_observed(facts, &found, now, policy, fates)
}

/// The rules, each with its fate so far.
struct Fates(Vec<(Rule, RuleFate)>);

impl Fates {
    fn of(rules: &[Rule]) -> Self {
        let fate = |rule: &Rule| {
            let name = rule.name.clone();
            (rule.clone(), RuleFate { name, outcome: Outcome::NotReached, failed: None })
        };
        Self(rules.iter().map(fate).collect())
    }
}

impl Observer for Fates {
    fn rule(&mut self, index: usize, failed: Option<usize>) {
        let Some((rule, fate)) = self.0.get_mut(index) else {
            return;
        };
        let place = failed.and_then(|position| condition_place(&rule.when, position));
        fate.failed = place.map(|place| format!("/rules/{index}/when/{place}"));
        fate.outcome = match (failed, &fate.failed) {
            (None, _) => Outcome::Matched,
            (Some(_), Some(_)) => Outcome::Failed,
            (Some(_), None) => Outcome::SwitchedOff,
        };
    }
}
