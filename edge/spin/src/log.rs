//! Lines for the operator, on standard error, where Spin keeps a log of each component. The same
//! line is written at most once in a while: a store that is down fails thousands of times a second.

use std::cell::RefCell;

use waypost_wire::time::Timestamp;

/// The same line is not repeated for this long.
const QUIET_MS: i64 = 10_000;

/// Different lines that are remembered; beyond it the oldest is forgotten.
const LINES_MAX: usize = 16;

/// The log of one instance.
#[derive(Debug, Default)]
pub(crate) struct Log {
    written: RefCell<Vec<(String, Timestamp)>>,
}

impl Log {
    /// Writes a line, unless the same was written a moment ago.
    pub(crate) fn line(&self, now: Timestamp, line: String) {
        if self.is_due(now, &line) {
            eprintln!("waypost: {line}");
        }
    }

    fn is_due(&self, now: Timestamp, line: &str) -> bool {
        let mut written = self.written.borrow_mut();
        let known = written.iter().position(|(its_line, _)| its_line == line);
        if let Some(at) = known {
            let (_, last) = written[at];
            if (0..QUIET_MS).contains(&now.ms_since(last)) {
                return false;
            }
            written.remove(at);
        }
        if written.len() == LINES_MAX {
            written.remove(0);
        }
        written.push((line.to_owned(), now));
        true
    }
}

/// One number of the counts of an instance, which leave out what is 0.
pub(crate) fn count(counts: &str, name: &str) -> u64 {
    let digits = counts.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().unwrap_or(0)
}

/// Clicks that are neither delivered nor given up.
pub(crate) fn clicks_waiting(counts: &str) -> u64 {
    let ended = count(counts, "clicks_delivered") + count(counts, "clicks_given_up");
    count(counts, "clicks_accepted").saturating_sub(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_the_instance_writes_them() {
        let counts =
            r#"{"requests":9,"clicks_accepted":7,"clicks_delivered":4,"delivery_failures":12}"#;
        assert_eq!(count(counts, "delivery_failures"), 12);
        assert_eq!(count(counts, "clicks_given_up"), 0);
        assert_eq!(clicks_waiting(counts), 3);
        assert_eq!(clicks_waiting("{}"), 0);
    }

    #[test]
    fn a_line_is_written_once_in_a_while() {
        let log = Log::default();
        assert!(log.is_due(Timestamp(0), "a"));
        assert!(log.is_due(Timestamp(0), "b"));
        assert!(!log.is_due(Timestamp(QUIET_MS - 1), "a"));
        assert!(log.is_due(Timestamp(QUIET_MS), "a"));
        assert!(log.is_due(Timestamp(0), "a"), "a clock set back");
    }

    #[test]
    fn memory_is_bounded() {
        let log = Log::default();
        for number in 0..100 {
            assert!(log.is_due(Timestamp(0), &number.to_string()));
        }
        assert_eq!(log.written.borrow().len(), LINES_MAX);
        assert!(!log.is_due(Timestamp(0), "99"));
        assert!(log.is_due(Timestamp(0), "0"));
    }
}
