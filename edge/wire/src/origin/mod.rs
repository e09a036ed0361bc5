//! What an edge asks of its origin (the place where links are written), and what it is answered.
//!
//! Every question is a POST of bytes to [`Question::path`], signed ([`sign`]); every understood
//! question is answered with 200 and bytes that begin with a version byte, signed too. Anything
//! else (a proxy's error page, another server, a cut answer) is a failure, never "there is no such
//! link": only a signed word of the origin is that.

mod answer;
mod question;
pub mod sign;

pub use answer::{Answer, Resolved, Stored, Unlocked, Used};
pub use question::Question;

use crate::bytes::ReadError;

/// The `Content-Type` of questions and answers.
pub const CONTENT_TYPE: &str = "application/octet-stream";

/// Longest question: clicks, at most four full batches.
pub const QUESTION_MAX_BYTES: usize = 512 * 1024;

/// Why bytes are no question, or not the answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// Written by a newer Waypost, or by something else.
    UnknownVersion,
    /// A value that version 1 does not have, or bytes behind the end.
    UnknownValue,
    /// The answer is to another question.
    OtherQuestion,
    /// A value could not be read.
    Value(ReadError),
}

impl From<ReadError> for OriginError {
    fn from(error: ReadError) -> Self {
        Self::Value(error)
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
