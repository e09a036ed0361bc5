//! Hosts that number clicks and send them, and the way between them and the aggregator.

use std::ops::Range;

use waypost_tests::clicks::{click, packed};
use waypost_wire::click::Click;
use waypost_wire::time::Timestamp;

use crate::draws::Draws;

/// Links that are clicked.
pub(crate) const LINKS: u64 = 3;

/// A process that numbers clicks.
pub(crate) struct Host {
    /// Its number.
    pub(crate) source: u64,
    /// The clicks it numbered.
    pub(crate) clicks: Vec<Click<'static>>,
    /// What it last said about how many that are.
    pub(crate) reported: u64,
    /// By how much its clock is wrong.
    skew_ms: i64,
    sent: usize,
}

impl Host {
    /// A process that has just started.
    pub(crate) fn new(source: u64, draws: &mut Draws) -> Self {
        let skew_ms = match draws.below(6) {
            0 => 3_600_000,
            1 => -3_600_000,
            _ => 0,
        };
        Self { source, clicks: Vec::new(), reported: 0, skew_ms, sent: 0 }
    }

    /// Numbers some clicks: mostly people, one of them in a hurry.
    pub(crate) fn accept(&mut self, now: Timestamp, draws: &mut Draws) {
        let hurried = draws.one_in(8);
        let favourite = draws.below(LINKS + 1);
        for _ in 0..1 + draws.below(if hurried { 40 } else { 5 }) {
            let link = if hurried { favourite } else { draws.below(LINKS + 1) };
            let mut one = click(link, now.plus_ms(self.skew_ms));
            one.at = one.at.plus_ms(-(draws.below(30_000) as i64));
            one.visitor = match hurried {
                true => Some(1),
                false => draws.below(40).checked_sub(1),
            };
            one.head = draws.one_in(10);
            if one.link_id == 0 {
                one.slug = "typo";
            }
            self.clicks.push(one);
        }
    }

    /// The batch of what was not sent yet; `None` if that is nothing.
    pub(crate) fn pack(&mut self) -> Option<Message> {
        let range = self.sent as u64..self.clicks.len() as u64;
        self.sent = self.clicks.len();
        (!range.is_empty()).then(|| Message::new(self, range))
    }

    /// Any of what was sent before, cut anew.
    pub(crate) fn repack(&self, draws: &mut Draws) -> Option<Message> {
        let start = draws.below((self.sent as u64).max(1));
        let end = start + 1 + draws.below(20);
        let range = start..end.min(self.sent as u64);
        (!range.is_empty()).then(|| Message::new(self, range))
    }
}

/// A batch on its way.
#[derive(Clone)]
pub(crate) struct Message {
    /// As it was packed.
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    fn new(host: &Host, range: Range<u64>) -> Self {
        let clicks = &host.clicks[range.start as usize..range.end as usize];
        Self { bytes: packed(host.source, range.start, clicks) }
    }
}
