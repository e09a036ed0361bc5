//! Slugs that people choose.

use waypost_wire::check::CheckKey;
use waypost_wire::key::{SLUG_MAX_BYTES, SLUG_SEGMENTS_MAX};

/// First segments that no link may have, in lower case: Waypost's own routes, now and to come,
/// and names that browsers, crawlers and platforms ask every host for. Matched without regard to
/// case, since a domain may ignore it. Those with a dot cannot be written as a slug anyway; they
/// are here so that the list stays complete should the alphabet grow.
///
/// Freeing a word later is easy, reserving one later breaks links: so the list is generous with
/// routes and nothing else.
const RESERVED: [&str; 25] = [
    ".well-known",
    "admin",
    "ads.txt",
    "api",
    "apple-app-site-association",
    "apple-touch-icon",
    "apple-touch-icon.png",
    "assets",
    "dashboard",
    "favicon",
    "favicon.ico",
    "health",
    "healthz",
    "humans.txt",
    "livez",
    "login",
    "logout",
    "manifest.json",
    "metrics",
    "oauth",
    "readyz",
    "robots.txt",
    "security.txt",
    "sitemap.xml",
    "static",
];

/// What a domain accepts as a custom slug.
#[derive(Clone, Debug, Default)]
pub struct SlugRules {
    /// Accept `/` between segments.
    pub slashes: bool,
    /// The key of the domain's check characters; `None` if its check is off.
    pub check: Option<CheckKey>,
}

/// Why a custom slug was refused. [`Display`](std::fmt::Display) says what was wrong,
/// [`SlugFault::expected`] what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlugFault {
    /// A character outside of the alphabet.
    #[error("the slug has {character:?} at byte {at_byte}")]
    Character {
        /// The first one.
        character: char,
        /// Offset in the input.
        at_byte: usize,
    },
    /// Nothing there.
    #[error("the slug is empty")]
    Empty,
    /// A slash at an end, or two in a row.
    #[error("the slug has an empty segment: a slash at an end, or two in a row")]
    EmptySegment,
    /// The shape of a generated code, so that the edge would refuse it.
    #[error("the slug looks like a generated code, and those carry a check character")]
    LooksGenerated,
    /// A name that Waypost or every web host needs.
    #[error("{word:?} is reserved")]
    Reserved {
        /// The first segment, as given.
        word: String,
    },
    /// A slash where the domain allows none.
    #[error("the slug has a / at byte {at_byte}, and this domain allows none")]
    Slash {
        /// Offset in the input.
        at_byte: usize,
    },
    /// The system's names start with an underscore.
    #[error("the slug starts with an underscore, and such names belong to the system")]
    SystemName,
    /// Longer than [`SLUG_MAX_BYTES`].
    #[error("the slug has {characters} characters")]
    TooLong {
        /// Its length.
        characters: usize,
    },
    /// More segments than [`SLUG_SEGMENTS_MAX`].
    #[error("the slug has {segments} segments")]
    TooManySegments {
        /// How many.
        segments: usize,
    },
}

impl SlugFault {
    /// What was wrong; the same text as `Display`.
    pub fn detail(&self) -> String {
        self.to_string()
    }

    /// What would be right.
    pub fn expected(&self) -> String {
        match self {
            Self::Character { .. } => "letters a to z and A to Z, digits, - and _ only".into(),
            Self::Empty | Self::TooLong { .. } => format!("1 to {SLUG_MAX_BYTES} characters"),
            Self::EmptySegment => "segments of at least one character, divided by single slashes".into(),
            Self::LooksGenerated => {
                "a slug of another shape: add a hyphen or change a character, or switch the domain's check off".into()
            }
            Self::Reserved { .. } => "another word, or the same with something added".into(),
            Self::Slash { .. } => "- in place of /, or a domain that allows slashes".into(),
            Self::SystemName => "a letter, a digit or a hyphen as first character".into(),
            Self::TooManySegments { .. } => format!("at most {SLUG_SEGMENTS_MAX} segments"),
        }
    }
}

/// Accepts or refuses `input` as a custom slug; the slug is the input, unchanged.
pub fn parse_custom(input: &str, rules: &SlugRules) -> Result<String, SlugFault> {
    if input.is_empty() {
        return Err(SlugFault::Empty);
    }
    let is_foreign = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'));
    if let Some((at_byte, character)) = input.char_indices().find(|(_, c)| is_foreign(c)) {
        return Err(SlugFault::Character { character, at_byte });
    }
    if input.len() > SLUG_MAX_BYTES {
        return Err(SlugFault::TooLong { characters: input.len() });
    }
    check_segments(input, rules.slashes)?;
    if input.starts_with('_') {
        return Err(SlugFault::SystemName);
    }
    if is_reserved(input) {
        return Err(SlugFault::Reserved { word: first_segment(input).to_owned() });
    }
    if rules.check.as_ref().is_some_and(|key| key.refuses(input)) {
        return Err(SlugFault::LooksGenerated);
    }
    Ok(input.to_owned())
}

/// Whether the slug's first segment is a reserved word, in any case.
pub fn is_reserved(slug: &str) -> bool {
    let first = first_segment(slug);
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(first))
}

fn first_segment(slug: &str) -> &str {
    slug.split('/').next().unwrap_or_default()
}

fn check_segments(slug: &str, slashes: bool) -> Result<(), SlugFault> {
    let Some(at_byte) = slug.find('/') else {
        return Ok(());
    };
    if !slashes {
        return Err(SlugFault::Slash { at_byte });
    }
    if slug.split('/').any(str::is_empty) {
        return Err(SlugFault::EmptySegment);
    }
    let segments = slug.split('/').count();
    if segments > SLUG_SEGMENTS_MAX {
        return Err(SlugFault::TooManySegments { segments });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: SlugRules = SlugRules { slashes: false, check: None };
    const SLASHES: SlugRules = SlugRules { slashes: true, check: None };

    fn checked() -> SlugRules {
        SlugRules { slashes: false, check: Some(CheckKey::new(*b"sixteen byte key")) }
    }

    #[test]
    fn slugs_are_kept_as_given() {
        let longest = "x".repeat(64);
        for slug in
            ["a", "Z", "0", "-", "--", "a_", "Summer-24", "apis", "my-api", "iPadPro2", &longest]
        {
            assert_eq!(parse_custom(slug, &PLAIN), Ok(slug.to_owned()));
        }
        for slug in ["docs/api", "a/b/c/d", "a/_b", "x/health"] {
            assert_eq!(parse_custom(slug, &SLASHES), Ok(slug.to_owned()));
        }
    }

    #[test]
    fn length_is_limited() {
        assert_eq!(parse_custom("", &PLAIN), Err(SlugFault::Empty));
        let fault = parse_custom(&"x".repeat(65), &PLAIN);
        assert_eq!(fault, Err(SlugFault::TooLong { characters: 65 }));
    }

    #[test]
    fn only_the_alphabet() {
        for (slug, character, at_byte) in [
            ("a b", ' ', 1),
            ("a+", '+', 1),
            ("robots.txt", '.', 6),
            ("..", '.', 0),
            ("a%2e", '%', 1),
            ("a\0", '\0', 1),
            ("a\r\n", '\r', 1),
            ("a\\b", '\\', 1),
            ("é", 'é', 0),
            ("paypаl", 'а', 4),
            ("ａbc", 'ａ', 0),
            ("a\u{200B}", '\u{200B}', 1),
            ("a?b", '?', 1),
            ("a#", '#', 1),
            ("\u{1F600}", '\u{1F600}', 0),
        ] {
            assert_eq!(
                parse_custom(slug, &SLASHES),
                Err(SlugFault::Character { character, at_byte }),
                "{slug:?}"
            );
        }
    }

    #[test]
    fn slashes_only_where_allowed_and_only_between_segments() {
        assert_eq!(parse_custom("a/b", &PLAIN), Err(SlugFault::Slash { at_byte: 1 }));
        for slug in ["/", "/a", "a/", "a//b", "//"] {
            assert_eq!(parse_custom(slug, &SLASHES), Err(SlugFault::EmptySegment), "{slug}");
        }
        let fault = parse_custom("a/b/c/d/e", &SLASHES);
        assert_eq!(fault, Err(SlugFault::TooManySegments { segments: 5 }));
    }

    #[test]
    fn reserved_words_in_any_case_and_with_more_behind() {
        for (slug, word) in [
            ("api", "api"),
            ("API", "API"),
            ("Health", "Health"),
            ("api/v1", "api"),
            ("favicon", "favicon"),
        ] {
            let fault = parse_custom(slug, &SLASHES);
            assert_eq!(fault, Err(SlugFault::Reserved { word: word.into() }), "{slug}");
        }
        for slug in ["_", "_system", "_a/b"] {
            assert_eq!(parse_custom(slug, &SLASHES), Err(SlugFault::SystemName), "{slug}");
        }
    }

    #[test]
    fn the_list_is_sorted_lower_case_and_without_duplicates() {
        assert!(RESERVED.is_sorted_by(|a, b| a < b));
        assert!(RESERVED.iter().all(|word| *word == word.to_ascii_lowercase()));
    }

    #[test]
    fn slugs_the_edge_would_refuse_are_refused() {
        let rules = checked();
        // The check character of this stem and key is frozen in waypost-wire.
        assert_eq!(parse_custom("a1B2c3DR", &rules), Ok("a1B2c3DR".into()));
        assert_eq!(parse_custom("a1B2c3DS", &rules), Err(SlugFault::LooksGenerated));
        assert_eq!(parse_custom("a1B2-3DS", &rules), Ok("a1B2-3DS".into()));
        assert_eq!(parse_custom("a1B2c3DS", &PLAIN), Ok("a1B2c3DS".into()));
    }

    #[test]
    fn faults_say_what_would_be_right() {
        let fault = SlugFault::Character { character: ' ', at_byte: 3 };
        assert_eq!(fault.detail(), "the slug has ' ' at byte 3");
        assert_eq!(fault.expected(), "letters a to z and A to Z, digits, - and _ only");
        assert_eq!(SlugFault::Empty.expected(), "1 to 64 characters");
    }
}
