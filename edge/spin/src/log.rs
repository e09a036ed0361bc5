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

#[cfg(test)]
mod tests {
    use super::*;

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
