//! What a stranger sees in the first minute: a key, a line to paste, a link that works and counts.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::http::{Call, FIREFOX, call, get};
use crate::process::{Installation, Server, wait_for};

/// The call that a line for a shell makes.
fn pasted(line: &str, server: &Server) -> Call {
    let mut words = shlex::split(line).expect("a line a shell can read").into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"));
    let base = format!("http://{}", server.address());
    let (mut path, mut headers, mut body) = (None, Vec::new(), None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-H" => headers.push(words.next().expect("a header")),
            "-d" => body = Some(words.next().expect("a body")),
            url => path = Some(url.strip_prefix(&base).expect("this server").to_owned()),
        }
    }
    let mut call = call("POST", &path.expect("an address")).body(body.expect("a body").as_bytes());
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a name and a value");
        call = call.header(name, value);
    }
    call
}

/// Whether a file in a directory, or below it, has these bytes.
fn is_stored(directory: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(directory).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => is_stored(&path, bytes),
            false => {
                let content = fs::read(&path).expect("a file");
                content.windows(bytes.len()).any(|window| window == bytes)
            }
        }
    })
}

#[test]
fn a_stranger_has_a_link_that_works_and_counts() {
    let mut installation = Installation::new();
    installation.unset("WAYPOST_ADMIN_KEY");
    installation.unset("WAYPOST_PUBLIC_URL");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
    installation.set("WAYPOST_LISTEN", &free.to_string());

    let server = installation.start();
    let trimmed = |start: &'static str| {
        move |line: &str| Some(line.trim().to_owned()).filter(|line| line.starts_with(start))
    };
    let key = server.printed("key", trimmed("wp_"));
    let line = server.printed("line to paste", trimmed("curl "));
    let made = server.answer(&pasted(&line, &server)).expect(201).json();
    assert_eq!(made["destination"], json!("https://example.com/"));
    let slug = made["slug"].as_str().expect("a slug").to_owned();
    assert_eq!(made["short_url"], json!(format!("http://{free}/{slug}")));

    let followed = server.answer(&get(&format!("/{slug}")).agent(FIREFOX)).expect(302);
    assert_eq!(followed.to(), "https://example.com/");
    let stats = get(&format!("/api/v1/links/{slug}/stats"))
        .header("authorization", &format!("Bearer {key}"));
    let counted = |totals: &Value| totals["all"] == json!(1) && totals["human"] == json!(1);
    wait_for("the click", || {
        counted(&server.answer(&stats).expect(200).json()["totals"]).then_some(())
    });

    let ended = server.stop();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.log.contains(&key), "the key is in the log");
    assert!(!is_stored(&installation.data_dir(), key.as_bytes()), "the key is on the disk");
    assert!(is_stored(&installation.data_dir(), slug.as_bytes()), "the search for it finds things");

    let server = installation.start();
    assert_eq!(server.answer(&stats).expect(200).json()["totals"]["all"], json!(1));
    let ended = server.stop();
    assert_eq!(ended.stdout, "", "the key is shown once");
}
