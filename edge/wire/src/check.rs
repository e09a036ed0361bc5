//! The keyed check character of generated slugs: most guesses are refused without a read.
//!
//! A random code is drawn until it [`looks_generated`]; its last character is then computed from
//! the others with a secret key. A guess of that shape has the right one 1 time in 62, so the edge
//! refuses 98.4% of guesses at no cost. Slugs of any other shape are people's own and never
//! refused; people may not choose a slug of the generated shape (unless its check character
//! happens to be right), so a refusal always means that the slug never existed.
//!
//! The key must never change while codes made with it are in use, and the check must be off on
//! domains that ignore case: a visitor may type another case than the one that was checked.

use core::fmt;

use siphasher::sip::SipHasher24;

/// Length of a generated code in characters, the check character included.
pub const CODE_CHARACTERS: usize = 8;

/// Fewest changes of character class that make a slug look generated. Two are common in what
/// people write (`iPhone15`, `BigSale1`), three are rare (`iPadPro2`). 62% of random strings have
/// them, so this shape costs a code 0.7 bits.
const CLASS_CHANGES_MIN: u32 = 3;

/// The secret that check characters depend on.
#[derive(Clone)]
pub struct CheckKey([u8; 16]);

impl CheckKey {
    /// A key from 16 random bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The check character behind `stem`, the code's other seven characters: SipHash-2-4 of their
    /// bytes, modulo 62, as the digit of that value in the order `0-9A-Za-z`.
    pub fn character(&self, stem: &str) -> char {
        let hash = SipHasher24::new_with_key(&self.0).hash(stem.as_bytes());
        let digit = (hash % 62) as u8;
        char::from(match digit {
            0..=9 => b'0' + digit,
            10..=35 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        })
    }

    /// Whether `slug` cannot exist: it [`looks_generated`] and its check character is wrong.
    pub fn refuses(&self, slug: &str) -> bool {
        if !looks_generated(slug) {
            return false;
        }
        let (stem, check) = slug.split_at(CODE_CHARACTERS - 1);
        !check.starts_with(self.character(stem))
    }
}

/// Never shows the key: it would let anyone make codes that pass.
impl fmt::Debug for CheckKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckKey(..)")
    }
}

/// Whether `slug` has the shape of a generated code: exactly 8 base62 characters, at least one
/// digit, one upper-case and one lower-case letter, and at least 3 changes between these classes
/// other than from upper to lower case, which is how capitalised words are written.
pub fn looks_generated(slug: &str) -> bool {
    if slug.len() != CODE_CHARACTERS {
        return false;
    }
    let mut seen = [false; 3];
    let mut changes = 0;
    let mut previous = None;
    for byte in slug.bytes() {
        let Some(class) = Class::of(byte) else {
            return false;
        };
        seen[class as usize] = true;
        match (previous, class) {
            (None, _) | (Some(Class::Upper), Class::Lower) => {}
            (Some(before), _) if before == class => {}
            (Some(_), _) => changes += 1,
        }
        previous = Some(class);
    }
    seen == [true; 3] && changes >= CLASS_CHANGES_MIN
}

/// What kind of base62 character a byte is.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Digit,
    Lower,
    Upper,
}

impl Class {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'0'..=b'9' => Some(Self::Digit),
            b'a'..=b'z' => Some(Self::Lower),
            b'A'..=b'Z' => Some(Self::Upper),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    fn key() -> CheckKey {
        CheckKey::new(*b"sixteen byte key")
    }

    /// Random slugs of 8 characters, the same on every run.
    fn random_slugs() -> impl Iterator<Item = String> {
        let numbers = SipHasher24::new_with_keys(1, 2);
        (0_u64..).map(move |n| {
            let mut bits = u128::from(numbers.hash(&n.to_le_bytes()));
            let digits = core::iter::repeat_with(|| {
                let digit = (bits % 62) as usize;
                bits /= 62;
                char::from(ALPHABET[digit])
            });
            digits.take(CODE_CHARACTERS).collect()
        })
    }

    #[test]
    fn at_least_98_percent_of_guesses_are_refused() {
        let key = key();
        let guesses = random_slugs().filter(|slug| looks_generated(slug)).take(100_000);
        let refused = guesses.filter(|slug| key.refuses(slug)).count();
        assert!((98_000..98_800).contains(&refused), "{refused} of 100,000");
    }

    #[test]
    fn own_codes_are_never_refused() {
        let key = key();
        let mut made = 0;
        for stem in random_slugs().take(100_000) {
            let stem = &stem[..7];
            let code = format!("{stem}{}", key.character(stem));
            made += u32::from(looks_generated(&code));
            assert!(!key.refuses(&code), "{code}");
        }
        assert!(made > 60_000, "only {made} of 100,000 look generated");
    }

    #[test]
    fn exactly_one_check_character_passes() {
        let key = key();
        let passing =
            ALPHABET.iter().filter(|&&c| !key.refuses(&format!("a1B2c3D{}", char::from(c))));
        assert_eq!(passing.count(), 1);
    }

    #[test]
    fn check_characters_are_frozen() {
        let key = key();
        let characters: String = ["a1B2c3D", "0000000", "zzzzzzz", "Xy7Zk2Q"]
            .iter()
            .map(|stem| key.character(stem))
            .collect();
        assert_eq!(characters, "Ra2a");
        assert_eq!(CheckKey::new([0; 16]).character("a1B2c3D"), 'a');
    }

    #[test]
    fn every_check_character_occurs() {
        let key = key();
        let mut seen = [0_u32; 128];
        for stem in random_slugs().take(62_000) {
            seen[key.character(&stem[..7]) as usize] += 1;
        }
        for &c in ALPHABET {
            let times = seen[usize::from(c)];
            assert!((800..1_200).contains(&times), "{}: {times}", char::from(c));
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", key()), "CheckKey(..)");
    }

    #[test]
    fn generated_shapes() {
        for slug in ["a1B2c3D4", "Xk3pQ9zR", "0aA0aA0a", "aB3xYz91", "1a1A1aAA"] {
            assert!(looks_generated(slug), "{slug}");
        }
    }

    #[test]
    fn one_property_short_of_the_generated_shape() {
        for (why, slugs) in [
            ("length", ["", "a", "a1B2c3D", "a1B2c3D4e"]),
            ("alphabet", ["a1B2c3D-", "_1B2c3D4", "a1/2c3D4", "a1B2c3é"]),
            ("a class", ["a1b2c3d4", "A1B2C3D4", "aBcDeFgH", "12345678"]),
            ("a change", ["Abcdef1G", "aBcdefg1", "Ab1Cdefg", "ABcd12EF"]),
        ] {
            for slug in slugs {
                assert!(!looks_generated(slug), "{slug} lacks {why}");
            }
        }
    }

    #[test]
    fn what_people_write_is_not_taken_for_generated() {
        let slugs = "
            Summer24 BigSale1 Q4Launch 2024sale iPhone15 launch24 BlackFri summer24 SUMMER24
            Sommer26 Winter25 Xmas2026 xmas2026 Easter26 NewYear1 NYE2026a WebDev26 DevCon26
            RustConf KubeCon1 FOSDEM26 GitHub42 YouTube1 LinkedIn WhatsApp TikTok99 FaceBook
            Shop2026 shop2026 ShopNow1 BuyNow24 GetApp20 AppStore PlayShop Menu2026 menu2026
            QRcode01 QRCode01 Poster01 poster01 Flyer001 Week2026 Day1Talk Talk2026 Track2AB
            Room101a Floor12B Save20No 50PctOff 3for2now Top10Tip Top100UK v2launch V2Launch
            Covid19x Euro2028 Paris24x LA28Game S24Ultra Model3EV Win11Pro Office36 MacBook1
            A4Poster JobFair1 Career26 HR2026Q1 Q1Report Q12026hr FY26Plan Invoice7";
        for slug in slugs.split_whitespace() {
            assert_eq!(slug.len(), CODE_CHARACTERS, "{slug} proves nothing");
            assert!(!looks_generated(slug), "{slug}");
        }
    }

    #[test]
    fn the_price_is_a_few_names_people_cannot_choose() {
        for slug in ["iPadPro2", "Q4Sale24", "2for1Now", "PyCon26a"] {
            assert!(looks_generated(slug), "{slug}");
        }
        assert!(!looks_generated("iPad-Pro2"));
    }
}
