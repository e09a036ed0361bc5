//! Clicks, over instances that come and go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use waypost_tests_spin::origin::{Manner, queue};
use waypost_tests_spin::server::Limits;
use waypost_tests_spin::world::Mood;

use crate::bench::{Bench, KEPT, key, world};

#[tokio::test]
async fn every_click_arrives_once_however_often_instances_are_replaced() {
    for to_queue in [false, true] {
        let mut world = world(&[("waypost_click_flush_ms", "20")]);
        if to_queue {
            let queue = queue().map(|(name, value)| (name.to_owned(), value));
            world.variables.extend(queue);
        }
        let limits = Limits { requests: 7, ..Limits::default() };
        let bench = Bench::start(world, limits).await;
        let clients = (0..4).map(|_| async {
            for _ in 0..35 {
                assert_eq!(bench.send("GET /abc").await.status, 302);
            }
        });
        futures_util::future::join_all(clients).await;
        bench.until("140 clicks", |world| world.origin.arrived().len() >= 140).await;
        bench.until("the end of full instances", |world| world.ends().0 >= 16).await;
        let arrived = bench.world.origin.arrived();
        let numbers: BTreeSet<_> = arrived.iter().map(|one| (one.source, one.sequence)).collect();
        assert_eq!((arrived.len(), numbers.len()), (140, 140));
        let sources: BTreeSet<u64> = arrived.iter().map(|one| one.source).collect();
        assert!(sources.len() >= 20, "{} instances", sources.len());
        // Numbers of a source have no gap.
        for source in sources {
            let ours = arrived.iter().filter(|one| one.source == source);
            let numbers: Vec<u64> = ours.map(|one| one.sequence).collect();
            assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
        }
        assert_eq!(bench.world.ends().1, 0);
    }
}

#[tokio::test]
async fn an_instance_does_not_go_before_its_clicks() {
    let world = world(&[("waypost_click_flush_ms", "400")]);
    let limits = Limits { requests: 1, idle: Duration::from_millis(1), ..KEPT };
    let bench = Bench::start(world, limits).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.until("the end of the instance", |world| world.ends().0 == 1).await;
    assert_eq!(bench.world.origin.arrived().len(), 1);
}

#[tokio::test]
async fn clicks_of_a_while_travel_together() {
    let bench = Bench::start(world(&[("waypost_click_flush_ms", "2000")]), KEPT).await;
    let start = Instant::now();
    for _ in 0..40 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
    }
    bench.until("40 clicks", |world| world.origin.arrived().len() == 40).await;
    let batches = bench.world.origin.known().batches.len() as u64;
    let most = start.elapsed().as_secs() / 2 + 1;
    assert!(batches <= most, "{batches} batches, not {most}");
}

#[tokio::test]
async fn nobody_waits_for_a_delivery() {
    let world = world(&[("waypost_click_flush_ms", "0"), ("waypost_origin_timeout_ms", "4500")]);
    world.origin.known().manner = Manner::Hangs;
    let bench = Bench::start(world, KEPT).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.until("a delivery", |world| world.origin.known().requests > 0).await;
    for _ in 0..5 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
    }
    assert_eq!(bench.world.instances(), 1, "the delivery holds no instance back");
    assert_eq!(bench.world.origin.arrived().len(), 0);
}

#[tokio::test]
async fn clicks_wait_for_a_sink_that_fails_and_arrive_once() {
    let world = world(&[("waypost_click_flush_ms", "0")]);
    world.origin.known().refusals = 2;
    let bench = Bench::start(world, Limits { requests: 3, ..KEPT }).await;
    for _ in 0..3 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
    }
    bench.until("3 clicks", |world| world.origin.arrived().len() == 3).await;
    bench.until("the end of the instance", |world| world.ends().0 == 1).await;
    assert_eq!(bench.world.origin.arrived().len(), 3);
    let log = bench.world.log();
    assert!(log.contains("POST https://api.example/api/v1/edge/clicks failed"), "{log}");
}

#[tokio::test]
async fn clicks_that_nobody_takes_are_not_lost_in_silence() {
    let world = world(&[("waypost_click_flush_ms", "0")]);
    world.origin.known().manner = Manner::Refuses;
    let bench = Bench::start(world, Limits { requests: 1, ..KEPT }).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.until("the end of the instance", |world| world.ends().0 == 1).await;
    let log = bench.world.log();
    assert!(log.contains("clicks cannot be delivered; 1 wait"), "{log}");
}

/// What a trap costs is bounded by what waited in its own instance.
#[tokio::test]
async fn an_instance_that_is_cut_off_loses_what_waited_in_it_and_nothing_else() {
    let world = world(&[("waypost_click_flush_ms", "0")]);
    let bench = Bench::start(world, KEPT).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.until("a click", |world| world.origin.arrived().len() == 1).await;
    bench.world.set_mood(&key("trap"), Some(Mood::Traps));
    assert_eq!(bench.send("GET /trap").await.status, 500);
    bench.until("its end", |world| world.ends().1 == 1).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.until("the next click", |world| world.origin.arrived().len() == 2).await;
    let [first, second] = bench.world.origin.arrived()[..] else { panic!("not two") };
    assert_ne!(first.source, second.source);
    assert_eq!((first.sequence, second.sequence), (0, 0));
}
