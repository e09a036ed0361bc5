use std::fs;
use std::process::ExitCode;

use waypost_host::settings::SETTINGS;

use crate::waypost::Waypost;

#[test]
fn every_setting_is_a_flag_with_its_help() {
    let help = Waypost::new().run(&["serve", "--help"]).quietly();
    for setting in SETTINGS {
        let flag = setting.key.replace('_', "-");
        assert!(help.contains(&format!("--{flag} ")), "{flag}\n{help}");
        assert!(help.contains(&format!("[env: WAYPOST_{}]", setting.key.to_uppercase())), "{flag}");
    }
    let root = Waypost::new().run(&["--help"]).quietly();
    assert!(!root.contains("--quarantine-days"), "{root}");
}

#[test]
fn flags_then_variables_then_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("waypost.toml");
    fs::write(&file, "listen = '127.0.0.1:3'\nmachine_id = 3\nquarantine_days = 3")
        .expect("a file");
    let file = file.to_str().expect("a path");
    let variables = Waypost::new()
        .variable("WAYPOST_LISTEN", "127.0.0.1:2")
        .variable("WAYPOST_MACHINE_ID", "2");
    let by_flag = variables.clone().run(&["serve", "--config", file, "--listen", "127.0.0.1:1"]);
    let by_variable = variables.variable("WAYPOST_CONFIG", file).run(&["--listen", "127.0.0.1:1"]);
    for done in [by_flag, by_variable] {
        // What the server answers is what the program answers.
        assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (ExitCode::from(42), "", ""));
        let settings = done.served.expect("a server");
        assert_eq!(
            (settings.listen.port(), settings.machine_id, settings.quarantine_days),
            (1, 2, 3)
        );
    }
}

#[test]
fn without_anything_the_server_starts() {
    let done = Waypost::new().run(&[]);
    assert_eq!(done.code, ExitCode::from(42));
    assert_eq!(done.served.expect("a server").listen.port(), 8080);
}

#[test]
fn a_switch_alone_is_a_yes() {
    for (args, expected) in [
        (&["serve", "--slug-slashes"][..], true),
        (&["serve", "--slug-slashes", "no"], false),
        (&["serve"], false),
    ] {
        assert_eq!(
            Waypost::new().run(args).served.expect("a server").slug_slashes,
            expected,
            "{args:?}"
        );
    }
}

#[test]
fn all_faults_of_all_sources_are_told_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("w.toml");
    fs::write(&file, "colour = 'red'").expect("a file");
    let file = file.to_str().expect("a path");
    let done = Waypost::new().variable("WAYPOST_CODE_STRATEGY", "luck").run(&[
        "serve",
        "--config",
        file,
        "--machine-id",
        "1024",
    ]);
    assert!(done.served.is_none());
    let err = done.refused(2);
    for part in [
        "error: the settings are not right:\n",
        "\n  --machine-id: \"1024\"; expected a whole number from 0 to 1023\n",
        "\n  WAYPOST_CODE_STRATEGY: \"luck\"; expected random, sequence, snowflake\n",
        &format!("\n  colour in {file}: there is no such setting; "),
    ] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
}

#[test]
fn a_settings_file_that_is_named_must_be_there_and_be_toml() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing.toml");
    let err = Waypost::new()
        .run(&["serve", "--config", missing.to_str().expect("a path"), "--machine-id", "x"])
        .refused(2);
    assert!(
        err.contains("\n  --config: cannot read ") && err.contains("\n  --machine-id: \"x\";"),
        "{err}"
    );
    let broken = directory.path().join("broken.toml");
    fs::write(&broken, "listen = '127.0.0.1:1'\nadmin_key = 'not closed secret").expect("a file");
    let err = Waypost::new()
        .variable("WAYPOST_CONFIG", broken.to_str().expect("a path"))
        .run(&["serve"])
        .refused(2);
    assert!(err.contains("WAYPOST_CONFIG: ") && err.contains("is no TOML: line 2: "), "{err}");
    assert!(!err.contains("secret"), "a key was printed");
}
