use pollster::block_on;

use super::*;
use crate::ambient::Clock;
use crate::publish::memory::{Call, MemoryEdge, MemoryTable, Upset, current};
use crate::publish::seams::Current;
use crate::publish::tests::{START, Time};

const ALL_WAYS: [Ways; 4] = [Ways::Lists, Ways::ListsAndReads, Ways::Reads, Ways::Writes];

const HOUR_MS: i64 = 3_600_000;

fn link(link_id: u64, version: u64) -> Current {
    current(Generation { link_id, version }, false, START.plus_ms(-HOUR_MS))
}

fn key(n: u64) -> String {
    format!("s.example/{n:02}")
}

/// Twenty links; of the store's, 3 are missing, 2 are outdated, one is damaged, 2 are foreign.
fn drifted(ways: Ways) -> (MemoryEdge, MemoryTable) {
    let edge = MemoryEdge::new("kv", MemoryEdge::LIMITS, ways);
    let table = MemoryTable::default();
    for n in 0..20 {
        // Ids in another order than keys.
        table.set(&key(n), Some(link(n * 7 % 20 + 1, 5)));
        edge.tamper(&key(n), Some(&table.links()[&key(n)].record));
    }
    for n in [0, 7, 19] {
        edge.tamper(&key(n), None);
    }
    for n in [1, 18] {
        edge.tamper(&key(n), Some(&link(n * 7 % 20 + 1, 4).record));
    }
    edge.tamper(&key(9), Some(b"damaged"));
    edge.tamper("s.example/05a", Some(&link(90, 1).record));
    edge.tamper("z.example/z", Some(&link(91, 1).record));
    // Not what the table may be compared with.
    edge.tamper("!state", Some(b"state"));
    (edge, table)
}

fn options() -> Options {
    Options::until(START.plus_ms(HOUR_MS))
}

fn reconciled(edge: &MemoryEdge, table: &MemoryTable, options: &Options) -> Report {
    let time = Time::new();
    block_on(Reconciler::new(edge, &time).run(table, options, None))
}

fn is_equal(edge: &MemoryEdge, table: &MemoryTable) -> bool {
    let mut records = edge.records();
    records.remove("!state");
    records.into_iter().eq(table.links().into_iter().map(|(key, current)| (key, current.record)))
}

fn found(ways: Ways) -> Report {
    let report = Report { store: "kv".to_owned(), ..Report::default() };
    match ways {
        Ways::Lists | Ways::ListsAndReads => Report {
            // 19 that the store has, 20 that the table has.
            checked: 39,
            missing: 3,
            outdated: 3,
            foreign: 2,
            ..report
        },
        Ways::Reads => Report { checked: 20, missing: 3, outdated: 3, ..report },
        Ways::Writes => Report { checked: 20, ..report },
    }
}

#[test]
fn every_difference_is_found_and_repaired_as_far_as_the_store_can_tell() {
    for ways in ALL_WAYS {
        let (edge, table) = drifted(ways);
        let report = reconciled(&edge, &table, &options());
        let expected = match ways {
            Ways::Lists | Ways::ListsAndReads => Report { repaired: 8, ..found(ways) },
            Ways::Reads => Report { repaired: 6, ..found(ways) },
            Ways::Writes => Report { sent: 20, ..found(ways) },
        };
        assert_eq!(Report { examples: Vec::new(), ..report }, expected, "{ways:?}");
        if !ways.lists() {
            edge.tamper("s.example/05a", None);
            edge.tamper("z.example/z", None);
        }
        assert!(is_equal(&edge, &table), "{ways:?}");
        let again = reconciled(&edge, &table, &options());
        assert_eq!((again.drift(), again.repaired, again.failed), (0, 0, 0), "{ways:?}");
    }
}

#[test]
fn a_dry_run_finds_the_same_and_writes_nothing() {
    for ways in ALL_WAYS {
        let (edge, table) = drifted(ways);
        let before = edge.records();
        let report = reconciled(&edge, &table, &Options { dry_run: true, ..options() });
        assert_eq!(edge.records(), before);
        let is_write = |call: &Call| matches!(call, Call::Put(_) | Call::Remove(_) | Call::State);
        assert!(!edge.calls().iter().any(is_write));
        let expected = Report { dry_run: true, ..found(ways) };
        assert_eq!(Report { examples: Vec::new(), ..report }, expected, "{ways:?}");
    }
    let (edge, table) = drifted(Ways::Lists);
    let report = reconciled(&edge, &table, &Options { dry_run: true, ..options() });
    let examples = [
        "outdated: s.example/01",
        "foreign: s.example/05a",
        "outdated: s.example/09",
        "outdated: s.example/18",
        "foreign: z.example/z",
        "missing: s.example/00",
        "missing: s.example/07",
        "missing: s.example/19",
    ];
    let mut told = report.examples;
    told[5..].sort();
    assert_eq!(told, examples);
}

#[test]
fn a_wiped_store_is_filled_again() {
    for ways in ALL_WAYS {
        let (_, table) = drifted(ways);
        let edge = MemoryEdge::new("kv", MemoryEdge::LIMITS, ways);
        let report = reconciled(&edge, &table, &options());
        assert_eq!(report.repaired + report.sent, 20, "{ways:?}");
        assert!(is_equal(&edge, &table));
    }
}

/// A store whose calls take a second.
struct Slow<'a>(&'a MemoryEdge, &'a Time);

impl EdgeStore for Slow<'_> {
    fn name(&self) -> &str {
        "kv"
    }

    fn limits(&self, budget: Budget) -> crate::publish::Limits {
        self.0.limits(budget)
    }

    fn ways(&self) -> Ways {
        self.0.ways()
    }

    async fn put(
        &self,
        records: &[crate::publish::Put<'_>],
    ) -> Result<Vec<crate::publish::Kept>, StoreFault> {
        self.1.pass(1_000);
        self.0.put(records).await
    }

    async fn remove(
        &self,
        removals: &[crate::publish::Removal<'_>],
    ) -> Result<Vec<crate::publish::Kept>, StoreFault> {
        self.1.pass(1_000);
        self.0.remove(removals).await
    }

    async fn put_state(&self, state: &[u8]) -> Result<crate::publish::Kept, StoreFault> {
        self.0.put_state(state).await
    }

    async fn list(&self, cursor: Option<&str>) -> Result<crate::publish::Listed, StoreFault> {
        self.1.pass(1_000);
        self.0.list(cursor).await
    }

    async fn marks(
        &self,
        keys: &[&str],
    ) -> Result<Vec<Option<Option<crate::publish::Mark>>>, StoreFault> {
        self.1.pass(1_000);
        self.0.marks(keys).await
    }
}

#[test]
fn a_pass_in_pieces_comes_to_the_same_end() {
    for ways in ALL_WAYS {
        for seconds in [1, 2, 5, 9] {
            let (edge, table) = drifted(ways);
            let (time, mut cursor, mut runs, mut repaired) = (Time::new(), None, 0, 0);
            loop {
                // Each piece is another process.
                let reconciler = Reconciler::new(Slow(&edge, &time), &time);
                let deadline = time.now().plus_ms(seconds * 1_000);
                let options = Options { slice_keys_max: 7, ..Options::until(deadline) };
                let report = block_on(reconciler.run(&table, &options, cursor));
                assert_eq!((report.fault, report.failed), (None, 0), "{ways:?} {seconds}");
                (runs, repaired) = (runs + 1, repaired + report.repaired);
                assert!(runs < 100, "{ways:?} {seconds}: it does not come forward");
                let Some(text) = report.next_cursor else { break };
                cursor = Some(text.parse().unwrap());
            }
            if ways.lists() {
                assert!(runs > 1, "{ways:?} {seconds}");
                assert_eq!(repaired, 8, "{ways:?} {seconds}");
                assert!(is_equal(&edge, &table), "{ways:?} {seconds}");
            }
        }
    }
}

#[test]
fn what_was_just_written_is_left_to_the_publisher() {
    let (edge, table) = drifted(Ways::Lists);
    let young = current(Generation { link_id: 500, version: 1 }, false, START.plus_ms(-59_999));
    table.set(&key(0), Some(young.clone()));
    table.set(&key(1), Some(young));
    let report = reconciled(&edge, &table, &options());
    assert_eq!((report.young, report.missing, report.outdated), (2, 2, 2));
    assert_eq!(report.repaired, 6);
    assert!(!edge.records().contains_key(&key(0)));
}

#[test]
fn what_is_no_link_or_too_much_is_not_removed() {
    let (edge, table) = drifted(Ways::Lists);
    for strange in ["settings", "Upper.example/a", "/a", "s.example/", "ä.example/b"] {
        edge.tamper(strange, Some(b"somebody else's"));
    }
    let report = reconciled(&edge, &table, &options());
    assert_eq!((report.foreign, report.held_back, report.repaired), (7, 5, 8));
    // The wrong table: everything would go.
    let empty = MemoryTable::default();
    let before = edge.records().len();
    let report = reconciled(&edge, &empty, &Options { foreign_max: 3, ..options() });
    assert_eq!((report.foreign, report.held_back, report.repaired), (25, 22, 3));
    assert_eq!(edge.records().len(), before - 3);
}

#[test]
fn a_fault_that_passes_keeps_the_place_and_another_one_does_not() {
    let unavailable = StoreFault::Unavailable("cut".to_owned());
    let refused = StoreFault::Refused("what a cursor".to_owned());
    let (edge, table) = drifted(Ways::Lists);
    // The first pages are there, the next stays away.
    let there = [None, None, None, None];
    edge.upset(there.into_iter().chain(vec![Some(Upset::Before(unavailable)); 9]));
    let report = reconciled(&edge, &table, &options());
    assert_eq!(report.fault.as_deref(), Some("the store is unavailable: cut"));
    let cursor: Cursor = report.next_cursor.unwrap().parse().unwrap();
    assert_eq!(cursor, Cursor::default());
    edge.upset([Some(Upset::Before(refused))]);
    let report = reconciled(&edge, &table, &options());
    assert_eq!(report.fault.as_deref(), Some("the store refuses: what a cursor"));
    assert_eq!(report.next_cursor, None);
    table.damage(&key(3));
    let report = reconciled(&edge, &table, &options());
    assert_eq!((report.failed, report.fault), (1, None));
}

#[test]
fn keys_that_are_not_taken_are_counted() {
    let (edge, table) = drifted(Ways::Reads);
    // Marks are read once; every write leaves out every other key.
    edge.upset([None].into_iter().chain(vec![Some(Upset::Half); 9]));
    let report = reconciled(&edge, &table, &options());
    assert_eq!((report.repaired, report.failed, report.fault), (6, 0, None));
    // Of the first three one is left out, and then no more is taken.
    let edge = MemoryEdge::new("kv", MemoryEdge::LIMITS, Ways::Reads);
    let no_more = Upset::Before(StoreFault::Refused("no more".to_owned()));
    edge.upset([None, Some(Upset::Half), Some(no_more)]);
    let report = reconciled(&edge, &table, &options());
    assert_eq!(report.fault.as_deref(), Some("the store refuses: no more"));
    assert_eq!((report.missing, report.repaired, report.failed), (3, 2, 1));
}

#[test]
fn a_report_says_what_to_know() {
    let (edge, table) = drifted(Ways::Lists);
    let mut report = reconciled(&edge, &table, &options());
    report.examples.truncate(1);
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        r#"{"store":"kv","dry_run":false,"checked":39,"missing":3,"outdated":3,"foreign":2,"#
            .to_owned()
            + r#""held_back":0,"young":0,"repaired":8,"sent":0,"failed":0,"#
            + r#""examples":["outdated: s.example/01"],"fault":null,"next_cursor":null}"#
    );
}
