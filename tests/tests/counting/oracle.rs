//! What the numbers must be, found out in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use waypost_service::counting::batch::StoredBatch;
use waypost_service::counting::classify::Class;
use waypost_service::counting::window::Window;
use waypost_wire::time::Timestamp;

/// A stored click, and what decides its class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Truth {
    /// The window it is counted in.
    pub(crate) window: Window,
    /// The link, or 0.
    pub(crate) link: u64,
    at: Timestamp,
    id: (u64, u64),
    visitor: Option<u64>,
    head: bool,
}

impl Truth {
    /// Who numbered it.
    pub(crate) fn source(&self) -> u64 {
        self.id.0
    }

    /// Its number.
    pub(crate) fn sequence(&self) -> u64 {
        self.id.1
    }
}

/// All clicks that were admitted, each of them once.
pub(crate) fn clicks<'a>(admitted: impl IntoIterator<Item = &'a StoredBatch>) -> Vec<Truth> {
    let mut ids = BTreeSet::new();
    let mut all = Vec::new();
    for batch in admitted {
        let each = batch.each(|source, sequence, click, window| {
            assert!(ids.insert((source, sequence)), "{source} {sequence} was admitted twice");
            all.push(Truth {
                window,
                link: click.link_id,
                at: click.at,
                id: (source, sequence),
                visitor: click.visitor,
                head: click.head,
            });
        });
        each.expect("an admitted batch can be read");
    }
    all
}

/// Clicks by window, link and class.
pub(crate) fn by_class(clicks: &[Truth]) -> BTreeMap<(Window, u64, Class), u64> {
    let mut sums = BTreeMap::new();
    for click in clicks {
        let is_before = |other: &&Truth| {
            !other.head
                && (other.window, other.link, other.visitor)
                    == (click.window, click.link, click.visitor)
                && (other.at, other.id) < (click.at, click.id)
                && click.at.ms_since(other.at) < 60_000
        };
        let class = match click {
            Truth { head: true, .. } => Class::Head,
            Truth { visitor: Some(_), .. } if clicks.iter().filter(is_before).count() >= 20 => {
                Class::Burst
            }
            _ => Class::Human,
        };
        *sums.entry((click.window, click.link, class)).or_default() += 1;
    }
    sums
}
