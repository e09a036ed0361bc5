//! From a decision to status, headers and body: the only place that knows status codes.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::decision::{Cache, Card, Decision, Fixed, LinkPage, Redirect, RefuseReason};
use crate::facts::{Method, RequestFacts};
use crate::pages::{self, OpenGraphPage, Page, PasswordState, PreviewPage};
use crate::policy::Policy;

/// A response, for a host to copy into its own type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// Lower-case names and values, free of CR, LF and NUL; `content-length` is among them.
    pub headers: Vec<(&'static str, Cow<'a, str>)>,
    /// Empty for HEAD, whatever `content-length` says.
    pub body: Cow<'a, str>,
}

/// What a client waits after a password was given too often, and after a failure of ours.
const RETRY_AFTER_ATTEMPTS_SECONDS: u32 = 60;
const RETRY_AFTER_FAILURE_SECONDS: u32 = 5;

const NO_STORE: &str = "no-store";
const PRIVATE_NO_STORE: &str = "private, no-store";
/// A year (RFC 6797 names no number); subdomains are their owner's business.
const HSTS: &str = "max-age=31536000";
/// Link preview agents obey this file, so nothing is disallowed; `x-robots-tag` keeps links out
/// of search results.
const ROBOTS: &str = "User-agent: *\nAllow: /\n";

/// Renders a decision for the request it was made for.
pub fn reply<'a>(
    decision: &'a Decision<'_>,
    facts: &RequestFacts<'_>,
    policy: &Policy,
) -> Reply<'a> {
    let mut reply = render(decision, facts, policy);
    // Other people's names are not ours to bind to https.
    if policy.https && policy.domain(facts.host).is_some() {
        reply.header("strict-transport-security", HSTS);
    }
    let length = match reply.body.len() {
        0 => Cow::Borrowed("0"),
        length => Cow::Owned(length.to_string()),
    };
    reply.header("content-length", length);
    if facts.method == Method::Head {
        reply.body = Cow::Borrowed("");
    }
    reply
}

fn render<'a>(decision: &'a Decision<'_>, facts: &RequestFacts<'_>, policy: &Policy) -> Reply<'a> {
    let page = |status, page: &Page<'_>| page_reply(status, page, facts.accept_language);
    match decision {
        Decision::Redirect(redirect) => redirect_reply(redirect),
        Decision::Gone { to: Some(to), .. } => {
            location_reply(302, Cow::Borrowed(to), PRIVATE_NO_STORE)
        }
        Decision::Gone { to: None, .. } => page(410, &Page::Gone),
        Decision::NotFound(_) => page(404, &Page::NotFound),
        Decision::Refuse(reason) => refusal(*reason, facts),
        Decision::AskPassword(state) => {
            let mut reply = page(password_status(*state), &password_page(&action(facts), *state));
            if *state == PasswordState::TooMany {
                reply.header("retry-after", RETRY_AFTER_ATTEMPTS_SECONDS.to_string());
            }
            reply
        }
        // The host's origin is expected to settle this; an unsettled one is asked again.
        Decision::Unlock(_) => page(200, &password_page(&action(facts), PasswordState::Asked)),
        Decision::Unlocked { cookie, to } => {
            let mut reply = location_reply(303, Cow::Borrowed(to), PRIVATE_NO_STORE);
            reply.header("set-cookie", Cow::Borrowed(cookie.as_str()));
            reply
        }
        Decision::Preview(link) => preview_reply(link, facts, policy),
        Decision::Card(card) => card_reply(card, facts, policy),
        Decision::Serve(Fixed::Home(Some(to))) => {
            location_reply(302, Cow::Borrowed(to), PRIVATE_NO_STORE)
        }
        Decision::Serve(Fixed::Home(None)) => page(200, &Page::Home),
        Decision::Serve(Fixed::Robots) => robots(),
        Decision::Serve(Fixed::Favicon) => favicon(),
        Decision::Unavailable(_) => {
            let mut reply = page(503, &Page::Unavailable);
            reply.header("retry-after", RETRY_AFTER_FAILURE_SECONDS.to_string());
            reply
        }
    }
}

fn redirect_reply<'a>(redirect: &'a Redirect<'_>) -> Reply<'a> {
    let cache = match redirect.cache {
        Cache::NoStore => Cow::Borrowed(PRIVATE_NO_STORE),
        Cache::Private { max_age_seconds } => {
            Cow::Owned(format!("private, max-age={max_age_seconds}"))
        }
    };
    location_reply(redirect.status.code(), Cow::Borrowed(&*redirect.to), cache)
}

fn location_reply<'a>(status: u16, to: Cow<'a, str>, cache: impl Into<Cow<'a, str>>) -> Reply<'a> {
    let mut headers = Vec::with_capacity(7);
    headers.push(("location", to));
    headers.push(("cache-control", cache.into()));
    // The destination may learn which site the visitor came from, never its address.
    headers.push(("referrer-policy", "strict-origin-when-cross-origin".into()));
    headers.push(("x-content-type-options", "nosniff".into()));
    headers.push(("x-robots-tag", "noindex".into()));
    Reply { status, headers, body: Cow::Borrowed("") }
}

fn refusal<'a>(reason: RefuseReason, facts: &RequestFacts<'_>) -> Reply<'a> {
    let (status, page) = match reason {
        RefuseReason::BlockedAbuse => (403, Page::Blocked { legal: false }),
        RefuseReason::BlockedLegal => (451, Page::Blocked { legal: true }),
        RefuseReason::MalformedPath => (400, Page::BadRequest),
        RefuseReason::Method => (405, Page::MethodNotAllowed),
        RefuseReason::WrongHost => (421, Page::WrongHost),
    };
    let mut reply = page_reply(status, &page, facts.accept_language);
    if reason == RefuseReason::Method {
        reply.header("allow", "GET, HEAD");
    }
    reply
}

fn preview_reply<'a>(link: &LinkPage<'_>, facts: &RequestFacts<'_>, policy: &Policy) -> Reply<'a> {
    let short_url = short_url(facts, policy);
    let page = Page::Preview(PreviewPage {
        short_url: &short_url,
        destination: link.destination,
        readable_destination: link.readable_destination,
        title: link.title,
        created_at: link.created_at,
        has_rules: link.varies,
    });
    page_reply(200, &page, facts.accept_language)
}

fn card_reply<'a>(card: &Card<'_>, facts: &RequestFacts<'_>, policy: &Policy) -> Reply<'a> {
    let short_url = short_url(facts, policy);
    let page = Page::OpenGraph(OpenGraphPage {
        short_url: &short_url,
        destination: card.destination.unwrap_or(&short_url),
        title: card.preview.title,
        description: card.preview.description,
        image: card.preview.image,
    });
    page_reply(200, &page, facts.accept_language)
}

const fn password_page(action: &str, state: PasswordState) -> Page<'_> {
    Page::Password { action, state }
}

const fn password_status(state: PasswordState) -> u16 {
    match state {
        PasswordState::Asked => 200,
        PasswordState::TooMany => 429,
        PasswordState::Wrong => 403,
    }
}

/// Where the password form posts to: the address asked for.
fn action(facts: &RequestFacts<'_>) -> String {
    match facts.query {
        Some(query) => format!("{}?{query}", facts.path),
        None => facts.path.to_string(),
    }
}

/// The link as people write it, without the `+` of its preview page.
fn short_url(facts: &RequestFacts<'_>, policy: &Policy) -> String {
    let base = policy.domain(facts.host).map_or("", |domain| &domain.base_url);
    let path = facts.path;
    let path = path
        .strip_suffix('+')
        .or_else(|| path.strip_suffix("%2B"))
        .or_else(|| path.strip_suffix("%2b"))
        .unwrap_or(path);
    format!("{base}{path}")
}

fn page_reply<'a>(status: u16, page: &Page<'_>, accept_language: Option<&str>) -> Reply<'a> {
    let rendered = pages::render(page, accept_language);
    Reply {
        status,
        headers: vec![
            ("content-type", "text/html; charset=utf-8".into()),
            ("content-language", rendered.language.into()),
            ("vary", "accept-language".into()),
            ("cache-control", NO_STORE.into()),
            ("content-security-policy", rendered.csp.into()),
            ("referrer-policy", "no-referrer".into()),
            ("x-content-type-options", "nosniff".into()),
            ("x-robots-tag", "noindex".into()),
        ],
        body: Cow::Owned(rendered.html),
    }
}

fn robots<'a>() -> Reply<'a> {
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "text/plain; charset=utf-8".into()),
            ("cache-control", "public, max-age=86400".into()),
            ("x-content-type-options", "nosniff".into()),
        ],
        body: Cow::Borrowed(ROBOTS),
    }
}

/// No icon. Not remembered, as no other "not found" is: there may be one some day.
fn favicon<'a>() -> Reply<'a> {
    Reply {
        status: 404,
        headers: vec![
            ("cache-control", NO_STORE.into()),
            ("x-content-type-options", "nosniff".into()),
        ],
        body: Cow::Borrowed(""),
    }
}

impl<'a> Reply<'a> {
    fn header(&mut self, name: &'static str, value: impl Into<Cow<'a, str>>) {
        self.headers.push((name, value.into()));
    }
}
