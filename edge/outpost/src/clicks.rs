//! Clicks between a redirect and their way out: numbered at once, packed, kept until somebody
//! durable has them, within a bounded memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use waypost_wire::click::{BatchWriter, Click};
use waypost_wire::time::Timestamp;

/// Most bytes of packed clicks that wait: about 30,000 clicks. Beyond it the oldest are given up,
/// which shows as a gap in the numbers of this source.
pub const WAITING_MAX_BYTES: usize = 3 * 1024 * 1024;

/// A delivery that was promised this long ago is not believed in any more: its request was ended
/// by the host.
const PROMISE_MS: i64 = 10_000;

/// A batch of clicks, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The number of its first click.
    pub first_sequence: u64,
    /// How many clicks it holds.
    pub clicks: u64,
    /// As [`BatchWriter::finish`] made it.
    pub bytes: Rc<[u8]>,
}

/// The clicks of one source.
#[derive(Debug)]
pub struct ClickBuffer {
    source: u64,
    next_sequence: u64,
    open: BatchWriter,
    waiting: VecDeque<Parcel>,
    waiting_bytes: usize,
    flush_ms: u32,
    /// When a delivery was promised last, if none has begun since.
    promised_at: Option<Timestamp>,
    wants: Wants,
    given_up: u64,
}

/// What the buffer wants since somebody last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Nothing,
    /// A delivery soon: something waits.
    Later,
    /// A delivery now: a batch is full.
    Now,
}

impl ClickBuffer {
    /// An empty buffer; `source` names it in every batch and is never used twice. Clicks wait
    /// `flush_ms` for others.
    pub const fn new(source: u64, flush_ms: u32) -> Self {
        Self {
            source,
            next_sequence: 0,
            open: BatchWriter::new(source, 0),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            flush_ms,
            promised_at: None,
            wants: Wants::Nothing,
            given_up: 0,
        }
    }

    /// Numbers a click and keeps it.
    pub fn accept(&mut self, click: &Click<'_>) {
        self.next_sequence += 1;
        self.open.push(click);
        if self.open.is_full() {
            self.pack();
            self.wants = Wants::Now;
        } else if self.wants == Wants::Nothing {
            self.wants = Wants::Later;
        }
    }

    /// In how many milliseconds a delivery has to begin; `None` if none is needed, or one was
    /// promised. Asking is promising.
    pub fn due_ms(&mut self, now: Timestamp) -> Option<u32> {
        let wants = std::mem::replace(&mut self.wants, Wants::Nothing);
        let is_promised =
            self.promised_at.is_some_and(|at| (0..PROMISE_MS).contains(&now.ms_since(at)));
        match wants {
            Wants::Nothing => None,
            Wants::Now => Some(0),
            Wants::Later if is_promised => None,
            Wants::Later => {
                // What begins at once is no promise to those who come later.
                self.promised_at = (self.flush_ms > 0).then_some(now);
                Some(self.flush_ms)
            }
        }
    }

    /// Packs what is there: the promised delivery begins, and the next click needs another one.
    pub fn seal(&mut self) {
        self.promised_at = None;
        self.pack();
    }

    /// Packs what is there.
    pub fn pack(&mut self) {
        let clicks = self.open.count() as u64;
        if clicks == 0 {
            return;
        }
        let next = BatchWriter::new(self.source, self.next_sequence);
        let bytes = std::mem::replace(&mut self.open, next).finish().into();
        let first_sequence = self.next_sequence - clicks;
        self.keep(Parcel { first_sequence, clicks, bytes });
    }

    /// Takes parcels to deliver: at least one if there is any, then as many more as fit.
    pub fn take(&mut self, parcels_max: usize, bytes_max: usize) -> Vec<Parcel> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(parcel) = self.waiting.front() {
            bytes += parcel.bytes.len();
            if taken.len() == parcels_max || (!taken.is_empty() && bytes > bytes_max) {
                break;
            }
            self.waiting_bytes -= parcel.bytes.len();
            taken.extend(self.waiting.pop_front());
        }
        taken
    }

    /// Takes back what could not be delivered.
    pub fn give_back(&mut self, parcels: Vec<Parcel>) {
        for parcel in parcels {
            self.keep(parcel);
        }
        // The next click asks for a delivery even if it could join a promised one.
        self.promised_at = None;
    }

    /// Notes clicks that will never be delivered.
    pub const fn give_up(&mut self, clicks: u64) {
        self.given_up += clicks;
    }

    /// Clicks numbered so far.
    pub const fn accepted(&self) -> u64 {
        self.next_sequence
    }

    /// Clicks given up so far.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.open.count() == 0
    }

    /// Keeps a parcel in the order of numbers: deliveries that fail come back in any.
    fn keep(&mut self, parcel: Parcel) {
        self.waiting_bytes += parcel.bytes.len();
        let at = self.waiting.partition_point(|known| known.first_sequence < parcel.first_sequence);
        self.waiting.insert(at, parcel);
        while self.waiting_bytes > WAITING_MAX_BYTES {
            let Some(oldest) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= oldest.bytes.len();
            self.given_up += oldest.clicks;
        }
    }
}

/// Parcels on their way. Whatever is not said to have arrived, or to be hopeless, goes back when
/// this is dropped, be it because the host ended the request that carried them.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    buffer: &'a RefCell<ClickBuffer>,
    pub(crate) parcels: Vec<Parcel>,
}

impl<'a> Taken<'a> {
    pub(crate) fn from(
        buffer: &'a RefCell<ClickBuffer>,
        parcels_max: usize,
        bytes_max: usize,
    ) -> Option<Self> {
        let parcels = buffer.borrow_mut().take(parcels_max, bytes_max);
        (!parcels.is_empty()).then_some(Self { buffer, parcels })
    }

    /// Keeps only the parcels whose fate is open.
    pub(crate) fn settle(&mut self, mut fate: impl FnMut(usize) -> Fate) -> u64 {
        let mut arrived = 0;
        let mut at = 0;
        let buffer = self.buffer;
        self.parcels.retain(|parcel| {
            at += 1;
            match fate(at - 1) {
                Fate::Arrived => arrived += parcel.clicks,
                Fate::Hopeless => buffer.borrow_mut().give_up(parcel.clicks),
                Fate::Open => return true,
            }
            false
        });
        arrived
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.parcels.is_empty() {
            self.buffer.borrow_mut().give_back(std::mem::take(&mut self.parcels));
        }
    }
}

/// What became of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Somebody durable has it.
    Arrived,
    /// It will never be taken.
    Hopeless,
    /// Try again.
    Open,
}

#[cfg(test)]
mod tests {
    use waypost_wire::click::{BATCH_CLICKS, Batch};

    use super::*;

    fn click(link_id: u64) -> Click<'static> {
        Click { link_id, ..Click::default() }
    }

    fn buffer(clicks: u64) -> ClickBuffer {
        let mut buffer = ClickBuffer::new(7, 2_000);
        for link_id in 1..=clicks {
            buffer.accept(&click(link_id));
        }
        buffer
    }

    #[test]
    fn the_first_click_asks_for_a_delivery_and_a_full_batch_for_one_now() {
        let mut buffer = buffer(1);
        assert_eq!(buffer.due_ms(Timestamp(0)), Some(2_000));
        buffer.accept(&click(2));
        assert_eq!(buffer.due_ms(Timestamp(1)), None, "it is promised");
        for link_id in 3..=BATCH_CLICKS as u64 {
            buffer.accept(&click(link_id));
        }
        assert_eq!(buffer.due_ms(Timestamp(2)), Some(0));
        assert_eq!(buffer.due_ms(Timestamp(2)), None);
        buffer.accept(&click(1));
        assert_eq!(buffer.due_ms(Timestamp(3)), None, "the promise still holds");
        buffer.seal();
        buffer.accept(&click(2));
        assert_eq!(buffer.due_ms(Timestamp(4)), Some(2_000));
    }

    #[test]
    fn a_delivery_that_begins_at_once_promises_nothing() {
        let mut buffer = ClickBuffer::new(7, 0);
        for link_id in 1..=3 {
            buffer.accept(&click(link_id));
            assert_eq!(buffer.due_ms(Timestamp(1)), Some(0));
            buffer.pack();
        }
    }

    #[test]
    fn a_promise_that_was_not_kept_is_asked_for_again() {
        let mut buffer = buffer(1);
        assert_eq!(buffer.due_ms(Timestamp(0)), Some(2_000));
        buffer.accept(&click(2));
        assert_eq!(buffer.due_ms(Timestamp(PROMISE_MS)), Some(2_000));
        // A clock set back does not make a promise last for ever.
        buffer.accept(&click(3));
        assert_eq!(buffer.due_ms(Timestamp(-1)), Some(2_000));
    }

    #[test]
    fn numbers_go_on_from_parcel_to_parcel() {
        let mut buffer = buffer(3);
        buffer.seal();
        buffer.seal();
        buffer.accept(&click(4));
        buffer.seal();
        let parcels = buffer.take(10, usize::MAX);
        let read = |parcel: &Parcel| {
            let batch = Batch::parse(&parcel.bytes).expect("a batch");
            let links = batch.clicks().map(|(_, click)| click.link_id).collect::<Vec<_>>();
            (batch.id().source, batch.id().first_sequence, links)
        };
        assert_eq!(
            parcels.iter().map(read).collect::<Vec<_>>(),
            [(7, 0, vec![1, 2, 3]), (7, 3, vec![4])]
        );
        assert!(buffer.is_empty());
        assert_eq!((buffer.accepted(), buffer.given_up()), (4, 0));
    }

    #[test]
    fn what_is_taken_and_not_settled_goes_back_in_order() {
        let buffer = RefCell::new(buffer(1));
        for link_id in 2..=4 {
            buffer.borrow_mut().seal();
            buffer.borrow_mut().accept(&click(link_id));
        }
        buffer.borrow_mut().seal();
        let mut taken = Taken::from(&buffer, 3, usize::MAX).expect("parcels");
        assert_eq!(taken.parcels.len(), 3);
        let fates = [Fate::Open, Fate::Arrived, Fate::Hopeless];
        assert_eq!(taken.settle(|at| fates[at]), 1);
        drop(taken);
        let firsts: Vec<u64> = buffer
            .borrow_mut()
            .take(9, usize::MAX)
            .iter()
            .map(|parcel| parcel.first_sequence)
            .collect();
        assert_eq!(firsts, [0, 3]);
        assert_eq!(buffer.borrow().given_up(), 1);
        assert!(Taken::from(&buffer, 3, usize::MAX).is_none());
    }

    #[test]
    fn deliveries_that_fail_in_any_order_leave_the_order_of_numbers() {
        let mut buffer = buffer(1);
        for link_id in 2..=3 {
            buffer.seal();
            buffer.accept(&click(link_id));
        }
        buffer.seal();
        let (first, second) = (buffer.take(1, 0), buffer.take(1, 0));
        buffer.give_back(first);
        buffer.give_back(second);
        let firsts: Vec<u64> =
            buffer.take(9, usize::MAX).iter().map(|p| p.first_sequence).collect();
        assert_eq!(firsts, [0, 1, 2]);
    }

    #[test]
    fn parcels_are_taken_within_bounds_but_never_none() {
        let mut buffer = buffer(1);
        buffer.seal();
        buffer.accept(&click(2));
        buffer.seal();
        assert_eq!(buffer.take(10, 0).len(), 1);
        assert_eq!(buffer.take(10, 0).len(), 1);
        assert_eq!(buffer.take(10, 0).len(), 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_are_given_up() {
        let mut buffer = ClickBuffer::new(7, 2_000);
        let mut visitor = 0;
        while buffer.given_up() == 0 {
            visitor += 1;
            buffer.accept(&Click { visitor: Some(visitor), ..click(visitor) });
            assert!(buffer.waiting_bytes <= WAITING_MAX_BYTES);
        }
        let kept: u64 = buffer.take(usize::MAX, usize::MAX).iter().map(|p| p.clicks).sum();
        assert_eq!(kept + buffer.given_up(), buffer.accepted());
        assert!(kept > 20_000, "{kept}");
    }
}
