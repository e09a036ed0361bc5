//! Files of keys that links are sealed with.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::waypost::Waypost;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn keys(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a file");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn a_file_of_keys_is_made_and_grows() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("seal.keys");
    let new = || Waypost::new().run(&["seal-keys", "new", text(&file)]);
    let first = new().quietly();
    assert!(first.starts_with(&format!("{} is made, with key 1.\n", text(&file))), "{first}");
    assert_eq!(mode(&file), 0o600);
    let one = keys(&file);
    assert!(one.len() == 1 && one[0].starts_with("1:") && one[0].len() == 66, "{one:?}");
    assert!(!first.contains(&one[0][2..]), "a key was printed");

    let inode = fs::metadata(&file).expect("a file").ino();
    let second = new().quietly();
    assert!(second.contains("has the new key 2 in front"), "{second}");
    let two = keys(&file);
    assert_eq!((two.len(), &two[1], &two[0][..2]), (2, &one[0], "2:"));
    assert_ne!(two[0][2..], one[0][2..]);
    assert_eq!(mode(&file), 0o600);
    assert_ne!(fs::metadata(&file).expect("a file").ino(), inode, "replaced as a whole");
    let names: Vec<_> = fs::read_dir(directory.path()).expect("a directory").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    // What was made is what the server reads.
    let done = Waypost::new().run(&["serve", "--seal-keys-file", text(&file)]);
    let keys = done.served.expect("settings").seal_keys.expect("keys");
    assert_eq!((keys.current(), keys.numbers().collect::<Vec<_>>()), (2, vec![1, 2]));
}

#[test]
fn a_file_that_is_named_by_a_link_stays_where_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, name) = (directory.path().join("seal.keys"), directory.path().join("name"));
    Waypost::new().run(&["seal-keys", "new", text(&file)]).quietly();
    std::os::unix::fs::symlink(&file, &name).expect("a link");
    Waypost::new().run(&["seal-keys", "new", text(&name)]).quietly();
    assert!(fs::symlink_metadata(&name).expect("a link").is_symlink());
    assert_eq!(keys(&file).len(), 2);
}

#[test]
fn what_is_no_file_of_keys_stays_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("seal.keys");
    let refused = |content: &str, permissions: u32| {
        fs::write(&file, content).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(permissions)).expect("it is ours");
        let made = Waypost::new().run(&["seal-keys", "new", text(&file)]).refused(1);
        let served = Waypost::new().run(&["serve", "--seal-keys-file", text(&file)]).refused(2);
        assert_eq!(fs::read_to_string(&file).expect("a file"), content);
        let shown = format!("{made}{served}").replace(text(&file), "FILE");
        assert!(!shown.contains("c0ffee"), "{shown}");
        shown
    };
    let key = format!("1:{}\n", "c0ffee00".repeat(8));
    for (content, permissions, told) in [
        ("", 0o600, "FILE: there is no key in it"),
        ("1:c0ffee\n", 0o600, "FILE: line 1 is no key"),
        (&*format!("{key}{key}"), 0o600, "FILE: line 2 has a number that another key has"),
        (&key, 0o604, "FILE is open to others, mode 604: chmod 600 makes it its owner's alone"),
    ] {
        let shown = refused(content, permissions);
        assert_eq!(shown.matches(told).count(), 2, "{told} in\n{shown}");
    }
    let err = Waypost::new().run(&["serve", "--seal-keys-file", "/no/such/file"]).refused(2);
    assert!(err.contains("--seal-keys-file: cannot read /no/such/file"), "{err}");
    let err = Waypost::new().run(&["seal-keys", "new", "/no/such/directory/file"]).refused(1);
    assert!(err.contains("cannot write /no/such/directory/file"), "{err}");
}

#[test]
fn keys_are_set_in_one_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("seal.keys");
    Waypost::new().run(&["seal-keys", "new", text(&file)]).quietly();
    let both = Waypost::new().variable("WAYPOST_SEAL_KEYS", &"ab".repeat(32));
    let err = both.run(&["serve", "--seal-keys-file", text(&file)]).refused(2);
    let told = "--seal-keys-file: WAYPOST_SEAL_KEYS is set as well; expected keys in one place";
    assert!(err.contains(told), "{err}");
}

#[test]
fn nothing_is_sealed_where_nothing_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let keys = Waypost::new().variable("WAYPOST_SEAL_KEYS", &"ab".repeat(32));
    let err = keys.clone().run(&["reseal", "--data-dir", text(&data)]).refused(1);
    assert!(err.contains("there is no ") && !data.exists(), "{err}");
    let err = keys.run(&["reseal", "--after", "?"]).refused(2);
    assert!(err.contains("--after is no id of a link"), "{err}");
}
