//! The origin: signed answers to signed questions.

use waypost_wire::origin::sign::{HEADER, OriginKey, QuestionMac, SignatureFault};
use waypost_wire::origin::{Answer, CONTENT_TYPE, Question, Resolved, Stored};

use super::behind::Behind;
use super::{Mood, ORIGIN_KEY, Reply, Topic, answer_bytes};
use crate::http1::Message;

/// What a question is about, and how tests write it.
pub(super) fn topic(path: &str, body: &[u8]) -> Option<(Topic, String, String)> {
    let question = Question::decode(path, body)?.ok()?;
    let text = |text: &str| text.to_owned();
    Some(match question {
        Question::Clicks { batches } => {
            (Topic::Clicks, String::new(), format!("clicks {}", batches.len()))
        }
        Question::Consume { link_id } => {
            (Topic::Consume, link_id.to_string(), format!("take_use {link_id}"))
        }
        Question::Resolve { key } => (Topic::Resolve, text(key), format!("origin {key}")),
        Question::State => (Topic::State, String::new(), text("origin state")),
        Question::Unlock { key, password, .. } => {
            (Topic::Unlock, text(key), format!("unlock {key} {password}"))
        }
    })
}

impl Behind {
    pub(super) fn origin_answers(&mut self, path: &str, request: &Message, mood: &Mood) -> Reply {
        let key = OriginKey::new(ORIGIN_KEY);
        let header = request.header(HEADER).unwrap_or_default();
        let mac = match key.check_question(header, path, &request.body, self.now) {
            Ok(mac) => mac,
            Err(fault) => {
                self.refused.push(fault);
                if fault != SignatureFault::Time {
                    self.fault(format!("{path} has a signature that is {fault:?}: {header:?}"));
                }
                return Reply::answer(401, &[], b"who asks?");
            }
        };
        if request.header("content-type") != Some(CONTENT_TYPE) {
            self.fault(format!("{path} has the content type {:?}", request.header("content-type")));
        }
        let signed = |behind: &mut Self| match behind.truth(path, &request.body) {
            Some(body) => signed_answer(&key, &mac, 200, &body),
            None => answer_bytes(500, &[], b"the test has no answer"),
        };
        if let Some(reply) = Reply::of(mood, || signed(self)) {
            return reply;
        }
        let Some(body) = self.truth(path, &request.body) else {
            return Reply::answer(500, &[], b"the test has no answer");
        };
        Reply::Send(match mood {
            Mood::Unsigned => answer_bytes(200, &[("content-type", CONTENT_TYPE)], &body),
            Mood::Forged => signed_answer(
                &OriginKey::new(*b"the key of somebody else's tests"),
                &mac,
                200,
                &body,
            ),
            Mood::Replayed => {
                let earlier = self.now.plus_ms(-1_000);
                let (_, mac) = key.sign_question(path, &request.body, earlier);
                signed_answer(&key, &mac, 200, &body)
            }
            Mood::Status(status) => signed_answer(&key, &mac, *status, &body),
            Mood::OtherLink => {
                let record = self.other_link("");
                let other = Resolved { key: "s.example/other", record: Some(&record) };
                signed_answer(&key, &mac, 200, &other.encode())
            }
            Mood::Damaged => {
                let asked = Question::decode(path, &request.body);
                let body = match asked {
                    Some(Ok(Question::Resolve { key })) => {
                        Resolved { key, record: Some(b"\x01 no record") }.encode()
                    }
                    _ => b"\x07 no answer".to_vec(),
                };
                signed_answer(&key, &mac, 200, &body)
            }
            _ => signed_answer(&key, &mac, 200, &body),
        })
    }

    /// The true answer; `None` if the test gave none.
    fn truth(&mut self, path: &str, body: &[u8]) -> Option<Vec<u8>> {
        match Question::decode(path, body)?.ok()? {
            Question::Clicks { batches } => {
                for batch in &batches {
                    self.take_batch(batch);
                }
                Some(Stored { batches: vec![true; batches.len()] }.encode())
            }
            Question::Consume { .. } => self.uses.as_ref().map(Answer::encode),
            Question::Resolve { key } => {
                Some(Resolved { key, record: self.links.get(key).map(Vec::as_slice) }.encode())
            }
            Question::State => self.state.clone(),
            Question::Unlock { .. } => self.unlocks.as_ref().map(Answer::encode),
        }
    }
}

fn signed_answer(key: &OriginKey, mac: &QuestionMac, status: u16, body: &[u8]) -> Vec<u8> {
    let signature = key.sign_answer(mac, status, body);
    answer_bytes(status, &[("content-type", CONTENT_TYPE), (HEADER, &signature)], body)
}
