//! Commands on a data directory.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};

use crate::waypost::Waypost;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[test]
fn a_backup_is_made_while_the_database_is_served_and_restored_elsewhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, copy, other) = (
        directory.path().join("data"),
        directory.path().join("copy.db"),
        directory.path().join("other"),
    );
    let db = Db::open(&data.join(FILE_NAME), &DbOptions::default()).expect("a database");

    let out = Waypost::new().run(&["backup", text(&copy), "--data-dir", text(&data)]).quietly();
    assert!(out.starts_with(&format!("{} is written and checked: ", text(&copy))), "{out}");

    let err = Waypost::new().run(&["backup", text(&copy), "--data-dir", text(&data)]).refused(1);
    assert!(err.contains("exists"), "{err}");

    let err = Waypost::new()
        .run(&["restore", text(&copy), "--data-dir", text(&data), "--replace"])
        .refused(1);
    assert!(err.contains("in use by another Waypost process"), "{err}");
    drop(db);

    let err = Waypost::new().run(&["restore", text(&copy), "--data-dir", text(&data)]).refused(1);
    assert!(err.contains("exists: --replace replaces it"), "{err}");
    for (args, place) in [
        (&["restore", text(&copy), "--data-dir", text(&data), "--replace"][..], &data),
        (&["restore", text(&copy), "--data-dir", text(&other)], &other),
    ] {
        let out = Waypost::new().run(args).quietly();
        assert!(out.starts_with(&format!("{} is restored: ", text(place))), "{out}");
        drop(Db::open(&place.join(FILE_NAME), &DbOptions::default()).expect("it opens"));
    }
}

#[test]
fn the_data_directory_is_the_servers() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("w.toml");
    // Other settings may be wrong: the data is wanted all the same.
    fs::write(&config, "data_dir = '/nowhere/in/file'\nmachine_id = 'x'").expect("a file");
    let to = directory.path().join("copy.db");
    let run = |waypost: Waypost, args: &[&str]| {
        let done = waypost.run(&[&["backup", text(&to)], args].concat());
        assert_eq!(done.code, ExitCode::FAILURE);
        done.err
    };
    let file = ["--config", text(&config)];
    assert!(run(Waypost::new(), &file).contains("/nowhere/in/file/waypost.db"));
    let variable = Waypost::new().variable("WAYPOST_DATA_DIR", "/nowhere/in/variable");
    assert!(run(variable.clone(), &file).contains("/nowhere/in/variable/waypost.db"));
    assert!(
        run(variable, &["--data-dir", "/nowhere/in/flag"]).contains("/nowhere/in/flag/waypost.db")
    );
    fs::write(&config, "data_dir = 7").expect("a file");
    let err = Waypost::new().run(&["backup", text(&to), "--config", text(&config)]).refused(2);
    assert!(err.contains("is of the type integer; expected a directory in quotes"), "{err}");
}
