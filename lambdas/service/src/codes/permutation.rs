//! A keyed permutation of the numbers below a bound: format-preserving encryption by a balanced
//! Feistel network with cycle walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains",
//! 2002), as NIST SP 800-38G does, with SipHash-2-4 as round function.

use siphasher::sip::SipHasher24;

/// As many as NIST SP 800-38G asks of FF1; proofs for balanced networks want at least 6.
const ROUNDS: u8 = 10;

/// Maps every number below `size` to another one, each exactly once, in an order that only the
/// holder of the key can tell.
pub(super) struct Permutation<'a> {
    key: &'a [u8; 16],
    size: u64,
    half_bits: u32,
}

impl<'a> Permutation<'a> {
    /// `size` is at least 2 and at most 2^62.
    pub(super) const fn new(key: &'a [u8; 16], size: u64) -> Self {
        let bits = (size - 1).ilog2() + 1;
        Self { key, size, half_bits: bits.div_ceil(2) }
    }

    /// The number at `value`'s place; `value` is below `size`.
    pub(super) fn forward(&self, value: u64) -> u64 {
        self.walk(value, 0..ROUNDS, |(left, right), round| (right, left ^ self.round(round, right)))
    }

    /// The number that [`Permutation::forward`] maps to `value`.
    pub(super) fn backward(&self, value: u64) -> u64 {
        self.walk(value, (0..ROUNDS).rev(), |(left, right), round| {
            (right ^ self.round(round, left), left)
        })
    }

    /// Applies the network until the result is below `size`. It permutes the numbers of
    /// `2 * half_bits` bits, so it leads back into the domain, on average after fewer than four
    /// steps; for powers of 62 after 1.3.
    fn walk(
        &self,
        value: u64,
        rounds: impl Iterator<Item = u8> + Clone,
        step: impl Fn((u64, u64), u8) -> (u64, u64),
    ) -> u64 {
        let mut value = value;
        loop {
            let halves = (value >> self.half_bits, value & self.mask());
            let (left, right) = rounds.clone().fold(halves, &step);
            value = (left << self.half_bits) | right;
            if value < self.size {
                return value;
            }
        }
    }

    /// The round function; the size is part of its input, so that domains of different size are
    /// scrambled independently.
    fn round(&self, round: u8, half: u64) -> u64 {
        let mut input = [0; 17];
        input[..8].copy_from_slice(&self.size.to_le_bytes());
        input[8] = round;
        input[9..].copy_from_slice(&half.to_le_bytes());
        SipHasher24::new_with_key(self.key).hash(&input) & self.mask()
    }

    const fn mask(&self) -> u64 {
        (1 << self.half_bits) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 16] = b"sixteen byte key";

    #[test]
    fn every_number_of_a_small_domain_is_hit_once() {
        for size in (2..=130).chain([1_023, 1_024, 1_025, 62 * 62, 62 * 62 * 62]) {
            let permutation = Permutation::new(KEY, size);
            let mut hits = vec![0; size as usize];
            for value in 0..size {
                let image = permutation.forward(value);
                assert_eq!(permutation.backward(image), value, "{value} of {size}");
                hits[image as usize] += 1;
            }
            assert!(hits.iter().all(|&hit| hit == 1), "{size}");
        }
    }

    #[test]
    fn the_network_is_as_large_as_the_domain_and_less_than_four_times() {
        for size in (2..=130).chain([62_u64.pow(6), 62_u64.pow(7), 62_u64.pow(10), 1 << 60]) {
            let network = 1 << (2 * Permutation::new(KEY, size).half_bits);
            assert!(size <= network && network < 4 * size, "{network} for {size}");
        }
    }

    #[test]
    fn large_domains_round_trip() {
        let numbers = SipHasher24::new_with_keys(1, 2);
        for size in [62_u64.pow(6), 62_u64.pow(7), 62_u64.pow(10), 1 << 62] {
            let permutation = Permutation::new(KEY, size);
            let random = (0_u64..2_000).map(|n| numbers.hash(&n.to_le_bytes()) % size);
            for value in random.chain([0, 1, size - 2, size - 1]) {
                let image = permutation.forward(value);
                assert!(image < size);
                assert_eq!(permutation.backward(image), value, "{value} of {size}");
            }
        }
    }

    #[test]
    fn the_order_depends_on_key_and_size() {
        let order = |key: &[u8; 16], size| {
            (0..60).map(|value| Permutation::new(key, size).forward(value)).collect::<Vec<_>>()
        };
        let here = order(KEY, 62);
        assert_ne!(here, order(b"another 16b key!", 62));
        assert_ne!(here, order(KEY, 63));
        assert_ne!(here, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn neighbours_land_far_apart() {
        // Of 10,000 neighbours, those whose images are closer than 1% of the domain: about 2%.
        let size = 62_u64.pow(6);
        let permutation = Permutation::new(KEY, size);
        let close = (0..10_000)
            .filter(|&v| permutation.forward(v).abs_diff(permutation.forward(v + 1)) < size / 100)
            .count();
        assert!((120..280).contains(&close), "{close}");
    }
}
