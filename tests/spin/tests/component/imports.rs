use std::fmt::Write;

/// Each import is a permission that the host has to give; a new one is a decision. The two
/// toolchains that build the component link different standard libraries, so there is a list for
/// each.
#[test]
fn the_component_imports_what_is_listed_and_nothing_else() {
    let imports = waypost_tests_spin::engine::imports().unwrap_or_else(|error| panic!("{error}"));
    let lists = [include_str!("../../imports.txt"), include_str!("../../imports-fallback.txt")];
    let listed = lists.map(|list| {
        let names = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        names.collect::<Vec<_>>()
    });
    let mut found = String::new();
    for import in &imports {
        let _ = writeln!(found, "{import}");
    }
    assert!(
        listed.iter().any(|names| imports == *names),
        "tests/spin/imports.txt (or imports-fallback.txt) should have\n{found}"
    );
}
