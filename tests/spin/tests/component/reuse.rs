//! Instances that are used again, and what one request may do to another.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waypost_tests::wire::{Raw, parse};
use waypost_tests_spin::server::Limits;
use waypost_tests_spin::world::Mood;
use waypost_wire::record::{Condition, LinkRecord, Network, Rule, Variant};

use crate::bench::{Bench, KEPT, key, link, store, world};

#[tokio::test]
async fn an_instance_remembers() {
    let bench = Bench::start(world(&[]), KEPT).await;
    for _ in 0..3 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
        assert_eq!(bench.send("GET /none").await.status, 404);
    }
    assert_eq!(bench.world.instances(), 1);
    assert_eq!(
        bench.world.events(),
        ["edge s.example/abc", "edge s.example/none", "origin s.example/none"]
    );
}

#[tokio::test]
async fn a_new_instance_remembers_nothing() {
    let bench = Bench::start(world(&[]), Limits { requests: 1, ..KEPT }).await;
    for _ in 0..3 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
    }
    assert_eq!(bench.world.instances(), 3);
    assert_eq!(bench.world.events(), ["edge s.example/abc"; 3]);
}

#[tokio::test]
async fn one_that_ends_badly_takes_no_other_with_it() {
    let world = world(&[("waypost_store_timeout_ms", "10000")]);
    store(&world, "slow", &link(2, "https://example.com/slow"));
    world.set_mood(&key("slow"), Some(Mood::Waits));
    world.set_mood(&key("trap"), Some(Mood::Traps));
    let bench = Bench::start(world, KEPT).await;
    let waiting = join_all((0..8).map(|_| bench.send("GET /slow")));
    let trap = async {
        bench.until("8 waiting requests", |world| world.waiting() == 8).await;
        let answer = bench.send("GET /trap").await;
        bench.until("its end", |world| world.ends().1 == 1).await;
        bench.world.release();
        answer
    };
    let (answers, trapped) = futures_util::future::join(waiting, trap).await;
    assert_eq!(trapped.status, 500);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [302; 8]);
    assert_eq!(bench.send("GET /abc").await.status, 302);
}

#[tokio::test]
async fn a_client_cannot_say_who_it_is() {
    let world = world(&[]);
    let network = Network { address: 0xffff_7f00_0000, prefix_bits: 96 + 8 };
    let rule = |network, destination| Rule {
        when: vec![Condition::Ip(vec![network])],
        variants: vec![Variant { destination, weight: 1 }],
    };
    let rules = vec![rule(network, "https://example.com/here")];
    store(&world, "who", &LinkRecord { rules, ..link(2, "https://example.com/elsewhere") });
    let bench = Bench::start(world, KEPT).await;
    for headers in [
        &[][..],
        &[("spin-client-addr", "192.0.2.1:1")],
        &[("spin-client-addr", "192.0.2.1:1"), ("Spin-Client-Addr", "192.0.2.2:1")],
        &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")],
    ] {
        let answer = bench.send_with("GET /who", headers, b"").await;
        assert_eq!(answer.header("location"), Some("https://example.com/here"), "{headers:?}");
    }
}

#[tokio::test]
async fn a_proxy_can_if_the_operator_says_so() {
    let world = world(&[("waypost_client_ip_header", "X-Forwarded-For")]);
    let network = Network { address: 0xffff_c000_0201, prefix_bits: 128 };
    let rules = vec![Rule {
        when: vec![Condition::Ip(vec![network])],
        variants: vec![Variant { destination: "https://example.com/there", weight: 1 }],
    }];
    store(&world, "who", &LinkRecord { rules, ..link(2, "https://example.com/elsewhere") });
    let bench = Bench::start(world, KEPT).await;
    for (forwarded, expected) in [
        ("192.0.2.1", "https://example.com/there"),
        ("198.51.100.1, 192.0.2.1", "https://example.com/there"),
        ("192.0.2.1, 198.51.100.1", "https://example.com/elsewhere"),
    ] {
        let answer = bench.send_with("GET /who", &[("x-forwarded-for", forwarded)], b"").await;
        assert_eq!(answer.header("location"), Some(expected), "{forwarded}");
    }
}

/// A connection that is kept.
struct Kept {
    stream: TcpStream,
}

impl Kept {
    /// Sends a request and reads the head of its answer, and as much of a body as it promises.
    async fn send(&mut self, line: &str) -> Raw {
        let request = format!("{line} HTTP/1.1\r\nhost: s.example\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            received.push(self.stream.read_u8().await.unwrap());
        }
        let mut answer = parse(&received).unwrap();
        let length = answer.header("content-length").expect("a length").parse().unwrap();
        if !line.starts_with("HEAD") {
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body).await.unwrap();
        }
        answer
    }
}

#[tokio::test]
async fn redirects_leave_in_one_write_and_say_that_they_have_no_body() {
    let bench = Bench::start(world(&[]), KEPT).await;
    let mut kept = Kept { stream: TcpStream::connect(bench.server.address).await.unwrap() };
    for round in 1..=3 {
        let answer = kept.send("GET /abc").await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("content-length"), Some("0"));
        assert_eq!(answer.header("transfer-encoding"), None);
        let writes = bench.server.writes.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(writes, round, "calls that wrote {round} answers");
    }
}

#[tokio::test]
async fn heads_tell_the_length_of_a_body_that_does_not_come() {
    let bench = Bench::start(world(&[]), KEPT).await;
    let mut kept = Kept { stream: TcpStream::connect(bench.server.address).await.unwrap() };
    let page = kept.send("GET /none").await;
    assert!(page.status == 404 && !page.body.is_empty());
    for _ in 0..2 {
        let head = kept.send("HEAD /none").await;
        assert_eq!(head.status, 404);
        assert_eq!(head.header("content-length"), page.header("content-length"));
    }
    assert_eq!(kept.send("GET /abc").await.status, 302, "the connection is still in step");
}
