//! Words that no code shall spell by chance.

/// The stems, and how they are matched.
const LIST: &str = include_str!("offensive.txt");

/// Whether `code` contains an offensive stem, in any case, with digits read as the letters they
/// look like. Meant for generated codes, where a false alarm costs nothing; what people choose is
/// their own affair.
pub(super) fn is_offensive(code: &str) -> bool {
    let folded: String = code.chars().map(folded).collect();
    stems().any(|stem| folded.contains(stem))
}

fn stems() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn folded(c: char) -> char {
    match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        _ => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_are_found_anywhere_in_any_case_and_spelling() {
        for code in ["shit", "xxSHITxx", "5h1t9", "aSh1T0", "zzPORN", "p0Rn12", "FUC000", "00k1k3"]
        {
            assert!(is_offensive(code), "{code}");
        }
    }

    #[test]
    fn other_codes_pass() {
        for code in ["", "a1B2c3DR", "Summer24", "000000", "zzzzzz", "sh1ne5", "9x8Kq2"] {
            assert!(!is_offensive(code), "{code}");
        }
    }

    #[test]
    fn every_stem_can_match_and_is_there_once() {
        let stems: Vec<_> = stems().collect();
        assert!(stems.len() >= 60);
        for stem in &stems {
            assert!(stem.len() >= 3 && stem.bytes().all(|b| b.is_ascii_lowercase()), "{stem}");
            assert_eq!(stems.iter().filter(|other| *other == stem).count(), 1, "{stem}");
        }
    }

    #[test]
    fn few_codes_are_lost() {
        // 6-character codes all over the space: at most 1 in 100 is skipped.
        let step = 62_u64.pow(6) / 100_003;
        let lost =
            (0..100_000).filter(|n| is_offensive(&super::super::padded(n * step, 6))).count();
        assert!((1..1_000).contains(&lost), "{lost} of 100,000");
    }
}
