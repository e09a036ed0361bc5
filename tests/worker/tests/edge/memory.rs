//! The memory of an instance stays within bounds.

use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::world::{World, record};

use crate::answers::{A, assert_sent};
use crate::limits::longest_record;

/// All of it. JavaScript's own part is taken to be no more than an eighth.
const MEMORY_MAX_BYTES: u64 = 128 * 1024 * 1024;

/// How many requests the memory is watched over; WAYPOST_MEMORY_REQUESTS sets another number.
const REQUESTS: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_however_many_links_are_followed() {
    const PART: u64 = 10_000;
    let requests = std::env::var("WAYPOST_MEMORY_REQUESTS");
    let requests = requests.map_or(REQUESTS, |text| text.parse().unwrap());
    let settings = [("WAYPOST_CACHE_BYTES", "1048576"), ("WAYPOST_CLICK_FLUSH_MS", "")];
    let world = World::with(Sink::Queue, &settings).await;
    world.answers_wait(false).await;
    world.begin_with_record(&record(1, 1, A)).await;
    let (mut memories, mut clicks) = (Vec::new(), 0);
    for part in 0..requests.div_ceil(PART) {
        let statuses = world.requests(part * PART, PART, 100).await;
        assert_eq!(statuses, [(302, PART)].into());
        // Clicks that wait for others go out, as they do every two seconds.
        world.pass_until_idle().await;
        clicks += world.ledger().links.len() as u64;
        world.stub.behind().batches.clear();
        world.stub.behind().take_seen();
        let status = world.control.status().await;
        assert_eq!(status.memories.len(), 1, "no instance was born again");
        memories.push(status.memories[0]);
    }
    assert_eq!(clicks, requests.div_ceil(PART) * PART);
    // Room is made and given back all the time, so a few pages of 64 KiB more are no leak; a byte
    // for each request would be.
    let (early, late) = (memories[1], memories[memories.len() - 1]);
    assert!(late <= early + 4 * 64 * 1024, "{requests} requests: {memories:?}");
    assert!(late < 8 * 1024 * 1024, "{late} bytes");
    world.end().await;
}

/// The largest memory for records that can be set, full of the longest records.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_memory_for_records_fits_into_an_instance() {
    const RECORDS: u64 = 8_000;
    let settings = [("WAYPOST_CACHE_BYTES", "100663296"), ("WAYPOST_CLICK_FLUSH_MS", "")];
    let world = World::with(Sink::Queue, &settings).await;
    world.answers_wait(false).await;
    let (destination, record) = longest_record();
    world.begin_with_record(&record).await;
    let statuses = world.requests(0, RECORDS, 20).await;
    assert_eq!(statuses, [(302, RECORDS)].into());
    let bytes = world.control.status().await.memories[0];
    assert!(bytes <= MEMORY_MAX_BYTES / 8 * 7, "{bytes} bytes");
    assert_sent(&world.follow("zzz").await, &destination);
    world.end().await;
}
