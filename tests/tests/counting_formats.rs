//! Golden bytes of counting: what releases have packed and stored must be read, with the same
//! meaning, for ever.
//!
//! `tests/cases/clicks/v1` has batches of clicks, `tests/cases/rollups/v1` has rollups, each with
//! what its bytes mean. Files are added and never changed:
//! `BLESS=1 cargo test -p waypost-tests --test counting_formats` writes those that are missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use waypost_service::counting::classify::Class;
use waypost_service::counting::rollup::{Dimension, OTHER, Rollup};
use waypost_tests::clicks::{at, click, packed};
use waypost_wire::click::{Batch, Click, Target, VERSION};
use waypost_wire::time::Timestamp;

/// Every batch that has a file. A change of the format adds to the list.
fn batches() -> Vec<(&'static str, Vec<u8>)> {
    let plain = click(7, at(0, 0));
    let targets = [
        Target::Nowhere,
        Target::Default,
        Target::Ios,
        Target::Android,
        Target::Expired,
        Target::Rule { rule: 0, variant: 255 },
    ];
    let flags = [(true, false, false), (false, true, false), (false, false, true)];
    let of_flags = |(head, prefetch, datacentre)| Click { head, prefetch, datacentre, ..plain };
    let times = [0, i64::MIN, i64::MAX, -1].map(|at| Click { at: Timestamp(at), ..plain });
    vec![
        ("plain", packed(1, 0, &[plain])),
        ("every-field", packed(u64::MAX, (1 << 48) - 2, &[every_field(), every_field()])),
        ("orphan", packed(1, 500, &[Click { slug: "typo", ..click(0, at(0, 0)) }])),
        ("nothing-known", packed(1, 0, &[Click { link_id: 7, ..Click::default() }])),
        ("targets", packed(1, 0, &targets.map(|target| Click { target, ..plain }))),
        ("flags", packed(1, 0, &flags.map(of_flags))),
        ("times", packed(1, 0, &times)),
    ]
}

fn every_field() -> Click<'static> {
    Click {
        link_id: (1 << 63) - 1,
        slug: "",
        at: Timestamp(1_795_244_400_123),
        head: true,
        prefetch: true,
        datacentre: true,
        visitor: Some(u64::MAX),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        referrer_host: "news.example",
        country: "DE",
        region: "DE-NW",
        city: "Köln",
        continent: "EU",
        language: "de",
        utm: ["mail", "", "spring%20sale", "", "header"],
        target: Target::Rule { rule: 3, variant: 1 },
    }
}

/// Every rollup that has a file.
fn rollups() -> Vec<(&'static str, Rollup)> {
    let visitors = |count: u64| {
        let mut rollup = Rollup::default();
        for number in 0..count {
            rollup.uniques.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        rollup.totals.add(Class::Human, count);
        rollup
    };
    let mut full = visitors(3);
    for (position, class) in Class::ALL.into_iter().enumerate() {
        full.totals.add(class, 1 << (7 * position));
    }
    for dimension in Dimension::ALL {
        let values = full.breakdowns.entry(dimension).or_default();
        values.insert(format!("{} ü", dimension.name()), 300);
        values.insert(OTHER.to_owned(), 2);
    }
    vec![
        ("empty", Rollup::default()),
        ("full", full),
        ("few-visitors", visitors(512)),
        ("many-visitors", visitors(10_000)),
    ]
}

#[test]
fn every_golden_batch_is_what_today_writes() {
    assert_eq!(VERSION, 1, "a new version has a folder of its own, and this one stays readable");
    for (name, packed) in batches() {
        golden("clicks", name, &packed, batch_meaning);
    }
}

#[test]
fn every_golden_rollup_is_what_today_writes() {
    for (name, rollup) in rollups() {
        golden("rollups", name, &rollup.encode(), rollup_meaning);
    }
}

#[test]
fn every_file_is_read_with_its_meaning() {
    for (kind, meaning) in
        [("clicks", batch_meaning as fn(&[u8]) -> Value), ("rollups", rollup_meaning)]
    {
        let files = fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().path());
        let names: BTreeSet<PathBuf> = files.map(|path| path.with_extension("")).collect();
        assert!(names.len() >= 4, "{names:?}");
        for name in names {
            let bytes = fs::read(name.with_extension("bin")).unwrap();
            let text = fs::read_to_string(name.with_extension("json")).unwrap();
            let written: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(meaning(&bytes), written, "{}", name.display());
        }
    }
}

fn golden(kind: &str, name: &str, today: &[u8], meaning: fn(&[u8]) -> Value) {
    let path = folder(kind).join(format!("{name}.bin"));
    if std::env::var_os("BLESS").is_some() && !path.exists() {
        let text = serde_json::to_string_pretty(&meaning(today)).unwrap();
        fs::create_dir_all(folder(kind)).unwrap();
        fs::write(path.with_extension("json"), text + "\n").unwrap();
        fs::write(&path, today).unwrap();
    }
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(today, bytes, "{name}: today's encoder writes other bytes");
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(kind).join("v1")
}

/// A batch in words: every field of every click.
fn batch_meaning(bytes: &[u8]) -> Value {
    let batch = Batch::parse(bytes).unwrap();
    let click = |(sequence, click): (u64, Click<'_>)| {
        json!({
            "sequence": sequence,
            "link_id": click.link_id,
            "slug": click.slug,
            "at_ms": click.at.0,
            "head": click.head,
            "prefetch": click.prefetch,
            "datacentre": click.datacentre,
            "visitor": click.visitor,
            "user_agent": click.user_agent,
            "referrer_host": click.referrer_host,
            "country": click.country,
            "region": click.region,
            "city": click.city,
            "continent": click.continent,
            "language": click.language,
            "utm": click.utm,
            "target": format!("{:?}", click.target),
        })
    };
    json!({ "source": batch.id().source, "clicks": batch.clicks().map(click).collect::<Vec<_>>() })
}

/// A rollup in words.
fn rollup_meaning(bytes: &[u8]) -> Value {
    let rollup = Rollup::decode(bytes).unwrap();
    let totals = Class::ALL.map(|class| (class.name().to_owned(), rollup.totals.of(class).into()));
    let dimensions = rollup.breakdowns.iter();
    let breakdowns =
        dimensions.map(|(dimension, values)| (dimension.name().to_owned(), json!(values)));
    json!({
        "totals": Value::Object(totals.into_iter().collect()),
        "uniques": rollup.uniques.estimate(),
        "breakdowns": Value::Object(breakdowns.collect()),
    })
}
