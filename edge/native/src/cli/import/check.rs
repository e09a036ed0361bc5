//! The dry run: every row is read by the code that will read it on the server.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use serde::Serialize;
use serde_json::{Map, Value};
use waypost_service::destination::{DestinationRules, LENGTH_CEILING_BYTES};
use waypost_service::draft::{DomainRules, DraftRules, parse_new};
use waypost_service::problem::Problem;
use waypost_service::slug::SlugRules;
use waypost_wire::time::Timestamp;

use super::columns::{Column, Kind, column_at, put};
use super::read::{Row, Sheet};

/// Stands for the server's default domain, whose name is not known here.
const DEFAULT_DOMAIN: &str = "default domain";

/// A row and what was found out about it.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) row: Row,
    /// The body of the creation.
    pub(super) body: Vec<u8>,
    /// The idempotency key that the file gives.
    pub(super) key: Option<String>,
    /// Why no server can take it.
    pub(super) faults: Vec<Finding>,
    /// Why a server can refuse it, depending on its settings.
    pub(super) warnings: Vec<Finding>,
}

/// What is wrong with a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) line: u64,
    /// Empty if the row as a whole is meant.
    pub(super) column: String,
    pub(super) problem: String,
    pub(super) expected: String,
}

/// Checks all rows.
pub(super) fn check(sheet: Sheet, now: Timestamp) -> Vec<Checked> {
    let Sheet { header, columns, rows, .. } = sheet;
    let mut checked: Vec<_> =
        rows.into_iter().map(|row| body(row, &columns, header.len())).collect();
    let lenient = lenient(&checked);
    let usual = DraftRules { destination: DestinationRules::default(), ..usual_slugs(&lenient) };
    for (row, _) in &mut checked {
        let findings = |rules| findings(row.row.line, parse_new(&row.body, rules, now).err());
        let faults = findings(&lenient);
        row.warnings = if faults.is_empty() { findings(&usual) } else { Vec::new() };
        row.faults.extend(faults);
    }
    unique(&mut checked, "slug");
    unique(&mut checked, "external_id");
    checked.into_iter().map(|(row, _)| row).collect()
}

/// Turns a row into the body of a creation.
fn body(row: Row, columns: &[Option<Column>], width: usize) -> (Checked, Map<String, Value>) {
    let mut document = Map::new();
    let mut faults = Vec::new();
    let mut key = None;
    let line = row.line;
    if row.cells.len() != width {
        faults.push(Finding {
            line,
            column: String::new(),
            problem: format!("has {} cells", row.cells.len()),
            expected: format!("{width}, as in the header; cells with separators in quotes"),
        });
    }
    for (cell, column) in row.cells.iter().zip(columns) {
        let Some(column) = column else { continue };
        if cell.is_empty() {
            continue;
        }
        if column.kind == Kind::Key {
            key = Some(cell.clone());
        }
        if let Err(expected) = put(&mut document, *column, cell) {
            let (column, problem) = (column.name.to_owned(), format!("is {cell:?}"));
            faults.push(Finding { line, column, problem, expected: expected.to_owned() });
        }
    }
    let body = Value::Object(document.clone()).to_string().into_bytes();
    (Checked { row, body, key, faults, warnings: Vec::new() }, document)
}

/// Rules that refuse only what every server refuses, whatever its settings.
fn lenient(rows: &[(Checked, Map<String, Value>)]) -> DraftRules {
    let texts = |name: &'static str| {
        rows.iter().filter_map(move |(_, document)| document.get(name).and_then(Value::as_str))
    };
    let schemes: BTreeSet<String> = ["ios_destination", "android_destination"]
        .into_iter()
        .flat_map(texts)
        .filter_map(|url| Some(url.split_once(':')?.0.to_ascii_lowercase()))
        .collect();
    let named: BTreeSet<&str> = texts("domain").collect();
    let domain = |name: &str| DomainRules {
        name: name.to_owned(),
        ignore_case: false,
        slug: SlugRules { slashes: true, check: None },
    };
    DraftRules {
        destination: DestinationRules {
            own_domains: Vec::new(),
            app_schemes: schemes.into_iter().collect(),
            length_max_bytes: LENGTH_CEILING_BYTES,
            allow_private_hosts: true,
            allow_shorteners: true,
        },
        domains: std::iter::once(DEFAULT_DOMAIN).chain(named).map(domain).collect(),
        default_domain: DEFAULT_DOMAIN.to_owned(),
        redirect_status_default: 302,
    }
}

/// The slugs that a server with the settings it comes with accepts.
fn usual_slugs(lenient: &DraftRules) -> DraftRules {
    let mut rules = lenient.clone();
    for domain in &mut rules.domains {
        domain.slug = SlugRules::default();
    }
    rules
}

fn findings(line: u64, problem: Option<Problem>) -> Vec<Finding> {
    let Some(problem) = problem else { return Vec::new() };
    if problem.errors.is_empty() {
        let expected = problem.kind.about().advice.to_owned();
        return vec![Finding { line, column: String::new(), problem: problem.detail, expected }];
    }
    let finding = |fault: waypost_service::problem::FieldFault| Finding {
        line,
        column: column_at(&fault.pointer),
        problem: fault.detail,
        expected: fault.expected,
    };
    problem.errors.into_iter().map(finding).collect()
}

/// No two links can have the same value; ids are unique everywhere, slugs on their domain.
fn unique(rows: &mut [(Checked, Map<String, Value>)], name: &str) {
    let mut lines: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (row, document) in rows {
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let Some(value) = text(name) else { continue };
        let domain = if name == "slug" { text("domain").unwrap_or_default() } else { "" };
        let line = row.row.line;
        match lines.entry((domain.to_lowercase(), value.to_owned())) {
            Entry::Vacant(place) => {
                place.insert(line);
            }
            Entry::Occupied(earlier) => row.faults.push(Finding {
                line,
                column: name.to_owned(),
                problem: format!("is {value:?}, as in line {}", earlier.get()),
                expected: "another one, or none".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::read::read;

    /// 2026-11-21T07:00:00Z
    const NOW: Timestamp = Timestamp(1_795_244_400_000);

    fn checked(text: &str) -> Vec<Checked> {
        check(read(text.as_bytes(), false).expect("a sheet"), NOW)
    }

    fn told(findings: impl Fn(&Checked) -> &[Finding], rows: &[Checked]) -> Vec<String> {
        let text = |finding: &Finding| {
            let Finding { line, column, problem, expected } = finding;
            format!("{line} {column}: {problem}; {expected}")
        };
        rows.iter().flat_map(findings).map(text).collect()
    }

    fn faults(rows: &[Checked]) -> Vec<String> {
        told(|row| &row.faults, rows)
    }

    fn warnings(rows: &[Checked]) -> Vec<String> {
        told(|row| &row.warnings, rows)
    }

    #[test]
    fn cells_become_the_body_of_a_creation() {
        let rows = checked(
            "Destination;Slug;Domain;Title;Tags;Notes;Status;Starts At;Expires At;Expired Destination;\
             Max Clicks;Forward Query;Forward Path;UTM Source;UTM Content;iOS Destination;\
             Preview Title;External ID;Password;Keep;Disabled;idempotency_key;reason\r\n\
             https://example.com/a;summer;Go.Example;Ä \"\"quote;a| b ,c,;\"1\n2\";308;\
             2026-12-01T00:00:00Z;2027-12-01T00:00:00+01:00;https://example.com/over;\
             5;yes;0;mail;c&d;myapp://x;P;7;secret;TRUE;off;key-1;was down\r\n",
        );
        assert_eq!(faults(&rows), [""; 0]);
        let body: Value = serde_json::from_slice(&rows[0].body).expect("JSON");
        assert_eq!(
            body,
            serde_json::json!({
                "destination": "https://example.com/a",
                "slug": "summer",
                "domain": "Go.Example",
                "title": "Ä \"\"quote",
                "tags": ["a", "b", "c"],
                "notes": "1\n2",
                "status": 308,
                "starts_at": "2026-12-01T00:00:00Z",
                "expires_at": "2027-12-01T00:00:00+01:00",
                "expired_destination": "https://example.com/over",
                "max_clicks": 5,
                "forward_query": true,
                "forward_path": false,
                "utm": {"source": "mail", "content": "c&d"},
                "ios_destination": "myapp://x",
                "preview": {"title": "P"},
                "external_id": "7",
                "password": "secret",
                "keep": true,
                "disabled": false,
            })
        );
        assert_eq!(rows[0].key.as_deref(), Some("key-1"));
    }

    #[test]
    fn empty_cells_are_as_good_as_no_columns() {
        let rows =
            checked("destination,slug,max_clicks,keep,tags,utm_source\nhttps://a.example/,,,,,\n");
        assert_eq!(faults(&rows), [""; 0]);
        assert_eq!(rows[0].body, br#"{"destination":"https://a.example/"}"#);
        assert_eq!(rows[0].key, None);
    }

    #[test]
    fn every_fault_of_every_row_is_found_at_once() {
        let rows = checked(
            "destination,slug,status,keep,utm_term\n\
             javascript:alert(1),api,,,\n\
             ,x,303,maybe,\n\
             https://a.example,y,many,,\"a\nb\"\n\
             https://a.example,z\n",
        );
        assert_eq!(
            faults(&rows),
            [
                "2 slug: \"api\" is reserved; another word, or the same with something added",
                "2 destination: javascript: can run code in the visitor's browser or read from it; a URL that starts with https:// or http://",
                "3 keep: is \"maybe\"; true or false (or yes, no, 1, 0)",
                "3 status: 303 is no status a link can have; 301, 302, 307 or 308",
                "3 destination: is missing; a URL that starts with https:// or http://",
                "4 status: is \"many\"; a whole number",
                "4 utm_term: has the control character U+000A; visible characters only",
                "6 : has 2 cells; 5, as in the header; cells with separators in quotes",
            ]
        );
    }

    #[test]
    fn what_settings_may_allow_is_a_warning() {
        let rows = checked(
            "destination,slug,ios_destination\n\
             http://10.0.0.1/,a/b,myapp://x\n\
             https://a.example/,c,\n",
        );
        assert_eq!(faults(&rows), [""; 0]);
        let columns: Vec<_> =
            rows[0].warnings.iter().map(|warning| warning.column.as_str()).collect();
        assert_eq!(columns, ["slug", "destination", "ios_destination"]);
        assert_eq!(warnings(&rows[1..]), [""; 0]);
    }

    #[test]
    fn no_two_rows_have_the_same_slug_or_id() {
        let rows = checked(
            "destination,slug,domain,external_id\n\
             https://a.example/,x,,1\n\
             https://a.example/,X,,2\n\
             https://a.example/,x,go.example,3\n\
             https://a.example/,x,GO.example,1\n\
             https://a.example/,,,\n\
             https://a.example/,,,\n",
        );
        assert_eq!(
            faults(&rows),
            [
                "5 slug: is \"x\", as in line 4; another one, or none",
                "5 external_id: is \"1\", as in line 2; another one, or none",
            ]
        );
    }

    #[test]
    fn one_scheme_that_runs_code_is_not_allowed_by_being_there() {
        let rows = checked("destination,ios_destination\nhttps://a.example/,javascript:alert(1)\n");
        assert_eq!(rows[0].faults.len(), 1);
        assert_eq!(rows[0].faults[0].column, "ios_destination");
    }
}
