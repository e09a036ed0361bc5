//! The manifest and the examples of runtime settings say what the code and the documents say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use toml::{Table, Value};
use waypost_outpost::settings::{SETTINGS, Setting};

use crate::spin_settings;

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table(path: &str) -> Table {
    file(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn at<'a>(table: &'a Table, path: &str) -> &'a Value {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| table.get(name));
    names.fold(first, |value, name| value?.get(name)).unwrap_or_else(|| panic!("no {path}"))
}

#[test]
fn every_setting_is_a_variable_with_the_same_default_and_handed_to_the_component() {
    let manifest = table("edge/spin/spin.toml");
    let variables: BTreeMap<String, Value> = at(&manifest, "variables").clone().try_into().unwrap();
    let handed: BTreeMap<String, String> =
        at(&manifest, "component.edge.variables").clone().try_into().unwrap();
    let settings: Vec<Setting> = SETTINGS.iter().chain(&spin_settings::SETTINGS).copied().collect();
    let names: BTreeSet<&str> = settings.iter().map(|setting| setting.name).collect();
    assert_eq!(variables.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    assert_eq!(handed.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for Setting { name, is_secret, default, help } in settings {
        let variable = &variables[name];
        let is_marked = variable.get("secret").and_then(Value::as_bool).unwrap_or_default();
        assert_eq!(is_marked, is_secret, "{name}");
        assert_eq!(handed[name], format!("{{{{ {name} }}}}"));
        match variable.get("required").and_then(Value::as_bool) {
            Some(true) => assert!(help.starts_with("Required."), "{name}"),
            _ => {
                assert!(!help.starts_with("Required."), "{name}");
                let expected = match name {
                    "waypost_click_flush_ms" => spin_settings::CLICK_FLUSH_MS,
                    _ => default,
                };
                assert_eq!(
                    variable.get("default").and_then(Value::as_str),
                    Some(expected),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn the_component_gets_what_it_needs_and_nothing_else() {
    let manifest = table("edge/spin/spin.toml");
    let component = at(&manifest, "component.edge").as_table().unwrap();
    let keys: Vec<&str> = component.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["allowed_outbound_hosts", "build", "key_value_stores", "source", "variables"]
    );
    assert_eq!(component["key_value_stores"], Value::from(vec!["default"]));
    let hosts = vec!["{{ waypost_origin_url }}", "{{ waypost_sqs_endpoint }}"];
    assert_eq!(component["allowed_outbound_hosts"], Value::from(hosts));
    let version = at(&manifest, "application.version").as_str();
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
    let trigger = &manifest["trigger"]["http"][0];
    assert_eq!(
        (trigger["route"].as_str(), trigger["component"].as_str()),
        (Some("/..."), Some("edge"))
    );
}

#[test]
fn the_build_leaves_the_component_where_the_manifest_looks_for_it() {
    let manifest = table("edge/spin/spin.toml");
    let command = at(&manifest, "component.edge.build.command").as_str().unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let option = |name| {
        let at = words.iter().position(|word| *word == name).unwrap_or_else(|| panic!("no {name}"));
        words[at + 1]
    };
    assert_eq!(words[..2], ["cargo", "build"]);
    let package = option("--package").replace('-', "_");
    let (target, profile) = (option("--target"), option("--profile"));
    let expected = format!("{}/{target}/{profile}/{package}.wasm", option("--target-dir"));
    assert_eq!(at(&manifest, "component.edge.source").as_str(), Some(expected.as_str()));
}

#[test]
fn every_example_of_a_store_is_one_of_spins_and_the_document_tells_of_it() {
    let document = file("docs/spin.md");
    // Kinds and keys as Spin 4.1 reads them.
    for (name, kind, keys) in [
        ("redis", "redis", &["url"][..]),
        ("dynamodb", "aws_dynamo", &["region", "table", "consistent_read"]),
        ("sqlite", "spin", &["path"]),
    ] {
        let path = format!("edge/spin/runtime-config.{name}.toml");
        let config = table(&path);
        assert_eq!(config.keys().collect::<Vec<_>>(), ["key_value_store"], "{path}");
        let store = at(&config, "key_value_store.default").as_table().unwrap();
        let found: BTreeSet<&str> = store.keys().map(String::as_str).collect();
        let expected: BTreeSet<&str> = keys.iter().copied().chain(["type"]).collect();
        assert_eq!((store["type"].as_str(), found), (Some(kind), expected), "{path}");
        assert!(document.contains(&format!("runtime-config.{name}.toml")), "{path}");
    }
    let dynamodb = table("edge/spin/runtime-config.dynamodb.toml");
    for told in
        ["`PK`", "`VAL`", at(&dynamodb, "key_value_store.default.table").as_str().unwrap(), "4.1"]
    {
        assert!(document.contains(told), "docs/spin.md lacks {told}");
    }
}

#[test]
fn settings_of_spin_alone_are_told_in_its_document() {
    let document = file("docs/spin.md");
    for setting in spin_settings::SETTINGS {
        assert!(document.contains(&format!("`{}`", setting.name)), "{}", setting.name);
    }
    assert!(
        document
            .contains(&format!("`waypost_click_flush_ms` is {}", spin_settings::CLICK_FLUSH_MS))
    );
}
