//! Numbers that follow from a seed.

/// SplitMix64 (Steele, Lea, Flood 2014): every seed gives another sequence.
pub(crate) struct Draws(u64);

impl Draws {
    /// Starts the sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// True one time in so many.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// The position of one of `count` things; `None` if there is none.
    pub(crate) fn choose(&mut self, count: usize) -> Option<usize> {
        Some(self.below(u64::try_from(count).ok().filter(|count| *count > 0)?) as usize)
    }
}
