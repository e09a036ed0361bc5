//! The command line against a running server, and on its data.

use std::fs;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::http::{Call, FIREFOX, create, get};
use crate::process::{ADMIN_KEY, Installation, Server, wait_for};

/// Runs a command against a server; it must succeed. Answers what it printed.
fn tell(installation: &Installation, server: &Server, arguments: &[&str]) -> String {
    let url = format!("http://{}", server.address());
    let variables = [("WAYPOST_URL", &*url), ("WAYPOST_KEY", ADMIN_KEY)];
    let done = installation.run_with(arguments, &variables);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn every_command_does_what_it_says() {
    let installation = Installation::new();
    let server = installation.start();
    let say = |line: &str| {
        tell(
            &installation,
            &server,
            &shlex::split(line).expect("words").iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    let read = |line: &str| -> Value { serde_json::from_str(&say(line)).expect("JSON") };

    let made = read("link create https://example.com/from-the-shell --slug shell --tag cli --json");
    assert_eq!(made["short_url"], json!("http://go.example/shell"));
    assert_eq!(
        read("link show shell --json")["destination"],
        json!("https://example.com/from-the-shell")
    );
    assert_eq!(read("link list --tag cli --json")["data"][0]["slug"], json!("shell"));
    say("link update shell --destination https://example.com/updated");
    let visit = get("/shell").agent(FIREFOX);
    assert_eq!(server.answer(&visit).to(), "https://example.com/updated");
    let explained = read("link explain shell --country DE --json");
    assert_eq!(explained["location"], json!("https://example.com/updated"));
    say("link disable shell");
    server.answer(&visit).expect(404);
    say("link enable shell");
    server.answer(&visit).expect(302);
    let is_counted = || read("stats shell --json")["totals"]["human"] == json!(2);
    wait_for("the clicks", || is_counted().then_some(()));

    let key = say("keys create --name ci --role viewer");
    let read_only = |call: Call| {
        server.answer(&call.header("authorization", &format!("Bearer {}", key.trim())))
    };
    read_only(get("/api/v1/links/shell")).expect(200);
    read_only(create(&json!({ "destination": "https://example.com/" }))).expect(403);

    assert_eq!(read("cleanup --dry-run --json")["dry_run"], json!(true));
    say("link delete shell --yes");
    server.answer(&visit).expect(410);
    assert_eq!(read("link list --json")["data"], json!([]));
}

#[test]
fn a_file_of_links_is_imported_once() {
    let installation = Installation::new();
    let server = installation.start();
    let file = installation.directory().join("links.csv");
    let rows = (0..300).map(|row| format!("https://example.com/{row},row-{row},\"Row, {row}\"\n"));
    fs::write(&file, format!("destination,slug,title\n{}", rows.collect::<String>()))
        .expect("a file");
    let import = |more: &[&str]| {
        let arguments = ["import", file.to_str().expect("a path")];
        tell(&installation, &server, &[&arguments, more].concat());
    };
    import(&[]);
    server.answer(&get("/row-0")).expect(404);
    for _ in 0..2 {
        import(&["--apply"]);
        for row in [0, 150, 299] {
            let followed = server.answer(&get(&format!("/row-{row}"))).expect(302);
            assert_eq!(followed.to(), format!("https://example.com/{row}"));
        }
    }
    assert_eq!(server.read("/api/v1/links/row-7")["title"], json!("Row, 7"));
}

/// A server on a restored backup.
fn restored(backup: &Path) -> (Installation, Server) {
    let other = Installation::new();
    let done = other.run(&["restore", backup.to_str().expect("a path")]);
    assert!(done.status.success(), "{done:?}");
    let server = other.start();
    (other, server)
}

#[test]
fn a_backup_made_while_links_are_made_is_whole() {
    let installation = Installation::new();
    let server = installation.start();
    let make = |number: usize| {
        let destination = format!("https://example.com/{number}");
        let link = json!({ "destination": destination, "slug": format!("link-{number}") });
        server.api(create(&link)).expect(201);
    };
    (0..50).for_each(make);
    let backup = installation.directory().join("waypost-backup.db");
    let arguments = ["backup", backup.to_str().expect("a path")];
    thread::scope(|scope| {
        let making = scope.spawn(|| (50..250).for_each(make));
        tell(&installation, &server, &arguments);
        making.join().expect("links");
    });
    let (other, restored) = restored(&backup);
    let found: Vec<bool> = (0..250)
        .map(|number| restored.answer(&get(&format!("/link-{number}"))).status == 302)
        .collect();
    let whole = found.iter().take_while(|is_there| **is_there).count();
    assert!(whole >= 50 && !found[whole..].contains(&true), "{found:?}");
    // Its keys are those of the server it was taken from.
    restored.api(get("/api/v1/links/link-0")).expect(200);
    restored.stop();
    let doctor = other.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}
