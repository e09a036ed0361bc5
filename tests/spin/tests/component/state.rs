//! The state that edges share: read before the first answer of an instance, but not waited for.

use waypost_tests::hosts::edge::quiet_state;
use waypost_tests_spin::world::{Mood, World};
use waypost_wire::click::Batch;
use waypost_wire::state::STATE_KEY;

use crate::bench::{Bench, KEPT, keep, link, world};

/// Whether the visitor of the first click was told apart, and how often the state was read.
async fn first_click(world: World) -> (bool, usize) {
    let bench = Bench::start(world, KEPT).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    bench.until("a click", |world| !world.origin.known().batches.is_empty()).await;
    let batch = bench.world.origin.known().batches[0].clone();
    (told_apart(&batch), bench.world.state_reads())
}

/// Whether the visitor of a batch's first click was.
fn told_apart(batch: &[u8]) -> bool {
    let batch = Batch::parse(batch).unwrap();
    batch.clicks().next().is_some_and(|(_, click)| click.visitor.is_some())
}

const AT_ONCE: [(&str, &str); 1] = [("waypost_click_flush_ms", "0")];

#[tokio::test]
async fn the_first_visitor_of_an_instance_is_told_apart() {
    assert_eq!(first_click(world(&AT_ONCE)).await, (true, 1));
}

#[tokio::test]
async fn a_store_without_the_state_leaves_it_to_the_origin() {
    let world = world(&AT_ONCE);
    world.origin.known().state = Some(quiet_state(world.now()));
    world.put(STATE_KEY, b"no state".to_vec());
    // And what else is in such a store is believed only if the origin says the same.
    keep(&world, "abc", &link(1, "https://example.com/"));
    let bench = Bench::start(world, KEPT).await;
    let is_told_apart = || bench.world.origin.known().batches.iter().any(|batch| told_apart(batch));
    // How soon the origin answers is not the edge's to say.
    for _ in 0..1_000 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
        if is_told_apart() {
            break;
        }
    }
    assert!(is_told_apart());
    assert_eq!((bench.world.state_reads(), bench.world.instances()), (1, 1));
}

#[tokio::test]
async fn a_state_that_does_not_come_is_not_waited_for() {
    let world = world(&[("waypost_click_flush_ms", "0"), ("waypost_store_timeout_ms", "10000")]);
    world.set_mood(STATE_KEY, Some(Mood::Waits));
    assert_eq!(first_click(world).await, (false, 1));
}

#[tokio::test]
async fn the_state_is_read_again_in_time_and_not_with_every_request() {
    let world = world(&AT_ONCE);
    let start = world.now();
    world.set_now(start);
    let bench = Bench::start(world, KEPT).await;
    for _ in 0..3 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
    }
    assert_eq!(bench.world.state_reads(), 1);
    bench.world.set_now(start.plus_ms(30_000));
    for _ in 0..2 {
        assert_eq!(bench.send("GET /abc").await.status, 302);
    }
    bench.until("a second read", |world| world.state_reads() == 2).await;
    assert_eq!(bench.world.instances(), 1);
}
