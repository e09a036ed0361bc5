//! Clicks on their way out.

use super::*;

#[test]
fn clicks_arrive_once_and_in_order_however_often_delivery_fails() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    for _ in 0..3 {
        follow(&outpost, &world, "a");
    }
    assert_eq!(outpost.duties(world.now()).deliver_after_ms, Some(2_000));
    follow(&outpost, &world, "a");
    assert_eq!(outpost.duties(world.now()).deliver_after_ms, None);
    world.mood.set(Mood::Forged);
    world.log();
    assert!(!block_on(outpost.deliver(2_000, &world)));
    assert_eq!(outpost.clicks_waiting(), 4);
    let tries = [
        "pause 2000",
        "clicks 1",
        "pause 500",
        "clicks 1",
        "pause 2000",
        "clicks 1",
        "pause 6000",
        "clicks 1",
    ];
    assert_eq!(world.log(), tries);
    // Whoever received them did not say so in a way that can be believed: they are sent again.
    world.clicks.take();
    follow(&outpost, &world, "a");
    assert_eq!(outpost.duties(world.now()).deliver_after_ms, Some(2_000));
    world.mood.set(Mood::Well);
    assert_eq!(outpost.clicks_waiting(), 5);
    assert!(block_on(outpost.deliver(2_000, &world)));
    assert_eq!(outpost.clicks_waiting(), 0);
    assert!(block_on(outpost.deliver(0, &world)), "nothing waits");
    assert_eq!(world.clicks.take(), [(0, vec![9; 4]), (4, vec![9])]);
    assert!(outpost.clicks.borrow().is_empty());
    assert!(
        outpost.counts().contains(r#""clicks_accepted":5,"clicks_delivered":5"#),
        "{}",
        outpost.counts()
    );
}

#[test]
fn clicks_of_a_delivery_that_the_host_ended_wait_for_the_next() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    follow(&outpost, &world, "a");
    world.mood.set(Mood::Down);
    // Given up by the host in the pause after the first try.
    block_on(async {
        let mut delivery = Box::pin(outpost.deliver(0, &world));
        assert!(futures::poll!(delivery.as_mut()).is_pending());
        assert_eq!(outpost.clicks_waiting(), 1);
    });
    world.mood.set(Mood::Well);
    assert!(block_on(outpost.deliver(0, &world)));
    assert_eq!(world.clicks.take(), [(0, vec![9])]);
}

#[test]
fn a_queue_may_take_some_and_refuse_others() {
    let queue = [
        ("waypost_sqs_queue_url", "https://sqs.eu-central-1.amazonaws.com/1/clicks"),
        ("waypost_aws_access_key_id", "AKID"),
        ("waypost_aws_secret_access_key", "hush"),
    ];
    let (outpost, world) = (outpost(&queue), World::new());
    world.put("a", record(1, A));
    for _ in 0..3 {
        follow(&outpost, &world, "a");
        outpost.clicks.borrow_mut().seal();
    }
    let answer = |body: &str| HttpAnswer { status: 200, signature: None, body: body.into() };
    *world.queue_answers.borrow_mut() = VecDeque::from([
        answer(
            r#"{"Successful":[{"Id":"0"}],"Failed":[
                {"Id":"1","SenderFault":false,"Code":"InternalError"},
                {"Id":"2","SenderFault":true,"Code":"InvalidMessageContents"}]}"#,
        ),
        answer(r#"{"Successful":[{"Id":"0"}]}"#),
    ]);
    world.log();
    assert!(block_on(outpost.deliver(0, &world)), "what is hopeless does not wait");
    assert_eq!(outpost.clicks_waiting(), 0);
    assert_eq!(world.log(), ["sqs", "pause 500", "sqs"]);
    let counts = outpost.counts();
    let expected =
        r#""clicks_accepted":3,"clicks_delivered":2,"clicks_given_up":1,"delivery_failures":1"#;
    assert!(counts.contains(expected), "{counts}");
}

#[test]
fn counts_are_told_now_and_then() {
    let outpost = outpost(&[]);
    let at = |ms: i64| outpost.counts_due(Timestamp(1_000_000 + ms));
    assert_eq!(at(0), Some(outpost.counts()));
    assert_eq!(at(9_999), None);
    assert_eq!(at(10_000), Some(outpost.counts()));
    assert_eq!(at(19_999), None);
    assert_eq!(at(-5), Some(outpost.counts()), "a clock that was set back");
}
