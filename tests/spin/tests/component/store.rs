//! A store that fails, in all the ways it can.

use waypost_tests_spin::spin::StoreError;
use waypost_tests_spin::world::Mood;

use crate::bench::{Bench, KEPT, keep, key, link, store, world};

fn errors() -> [StoreError; 4] {
    [
        StoreError::StoreTableFull,
        StoreError::NoSuchStore,
        StoreError::AccessDenied,
        StoreError::Other("the back end is away".to_owned()),
    ]
}

#[tokio::test]
async fn every_error_of_the_store_leads_to_the_origin() {
    for error in errors() {
        for opens in [true, false] {
            let world = world(&[]);
            keep(&world, "abc", &link(1, "https://example.com/origin"));
            let mood = Some(Mood::Fails(error.clone()));
            match opens {
                true => world.set_mood(&key("abc"), mood),
                false => world.set_open(mood),
            }
            let bench = Bench::start(world, KEPT).await;
            let answer = bench.send("GET /abc").await;
            assert_eq!(answer.status, 302, "{error:?}");
            assert_eq!(answer.header("location"), Some("https://example.com/origin"));
            let edge = opens.then_some("edge s.example/abc");
            let expected: Vec<&str> = edge.into_iter().chain(["origin s.example/abc"]).collect();
            assert_eq!(bench.world.events(), expected);
            assert!(bench.world.log().contains("the store could not read"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn without_an_origin_a_store_that_fails_is_said_to_fail() {
    for error in errors() {
        let world = world(&[("waypost_origin_url", "")]);
        world.set_mood(&key("abc"), Some(Mood::Fails(error)));
        let bench = Bench::start(world, KEPT).await;
        let answer = bench.send("GET /abc").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
        // The same instance goes on, and reads as soon as it can.
        bench.world.set_mood(&key("abc"), None);
        assert_eq!(bench.send("GET /abc").await.status, 302);
        assert_eq!(bench.world.instances(), 1);
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_not_waited_for() {
    let world = world(&[("waypost_store_timeout_ms", "20")]);
    keep(&world, "abc", &link(1, "https://example.com/origin"));
    world.set_mood(&key("abc"), Some(Mood::Hangs));
    let bench = Bench::start(world, KEPT).await;
    let answer = bench.send("GET /abc").await;
    assert_eq!(answer.header("location"), Some("https://example.com/origin"));
    assert!(bench.world.log().contains("the store could not read in 20 ms"));
}

#[tokio::test]
async fn a_store_that_could_not_be_opened_is_opened_again() {
    let world = world(&[]);
    keep(&world, "a", &link(1, "https://example.com/a"));
    keep(&world, "b", &link(2, "https://example.com/b"));
    world.set_open(Some(Mood::Fails(StoreError::NoSuchStore)));
    let bench = Bench::start(world, KEPT).await;
    assert_eq!(bench.send("GET /a").await.status, 302);
    bench.world.set_open(None);
    assert_eq!(bench.send("GET /b").await.status, 302);
    assert_eq!(
        bench.world.events(),
        ["origin s.example/a", "edge s.example/b", "origin s.example/b"]
    );
}

#[tokio::test]
async fn a_store_that_is_lost_is_opened_again() {
    let world = world(&[("waypost_origin_url", "")]);
    store(&world, "b", &link(2, "https://example.com/b"));
    let bench = Bench::start(world, KEPT).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.world.cut();
    assert_eq!(bench.send("GET /b").await.status, 503);
    assert_eq!(bench.send("GET /b").await.status, 302);
    assert_eq!(bench.world.instances(), 1);
}

#[tokio::test]
async fn when_nothing_can_be_read_the_last_good_record_is_used() {
    let world = world(&[("waypost_origin_url", ""), ("waypost_cache_bytes", "100000")]);
    let start = world.now();
    world.set_now(start);
    let bench = Bench::start(world, KEPT).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.world.set_mood(&key("abc"), Some(Mood::Fails(StoreError::AccessDenied)));
    // A day later nothing that was read is believed by itself.
    bench.world.set_now(start.plus_ms(25 * 60 * 60 * 1_000));
    let answer = bench.send("GET /abc").await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("cache-status"), Some("waypost; hit; ttl=-90000"));
    assert_eq!(bench.world.instances(), 1);
}
