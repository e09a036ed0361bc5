//! Running all cases on a host, the verdict, and the table of all hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::host::{Host, check};

/// Runs `cases` on `host`, and leaves what became of them for [`table`].
///
/// # Errors
/// A table of all cases that fail without being expected to, or succeed though they are expected
/// to fail. Expected failures are the lines of `tests/expected-failures/<host>.txt`, each
/// `file: name`; `#` starts a comment.
pub async fn run(host: &impl Host, cases: &[Case]) -> Result<(), String> {
    let expected = expected_failures(host.name())?;
    let verdict = verdict(host, cases, &expected).await;
    write(&folder(), host.name(), &verdict.counts).map_err(|error| error.to_string())?;
    match verdict.failures.is_empty() {
        true => Ok(()),
        false => Err(format!("{}\n{}", verdict.failures, summary(host.name(), &verdict.counts))),
    }
}

/// What became of all cases on one host.
#[derive(Debug, Default)]
struct Verdict<'c> {
    /// By file.
    counts: BTreeMap<&'c str, Counts>,
    /// Text about every case that did not end as it should.
    failures: String,
}

async fn verdict<'c>(
    host: &impl Host,
    cases: &'c [Case],
    expected: &BTreeSet<String>,
) -> Verdict<'c> {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut table = String::new();
    let mut unmet = expected.clone();
    for case in cases {
        let count = counts.entry(&case.file).or_default();
        if let Some(reason) = host.skips(case) {
            *count.skipped.entry(reason).or_default() += 1;
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
    Verdict { counts, failures: table }
}

/// Where hosts leave what became of their cases: `target/conformance`.
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    target.unwrap_or_else(default).join("conformance")
}

/// Leaves `<host>.txt`: a line of five numbers (right, wrong, expected to fail, skipped, all
/// cases), and a line for each reason to skip: how many, and the reason. The file is there whole
/// or as it was.
fn write(folder: &Path, host: &str, counts: &BTreeMap<&str, Counts>) -> std::io::Result<()> {
    let all = counts.values().fold(Counts::default(), |mut all, count| {
        all.add(count);
        all
    });
    let Counts { right, wrong, expected, .. } = all;
    let skipped = all.skips();
    let total = right + wrong + expected + skipped;
    let mut text = format!("{right} {wrong} {expected} {skipped} {total}\n");
    for (reason, count) in &all.skipped {
        let _ = writeln!(text, "{count} {reason}");
    }
    fs::create_dir_all(folder)?;
    let part = folder.join(format!("{host}.{}.part", std::process::id()));
    fs::write(&part, text)?;
    fs::rename(part, folder.join(format!("{host}.txt")))
}

/// The table of all hosts that left something in a folder, and whether all of them answered
/// every case that they can run as it should be.
///
/// # Errors
/// A file cannot be read.
pub fn table(folder: &Path) -> std::io::Result<(String, bool)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut table = format!("{:<12} right  wrong  expected  skipped  cases\n", "host");
    let mut reasons = String::new();
    let mut totals = BTreeSet::new();
    let mut is_right = true;
    for path in &files {
        let host = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(path)?;
        let (first, skips) = text.split_once('\n').unwrap_or((&text, ""));
        let numbers: Vec<usize> =
            first.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [right, wrong, expected, skipped, total] = numbers[..] else {
            let problem = format!("{}: not five numbers: {first:?}", path.display());
            return Err(std::io::Error::other(problem));
        };
        let _ = writeln!(
            table,
            "{host:<12} {right:>5}  {wrong:>5}  {expected:>8}  {skipped:>7}  {total:>5}"
        );
        for skip in skips.lines() {
            let _ = writeln!(reasons, "{host} skips {skip}");
        }
        totals.insert(total);
        is_right &= wrong == 0 && expected == 0;
    }
    // Fewer cases on one of them is not the same suite.
    Ok((format!("{table}{reasons}"), is_right && totals.len() == 1))
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

#[derive(Debug, Default)]
struct Counts {
    right: usize,
    wrong: usize,
    expected: usize,
    /// By reason.
    skipped: BTreeMap<&'static str, usize>,
}

impl Counts {
    fn skips(&self) -> usize {
        self.skipped.values().sum()
    }

    fn add(&mut self, more: &Self) {
        self.right += more.right;
        self.wrong += more.wrong;
        self.expected += more.expected;
        for (reason, count) in &more.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
    }
}

fn summary(host: &str, counts: &BTreeMap<&str, Counts>) -> String {
    let mut table = format!("{host:<32} right  wrong  expected  skipped\n");
    for (file, count) in counts {
        let (Counts { right, wrong, expected, .. }, skipped) = (count, count.skips());
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

    async fn told(cases: &[Case], expected: &[&str]) -> Option<String> {
        let expected = expected.iter().map(|title| (*title).to_owned()).collect();
        let Verdict { counts, failures } = verdict(&Always200, cases, &expected).await;
        (!failures.is_empty()).then(|| format!("{failures}\n{}", summary("h", &counts)))
    }

    #[tokio::test]
    async fn expected_failures_must_match_exactly() {
        let cases = [case("right", 200), case("wrong", 404), case("skipped", 404)];
        assert_eq!(told(&cases, &["f: wrong"]).await, None);
        let unexpected = told(&cases, &[]).await.unwrap();
        assert!(
            unexpected.contains("f: wrong\n    why: w\n    status: 200\n        not 404"),
            "{unexpected}"
        );
        let succeeds = told(&cases, &["f: wrong", "f: right"]).await.unwrap();
        assert!(
            succeeds.contains("f: right\n    why: w\n    succeeds, and is expected to fail"),
            "{succeeds}"
        );
        let skipped = told(&cases, &["f: wrong", "f: skipped"]).await.unwrap();
        assert!(
            skipped.contains("f: skipped\n    is expected to fail, and was not run"),
            "{skipped}"
        );
    }

    #[tokio::test]
    async fn the_table_counts_what_became_of_every_case() {
        let cases =
            [case("right", 200), case("wrong", 404), case("skipped", 200), case("broken", 200)];
        let table = told(&cases, &["f: wrong"]).await.unwrap();
        assert!(table.contains("f: broken\n    why: w\n    it broke"), "{table}");
        let counts = table.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(counts, ["f", "1", "1", "1", "1"]);
    }
    #[tokio::test]
    async fn hosts_leave_their_numbers_for_one_table() {
        let folder = tempfile::TempDir::new().unwrap();
        let cases = [case("right", 200), case("skipped", 200), case("other", 200)];
        let all = verdict(&Always200, &cases, &BTreeSet::new()).await;
        write(folder.path(), "a", &all.counts).unwrap();
        write(folder.path(), "b", &all.counts).unwrap();
        let left = fs::read_to_string(folder.path().join("a.txt")).unwrap();
        assert_eq!(left, "2 0 0 1 3\n1 its name says so\n");
        let expected = "host         right  wrong  expected  skipped  cases\n\
                        a                2      0         0        1      3\n\
                        b                2      0         0        1      3\n\
                        a skips 1 its name says so\nb skips 1 its name says so\n";
        assert_eq!(table(folder.path()).unwrap(), (expected.to_owned(), true));

        // A host that ran less, or one that was wrong, is not like the others.
        let fewer = verdict(&Always200, &cases[..1], &BTreeSet::new()).await;
        write(folder.path(), "b", &fewer.counts).unwrap();
        assert!(!table(folder.path()).unwrap().1);
        for status in [404, 200] {
            let cases = [case("right", 200), case("skipped", 200), case("other", status)];
            let all = verdict(&Always200, &cases, &BTreeSet::new()).await;
            write(folder.path(), "b", &all.counts).unwrap();
            assert_eq!(table(folder.path()).unwrap().1, status == 200);
        }
        fs::write(folder.path().join("c.txt"), "1 2 3").unwrap();
        assert!(table(folder.path()).is_err());
    }
}
