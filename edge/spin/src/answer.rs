//! An answer, before Spin gets it.

use waypost_core::reply::Reply;
use waypost_wire::origin::CONTENT_TYPE;
use waypost_wire::origin::sign::HEADER;

/// What a client waits after a failure of ours.
const RETRY_AFTER_SECONDS: &str = "5";

/// An answer: lower-case names, `content-length` among them, so that the engine sends an answer
/// without a body in one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Copies a reply.
    pub(crate) fn of(reply: Reply<'_>) -> Self {
        let header = |(name, value): (&str, std::borrow::Cow<'_, str>)| {
            (name.to_owned(), value.into_owned().into_bytes())
        };
        Self {
            status: reply.status,
            headers: reply.headers.into_iter().map(header).collect(),
            body: reply.body.into_owned().into_bytes(),
        }
    }

    /// A line for an operator.
    pub(crate) fn text(status: u16, line: &str) -> Self {
        let headers =
            [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")];
        Self::plain(status, &headers, format!("{line}\n").into_bytes())
    }

    /// The component cannot work as it is set up. What is wrong is for its log, not for visitors.
    pub(crate) fn not_set_up(is_head: bool) -> Self {
        let mut answer = Self::text(503, "This service is not set up; its log says why.");
        answer.headers.push(("retry-after".to_owned(), RETRY_AFTER_SECONDS.into()));
        if is_head {
            answer.body.clear();
        }
        answer
    }

    /// The answer to a signed question.
    pub(crate) fn signed(signature: String, body: Vec<u8>) -> Self {
        let headers = [("content-type", CONTENT_TYPE), ("cache-control", "no-store")];
        let mut answer = Self::plain(200, &headers, body);
        answer.headers.push((HEADER.to_owned(), signature.into_bytes()));
        answer
    }

    fn plain(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Self {
        let length = body.len().to_string();
        let all = headers
            .iter()
            .copied()
            .chain([("x-content-type-options", "nosniff"), ("content-length", length.as_str())]);
        let headers = all.map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { status, headers, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(answer: &Answer) -> Vec<String> {
        let line = |(name, value): &(String, Vec<u8>)| {
            format!("{name}: {}", String::from_utf8_lossy(value))
        };
        answer.headers.iter().map(line).collect()
    }

    #[test]
    fn replies_are_copied_whole() {
        let reply = Reply {
            status: 302,
            headers: vec![
                ("location", "https://example.com/é".into()),
                ("content-length", "0".into()),
            ],
            body: "".into(),
        };
        let answer = Answer::of(reply);
        assert_eq!((answer.status, answer.body.as_slice()), (302, &b""[..]));
        assert_eq!(lines(&answer), ["location: https://example.com/é", "content-length: 0"]);
    }

    #[test]
    fn every_answer_has_its_length() {
        let answer = Answer::not_set_up(false);
        assert_eq!(
            lines(&answer),
            [
                "content-type: text/plain; charset=utf-8",
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "content-length: 46",
                "retry-after: 5",
            ]
        );
        assert_eq!((answer.status, answer.body.len()), (503, 46));
        let head = Answer::not_set_up(true);
        assert_eq!((head.headers, head.body.len()), (answer.headers, 0));
        let signed = Answer::signed("s=1".to_owned(), vec![1, 2]);
        assert_eq!(
            lines(&signed),
            [
                "content-type: application/octet-stream",
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "content-length: 2",
                "x-waypost-signature: s=1",
            ]
        );
    }
}
