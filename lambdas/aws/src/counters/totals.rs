//! The clicks of each link in closed windows.

use waypost_service::counting::classify::Class;
use waypost_service::counting::rollup::Totals;
use waypost_service::counting::window::Window;
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::bytes::{Reader, put_number};
use waypost_wire::time::Timestamp;

use super::rows::{Marks, attributes, unreadable, window};
use super::table::{Action, TRIES, Values, pause};
use super::{Counters, keys};
use crate::item::{Fields, Item, bytes, time};

/// The clicks of a link, with those of the last window apart: it may still be open, and then
/// whoever closes it may come again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    /// Clicks of all windows before `through`.
    pub(super) before: Totals,
    /// Clicks of the window `through`.
    pub(super) last: Totals,
    /// The last window with clicks on it.
    pub(super) through: Option<Window>,
    /// When its numbers were removed. Until that is forgotten it gets no new ones.
    pub(super) forgotten_at: Option<Timestamp>,
}

impl Total {
    /// Of an item, if there is one.
    pub(super) fn read(item: Option<&Item>) -> Result<Self, StoreError> {
        let Some(item) = item else {
            return Ok(Self::default());
        };
        if item.has("forgotten_at") {
            let forgotten_at = Some(item.time("forgotten_at")?);
            return Ok(Self { forgotten_at, ..Self::default() });
        }
        Ok(Self {
            before: decode(item.bytes("before")?)?,
            last: decode(item.bytes("last")?)?,
            through: Some(window(item, "through")?),
            forgotten_at: None,
        })
    }

    /// The clicks in windows before `closed_until`.
    pub(super) fn closed(&self, closed_until: Window) -> Totals {
        let mut totals = self.before;
        if self.through.is_some_and(|through| through < closed_until) {
            totals.merge(&self.last);
        }
        totals
    }

    /// With the clicks of a window, which is the last one or comes behind it, over whatever was
    /// written for it before; `None` if it comes before the last one.
    pub(super) fn with(&self, window: Window, clicks: &Totals) -> Option<Self> {
        let before = match self.through {
            Some(through) if window < through => return None,
            Some(through) if window == through => self.before,
            _ => self.closed(window),
        };
        Some(Self { before, last: *clicks, through: Some(window), forgotten_at: None })
    }

    /// With the clicks of closed windows corrected.
    pub(super) fn corrected(&self, closed_until: Window, old: &Totals, new: &Totals) -> Self {
        let is_closed = self.through.is_none_or(|through| through < closed_until);
        let mut before = self.closed(closed_until);
        before.merge(new);
        before.subtract(old);
        let last = if is_closed { Totals::default() } else { self.last };
        Self { before, last, through: self.through, forgotten_at: self.forgotten_at }
    }

    /// Writes it, if what is there is still as it was `read`.
    pub(super) fn write_over(&self, link: LinkId, read: &Self) -> Action {
        let mut item = keys::total(link);
        let through = self.through.unwrap_or(Window::FIRST);
        item.extend(attributes([
            ("before", bytes(encode(&self.before))),
            ("last", bytes(encode(&self.last))),
            ("through", time(through.start())),
        ]));
        let (condition, values): (_, Values) = match read.through {
            None => ("attribute_not_exists(pk)", vec![]),
            Some(through) => (
                "#through = :through AND #before = :before AND #last = :last \
                 AND attribute_not_exists(#forgotten_at)",
                vec![
                    (":through", time(through.start())),
                    (":before", bytes(encode(&read.before))),
                    (":last", bytes(encode(&read.last))),
                ],
            ),
        };
        Action::Put { item, condition: Some(condition), values }
    }
}

/// Holds as long as the numbers of a link are not removed.
pub(super) fn is_kept(link: LinkId) -> Action {
    Action::Check {
        key: keys::total(link),
        condition: "attribute_not_exists(#forgotten_at)",
        values: vec![],
    }
}

fn encode(totals: &Totals) -> Vec<u8> {
    let mut to = Vec::new();
    for class in Class::ALL {
        put_number(&mut to, totals.of(class));
    }
    to
}

fn decode(bytes: &[u8]) -> Result<Totals, StoreError> {
    let mut from = Reader::new(bytes);
    let mut totals = Totals::default();
    for class in Class::ALL {
        totals.add(class, from.number().map_err(|fault| unreadable("totals", fault))?);
    }
    Ok(totals)
}

impl Counters<'_> {
    /// The total of a link.
    pub(super) async fn total(&self, link: LinkId) -> Result<Total, StoreError> {
        Total::read(self.table.get(keys::total(link)).await?.as_ref())
    }

    pub(super) async fn link_totals(
        &self,
        ids: &[LinkId],
    ) -> Result<(Window, Vec<Totals>), StoreError> {
        let mut wanted: Vec<LinkId> = ids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "reading while windows close").await?;
            attempt += 1;
            let Marks { closed_until, .. } = self.marks().await?;
            let found =
                self.table.get_all(wanted.iter().map(|id| keys::total(*id)).collect()).await?;
            // Otherwise some totals may have been read before a window was closed, others behind.
            if self.marks().await?.closed_until != closed_until {
                continue;
            }
            let total = |id: &LinkId| {
                let item = found.get(&(keys::of_link(*id), "total".to_owned()));
                Total::read(item).map(|total| total.closed(closed_until))
            };
            let totals = ids.iter().map(total).collect::<Result<_, _>>()?;
            return Ok((closed_until, totals));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(clicks: u64) -> Totals {
        let mut totals = Totals::default();
        totals.add(Class::Human, clicks);
        totals
    }

    fn at(number: i64) -> Window {
        Window::of(Timestamp(number * 600_000))
    }

    #[test]
    fn a_window_is_added_once() {
        let none = Total::default();
        assert_eq!(none.closed(at(9)), people(0));
        let one = none.with(at(1), &people(3)).expect("it is the first");
        assert_eq!((one.closed(at(1)), one.closed(at(2))), (people(0), people(3)));
        assert_eq!(one.with(at(1), &people(3)), Some(one.clone()), "again");
        let two = one.with(at(4), &people(5)).expect("it comes behind");
        assert_eq!((two.closed(at(4)), two.closed(at(5))), (people(3), people(8)));
        assert_eq!(two.with(at(3), &people(1)), None);
        let other = two.with(at(4), &people(6)).expect("again, by other rules");
        assert_eq!((other.closed(at(4)), other.closed(at(5))), (people(3), people(9)));
    }

    #[test]
    fn closed_windows_are_corrected_and_open_ones_kept() {
        let total = Total::default()
            .with(at(1), &people(3))
            .and_then(|total| total.with(at(4), &people(5)));
        let total = total.expect("in order");
        let open = total.corrected(at(4), &people(2), &people(7));
        assert_eq!((open.closed(at(4)), open.closed(at(5))), (people(8), people(13)));
        let closed = total.corrected(at(5), &people(5), &people(1));
        assert_eq!((closed.closed(at(5)), closed.through), (people(4), Some(at(4))));
    }

    #[test]
    fn totals_come_back() {
        let mut all = Totals::default();
        for class in Class::ALL {
            all.add(class, u64::MAX / (1 + class as u64));
        }
        let total =
            Total { before: all, last: people(1), through: Some(at(-7)), forgotten_at: None };
        let Action::Put { item, .. } = total.write_over(LinkId(7), &Total::default()) else {
            panic!("totals are put");
        };
        assert_eq!(Total::read(Some(&item)), Ok(total));
        assert_eq!(Total::read(None), Ok(Total::default()));
    }
}
