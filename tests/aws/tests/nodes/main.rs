//! The binary as many nodes: two nodes and a worker over the same tables and queue, as processes of
//! their own, driven from outside.

mod process;

use std::time::Instant;

use serde_json::{Value, json};
use waypost_tests_aws::emulator::Emulator;
use waypost_wire::click::{BatchWriter, Click};

use process::{Installation, Node};

/// Total clicks of a link, as a node tells it.
async fn clicks(node: &Node, link: &Value) -> Value {
    let path = format!("/api/v1/links/{}/stats", link["slug"].as_str().expect("a slug"));
    let answer = node.call("GET", &path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let stats: Value = serde_json::from_slice(&answer.body).expect("JSON");
    stats["totals"]["all"].clone()
}

async fn follow(node: &Node, slug: &str) -> (u16, Option<String>) {
    let answer = node.call("GET", &format!("/{slug}"), None).await;
    (answer.status, answer.header("location").map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_and_a_worker_are_one_installation() {
    let installation = Installation::new(Emulator::shared()).await;
    let (one, two) = (installation.node().await, installation.node().await);
    let worker = installation.worker();

    let draft = json!({ "destination": "https://example.com/a", "slug": "hello" });
    let created = one.call("POST", "/api/v1/links", Some(&draft)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let link: Value = serde_json::from_slice(&created.body).expect("JSON");
    let to = |path: &str| (302, Some(format!("https://example.com/{path}")));
    assert_eq!(follow(&two, "hello").await, to("a"), "at once, at another node");

    // Ids of different nodes differ: each is another Snowflake machine.
    let draft = json!({ "destination": "https://example.com/b" });
    let other = two.call("POST", "/api/v1/links", Some(&draft)).await;
    let other: Value = serde_json::from_slice(&other.body).expect("JSON");
    assert_ne!(link["id"], other["id"]);

    // An edit at one node takes effect at the other.
    let edit = json!({ "destination": "https://example.com/c" });
    let edited = one.call("PATCH", "/api/v1/links/hello", Some(&edit)).await;
    assert_eq!(edited.status, 200, "{}", edited.text());
    let since = Instant::now();
    let mut followed = 1;
    loop {
        followed += 1;
        if follow(&two, "hello").await == to("c") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    println!("an edit took effect at the other node after {} ms", since.elapsed().as_millis());

    for turn in 0..40 {
        let node = if turn % 2 == 0 { &one } else { &two };
        assert_eq!(follow(node, "hello").await, to("c"));
        followed += 1;
    }
    process::until("all clicks are counted", async || clicks(&one, &link).await == json!(followed))
        .await;
    assert_eq!(clicks(&two, &link).await, json!(followed));

    // A worker that is killed loses nothing: what it had not finished comes again.
    for _ in 0..20 {
        assert_eq!(follow(&one, "hello").await, to("c"));
        followed += 1;
    }
    worker.kill();
    for _ in 0..20 {
        assert_eq!(follow(&two, "hello").await, to("c"));
        followed += 1;
    }
    let worker = installation.worker();
    process::until("all clicks are counted", async || clicks(&two, &link).await == json!(followed))
        .await;

    let ended = [one.stop().await, two.stop().await, worker.stop().await];
    assert!(ended.iter().all(std::process::ExitStatus::success), "they end in order: {ended:?}");
}

/// One bucket for a key, whichever node it asks; the same for wrong keys of a client.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_limits_of_the_api() {
    let installation = Installation::new(Emulator::shared()).await;
    let nodes = [installation.node().await, installation.node().await];
    let draft = json!({ "name": "n", "role": "viewer", "requests_per_minute": 3 });
    let made = nodes[0].call("POST", "/api/v1/keys", Some(&draft)).await;
    let key: Value = serde_json::from_slice(&made.body).expect("JSON");
    let secret = key["secret"].as_str().expect("a secret");

    let since = Instant::now();
    let (mut granted, mut refusing) = (0, [false; 2]);
    while refusing != [true; 2] {
        for (node, refuses) in nodes.iter().zip(&mut refusing) {
            let answer = node.call_as(secret, "GET", "/api/v1/links", None).await;
            *refuses |= answer.status == 429;
            // Without the headers, the emulator was so slow that it passed uncounted.
            let counted = answer.header("ratelimit").is_some();
            granted += u64::from(answer.status == 200 && counted);
        }
    }
    let came_back = since.elapsed().as_secs() / 20;
    assert!((3..=3 + came_back).contains(&granted), "{granted} with {came_back} more");

    let (mut wrong, mut refusing) = (0, [false; 2]);
    while refusing != [true; 2] {
        for (node, refuses) in nodes.iter().zip(&mut refusing) {
            let answer = node.call_as("wrong", "GET", "/api/v1/links", None).await;
            *refuses |= answer.status == 429;
            wrong += u32::from(answer.status == 401);
        }
    }
    // Were the buckets apart, it would be twice as many; some come back meanwhile.
    assert!((100..150).contains(&wrong), "{wrong}");
    for node in nodes {
        assert!(node.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_looked_at_and_put_back() {
    let installation = Installation::new(Emulator::shared()).await;
    let mut batch = BatchWriter::new(7, 0);
    for _ in 0..3 {
        batch.push(&Click::default());
    }
    let dead = installation.queue("dead").await;
    installation.send(&dead, &process::base64(&batch.finish())).await;
    installation.send(&dead, "poison").await;

    let listed = installation.run(&["dlq", "list", "--from", &dead]).await;
    assert!(listed.contains("clicks 0 to 2 of source 0000000000000007"), "{listed}");
    assert!(listed.contains("no clicks: poison"), "{listed}");

    installation.show_again(&dead).await;
    let to = installation.queue("again").await;
    let args = ["dlq", "redrive", "--from", &dead, "--to", &to];
    let moved = installation.run(&args).await;
    assert_eq!(moved, "1 messages put back\n");
    assert_eq!(installation.messages(&to).await, 1);
    process::until("what is no clicks stays", async || installation.messages(&dead).await == 1)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_links_are_sealed_with_is_replaced() {
    let (old, new) = (format!("1:{}", "01".repeat(32)), format!("2:{}", "02".repeat(32)));
    let mut installation = Installation::new(Emulator::shared()).await;
    installation.seal_with(&old);
    let node = installation.node().await;
    let draft = json!({ "destination": "https://example.com/a", "slug": "hello", "notes": "ours" });
    assert_eq!(node.call("POST", "/api/v1/links", Some(&draft)).await.status, 201);
    installation.seal_with(&format!("{new} {old}"));
    let said = installation.run(&["reseal"]).await;
    assert_eq!(
        said,
        "1 links, 1 sealed anew with key 2\nin use: key 2, by 1 links\nnot in use any more: key 1; \
         take it out after 24 hours, when answers remembered for creations have expired\n"
    );
    // Another node, which has the new key alone.
    installation.seal_with(&new);
    let other = installation.node().await;
    let read = other.call("GET", "/api/v1/links/hello", None).await;
    assert!(read.status == 200 && read.text().contains("\"notes\":\"ours\""), "{}", read.text());
    assert_eq!(follow(&other, "hello").await, (302, Some("https://example.com/a".to_owned())));
    assert!(node.stop().await.success() && other.stop().await.success());
}
