use super::*;

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn read(
    flags: &[(&str, &str)],
    environment: &[(&str, &str)],
    file: &str,
) -> Result<Settings, Vec<String>> {
    let table: toml::Table = file.parse().expect("TOML");
    Settings::read(&strings(flags), &strings(environment), Some(("waypost.toml", &table)))
        .map_err(|faults| faults.iter().map(Fault::to_string).collect())
}

#[test]
fn nothing_has_to_be_set() {
    let settings = read(&[], &[], "").expect("defaults");
    assert_eq!(settings.listen, "127.0.0.1:8080".parse().expect("address"));
    assert_eq!(settings.public_url, "http://127.0.0.1:8080");
    assert_eq!(settings.domains.len(), 1);
    assert_eq!(settings.domains[0].name, "127.0.0.1");
    assert_eq!(settings.domains[0].base_url, "http://127.0.0.1:8080");
    assert!(settings.any_host);
    assert_eq!(settings.cleanup_at, Time::constant(2, 0, 0, 0));
    assert_eq!(settings.admin_key, None);
}

#[test]
fn flags_come_before_variables_before_the_file() {
    let file = "listen = '127.0.0.1:3'\nmachine_id = 3\nquarantine_days = 3";
    let settings =
        read(&[("listen", "127.0.0.1:1")], &[("listen", "127.0.0.1:2"), ("machine_id", "2")], file)
            .expect("settings");
    assert_eq!(settings.listen.port(), 1);
    assert_eq!(settings.machine_id, 2);
    assert_eq!(settings.quarantine_days, 3);
}

#[test]
fn all_faults_are_reported_at_once() {
    let faults = read(
        &[("listen", "here")],
        &[("code_strategy", "luck"), ("admin_key", "secret-short"), ("geoip", "/no/such/file")],
        "machine_id = 1024\ncolour = 'red'\ncors_origins = ['https://a.example/']",
    )
    .expect_err("faults");
    assert_eq!(faults.len(), 7, "{faults:#?}");
    let all = faults.join("\n");
    for part in [
        "--listen: \"here\"",
        "WAYPOST_CODE_STRATEGY: \"luck\"; expected random, sequence, snowflake",
        "WAYPOST_ADMIN_KEY: the key is too short",
        "WAYPOST_GEOIP: there is no file /no/such/file",
        "machine_id in waypost.toml: \"1024\"; expected a whole number from 0 to 1023",
        "colour in waypost.toml: there is no such setting",
        "cors_origins in waypost.toml",
    ] {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
    assert!(!all.contains("secret-short"), "a key was printed");
}

#[test]
fn domains_come_from_lists_and_tables() {
    let settings = read(
        &[("public_url", "https://Go.Example/")],
        &[],
        "[[domains]]\nname = 'bücher.example'\nignore_case = true\nhome = 'https://example.com'\n\
         [[domains]]\nname = 'go.example'\ncheck_characters = false",
    )
    .expect("settings");
    assert_eq!(settings.public_url, "https://go.example");
    assert!(!settings.any_host);
    let names: Vec<&str> = settings.domains.iter().map(|domain| domain.name.as_str()).collect();
    assert_eq!(names, ["go.example", "xn--bcher-kva.example"]);
    assert!(!settings.domains[0].check_characters);
    assert_eq!(settings.domains[1].base_url, "https://xn--bcher-kva.example");
    assert_eq!(settings.domains[1].home.as_deref(), Some("https://example.com/"));
    let listed = read(&[("domains", "a.example, b.example")], &[], "").expect("settings");
    assert_eq!(listed.domains.len(), 3);
}

#[test]
fn bad_domains_are_refused() {
    for file in [
        "[[domains]]\nname = 'a b'",
        "[[domains]]\nname = 'a.example'\nnom = 1",
        "[[domains]]\nurl = 'https://a.example'",
        "domains = ['a.example/x']",
        "public_url = 'https://user@a.example'",
        "public_url = 'ftp://a.example'",
        "public_url = 'https://a.example/path'",
    ] {
        assert!(read(&[], &[], file).is_err(), "{file}");
    }
}

#[test]
fn every_default_is_valid_and_every_key_unique() {
    let keys: std::collections::BTreeSet<&str> = SETTINGS.iter().map(|s| s.key).collect();
    assert_eq!(keys.len(), SETTINGS.len());
    for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
        let explicit = read(&[(setting.key, setting.default)], &[], "");
        assert!(explicit.is_ok(), "{}", setting.key);
    }
}

#[test]
fn a_shared_store_needs_names_and_keys() {
    assert_eq!(read(&[], &[], "").expect("defaults").store, StoreSettings::Sqlite);
    let faults = read(&[("store", "dynamodb"), ("keys", "short")], &[], "").expect_err("faults");
    let missing =
        |key: &str| format!("{key}: it is missing; expected a value, as store is dynamodb");
    let mut expected =
        vec!["--keys: these are no keys; expected a secret has at least 32 characters".to_owned()];
    expected.extend(
        ["links_table", "control_table", "counters_table", "raw_bucket", "clicks_queue_url"]
            .map(missing),
    );
    assert_eq!(faults, expected);
    let secret = "0123456789abcdefghijklmnopqrstuvwxyz";
    let set = [
        ("store", "dynamodb"),
        ("keys", secret),
        ("links_table", "l"),
        ("control_table", "c"),
        ("counters_table", "n"),
        ("raw_bucket", "b"),
        ("clicks_queue_url", "https://sqs.eu-central-1.amazonaws.com/1/clicks"),
    ];
    let StoreSettings::DynamoDb(shared) = read(&set, &[], "").expect("settings").store else {
        panic!("not shared");
    };
    assert_eq!((shared.links_table.as_str(), shared.cleanup_queue_url), ("l", None));
    assert_eq!(shared.keys, Keys::read(secret).expect("keys"));
}
