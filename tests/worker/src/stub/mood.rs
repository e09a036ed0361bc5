use super::Topic;

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Truly.
    Well,
    /// Truly, once the test lets it ([`super::Stub::release`]).
    Held,
    /// What is asked for is done, and the answer is lost.
    Lost,
    /// Never.
    Silent,
    /// The connection is closed instead.
    Closed,
    /// With bytes that are no HTTP.
    Garbage,
    /// With half of the true answer, and then the connection is closed.
    Cut,
    /// With half of the true answer, and then nothing.
    Stalled,
    /// With a body that does not end.
    Endless,
    /// With somebody else's page under this status.
    Page(u16),
    /// With the way to another place of the same host, under this status.
    Moved(u16),
    /// With the right bytes, unsigned.
    Unsigned,
    /// With the right bytes, signed with another key.
    Forged,
    /// With the right bytes, signed as the answer to an earlier question.
    Replayed,
    /// With the right bytes and signature, under this status.
    Status(u16),
    /// With what is stored for another link, signed.
    OtherLink,
    /// With signed bytes that are no record, or no answer at all.
    Damaged,
    /// The queue takes messages but for these: position in the call, whether the sender is told
    /// to be at fault, and the code.
    Refuses(Vec<(usize, bool, &'static str)>),
}

/// How questions about something are answered: first as the script says, then always the same.
#[derive(Clone, Debug)]
pub(super) struct Moods {
    script: Vec<(Topic, Mood)>,
    lasting: Vec<(Topic, Mood)>,
    /// What is asked about one key only: the topic, the key.
    by_key: Vec<(Topic, String, Mood)>,
}

impl Moods {
    pub(super) const fn new() -> Self {
        Self { script: Vec::new(), lasting: Vec::new(), by_key: Vec::new() }
    }

    pub(super) fn next(&mut self, topic: Topic, key: &str) -> Mood {
        let of_key = self.by_key.iter().find(|(its, its_key, _)| *its == topic && its_key == key);
        if let Some((_, _, mood)) = of_key {
            return mood.clone();
        }
        if let Some(at) = self.script.iter().position(|(its, _)| *its == topic) {
            return self.script.remove(at).1;
        }
        let lasting = self.lasting.iter().find(|(its, _)| *its == topic);
        lasting.map_or(Mood::Well, |(_, mood)| mood.clone())
    }

    pub(super) fn plan(&mut self, topic: Topic, moods: impl IntoIterator<Item = Mood>) {
        self.script.extend(moods.into_iter().map(|mood| (topic, mood)));
    }

    pub(super) fn set(&mut self, topic: Topic, mood: Mood) {
        self.script.retain(|(its, _)| *its != topic);
        self.lasting.retain(|(its, _)| *its != topic);
        self.lasting.push((topic, mood));
    }

    pub(super) fn set_for(&mut self, topic: Topic, key: &str, mood: Mood) {
        self.by_key.push((topic, key.to_owned(), mood));
    }
}
