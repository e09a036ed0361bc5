//! What the API answers when it cannot do what was asked: problem documents (RFC 9457).
//!
//! A caller programs against [`Kind`]'s `type`, a person reads `detail`, and `errors` says for
//! every field at fault where it is and what would be right.

use std::fmt;

use serde::Serialize;

use crate::seams::StoreError;

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What sort of failure it is.
    pub kind: Kind,
    /// What went wrong this time, for the caller.
    pub detail: String,
    /// The fields at fault.
    pub errors: Vec<FieldFault>,
    /// When to try again: the `Retry-After` header (RFC 9110 10.2.3).
    pub retry_after_seconds: Option<u32>,
    /// For the log; never sent.
    pub log: Option<String>,
}

/// A field at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// Where: a JSON pointer (RFC 6901) into the body, or, for [`Kind::InvalidParameter`] and
    /// [`Kind::InvalidCursor`], into the query string read as an object of its parameters.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
    /// What would be right.
    pub expected: String,
}

impl FieldFault {
    /// A fault of the field at `pointer`.
    pub fn new(
        pointer: impl Into<String>,
        detail: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), detail: detail.into(), expected: expected.into() }
    }
}

impl Problem {
    /// The media type of [`Problem::to_json`] (RFC 9457 3).
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem without fields at fault.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, detail, errors: Vec::new(), retry_after_seconds: None, log: None }
    }

    /// A body whose fields are at fault.
    pub fn invalid(errors: Vec<FieldFault>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", place(&one.pointer), one.detail),
            [first, rest @ ..] => format!(
                "{} faults, the first at {}: {}",
                rest.len() + 1,
                place(&first.pointer),
                first.detail
            ),
            [] => String::from("the body is not valid"),
        };
        Self { errors, ..Self::new(Kind::InvalidRequest, detail) }
    }

    /// A query parameter at fault.
    pub fn parameter(name: &str, detail: impl Into<String>, expected: impl Into<String>) -> Self {
        let fault = FieldFault::new(format!("/{name}"), detail, expected);
        let detail = format!("parameter {name}: {}", fault.detail);
        Self { errors: vec![fault], ..Self::new(Kind::InvalidParameter, detail) }
    }

    /// A failure that is ours; `log` says what happened.
    pub fn internal(log: impl Into<String>) -> Self {
        Self::new(
            Kind::Internal,
            "an internal error; it is in the server's log by this request's id",
        )
        .with_log(log)
    }

    /// With a text for the log.
    #[must_use]
    pub fn with_log(self, log: impl Into<String>) -> Self {
        Self { log: Some(log.into()), ..self }
    }

    /// With a time to try again.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// The status to answer with.
    pub const fn status(&self) -> u16 {
        self.kind.about().status
    }

    /// The document; `request_id` is what the log knows this request by.
    pub fn to_json(&self, request_id: &str) -> Vec<u8> {
        let about = self.kind.about();
        let document = Document {
            kind: self.kind.uri(),
            title: about.title,
            status: about.status,
            detail: &self.detail,
            instance: format!("urn:waypost:request:{request_id}"),
            errors: &self.errors,
            retry_after_seconds: self.retry_after_seconds,
        };
        // Writing strings and numbers to memory cannot fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// A place as people read it.
fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the body" } else { pointer }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldFault],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.about().title, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::BadCursor => {
                let expected = "next_cursor of the page before, with the same filters and sort";
                let fault = FieldFault::new("/cursor", error.to_string(), expected);
                Self { errors: vec![fault], ..Self::new(Kind::InvalidCursor, error.to_string()) }
            }
            StoreError::Damaged(_) => Self::internal(error.to_string()),
            StoreError::Unavailable(_) => {
                Self::new(Kind::Unavailable, "the store does not answer; nothing was changed")
                    .with_retry_after(STORE_RETRY_SECONDS)
                    .with_log(error.to_string())
            }
        }
    }
}

/// A store that is restarting or failing over is back within seconds, or not soon.
const STORE_RETRY_SECONDS: u32 = 5;

/// The sorts of failure. Names and statuses are part of the API and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body is larger than allowed.
    BodyTooLarge,
    /// Another link has the external id.
    ExternalIdTaken,
    /// The key may not do this.
    Forbidden,
    /// The link was deleted.
    Gone,
    /// The idempotency key was used with another body.
    IdempotencyKeyReused,
    /// A bug or a damaged store.
    Internal,
    /// The cursor is not one this list gave.
    InvalidCursor,
    /// A query parameter is at fault.
    InvalidParameter,
    /// Fields of the body are at fault.
    InvalidRequest,
    /// The body is no JSON.
    MalformedJson,
    /// The body is no question that edges ask.
    MalformedQuestion,
    /// The resource does not have this method.
    MethodNotAllowed,
    /// No media type the caller accepts can be given.
    NotAcceptable,
    /// No such resource.
    NotFound,
    /// Too many requests.
    RateLimited,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The slug of a deleted link is not free yet.
    SlugInQuarantine,
    /// Another link has the slug.
    SlugTaken,
    /// No valid key was given.
    Unauthenticated,
    /// A dependency does not answer.
    Unavailable,
    /// The body is not of a media type that is read here.
    UnsupportedMediaType,
    /// The link has another version than `If-Match` says.
    VersionMismatch,
}

/// Who can make the failure go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The caller, by asking differently.
    Caller,
    /// Something this service depends on; trying again later can help.
    Dependency,
    /// Whoever runs or writes this service.
    Us,
}

/// What is true of every problem of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The last part of the `type` URI.
    pub name: &'static str,
    /// RFC 9457 3.1.4: the same for every problem of the kind.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Who must act.
    pub actor: Actor,
    /// What to do, for the documentation.
    pub advice: &'static str,
}

const fn about(
    name: &'static str,
    title: &'static str,
    status: u16,
    actor: Actor,
    advice: &'static str,
) -> About {
    About { name, title, status, actor, advice }
}

impl Kind {
    /// Every kind, by name.
    pub const ALL: [Self; 22] = [
        Self::BodyTooLarge,
        Self::ExternalIdTaken,
        Self::Forbidden,
        Self::Gone,
        Self::IdempotencyKeyReused,
        Self::Internal,
        Self::InvalidCursor,
        Self::InvalidParameter,
        Self::InvalidRequest,
        Self::MalformedJson,
        Self::MalformedQuestion,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::NotFound,
        Self::RateLimited,
        Self::RequestTimeout,
        Self::SlugInQuarantine,
        Self::SlugTaken,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::UnsupportedMediaType,
        Self::VersionMismatch,
    ];

    /// The `type` member: a name, not an address, as no one promises to serve it for ever.
    pub fn uri(self) -> String {
        format!("urn:waypost:problem:{}", self.about().name)
    }

    /// Name, title, status, who must act and what to do.
    #[rustfmt::skip]
    pub const fn about(self) -> About {
        use Actor::{Caller, Dependency, Us};
        match self {
            Self::BodyTooLarge => about("body-too-large", "Body too large", 413, Caller, "Send less at once."),
            Self::ExternalIdTaken => about("external-id-taken", "External id is taken", 409, Caller, "Find the link that has it, or use another id."),
            Self::Forbidden => about("forbidden", "Not allowed with this key", 403, Caller, "Use a key with the right role."),
            Self::Gone => about("gone", "Link was deleted", 410, Caller, "Forget it, or create it anew with override_quarantine."),
            Self::IdempotencyKeyReused => about("idempotency-key-reused", "Idempotency key was used with another body", 422, Caller, "Use a new key for a new request."),
            Self::Internal => about("internal", "Internal error", 500, Us, "Report it with the request id."),
            Self::InvalidCursor => about("invalid-cursor", "Cursor is not valid", 400, Caller, "Give next_cursor of the page before, with the same filters, or start again without one."),
            Self::InvalidParameter => about("invalid-parameter", "Query parameter is not valid", 400, Caller, "See errors for what would be right."),
            Self::InvalidRequest => about("invalid-request", "Request is not valid", 422, Caller, "See errors: every field at fault is listed with what would be right."),
            Self::MalformedJson => about("malformed-json", "Body is no JSON", 400, Caller, "Send a JSON object (RFC 8259) in UTF-8."),
            Self::MalformedQuestion => about("malformed-question", "Body is no question of an edge", 400, Caller, "Bring the edge and its origin to the same version of Waypost."),
            Self::MethodNotAllowed => about("method-not-allowed", "Method is not allowed", 405, Caller, "Use a method of the Allow header."),
            Self::NotAcceptable => about("not-acceptable", "No acceptable media type", 406, Caller, "Accept application/json."),
            Self::NotFound => about("not-found", "Not found", 404, Caller, "Check domain, slug and spelling."),
            Self::RateLimited => about("rate-limited", "Too many requests", 429, Caller, "Wait as Retry-After says."),
            Self::RequestTimeout => about("request-timeout", "Request took too long", 408, Caller, "Send the whole request at once."),
            Self::SlugInQuarantine => about("slug-in-quarantine", "Slug is in quarantine", 409, Caller, "Use another slug, wait, or set override_quarantine: old copies of the link then lead to the new place."),
            Self::SlugTaken => about("slug-taken", "Slug is taken", 409, Caller, "Use another slug, or change the link that has it."),
            Self::Unauthenticated => about("unauthenticated", "No valid key", 401, Caller, "Send Authorization: Bearer with an API key."),
            Self::Unavailable => about("unavailable", "Temporarily unavailable", 503, Dependency, "Try again as Retry-After says; with an Idempotency-Key nothing happens twice."),
            Self::UnsupportedMediaType => about("unsupported-media-type", "Media type is not supported", 415, Caller, "Send application/json."),
            Self::VersionMismatch => about("version-mismatch", "Link has another version", 412, Caller, "Read the link again and decide anew."),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_kind_is_listed_once_in_order_with_its_own_name() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
        assert_eq!(Kind::VersionMismatch as usize + 1, Kind::ALL.len());
        let names = Kind::ALL.map(|kind| kind.about().name);
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        let titles: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.about().title).collect();
        assert_eq!(titles.len(), Kind::ALL.len());
    }

    #[test]
    fn callers_get_4xx_and_only_callers() {
        for kind in Kind::ALL {
            let about = kind.about();
            assert_eq!(
                (400..500).contains(&about.status),
                about.actor == Actor::Caller,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn the_document_has_everything_but_the_log() {
        let problem = Problem::invalid(vec![
            FieldFault::new("/status", "303 is no status a link can have", "301, 302, 307 or 308"),
            FieldFault::new("", "\"dest\" is no field", "destination"),
        ])
        .with_log("secret")
        .with_retry_after(3);
        let document: Value = serde_json::from_slice(&problem.to_json("r1")).expect("JSON");
        let expected = json!({
            "type": "urn:waypost:problem:invalid-request",
            "title": "Request is not valid",
            "status": 422,
            "detail": "2 faults, the first at /status: 303 is no status a link can have",
            "instance": "urn:waypost:request:r1",
            "errors": [
                {"pointer": "/status", "detail": "303 is no status a link can have", "expected": "301, 302, 307 or 308"},
                {"pointer": "", "detail": "\"dest\" is no field", "expected": "destination"},
            ],
            "retry_after_seconds": 3,
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_plain_problem_has_no_empty_members() {
        let document: Value = serde_json::from_slice(
            &Problem::new(Kind::NotFound, "no link s.example/x").to_json("r2"),
        )
        .expect("JSON");
        let expected = json!({
            "type": "urn:waypost:problem:not-found",
            "title": "Not found",
            "status": 404,
            "detail": "no link s.example/x",
            "instance": "urn:waypost:request:r2",
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn store_errors_say_who_must_act_and_keep_their_text_to_the_log() {
        let damaged = Problem::from(StoreError::Damaged(String::from("page 7")));
        assert_eq!((damaged.kind, damaged.retry_after_seconds), (Kind::Internal, None));
        assert_eq!(damaged.log.as_deref(), Some("store is damaged: page 7"));
        assert!(!damaged.detail.contains("page 7"));
        let away = Problem::from(StoreError::Unavailable(String::from("disk full")));
        assert_eq!((away.kind, away.retry_after_seconds), (Kind::Unavailable, Some(5)));
        assert!(!away.detail.contains("disk full"));
        let lost = Problem::from(StoreError::BadCursor);
        assert_eq!((lost.kind, lost.log), (Kind::InvalidCursor, None));
        assert_eq!(lost.errors.first().map(|fault| fault.pointer.as_str()), Some("/cursor"));
    }

    #[test]
    fn details_name_the_place() {
        let one = Problem::invalid(vec![FieldFault::new("", "is a list", "an object")]);
        assert_eq!(one.detail, "the body: is a list");
        let parameter = Problem::parameter("limit", "0 is too small", "1 to 100");
        assert_eq!(parameter.detail, "parameter limit: 0 is too small");
        assert_eq!(parameter.errors, [FieldFault::new("/limit", "0 is too small", "1 to 100")]);
        assert_eq!(parameter.status(), 400);
    }
}
