//! The user agent scanner on lists of real user agents, against the lists' own labels and against
//! an independent parser. `tests/data/agents/README.md` tells where the lists come from and why
//! the scanner knowingly differs.
//!
//! `BLESS=1 cargo test -p waypost-tests --test agents` stores the differences anew: read them.

use std::path::PathBuf;

use waypost_core::agent::{Agent, Robot, parse};
use waypost_wire::agent::{Browser, Device, Os};
use woothee::parser::{Parser, WootheeResult};

#[test]
fn people_robots_and_previews_are_told_apart_but_for_the_listed() {
    let mut exceptions = String::new();
    for (list, expected) in
        [("people", None), ("previews", Some(Robot::LinkPreview)), ("robots", Some(Robot::Bot))]
    {
        for line in read(list).lines() {
            let agent = parse(line);
            assert_eq!(agent.robot.is_some(), agent.device == Device::Bot, "{line}");
            if agent.robot != expected {
                exceptions += &format!("{list}\t{}\t{line}\n", list_of(agent.robot));
            }
        }
    }
    compare("exceptions", &exceptions);
}

#[test]
fn devices_systems_and_browsers_of_people_agree_with_woothee_but_for_the_listed() {
    let woothee = Parser::new();
    let mut disagreements = String::new();
    for line in read("people").lines() {
        let ours = parse(line);
        let Some(theirs) = woothee.parse(line) else {
            continue;
        };
        if ours.robot.is_some() {
            continue;
        }
        for (what, ours, theirs) in [
            ("device", device_name(&ours), device_of(&theirs)),
            ("os", ours.os.name(), os_of(&theirs).map(Os::name)),
            ("browser", ours.browser.name(), browser_of(&theirs).map(Browser::name)),
        ] {
            if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
                disagreements += &format!("{what}\t{ours}\t{theirs}\t{line}\n");
            }
        }
    }
    let mut sorted: Vec<&str> = disagreements.lines().collect();
    sorted.sort_unstable();
    compare("disagreements", &(sorted.join("\n") + "\n"));
}

#[test]
fn every_beginning_of_every_user_agent_has_an_answer() {
    for list in ["people", "previews", "robots"] {
        for line in read(list).lines() {
            for (end, _) in line.char_indices() {
                let agent = parse(&line[..end]);
                assert_eq!(agent.robot.is_some(), agent.device == Device::Bot, "{line}");
            }
        }
    }
}

/// The list a user agent would stand in by our answer.
fn list_of(robot: Option<Robot>) -> &'static str {
    match robot {
        None => "people",
        Some(Robot::Bot) => "robots",
        Some(Robot::LinkPreview) => "previews",
    }
}

/// Our device; woothee does not tell tablets from telephones.
fn device_name(agent: &Agent) -> &'static str {
    match agent.device {
        Device::Mobile | Device::Tablet => "handheld",
        device => device.name(),
    }
}

/// Woothee's category as a device; `None` if it has no opinion.
fn device_of(theirs: &WootheeResult<'_>) -> Option<&'static str> {
    match theirs.category {
        "appliance" | "pc" => Some("desktop"),
        "crawler" => Some("bot"),
        "mobilephone" | "smartphone" => Some("handheld"),
        _ => None,
    }
}

/// Woothee's system; `None` if it has no opinion.
fn os_of(theirs: &WootheeResult<'_>) -> Option<Os> {
    match theirs.os {
        "UNKNOWN" => None,
        "Android" => Some(Os::Android),
        "ChromeOS" => Some(Os::ChromeOs),
        "iOS" | "iPad" | "iPhone" | "iPod" => Some(Os::Ios),
        "Linux" => Some(Os::Linux),
        os if os.starts_with("Mac OS") => Some(Os::MacOs),
        os if os.starts_with("Windows") => Some(Os::Windows),
        _ => Some(Os::Other),
    }
}

/// Woothee's browser; `None` if it has no opinion.
fn browser_of(theirs: &WootheeResult<'_>) -> Option<Browser> {
    match theirs.name {
        "UNKNOWN" => None,
        "Chrome" => Some(Browser::Chrome),
        "Edge" => Some(Browser::Edge),
        "Firefox" => Some(Browser::Firefox),
        "Google Search App" => Some(Browser::Google),
        "Opera" => Some(Browser::Opera),
        "Safari" => Some(Browser::Safari),
        "SamsungBrowser" => Some(Browser::Samsung),
        _ => Some(Browser::Other),
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/agents").join(name).with_extension("txt")
}

fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares the found differences with the stored ones, line by line.
fn compare(name: &str, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path(name), found).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let stored = read(name);
    let new: Vec<&str> =
        found.lines().filter(|line| !stored.lines().any(|old| old == *line)).collect();
    let gone: Vec<&str> =
        stored.lines().filter(|line| !found.lines().any(|new| new == *line)).collect();
    assert!(new.is_empty() && gone.is_empty(), "{name}.txt\nnew: {new:#?}\ngone: {gone:#?}");
}
