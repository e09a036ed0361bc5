//! Settings that cannot be used.

use waypost_tests_spin::spin::VariableError;
use waypost_tests_spin::world::World;

use crate::bench::{Bench, KEPT, world};

async fn answer_and_log(world: World) -> (u16, String, String) {
    let bench = Bench::start(world, KEPT).await;
    let answer = bench.send("GET /abc").await;
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let head = bench.send("HEAD /abc").await;
    assert_eq!((head.status, head.text().as_str()), (answer.status, ""));
    assert_eq!(head.header("content-length"), answer.header("content-length"));
    assert_eq!(bench.world.ends(), (0, 0), "no instance ends of it");
    (answer.status, answer.text(), bench.world.log())
}

const SAID: &str = "This service is not set up; its log says why.\n";

#[tokio::test]
async fn a_variable_that_is_missing_is_named_in_the_log() {
    let mut world = world(&[]);
    world.variables.remove("waypost_public_url");
    world.variables.remove("waypost_edge_keys");
    let (status, body, log) = answer_and_log(world).await;
    assert_eq!((status, body.as_str()), (503, SAID));
    assert!(log.contains("waypost_public_url: is not set"), "{log}");
    assert!(log.contains("waypost_edge_keys: is not set"), "{log}");
    assert_eq!(log.matches("waypost_public_url").count(), 1, "said once: {log}");
}

#[tokio::test]
async fn no_secret_is_quoted() {
    let world = world(&[("waypost_edge_keys", "check:5ec7e7"), ("waypost_sync", "perhaps")]);
    let (status, _, log) = answer_and_log(world).await;
    assert_eq!(status, 503);
    assert!(log.contains("waypost_edge_keys") && log.contains("\"perhaps\""), "{log}");
    assert!(!log.contains("5ec7e7"), "{log}");
}

#[tokio::test]
async fn a_provider_that_fails_is_not_taken_for_variables_that_are_not_set() {
    for error in [
        VariableError::Provider("the vault is closed".to_owned()),
        VariableError::Other("the vault is closed".to_owned()),
    ] {
        let mut world = world(&[]);
        world.variables_fail = Some(error);
        let (status, _, log) = answer_and_log(world).await;
        assert_eq!(status, 503);
        assert!(log.contains("the vault is closed"), "{log}");
        assert!(!log.contains("is not set"), "{log}");
    }
}

#[tokio::test]
async fn an_edge_without_a_way_for_clicks_says_so() {
    let bench = Bench::start(world(&[("waypost_origin_url", "")]), KEPT).await;
    assert_eq!(bench.send("GET /abc").await.status, 302);
    assert!(bench.world.log().contains("clicks are not counted"));
}
