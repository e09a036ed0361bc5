//! What is counted of a request. Trimmed here, before it leaves the host: no address, nothing
//! that tells visitors apart if they ask for that.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;
use waypost_wire::click::{Click, SLUG_MAX_BYTES, Target};
use waypost_wire::time::Timestamp;

use crate::decision::{Decision, NotFoundReason, Redirect, Via};
use crate::facts::{Method, RequestFacts};
use crate::language;
use crate::query;
use crate::rule::referrer_host;

/// The click of a decision; `None` if nothing was followed. `link` is the id of the link that was
/// found, `salt` the day's.
///
/// Visits to slugs that are not there are counted too, without a link; and so is a card that a
/// link preview agent was shown.
pub fn of<'a>(
    decision: &'a Decision<'_>,
    link: Option<u64>,
    facts: &RequestFacts<'a>,
    now: Timestamp,
    salt: Option<&[u8; 16]>,
) -> Option<Click<'a>> {
    let (target, slug, link_id, location) = match (decision, link) {
        (Decision::Redirect(redirect), Some(id)) => (target(redirect), "", id, &*redirect.to),
        (Decision::Gone { to: Some(to), .. }, Some(id)) => (Target::Expired, "", id, *to),
        (Decision::Card(_), Some(id)) => (Target::Nowhere, "", id, ""),
        (
            Decision::NotFound(
                NotFoundReason::NoLink | NotFoundReason::NoSlug | NotFoundReason::CheckCharacter,
            ),
            _,
        ) => (Target::Nowhere, orphan_slug(facts.path), 0, ""),
        _ => return None,
    };
    let tells_apart = !facts.do_not_track;
    Some(Click {
        link_id,
        slug,
        at: now,
        head: facts.method == Method::Head,
        prefetch: facts.is_prefetch(),
        datacentre: facts.datacentre,
        visitor: visitor(facts, salt).filter(|_| tells_apart),
        user_agent: facts.user_agent.unwrap_or_default(),
        referrer_host: facts.referer.and_then(referrer_host).unwrap_or_default(),
        country: facts.country.unwrap_or_default(),
        region: facts.region.unwrap_or_default(),
        city: facts.city.filter(|_| tells_apart).unwrap_or_default(),
        continent: facts.continent.unwrap_or_default(),
        language: facts.accept_language.and_then(language::preferred).map_or("", language::primary),
        utm: utm(facts.query.unwrap_or_default(), location),
        target,
    })
}

/// What stands in place of a slug, no longer than a slug can be.
fn orphan_slug(path: &str) -> &str {
    let asked = path.trim_start_matches('/');
    &asked[..asked.floor_char_boundary(SLUG_MAX_BYTES)]
}

fn target(redirect: &Redirect<'_>) -> Target {
    let position = |at: usize| u8::try_from(at).unwrap_or(u8::MAX);
    match redirect.via {
        Via::Android => Target::Android,
        Via::Default => Target::Default,
        Via::Ios => Target::Ios,
        Via::Rule { rule, variant } => {
            Target::Rule { rule: position(rule), variant: position(variant) }
        }
    }
}

/// Tells visitors of one day apart, and only of that day: the salt is thrown away.
fn visitor(facts: &RequestFacts<'_>, salt: Option<&[u8; 16]>) -> Option<u64> {
    let mut hasher = SipHasher24::new_with_key(salt?);
    hasher.write(&facts.client_ip?.to_le_bytes());
    hasher.write(facts.user_agent.unwrap_or_default().as_bytes());
    Some(hasher.finish())
}

/// Campaign parameters of the request, or else of where it was sent.
fn utm<'a>(asked: &'a str, location: &'a str) -> [&'a str; 5] {
    const NAMES: [&str; 5] =
        ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"];
    let before_fragment = location.split('#').next().unwrap_or_default();
    let sent = before_fragment.split_once('?').map_or("", |(_, query)| query);
    NAMES.map(|name| {
        let value = |query: &'a str| {
            let mut pairs = query::pairs(query);
            pairs.find(|(its_name, _)| *its_name == name).map(|(_, value)| value)
        };
        value(asked).or_else(|| value(sent)).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use waypost_wire::record::RedirectStatus;

    use super::*;
    use crate::decision::{Cache, GoneReason};

    fn redirect(to: &'static str, via: Via) -> Decision<'static> {
        Decision::Redirect(Redirect {
            to: Cow::Borrowed(to),
            status: RedirectStatus::Found,
            cache: Cache::NoStore,
            via,
            takes_use: false,
        })
    }

    fn facts() -> RequestFacts<'static> {
        RequestFacts {
            path: "/abc",
            query: Some("utm_source=mail&x=1"),
            user_agent: Some("Agent"),
            accept_language: Some("de-CH, en;q=0.5"),
            referer: Some("https://news.example/a?secret=1"),
            client_ip: Some(7),
            country: Some("CH"),
            city: Some("Bern"),
            ..RequestFacts::default()
        }
    }

    #[test]
    fn a_redirect_is_a_click_with_what_was_seen() {
        let decision = redirect(
            "https://e.example/?utm_source=link&utm_medium=qr#utm_term=x",
            Via::Rule { rule: 2, variant: 300 },
        );
        let facts = facts();
        let click = of(&decision, Some(9), &facts, Timestamp(5), Some(&[1; 16])).expect("a click");
        let expected = Click {
            link_id: 9,
            slug: "",
            at: Timestamp(5),
            head: false,
            prefetch: false,
            datacentre: false,
            visitor: click.visitor,
            user_agent: "Agent",
            referrer_host: "news.example",
            country: "CH",
            region: "",
            city: "Bern",
            continent: "",
            language: "de",
            utm: ["mail", "qr", "", "", ""],
            target: Target::Rule { rule: 2, variant: 255 },
        };
        assert_eq!(click, expected);
        assert!(click.visitor.is_some());
    }

    #[test]
    fn visitors_are_told_apart_by_the_days_salt_only() {
        let decision = redirect("https://e.example/", Via::Default);
        let facts = facts();
        let visitor = |facts: &RequestFacts<'static>, salt: u8| {
            of(&decision, Some(9), facts, Timestamp(5), Some(&[salt; 16]))
                .and_then(|click| click.visitor)
        };
        assert_eq!(visitor(&facts, 1), visitor(&facts, 1));
        assert_ne!(visitor(&facts, 1), visitor(&facts, 2));
        let other = RequestFacts { client_ip: Some(8), ..facts };
        assert_ne!(visitor(&facts, 1), visitor(&other, 1));
        let unknown = RequestFacts { client_ip: None, ..facts };
        assert_eq!(visitor(&unknown, 1), None);
    }

    #[test]
    fn who_asks_not_to_be_tracked_is_counted_without_hash_and_city() {
        let facts = RequestFacts { do_not_track: true, ..facts() };
        let decision = redirect("https://e.example/", Via::Default);
        let click = of(&decision, Some(9), &facts, Timestamp(5), Some(&[1; 16])).expect("a click");
        assert_eq!((click.visitor, click.city, click.country), (None, "", "CH"));
    }

    #[test]
    fn what_is_no_visit_is_no_click() {
        let facts = facts();
        let none = |decision: &Decision<'_>, link| {
            of(decision, link, &facts, Timestamp(5), None).is_none()
        };
        assert!(none(&Decision::NotFound(NotFoundReason::Disabled), Some(9)));
        assert!(none(&Decision::Gone { reason: GoneReason::Expired, to: None }, Some(9)));
        let orphan = Decision::NotFound(NotFoundReason::NoLink);
        let click = of(&orphan, None, &facts, Timestamp(5), None).expect("an orphan");
        assert_eq!((click.link_id, click.slug, click.target), (0, "abc", Target::Nowhere));
    }
}
