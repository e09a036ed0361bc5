//! Running all cases on a host, and the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use crate::case::Case;
use crate::host::{Host, check};

/// Runs `cases` on `host`.
///
/// # Errors
/// A table of all cases that fail without being expected to, or succeed though they are expected
/// to fail. Expected failures are the lines of `tests/expected-failures/<host>.txt`, each
/// `file: name`; `#` starts a comment.
pub async fn run(host: &impl Host, cases: &[Case]) -> Result<(), String> {
    let expected = expected_failures(host.name())?;
    verdict(host, cases, &expected).await
}

async fn verdict(
    host: &impl Host,
    cases: &[Case],
    expected: &BTreeSet<String>,
) -> Result<(), String> {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut table = String::new();
    let mut unmet = expected.clone();
    for case in cases {
        let count = counts.entry(&case.file).or_default();
        if host.skips(case).is_some() {
            count.skipped += 1;
            continue;
        }
        let differences = match host.run(case).await {
            Ok(answer) => check(case, &answer),
            Err(error) => vec![error],
        };
        let is_expected = unmet.remove(&case.title());
        match (differences.is_empty(), is_expected) {
            (true, false) => count.right += 1,
            (false, true) => count.expected += 1,
            (true, true) => {
                count.wrong += 1;
                line(&mut table, case, &["succeeds, and is expected to fail".to_owned()]);
            }
            (false, false) => {
                count.wrong += 1;
                line(&mut table, case, &differences);
            }
        }
    }
    for title in &unmet {
        let _ = writeln!(table, "\n{title}\n    is expected to fail, and was not run");
    }
    match table.is_empty() {
        true => Ok(()),
        false => Err(format!("{table}\n{}", summary(host.name(), &counts))),
    }
}

fn expected_failures(host: &str) -> Result<BTreeSet<String>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected-failures");
    let path = folder.join(format!("{host}.txt"));
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let names = text.lines().map(str::trim);
    Ok(names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect())
}

fn line(table: &mut String, case: &Case, differences: &[String]) {
    let _ = writeln!(table, "\n{}\n    why: {}", case.title(), case.why);
    for difference in differences {
        let _ = writeln!(table, "    {}", difference.replace('\n', "\n    "));
    }
}

#[derive(Default)]
struct Counts {
    right: usize,
    wrong: usize,
    expected: usize,
    skipped: usize,
}

fn summary(host: &str, counts: &BTreeMap<&str, Counts>) -> String {
    let mut table = format!("{host:<32} right  wrong  expected  skipped\n");
    for (file, count) in counts {
        let Counts { right, wrong, expected, skipped } = count;
        let _ = writeln!(table, "{file:<32} {right:>5}  {wrong:>5}  {expected:>8}  {skipped:>7}");
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::host::Answer;

    /// Answers 200 to everything, but skips what is to be skipped.
    struct Always200;

    impl Host for Always200 {
        fn name(&self) -> &'static str {
            "always-200"
        }

        fn skips(&self, case: &Case) -> Option<&'static str> {
            (case.name == "skipped").then_some("its name says so")
        }

        async fn run(&self, case: &Case) -> Result<Answer, String> {
            match case.name.as_str() {
                "broken" => Err("it broke".to_owned()),
                _ => Ok(Answer { status: 200, ..Answer::default() }),
            }
        }
    }

    fn case(name: &str, status: u16) -> Case {
        let mut case: Case = serde_json::from_value(json!({
            "name": name, "why": "w", "policy": { "http": true }, "request": {},
            "expect": { "decision": "", "reason": "", "status": status, "header_set": "fixed" },
        }))
        .unwrap();
        case.file = "f".to_owned();
        for name in ["cache-control", "x-content-type-options"] {
            case.expect.headers.insert(name.to_owned(), None);
        }
        case
    }

    async fn table(cases: &[Case], expected: &[&str]) -> Option<String> {
        let expected = expected.iter().map(|title| (*title).to_owned()).collect();
        verdict(&Always200, cases, &expected).await.err()
    }

    #[tokio::test]
    async fn expected_failures_must_match_exactly() {
        let cases = [case("right", 200), case("wrong", 404), case("skipped", 404)];
        assert_eq!(table(&cases, &["f: wrong"]).await, None);
        let unexpected = table(&cases, &[]).await.unwrap();
        assert!(
            unexpected.contains("f: wrong\n    why: w\n    status: 200\n        not 404"),
            "{unexpected}"
        );
        let succeeds = table(&cases, &["f: wrong", "f: right"]).await.unwrap();
        assert!(
            succeeds.contains("f: right\n    why: w\n    succeeds, and is expected to fail"),
            "{succeeds}"
        );
        let skipped = table(&cases, &["f: wrong", "f: skipped"]).await.unwrap();
        assert!(
            skipped.contains("f: skipped\n    is expected to fail, and was not run"),
            "{skipped}"
        );
    }

    #[tokio::test]
    async fn the_table_counts_what_became_of_every_case() {
        let cases =
            [case("right", 200), case("wrong", 404), case("skipped", 200), case("broken", 200)];
        let table = table(&cases, &["f: wrong"]).await.unwrap();
        assert!(table.contains("f: broken\n    why: w\n    it broke"), "{table}");
        let counts = table.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(counts, ["f", "1", "1", "1", "1"]);
    }
}
