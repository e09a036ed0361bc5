//! What kind of hit a click is. Nothing is thrown away: what is no person gets a reason.

use waypost_core::agent::{Agent, Robot};
use waypost_wire::click::Click;

/// Clicks of one visitor on one link within [`BURST_MS`] that a person may make; those beyond
/// them are [`Class::Burst`].
pub const BURST_CLICKS: usize = 20;

/// The span [`BURST_CLICKS`] is for.
pub const BURST_MS: i64 = 60 * 1_000;

/// The class of a click. Where several fit, the first of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Method HEAD: nobody is there to see an answer.
    Head,
    /// A browser that fetches ahead of a click that may never come.
    Prefetch,
    /// An agent that makes the card of a pasted link.
    LinkPreview,
    /// A program that says so.
    Bot,
    /// From a datacentre's address.
    Datacentre,
    /// More of one visitor on one link than a person clicks.
    Burst,
    /// None of the others.
    Human,
}

impl Class {
    /// Every class, in order.
    pub const ALL: [Self; 7] = [
        Self::Head,
        Self::Prefetch,
        Self::LinkPreview,
        Self::Bot,
        Self::Datacentre,
        Self::Burst,
        Self::Human,
    ];

    /// The word for this class in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::LinkPreview => "link_preview",
            Self::Bot => "bot",
            Self::Datacentre => "datacentre",
            Self::Burst => "burst",
            Self::Human => "human",
        }
    }

    /// The class of a click by itself. [`Class::Burst`] is found among many: see
    /// [`super::tally`].
    pub const fn of(click: &Click<'_>, agent: &Agent) -> Self {
        match (click, agent.robot) {
            (Click { head: true, .. }, _) => Self::Head,
            (Click { prefetch: true, .. }, _) => Self::Prefetch,
            (_, Some(Robot::LinkPreview)) => Self::LinkPreview,
            (_, Some(Robot::Bot)) => Self::Bot,
            (Click { datacentre: true, .. }, _) => Self::Datacentre,
            _ => Self::Human,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_core::agent;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    const CRAWLER: &str =
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    const CARD: &str = "facebookexternalhit/1.1";

    #[test]
    fn the_first_reason_that_fits_counts() {
        let cases = [
            (FIREFOX, [false, false, false], Class::Human),
            (FIREFOX, [false, false, true], Class::Datacentre),
            (CRAWLER, [false, false, true], Class::Bot),
            ("", [false, false, false], Class::Bot),
            (CARD, [false, false, true], Class::LinkPreview),
            (CARD, [false, true, true], Class::Prefetch),
            (CRAWLER, [true, true, true], Class::Head),
        ];
        for (user_agent, [head, prefetch, datacentre], expected) in cases {
            let click = Click { user_agent, head, prefetch, datacentre, ..Click::default() };
            let class = Class::of(&click, &agent::parse(user_agent));
            assert_eq!(class, expected, "{click:?}");
        }
    }

    #[test]
    fn codes_are_positions() {
        for (position, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, position);
        }
    }
}
