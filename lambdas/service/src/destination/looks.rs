//! How a destination looks to people.

use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton};
use url::{Host, Position, Url};

/// What people see of a URL.
pub(super) struct Looks {
    pub(super) display: String,
    pub(super) mixed_script: bool,
    pub(super) confusable: bool,
}

/// Shows an internationalised host name in its readable form, and judges it.
pub(super) fn of(url: &Url) -> Looks {
    let readable = match url.host() {
        Some(Host::Domain(domain)) => readable(domain),
        _ => None,
    };
    let Some(host) = readable else {
        return Looks { display: url.as_str().to_owned(), mixed_script: false, confusable: false };
    };
    Looks {
        display: [&url[..Position::BeforeHost], &host, &url[Position::AfterHost..]].concat(),
        mixed_script: host.split('.').any(is_mixed_script),
        confusable: host.split('.').any(is_confusable),
    }
}

/// The host name with U-labels; `None` if it has none.
fn readable(domain: &str) -> Option<String> {
    let (unicode, result) = idna::domain_to_unicode(domain);
    (result.is_ok() && !unicode.is_ascii()).then_some(unicode)
}

/// UTS 39 5.2: Latin beside Chinese, Japanese or Korean is how these are written ("highly
/// restrictive"); any other mix is suspicious. Emoji and digits belong to every script.
fn is_mixed_script(label: &str) -> bool {
    !label.is_single_script()
        && label.detect_restriction_level() > RestrictionLevel::HighlyRestrictive
}

/// UTS 39 4: the label could be mistaken for one in ASCII, as a Cyrillic "сосо" for "coco".
fn is_confusable(label: &str) -> bool {
    !label.is_ascii() && skeleton(label).all(|c| c.is_ascii())
}
