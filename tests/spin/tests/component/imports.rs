use std::fmt::Write;

/// Each import is a permission that the host has to give; a new one is a decision.
#[test]
fn the_component_imports_what_is_listed_and_nothing_else() {
    let imports = waypost_tests_spin::engine::imports().unwrap_or_else(|error| panic!("{error}"));
    let listed = include_str!("../../imports.txt");
    let listed: Vec<&str> =
        listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut found = String::new();
    for import in &imports {
        let _ = writeln!(found, "{import}");
    }
    assert_eq!(imports, listed, "tests/spin/imports.txt should have\n{found}");
}
