//! Windows: ten minutes of clicks that are counted together, once, for good.

use waypost_wire::time::Timestamp;

/// Length of a window.
pub const WINDOW_MS: i64 = 10 * 60 * 1_000;

/// How long after its end a window waits for clicks under way before it closes.
pub const GRACE_MS: i64 = 2 * 60 * 1_000;

/// A window, by its start: Unix milliseconds, a multiple of [`WINDOW_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(i64);

impl Window {
    /// The first there is.
    pub const FIRST: Self = Self::of(Timestamp(i64::MIN));

    /// The window a point in time is in.
    pub const fn of(at: Timestamp) -> Self {
        Self(floor(at.0, WINDOW_MS))
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0)
    }

    /// The first moment after it.
    pub const fn end(self) -> Timestamp {
        Timestamp(self.0.saturating_add(WINDOW_MS))
    }

    /// The window after this one.
    pub const fn next(self) -> Self {
        Self::of(self.end())
    }

    /// Whether it may be closed: its end and the grace are over.
    pub fn is_due(self, now: Timestamp) -> bool {
        self.end().plus_ms(GRACE_MS) <= now
    }
}

/// Spans of time that rollups cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// [`WINDOW_MS`].
    Window,
    /// An hour from a full hour, UTC.
    Hour,
    /// A day from midnight, UTC.
    Day,
}

impl Span {
    /// Its length.
    pub const fn ms(self) -> i64 {
        match self {
            Self::Window => WINDOW_MS,
            Self::Hour => 60 * 60 * 1_000,
            Self::Day => 24 * 60 * 60 * 1_000,
        }
    }

    /// The number this kind of span is stored under.
    pub const fn code(self) -> u8 {
        match self {
            Self::Window => 0,
            Self::Hour => 1,
            Self::Day => 2,
        }
    }

    /// The kind of span stored under a number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Window),
            1 => Some(Self::Hour),
            2 => Some(Self::Day),
            _ => None,
        }
    }

    /// The kind of span that this one is made up of.
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Window => None,
            Self::Hour => Some(Self::Window),
            Self::Day => Some(Self::Hour),
        }
    }

    /// The start of the span of this kind that a point in time is in.
    pub const fn start(self, at: Timestamp) -> Timestamp {
        Timestamp(floor(at.0, self.ms()))
    }
}

/// The last multiple of `length` at or before `at`; the first there is, at the end of the range.
const fn floor(at: i64, length: i64) -> i64 {
    match at.checked_sub(at.rem_euclid(length)) {
        Some(start) => start,
        None => at - at % length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_time_without_gap_or_overlap() {
        for start in [-1_200_000, -600_000, 0, 600_000, 1_795_244_400_000] {
            let window = Window::of(Timestamp(start));
            assert_eq!(window.start(), Timestamp(start));
            assert_eq!(Window::of(Timestamp(start + WINDOW_MS - 1)), window);
            assert_eq!(Window::of(Timestamp(start + WINDOW_MS)), window.next());
            assert_eq!(Window::of(Timestamp(start - 1)).next(), window);
            assert_eq!(window.end(), window.next().start());
        }
    }

    #[test]
    fn a_window_is_due_when_its_grace_is_over() {
        let window = Window::of(Timestamp(0));
        assert!(!window.is_due(Timestamp(WINDOW_MS + GRACE_MS - 1)));
        assert!(window.is_due(Timestamp(WINDOW_MS + GRACE_MS)));
    }

    #[test]
    fn nothing_panics_at_the_ends_of_time() {
        for at in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            let window = Window::of(Timestamp(at));
            assert!(window.start() <= window.next().start());
            assert_eq!(window.start().0 % WINDOW_MS, 0);
            window.is_due(Timestamp(at));
        }
    }

    #[test]
    fn spans_start_where_the_clock_in_london_does_in_winter() {
        // 2026-11-21T14:40:13.5Z
        let at = Timestamp(1_795_272_013_500);
        assert_eq!(Span::Window.start(at), Timestamp(1_795_272_000_000));
        assert_eq!(Span::Hour.start(at), Timestamp(1_795_269_600_000));
        assert_eq!(Span::Day.start(at), Timestamp(1_795_219_200_000));
    }
}
