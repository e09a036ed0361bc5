//! `waypost edge push` at the real component.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use waypost_host::ambient::Ambient;
use waypost_native::cli::{Surroundings, run_in};
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_tests_spin::spin::StoreError;
use waypost_tests_spin::world::Mood;
use waypost_wire::codec::encode;
use waypost_wire::record::LinkRecord;
use waypost_wire::state::{STATE_KEY, decode};
use waypost_wire::time::Timestamp;

use crate::bench::{Bench, KEPT, key, link, world};

/// Runs a command on a data directory, without ever pausing; answers its code, result and words.
async fn waypost(data: &Path, now: Timestamp, args: &[&str]) -> (ExitCode, String, String) {
    let data = ["--data-dir".into(), data.as_os_str().to_owned()];
    let args: Vec<OsString> =
        ["waypost", "edge"].iter().chain(args).map(OsString::from).chain(data).collect();
    let run = move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run_in(
            args,
            &mut Surroundings {
                environment: Default::default(),
                stdin: &mut &b""[..],
                stdout: &mut out,
                stderr: &mut err,
                stdin_is_terminal: false,
                stdout_is_terminal: false,
                stderr_is_terminal: false,
                ambient: Ambient::with_clock(move || now),
                pause: |_| {},
            },
            |_| ExitCode::FAILURE,
        );
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(out), text(err))
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn insert(db: &Db, id: i64, slug: &str, record: &LinkRecord<'_>) {
    const INSERT: &str = "INSERT INTO links
        (id, key, record, domain, state, version, keep, updated_at, last_used_at, doc)
        VALUES (?1, ?2, ?3, 's.example', 'active', 1, 0, 0, 0, '{}')";
    let (key, record) = (key(slug), encode(record));
    let insert = db.write(move |connection| connection.execute(INSERT, (id, key, record)));
    insert.await.unwrap();
}

#[tokio::test]
async fn a_store_is_filled_through_the_component() {
    let data = tempfile::tempdir().unwrap();
    let db = Db::open(&data.path().join(FILE_NAME), &DbOptions::default()).unwrap();
    db.secrets(&Ambient::system()).await.unwrap();
    let at = |slug: &str| format!("https://example.com/{slug}");
    for id in 1..=90 {
        let slug = format!("new{id:02}");
        insert(&db, id, &slug, &link(id.unsigned_abs(), &at(&slug))).await;
    }
    insert(&db, 91, "abc", &LinkRecord { version: 0, ..link(1, "https://example.com/older") })
        .await;
    let (code, keys, _) = waypost(data.path(), Timestamp(0), &["keys"]).await;
    assert_eq!(code, ExitCode::SUCCESS);
    let on =
        [("waypost_sync", "true"), ("waypost_origin_url", ""), ("waypost_edge_keys", keys.trim())];
    let world = world(&on);
    world.set_mood(&key("new07"), Some(Mood::Fails(StoreError::Other("full".to_owned()))));
    let bench = Bench::start(world, KEPT).await;
    let now = bench.world.now().plus_ms(1_000);
    let url = format!("http://{}", bench.server.address);
    let push = ["push", &url];
    let (code, out, err) = waypost(data.path(), now, &push).await;
    assert_eq!(code, ExitCode::from(1), "{err}");
    assert_eq!(out, "89 stored, 1 outdated, 0 refused, 1 failed; the state is stored\n");
    assert!(err.starts_with("failed: s.example/new07\nerror: "), "{err}");
    bench.world.set_mood(&key("new07"), None);
    bench.world.events();
    let (code, out, err) = waypost(data.path(), now, &push).await;
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
    assert_eq!(out, "90 stored, 1 outdated, 0 refused, 0 failed; the state is stored\n");
    let mut written = bench.world.events();
    written.retain(|event| event.starts_with("set "));
    assert_eq!(written, ["set s.example/new07"], "what is there is not written again");
    let state = bench.world.value(STATE_KEY).unwrap();
    assert_eq!(decode(&state).unwrap().published_at, now);
    for (slug, location) in [("new07", &*at("new07")), ("abc", "https://example.com/")] {
        let answer = bench.send(&format!("GET /{slug}")).await;
        assert_eq!(answer.header("location"), Some(location));
    }
}

#[tokio::test]
async fn what_the_component_refuses_is_explained() {
    let data = tempfile::tempdir().unwrap();
    let db = Db::open(&data.path().join(FILE_NAME), &DbOptions::default()).unwrap();
    db.secrets(&Ambient::system()).await.unwrap();
    let (_, keys, _) = waypost(data.path(), Timestamp(0), &["keys"]).await;
    let ours = ("waypost_edge_keys", keys.trim());
    let (off, on) = (("waypost_origin_url", ""), ("waypost_sync", "true"));
    for (settings, late_ms, says) in [
        (&[ours, off][..], 0, "(421): set waypost_sync to true"),
        (&[ours, off, ("waypost_any_host", "true")], 0, "(404): set waypost_sync to true"),
        (&[on], 0, "set its secret waypost_edge_keys"),
        (&[ours, on], 301_000, "more than 300 s apart"),
        (&[ours, on, ("waypost_public_url", "")], 0, "answered 503: This service is not set up"),
    ] {
        let bench = Bench::start(world(settings), KEPT).await;
        let url = format!("http://{}", bench.server.address);
        let now = bench.world.now().plus_ms(late_ms);
        let (code, _, err) = waypost(data.path(), now, &["push", &url]).await;
        assert_eq!(code, ExitCode::from(1));
        assert!(err.contains(says), "{says}: {err}");
    }
}
