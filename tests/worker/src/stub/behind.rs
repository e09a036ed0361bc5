use std::collections::BTreeMap;

use waypost_wire::click::Batch;
use waypost_wire::origin::sign::SignatureFault;
use waypost_wire::origin::{Unlocked, Used};
use waypost_wire::state::STATE_KEY;
use waypost_wire::time::Timestamp;

use super::mood::Moods;
use super::{Mood, ORIGIN_URL, QUEUE_URL, Reply, Topic, origin, queue, store};
use crate::http1::Message;

/// Something that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What about.
    pub topic: Topic,
    /// `edge s.example/abc`, `origin s.example/abc`, `take_use 1`, `unlock s.example/abc sesame`,
    /// `origin state`, `clicks 1` and `queue 1` with the number of batches.
    pub what: String,
    /// Of a read of KV: how old the answer may be.
    pub age_max_seconds: Option<u32>,
}

/// What is behind the Worker.
#[derive(Debug)]
pub struct Behind {
    /// The time, for those who check signatures.
    pub now: Timestamp,
    /// What KV holds.
    pub store: BTreeMap<String, Vec<u8>>,
    /// The records that the origin has.
    pub links: BTreeMap<String, Vec<u8>>,
    /// The state that the origin tells; none: that fails.
    pub state: Option<Vec<u8>>,
    /// What becomes of uses; none: asking fails.
    pub uses: Option<Used>,
    /// How passwords fare; none: asking fails.
    pub unlocks: Option<Unlocked>,
    /// What was asked, in order.
    pub seen: Vec<Seen>,
    /// Batches of clicks that the queue or the origin took.
    pub batches: Vec<Vec<u8>>,
    /// Signatures of questions that the origin did not believe.
    pub refused: Vec<SignatureFault>,
    /// What nobody may send: unreadable questions, wrong signatures, messages too long.
    pub faults: Vec<String>,
    /// Most questions that were open at a time.
    pub open_max: usize,
    /// Bytes sent in answers that do not end.
    pub endless_bytes: usize,
    open: usize,
    moods: Moods,
}

impl Default for Behind {
    fn default() -> Self {
        Self {
            now: Timestamp(0),
            store: BTreeMap::new(),
            links: BTreeMap::new(),
            state: None,
            uses: None,
            unlocks: None,
            seen: Vec::new(),
            batches: Vec::new(),
            refused: Vec::new(),
            faults: Vec::new(),
            open_max: 0,
            endless_bytes: 0,
            open: 0,
            moods: Moods::new(),
        }
    }
}

/// A question, understood as far as where it goes.
struct Asked {
    topic: Topic,
    /// The key it is about, if it is about one.
    key: String,
    seen: Seen,
}

impl Behind {
    /// From now on, questions of a topic are answered so.
    pub fn set(&mut self, topic: Topic, mood: Mood) {
        self.moods.set(topic, mood);
    }

    /// Questions about one key are answered so, whatever the others are.
    pub fn set_for(&mut self, topic: Topic, key: &str, mood: Mood) {
        self.moods.set_for(topic, key, mood);
    }

    /// The next questions of a topic are answered so, one each.
    pub fn plan(&mut self, topic: Topic, moods: impl IntoIterator<Item = Mood>) {
        self.moods.plan(topic, moods);
    }

    /// Takes what was seen so far, and forgets it.
    pub fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen).into_iter().map(|seen| seen.what).collect()
    }

    /// How many questions of a topic were seen.
    pub fn count(&self, topic: Topic) -> usize {
        self.seen.iter().filter(|seen| seen.topic == topic).count()
    }

    /// Questions that have no answer yet.
    pub const fn open(&self) -> usize {
        self.open
    }

    pub(super) fn begin(&mut self) {
        self.open += 1;
        self.open_max = self.open_max.max(self.open);
    }

    pub(super) const fn end(&mut self) {
        // What is behind may have been replaced meanwhile.
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    pub(super) fn take_batch(&mut self, batch: &[u8]) {
        match Batch::parse(batch) {
            Ok(_) => self.batches.push(batch.to_vec()),
            Err(error) => self.fault(format!("a batch of clicks is none: {error:?}")),
        }
    }

    /// The record of some link but this.
    pub(super) fn other_link(&self, key: &str) -> Vec<u8> {
        let mut records = self.store.iter().chain(&self.links);
        let other = records.find(|(its, _)| *its != key && *its != STATE_KEY);
        other.map(|(_, record)| record.clone()).unwrap_or_default()
    }

    pub(super) fn ask(&mut self, request: &Message) -> Reply {
        let asked = asked(request);
        self.seen.push(asked.seen.clone());
        let mood = self.moods.next(asked.topic, &asked.key);
        self.reply(request, &asked, &mood)
    }

    pub(super) fn answer_truly(&mut self, request: &Message) -> Reply {
        self.reply(request, &asked(request), &Mood::Well)
    }

    fn reply(&mut self, request: &Message, asked: &Asked, mood: &Mood) -> Reply {
        let target = request.start.split(' ').nth(1).unwrap_or_default();
        match asked.topic {
            Topic::Store | Topic::StoreState => self.store_answers(&asked.key, mood),
            Topic::Queue => self.queue_answers(target, request, mood),
            Topic::Other => {
                self.fault(format!("nobody answers {:?}", request.start));
                Reply::answer(404, &[], b"what?")
            }
            _ => {
                let path = target.strip_prefix(ORIGIN_URL).unwrap_or_default().to_owned();
                self.origin_answers(&path, request, mood)
            }
        }
    }
}

fn asked(request: &Message) -> Asked {
    let mut words = request.start.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let asked = |topic, key: String, what| Asked {
        topic,
        key,
        seen: Seen { topic, what, age_max_seconds: None },
    };
    let read = (method == "GET").then(|| store::read(target)).flatten();
    if let Some(read) = read {
        let topic = if read.key == STATE_KEY { Topic::StoreState } else { Topic::Store };
        let what = format!("edge {}", read.key);
        let seen = Seen { topic, what, age_max_seconds: read.age_max_seconds };
        return Asked { topic, key: read.key, seen };
    }
    // SQS is called at the root of the queue's host.
    if method == "POST" && QUEUE_URL.starts_with(target) && target.ends_with(".com/") {
        return asked(Topic::Queue, String::new(), queue::described(&request.body));
    }
    let path = (method == "POST").then(|| target.strip_prefix(ORIGIN_URL)).flatten();
    match path.and_then(|path| origin::topic(path, &request.body)) {
        Some((topic, key, what)) => asked(topic, key, what),
        None => asked(Topic::Other, String::new(), request.start.clone()),
    }
}
