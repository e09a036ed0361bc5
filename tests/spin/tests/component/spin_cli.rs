//! The component on a real Spin, where there is one: 4.1 or newer.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use waypost_tests::wire::exchange;
use waypost_tests_spin::origin::ORIGIN_KEY;
use waypost_wire::codec::encode;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::sync::{Change, Entry, Outcome, PATH, Sync, decode_outcomes};
use waypost_wire::time::Timestamp;

use crate::bench::{key, keys, link};

/// Spin, which ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The version of the Spin on the PATH, if it is new enough.
fn version() -> Result<String, String> {
    let output = Command::new("spin").arg("--version").output();
    let output = output.map_err(|error| format!("there is no spin on the PATH ({error})"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let number = said.split(' ').nth(1).unwrap_or_default();
    let mut parts = number.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if (major, minor) >= (4, 1) => Ok(said),
        _ => Err(format!("{said:?} is older than 4.1")),
    }
}

#[tokio::test]
async fn spin_runs_it() {
    // Not with `println`, which is heard only of tests that fail.
    let say = |line: String| std::io::stderr().write_all(line.as_bytes()).unwrap();
    match version() {
        Ok(version) => say(format!("\na test runs on {version}\n")),
        Err(why) => return say(format!("\na test on Spin itself is skipped: {why}\n")),
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../edge/spin");
    let mut spin = Command::new("spin");
    spin.current_dir(folder)
        .args(["up", "--listen", "127.0.0.1:0", "--format", "json", "--state-dir", "", "--quiet"])
        .args(["--variable", "waypost_public_url=https://s.example"])
        .args(["--variable", "waypost_domains=s.example unchecked"])
        .args(["--variable", &format!("waypost_edge_keys={}", keys())])
        .args(["--variable", "waypost_sync=true"])
        .stdout(Stdio::piped());
    let mut running = Running(spin.spawn().unwrap());
    let mut said = String::new();
    // Kept open: who writes to a closed pipe ends.
    let mut stdout = BufReader::new(running.0.stdout.take().unwrap());
    while serde_json::from_str::<Value>(&said).is_err() {
        assert!(stdout.read_line(&mut said).unwrap() > 0, "Spin ended: {said}");
    }
    let said: Value = serde_json::from_str(&said).unwrap();
    let address = said["base_url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let address = address.parse().unwrap();

    let abc = key("abc");
    let record = encode(&link(1, "https://example.com/"));
    let entries = vec![Entry { key: &abc, change: Change::Put(&record) }];
    let body = Sync { entries, state: None }.encode();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let now = Timestamp(i64::try_from(now).unwrap());
    let (signature, _) = OriginKey::new(ORIGIN_KEY).sign_question(PATH, &body, now);
    let head = format!(
        "PUT /_/sync HTTP/1.1\r\nhost: s.example\r\nconnection: close\r\n{HEADER}: {signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = exchange(address, &[head.as_bytes(), &body].concat()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(decode_outcomes(&answer.body), Ok(vec![Outcome::Stored]));
    for (path, expected) in [("/abc", 302), ("/none", 404)] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: s.example\r\nconnection: close\r\n\r\n");
        let answer = exchange(address, request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, expected, "{path}");
        assert!(answer.header("content-length").is_some(), "{path}");
    }
}
