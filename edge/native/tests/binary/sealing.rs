//! Links sealed at rest: files that tell nothing, keys that are missing, wrong, or replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::http::{FIREFOX, create, get, post_form, send};
use crate::process::{Installation, Server};

const NOTES: &str = "between the two of us";
const HIDDEN: &str = "https://hidden.example/behind-a-password";

/// An installation with a file of keys, made by the program.
fn sealed() -> Installation {
    let mut installation = Installation::new();
    let done = installation.run(&["seal-keys", "new", "seal.keys"]);
    assert!(done.status.success(), "{done:?}");
    switch_on(&mut installation);
    installation
}

fn switch_on(installation: &mut Installation) {
    installation.set("WAYPOST_SEAL_KEYS_FILE", "seal.keys");
}

/// Makes a public link with notes, and a private one; under an idempotency key.
fn make_links(server: &Server) -> Vec<Value> {
    let public = json!({ "destination": "https://example.com/", "slug": "open", "notes": NOTES });
    let private = json!({
        "destination": HIDDEN, "slug": "pw", "password": "open sesame", "notes": NOTES,
        "title": "Title", "tags": ["spring"],
    });
    let made = |link: &Value, key: &str| {
        let call = create(link).header("idempotency-key", key);
        uncounted(server.api(call).expect(201).json())
    };
    vec![made(&public, "order-1"), made(&private, "order-2")]
}

/// A link without its clicks, which come late.
fn uncounted(mut link: Value) -> Value {
    link.as_object_mut().expect("a link").remove("clicks");
    link
}

/// The links are there as they were made, and are followed.
fn see_links(server: &Server, made: &[Value]) {
    for link in made {
        let slug = link["slug"].as_str().expect("a slug");
        assert_eq!(uncounted(server.read(&format!("/api/v1/links/{slug}"))), *link);
    }
    assert_eq!(server.answer(&get("/open")).expect(302).to(), "https://example.com/");
    assert!(!server.answer(&get("/pw").agent(FIREFOX)).text().contains("hidden.example"));
    let right = server.answer(&post_form("/pw", "password=open+sesame").agent(FIREFOX)).expect(303);
    let cookie = right.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let followed = server.answer(&get("/pw").agent(FIREFOX).header("cookie", &cookie));
    assert_eq!(followed.expect(302).to(), HIDDEN);
}

/// Whether a file below the directory holds the text.
fn is_told(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return is_told(&path, text);
        }
        let bytes = fs::read(path).expect("a file");
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

fn told(installation: &Installation) -> [bool; 2] {
    [NOTES, "hidden.example"].map(|text| is_told(&installation.data_dir(), text))
}

/// What a command that must succeed printed.
fn out(done: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

/// What a start that must be refused said.
fn refusal(installation: &Installation) -> String {
    let done = installation.run(&[]);
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(matches!(done.status.code(), Some(1 | 2)), "{text}");
    assert_eq!(done.stdout, b"", "nothing was served");
    text
}

#[test]
fn the_data_directory_tells_nothing_of_what_is_sealed() {
    let installation = sealed();
    let server = installation.start();
    let made = make_links(&server);
    see_links(&server, &made);
    let edit = json!({ "notes": format!("{NOTES}, again") });
    server.api(send("PATCH", "/api/v1/links/open", &edit)).expect(200);
    assert_eq!(told(&installation), [false, false], "while it is served");
    server.kill();
    assert_eq!(told(&installation), [false, false], "after a crash");
    let server = installation.start();
    assert_eq!(server.read("/api/v1/links/open")["notes"], edit["notes"]);
    see_links(&server, &made[1..]);
    let again = json!({ "destination": "https://example.com/", "slug": "open", "notes": NOTES });
    let replayed = server.api(create(&again).header("idempotency-key", "order-1")).expect(201);
    assert_eq!(uncounted(replayed.json()), made[0]);
    server.stop();
    assert_eq!(told(&installation), [false, false], "after an end");
}

#[test]
fn a_server_without_the_right_keys_does_not_start() {
    let mut installation = sealed();
    let server = installation.start();
    let made = make_links(&server);
    server.stop();

    installation.unset("WAYPOST_SEAL_KEYS_FILE");
    let text = refusal(&installation);
    assert!(text.contains("is sealed with key 1, which is not among the keys"), "{text}");
    assert!(text.contains("put it back"), "{text}");
    let other = format!("1:{}", "ab".repeat(32));
    installation.set("WAYPOST_SEAL_KEYS", &other);
    let text = refusal(&installation);
    assert!(text.contains("is sealed with another key 1"), "{text}");
    assert!(!text.contains("abab"), "a key was printed");
    switch_on(&mut installation);
    let text = refusal(&installation);
    assert!(text.contains("WAYPOST_SEAL_KEYS_FILE: WAYPOST_SEAL_KEYS is set as well"), "{text}");

    installation.unset("WAYPOST_SEAL_KEYS");
    let file = installation.directory().join("seal.keys");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let text = refusal(&installation);
    assert!(text.contains("seal.keys is open to others, mode 640: chmod 600"), "{text}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    see_links(&installation.start(), &made);
}

#[test]
fn keys_are_switched_on_replaced_and_taken_out() {
    let mut installation = Installation::new();
    let server = installation.start();
    let made = make_links(&server);
    server.stop();
    assert_eq!(told(&installation), [true, true]);
    let refused = installation.run(&["reseal"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("there are no keys to seal with"), "{text}");

    // Switched on: what is there is still plain, and is read.
    out(&installation.run(&["seal-keys", "new", "seal.keys"]));
    switch_on(&mut installation);
    let server = installation.start();
    see_links(&server, &made);
    let second = installation.run(&["reseal"]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another Waypost process"));
    server.stop();
    let text = out(&installation.run(&["reseal"]));
    assert_eq!(
        text,
        "2 links, 2 sealed anew with key 1\n\
         what lay in the database file before is written over\n\
         in use: key 1, by 2 links\n"
    );
    assert_eq!(told(&installation), [false, false]);
    see_links(&installation.start(), &made);

    // Replaced.
    let text = out(&installation.run(&["seal-keys", "new", "seal.keys"]));
    assert!(text.contains("has the new key 2 in front"), "{text}");
    see_links(&installation.start(), &made);
    let text = out(&installation.run(&["reseal"]));
    assert!(text.starts_with("2 links, 2 sealed anew with key 2\n"), "{text}");
    assert!(text.contains("in use: key 2, by 2 links\n"), "{text}");
    assert!(text.contains("not in use any more: key 1; take it out"), "{text}");
    let text = out(&installation.run(&["reseal"]));
    assert!(text.starts_with("2 links, 0 sealed anew with key 2\nin use: key 2"), "{text}");

    // Taken out.
    let file = installation.directory().join("seal.keys");
    let keys = fs::read_to_string(&file).expect("keys");
    let kept: Vec<&str> = keys.lines().filter(|line| !line.starts_with("1:")).collect();
    fs::write(&file, kept.join("\n")).expect("written");
    let server = installation.start();
    see_links(&server, &made);
    assert_eq!(told(&installation), [false, false]);
}

#[test]
fn backups_exports_and_checks_work_with_sealed_links() {
    let mut installation = sealed();
    let server = installation.start();
    let made = make_links(&server);
    out(&installation.run(&["backup", "copy.db"]));
    server.stop();

    // The copy has neither what is sealed nor the key.
    let copy = fs::read(installation.directory().join("copy.db")).expect("a copy");
    let keys = fs::read_to_string(installation.directory().join("seal.keys")).expect("keys");
    let hex = keys.lines().find_map(|line| line.strip_prefix("1:")).expect("a key");
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
    for secret in [NOTES.as_bytes(), b"hidden.example", hex.as_bytes(), &bytes] {
        assert!(!copy.windows(secret.len()).any(|part| part == secret));
    }

    // Edges get records as they read them; not without the keys.
    let exported = out(&installation.run(&["edge", "export", "--format", "redis"]));
    assert!(exported.contains("hidden.example"), "{exported}");
    let doctor = |installation: &Installation| {
        let done = installation.run(&["doctor", "--json"]);
        let answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let checks = answer["checks"].as_array().expect("checks").clone();
        let verdict = |name: &str| {
            let check = checks.iter().find(|check| check["name"] == name);
            check.unwrap_or_else(|| panic!("no {name} in {checks:?}"))["verdict"].clone()
        };
        ["seal keys", "closed windows", "content"].map(verdict)
    };
    assert_eq!(doctor(&installation), ["ok", "ok", "ok"]);
    installation.unset("WAYPOST_SEAL_KEYS_FILE");
    assert_eq!(doctor(&installation), ["warn", "ok", "ok"]);
    let refused = installation.run(&["edge", "export"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("sealed with key 1"), "{text}");

    // A backup is put back without the key, and served with it.
    out(&installation.run(&["restore", "copy.db", "--replace"]));
    assert!(refusal(&installation).contains("sealed with key 1"));
    switch_on(&mut installation);
    see_links(&installation.start(), &made);
}
