//! What following a link costs, as numbers that may only be changed knowingly.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use waypost_core::facts::{Method, RequestFacts};
use waypost_core::flow::Source;
use waypost_core::policy::{Domain, Policy, Secrets};
use waypost_outpost::settings::EdgeSettings;
use waypost_outpost::{HttpAnswer, HttpRequest, Outpost, Platform};
use waypost_shell::cache::{CacheLimits, Cached, RecordCache};
use waypost_shell::seams::{Failed, LinkReader, Origin, Unlock, Use};
use waypost_shell::serve;
use waypost_wire::check::CheckKey;
use waypost_wire::codec::encode;
use waypost_wire::key::LinkKey;
use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
use waypost_wire::time::Timestamp;

/// One record, and a count of how often it was asked for.
struct One {
    bytes: Vec<u8>,
    reads: std::cell::Cell<usize>,
}

/// A reader that hands it out without copying, as a hit in memory does.
struct Borrowed<'a>(&'a One);

impl<'a> LinkReader for Borrowed<'a> {
    type Bytes = &'a [u8];

    async fn read(&self, _: Source, _: &LinkKey) -> Result<Option<&'a [u8]>, Failed> {
        self.0.reads.set(self.0.reads.get() + 1);
        Ok(Some(&self.0.bytes))
    }
}

impl Origin for Borrowed<'_> {
    async fn take_use(&self, _: u64) -> Result<Use, Failed> {
        Err(Failed)
    }

    async fn unlock(&self, _: &LinkKey, _: &str, _: Option<u128>) -> Result<Unlock, Failed> {
        Err(Failed)
    }
}

/// The result of a future that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("something waits"),
    }
}

fn policy() -> Policy {
    Policy {
        domains: vec![Domain {
            name: "s.example".into(),
            base_url: "https://s.example".into(),
            ignore_case: false,
            check: Some(CheckKey::new([7; 16])),
            home: None,
        }],
        any_host: false,
        slashes: false,
        read_through: false,
        edit_delay_seconds: 90,
        https: true,
        unlock_seconds: 3_600,
        secrets: Secrets { cookie_key: [1; 32], sticky_key: [2; 16] },
    }
}

fn plain() -> One {
    let record = LinkRecord {
        id: 1,
        version: 1,
        state: LinkState::Live,
        created_at: Timestamp(0),
        destination: "https://example.com/a/longer/destination?with=a&query=string",
        readable_destination: None,
        status: RedirectStatus::Found,
        starts_at: None,
        expires_at: Some(Timestamp(1_000_000)),
        expired_destination: None,
        limited: false,
        used_up: false,
        forward_query: false,
        forward_path: false,
        ios_destination: None,
        android_destination: None,
        password_version: None,
        title: Some("A title"),
        preview: None,
        rules: vec![],
    };
    One { bytes: encode(&record), reads: std::cell::Cell::new(0) }
}

fn facts(path: &str) -> RequestFacts<'_> {
    RequestFacts {
        method: Method::Get,
        host: "s.example",
        path,
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        accept_language: Some("de-CH,de;q=0.9,en;q=0.5"),
        referer: Some("https://news.example/today"),
        client_ip: Some(7),
        country: Some("CH"),
        ..RequestFacts::default()
    }
}

#[test]
fn a_plain_redirect_allocates_its_key_and_its_headers_and_reads_once() {
    let (policy, one) = (policy(), plain());
    let facts = facts("/hello");
    let host = Borrowed(&one);
    let mut status = 0;
    let measured = measure(|| {
        let now = Timestamp(5);
        let served = serve(&facts, &policy, now, Some(&[3; 16]), &host, |outcome| {
            assert!(outcome.click.is_some());
            outcome.reply.status
        });
        status = ready(served);
    });
    assert_eq!(status, 302);
    assert_eq!(one.reads.get(), 1);
    // The key of the record, and the list of headers.
    assert_eq!(measured.count_total, 2, "{measured:?}");
}

/// A platform with one record in its store.
struct Near(One);

impl Platform for Near {
    async fn read(&self, _: &str, _: u32) -> Result<Option<Vec<u8>>, Failed> {
        self.0.reads.set(self.0.reads.get() + 1);
        Ok(Some(self.0.bytes.clone()))
    }

    async fn post(&self, _: &HttpRequest) -> Result<HttpAnswer, Failed> {
        Err(Failed)
    }

    async fn admits_miss(&self) -> bool {
        true
    }

    async fn wait(&self, _: u32) {}

    fn landed(&self, _: u32) {}

    async fn pause(&self, _: u32) {}

    fn now(&self) -> Timestamp {
        Timestamp(5)
    }
}

#[test]
fn at_an_edge_a_remembered_link_costs_no_more_with_its_click_kept() {
    let settings = EdgeSettings::read(|name| match name {
        "waypost_public_url" => Some("https://s.example".to_owned()),
        "waypost_origin_url" => Some("https://api.example".to_owned()),
        "waypost_edge_keys" => {
            Some(format!("check:{0} cookie:{0}{0} origin:{0}{0} sticky:{0}", "00".repeat(16)))
        }
        _ => None,
    });
    let outpost = Outpost::new(settings.expect("settings"), 7, Timestamp(5));
    let near = Near(plain());
    let facts = facts("/hello");
    let follow = || {
        let followed = outpost.follow(&facts, Timestamp(5), &near, |reply, _| reply.status);
        assert_eq!(ready(followed), 302);
    };
    // The first reads the record; the next ones grow the click buffer to a size that suffices.
    (0..100).for_each(|_| follow());
    let measured = measure(follow);
    assert_eq!(near.0.reads.get(), 1);
    // The key of the record, and the list of headers.
    assert_eq!(measured.count_total, 2, "{measured:?}");
}

#[test]
fn a_guess_with_a_wrong_check_character_reads_nothing() {
    let (policy, one) = (policy(), plain());
    let key = CheckKey::new([7; 16]);
    let right = key.character("aB3dE6g");
    let wrong = if right == '0' { '1' } else { '0' };
    let path = format!("/aB3dE6g{wrong}");
    let facts = facts(&path);
    let host = Borrowed(&one);
    let served = serve(&facts, &policy, Timestamp(5), None, &host, |outcome| {
        outcome.decision.reason().to_owned()
    });
    assert_eq!(ready(served), "check_character");
    assert_eq!(one.reads.get(), 0);
}

#[test]
fn a_hit_in_memory_allocates_nothing() {
    let limits = CacheLimits { bytes_max: 10_000, missing_ttl_ms: 1, age_max_ms: i64::MAX };
    let mut cache: RecordCache<std::sync::Arc<[u8]>> = RecordCache::new(limits);
    let Cached::Unknown(ticket) = cache.lookup("s.example/hello", Timestamp(0)) else {
        panic!("an empty cache knows nothing");
    };
    cache.fill(ticket, "s.example/hello", Some(plain().bytes.into()), Timestamp(0));
    let measured = measure(|| {
        let found = cache.lookup("s.example/hello", Timestamp(1));
        assert!(matches!(found, Cached::Found(_)));
    });
    assert_eq!(measured.count_total, 0, "{measured:?}");
}
