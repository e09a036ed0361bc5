use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// Hashes as good as those of visitors (SplitMix64).
fn visitor(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn of(visitors: impl IntoIterator<Item = u64>) -> Sketch {
    let mut sketch = Sketch::new();
    for number in visitors {
        sketch.insert(visitor(number));
    }
    sketch
}

#[test]
fn few_visitors_are_counted_exactly() {
    for count in [0, 1, 2, 100, EXACT_MAX as u64] {
        assert_eq!(of((0..count).chain(0..count)).estimate(), count);
    }
}

#[test]
fn many_visitors_are_estimated_well() {
    for (count, most_off) in [(513, 0.03), (5_000, 0.05), (50_000, 0.05), (1_000_000, 0.05)] {
        let estimate = of(0..count).estimate() as f64;
        let off = (estimate - count as f64).abs() / count as f64;
        assert!(off < most_off, "{estimate} for {count}");
    }
}

#[test]
fn both_forms_come_back_and_nothing_else_does() {
    for count in [0, 1, EXACT_MAX as u64, EXACT_MAX as u64 + 1, 20_000] {
        let sketch = of(0..count);
        let bytes = sketch.encode();
        let read = Sketch::decode(&bytes).expect("a sketch");
        assert_eq!(read, sketch);
        assert_eq!(read.estimate(), sketch.estimate());
        assert_eq!(read.encode(), bytes);
        for length in 0..bytes.len() {
            assert_eq!(Sketch::decode(&bytes[..length]), Err(NoSketch), "{length} of {count}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Sketch::decode(&longer), Err(NoSketch));
    }
    let unordered = [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(Sketch::decode(&unordered), Err(NoSketch));
}

#[test]
fn a_damaged_sketch_is_refused_or_read_but_never_panics() {
    let bytes = of(0..3_000).encode();
    for at in 0..bytes.len() {
        for bit in [1, 0x10, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            if let Ok(mut read) = Sketch::decode(&damaged) {
                read.insert(1);
                read.merge(&of(0..1_000));
                assert!(read.estimate() > 0);
            }
        }
    }
}

/// The bytes of a version are for ever: this fails if the library changes its format.
#[test]
fn the_bytes_are_these() {
    let hash = |sketch: Sketch| {
        let digest: [u8; 32] = Sha256::digest(sketch.encode()).into();
        format!("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3])
    };
    assert_eq!(of(0..3).encode().len(), 1 + 3 * 8);
    assert_eq!(of(0..10_000).encode().len(), 3_114);
    assert_eq!(hash(of(0..3)), "0497496a");
    assert_eq!(hash(of(0..10_000)), "4267f10d");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same visitors give the same bytes, in any order and through any tree of merges.
    #[test]
    fn only_the_set_matters(
        parts in prop::collection::vec((0u64..3_000, 0u64..700), 1..8),
        merges in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 8),
        seed in any::<u64>(),
    ) {
        let all = parts.iter().flat_map(|(start, count)| *start..start + count);
        let mut shuffled: Vec<u64> = all.collect();
        shuffled.sort_by_key(|number| visitor(number ^ seed));
        let at_once = of(shuffled);

        let mut sketches: Vec<Sketch> =
            parts.iter().map(|(start, count)| of(*start..start + count)).collect();
        for (index, through_bytes) in merges {
            if sketches.len() == 1 {
                break;
            }
            let other = sketches.swap_remove(index.index(sketches.len()));
            let into = index.index(sketches.len());
            sketches[into].merge(&other);
            if through_bytes {
                sketches[into] = Sketch::decode(&sketches[into].encode()).expect("a sketch");
            }
        }
        let mut merged = sketches.pop().unwrap_or_default();
        for sketch in &sketches {
            merged.merge(sketch);
        }
        prop_assert_eq!(merged.encode(), at_once.encode());
        prop_assert_eq!(merged.estimate(), at_once.estimate());
    }
}
