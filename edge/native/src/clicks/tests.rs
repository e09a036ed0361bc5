use std::fs;
use std::io::Write;

use tempfile::TempDir;
use waypost_wire::click::Batch as Packed;
use waypost_wire::time::Timestamp;

use super::*;

fn click(at: i64) -> Click<'static> {
    Click { link_id: 7, at: Timestamp(at), user_agent: "Agent", ..Click::default() }
}

/// Numbers and times of the clicks in a batch.
fn content(batch: &Batch) -> Vec<(u64, i64)> {
    let packed = Packed::parse(&batch.bytes).expect("a batch");
    packed.clicks().map(|(sequence, click)| (sequence, click.at.0)).collect()
}

fn drain(received: &mut mpsc::Receiver<Batch>) -> Vec<Batch> {
    std::iter::from_fn(|| received.blocking_recv()).collect()
}

#[test]
fn clicks_come_out_in_order_numbered_and_journaled_until_delivered() {
    let directory = TempDir::new().expect("directory");
    let (clicks, mut received) = Clicks::start(5, directory.path()).expect("start");
    for at in 0..1_203 {
        clicks.accept(&click(at));
    }
    assert_eq!(clicks.close(), 1_203);
    let batches = drain(&mut received);
    let all: Vec<(u64, i64)> = batches.iter().flat_map(content).collect();
    let expected: Vec<(u64, i64)> = (0..1_203).map(|n| (n, n as i64)).collect();
    assert_eq!(all, expected);
    assert_eq!(fs::read_dir(&directory).expect("directory").count(), batches.len());
    for batch in batches {
        batch.delivered().expect("removed");
    }
    assert_eq!(fs::read_dir(&directory).expect("directory").count(), 0);
}

#[test]
fn a_batch_does_not_wait_to_be_full() {
    let directory = TempDir::new().expect("directory");
    let (clicks, mut received) = Clicks::start(5, directory.path()).expect("start");
    clicks.accept(&click(1));
    let batch = received.blocking_recv().expect("a batch");
    assert_eq!(content(&batch), [(0, 1)]);
    let progress = clicks.progress();
    assert_eq!(progress, Progress { accepted: 1, dropped: 0, journaled: 1 });
}

#[test]
fn what_a_process_left_behind_is_delivered_by_the_next_under_the_same_numbers() {
    let directory = TempDir::new().expect("directory");
    let (clicks, mut received) = Clicks::start(5, directory.path()).expect("start");
    for at in 0..700 {
        clicks.accept(&click(at));
    }
    clicks.close();
    // The store took the first batch, but the process died before its journal was removed.
    let before: Vec<Vec<u8>> = drain(&mut received).into_iter().map(|batch| batch.bytes).collect();

    let after = leftovers(directory.path()).expect("leftovers");
    let again: Vec<Vec<u8>> = after.iter().map(|batch| batch.bytes.clone()).collect();
    assert_eq!(again, before);
    for batch in after {
        batch.delivered().expect("removed");
    }
    assert!(leftovers(directory.path()).expect("leftovers").is_empty());
}

#[test]
fn a_torn_entry_ends_a_journal() {
    let directory = TempDir::new().expect("directory");
    let (clicks, mut received) = Clicks::start(5, directory.path()).expect("start");
    clicks.accept(&click(1));
    clicks.accept(&click(2));
    clicks.close();
    drop(drain(&mut received));
    let path = fs::read_dir(&directory)
        .expect("directory")
        .next()
        .expect("a file")
        .expect("a file")
        .path();
    let whole = fs::read(&path).expect("bytes");
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("written");
        let batches = leftovers(directory.path()).expect("leftovers");
        let count: usize = batches.iter().map(|batch| batch.count).sum();
        assert_eq!(count, usize::from(length >= whole.len() / 2), "{length}");
    }
    let mut file = fs::File::create(&path).expect("file");
    file.write_all(&[9, 0, 0, 0]).and_then(|()| file.write_all(b"no batch!")).expect("written");
    assert!(leftovers(directory.path()).expect("leftovers").is_empty());
}

#[test]
fn without_a_journal_clicks_are_still_delivered() {
    let directory = TempDir::new().expect("directory");
    let gone = directory.path().join("gone");
    let (clicks, mut received) = Clicks::start(5, &gone).expect("start");
    clicks.accept(&click(1));
    clicks.close();
    let batches = drain(&mut received);
    assert_eq!(batches.iter().map(|batch| batch.count).sum::<usize>(), 1);
}
