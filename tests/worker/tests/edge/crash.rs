//! workerd killed, as a machine is that loses its power.

use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, record};

use crate::answers::{A, assert_sent};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_is_there_and_no_number_comes_twice() {
    for (sink, topic) in [(Sink::Queue, Topic::Queue), (Sink::Origin, Topic::Clicks)] {
        let mut world = World::with(sink, &[]).await;
        world.stub.behind().store.insert(key("a"), record(1, 1, A));
        let mut arrived = 0;
        for kills in 0..3_u64 {
            // These are acknowledged before their visitors are answered.
            for _ in 0..3 {
                assert_sent(&world.follow("a").await, A);
            }
            arrived += 3;
            // These wait in the buffer, or are on their way.
            world.answers_wait(false).await;
            world.stub.behind().set(topic, Mood::Silent);
            for _ in 0..100 {
                assert_sent(&world.follow("a").await, A);
            }
            let ledger = world.ledger();
            assert_eq!(ledger.links.len(), arrived, "after {kills} kills");
            world = world.restart().await;
            world.stub.behind().set(topic, Mood::Well);
            world.answers_wait(true).await;
        }
        let ledger = world.ledger();
        assert_eq!(ledger.sources().len(), 3, "each life numbers by itself");
        for source in ledger.sources() {
            assert_eq!(ledger.of_source(source), [1, 1, 1]);
            assert_eq!(ledger.gaps(source), [0; 0]);
        }
        world.end().await;
    }
}
