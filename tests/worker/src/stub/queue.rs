//! SQS: `SendMessageBatch` in its JSON protocol, from callers that sign as AWS wants it.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use waypost_service::time;
use waypost_wire::time::Timestamp;

use super::behind::Behind;
use super::{ACCESS_KEY_ID, Mood, QUEUE_URL, Reply, SECRET_ACCESS_KEY, answer_bytes};
use crate::http1::Message;

/// What SQS takes in one call.
const ENTRIES_MAX: usize = 10;
const CALL_MAX_BYTES: usize = 1024 * 1024;

/// What a message may cost: two requests of 64 KiB, as SQS bills them.
const MESSAGE_MAX_BYTES: usize = 2 * 64 * 1024;

/// How far clocks may be apart.
const SKEW_MAX_SECONDS: i64 = 15 * 60;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Call {
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    id: String,
    message_body: String,
}

/// How tests write a call.
pub(super) fn described(body: &[u8]) -> String {
    match serde_json::from_slice::<Call>(body) {
        Ok(call) => format!("queue {}", call.entries.len()),
        Err(error) => format!("queue {error}"),
    }
}

impl Behind {
    pub(super) fn queue_answers(&mut self, url: &str, request: &Message, mood: &Mood) -> Reply {
        if let Err(wrong) = check_signature(url, request, self.now) {
            self.fault(format!("SQS would refuse a call: {wrong}"));
            return error(403, "InvalidSignatureException");
        }
        let call = match read(&request.body) {
            Ok(call) => call,
            Err(wrong) => {
                self.fault(format!("SQS would refuse a call: {wrong}"));
                return error(400, "ValidationException");
            }
        };
        if let Some(reply) = Reply::of(mood, || self.take_messages(&call, &[])) {
            return reply;
        }
        match mood {
            Mood::Status(status) => error(*status, "InternalError"),
            Mood::Damaged => Reply::answer(200, &[], b"{\"Successful\": 7}"),
            Mood::Refuses(refused) => Reply::Send(self.take_messages(&call, refused)),
            _ => Reply::Send(self.take_messages(&call, &[])),
        }
    }

    fn take_messages(&mut self, call: &Call, refused: &[(usize, bool, &str)]) -> Vec<u8> {
        let (mut taken, mut failed) = (Vec::<Value>::new(), Vec::<Value>::new());
        for (at, entry) in call.entries.iter().enumerate() {
            if let Some((_, is_senders, code)) = refused.iter().find(|(its, ..)| *its == at) {
                failed.push(json!({ "Id": entry.id, "SenderFault": is_senders, "Code": code }));
                continue;
            }
            let body = &entry.message_body;
            match STANDARD.decode(body) {
                Ok(batch) if body.len() <= MESSAGE_MAX_BYTES => self.take_batch(&batch),
                Ok(_) => self.fault(format!("a message has {} bytes", body.len())),
                Err(_) => self.fault("a message is not in base64"),
            }
            taken
                .push(json!({ "Id": entry.id, "MessageId": "m", "MD5OfMessageBody": "unchecked" }));
        }
        let body = json!({ "Successful": taken, "Failed": failed }).to_string();
        answer_bytes(200, &[("content-type", "application/x-amz-json-1.0")], body.as_bytes())
    }
}

fn error(status: u16, code: &str) -> Reply {
    let body =
        json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "no" }).to_string();
    Reply::answer(status, &[("content-type", "application/x-amz-json-1.0")], body.as_bytes())
}

fn read(body: &[u8]) -> Result<Call, String> {
    let call: Call = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if call.queue_url != QUEUE_URL {
        return Err(format!("there is no queue {}", call.queue_url));
    }
    let mut ids: Vec<&str> = call.entries.iter().map(|entry| entry.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let bytes: usize = call.entries.iter().map(|entry| entry.message_body.len()).sum();
    match ids.len() {
        0 => Err("no message".to_owned()),
        count if count != call.entries.len() => Err("two messages of one id".to_owned()),
        count if count > ENTRIES_MAX => Err(format!("{count} messages")),
        _ if bytes > CALL_MAX_BYTES => Err(format!("{bytes} bytes of messages")),
        _ => Ok(call),
    }
}

/// Signs what came as its sender should have, and compares.
fn check_signature(url: &str, request: &Message, now: Timestamp) -> Result<(), String> {
    let header = |name: &str| request.header(name).ok_or_else(|| format!("it has no {name}"));
    for (name, expected) in [
        ("x-amz-target", "AmazonSQS.SendMessageBatch"),
        ("content-type", "application/x-amz-json-1.0"),
    ] {
        if header(name)? != expected {
            return Err(format!("{name} is {:?}", header(name)?));
        }
    }
    let at = header("x-amz-date").and_then(amz_date)?;
    if (now.ms_since(at) / 1_000).abs() > SKEW_MAX_SECONDS {
        return Err("RequestTimeTooSkewed".to_owned());
    }
    let expected = authorization(url, request, at)?;
    match header("authorization")? {
        found if found == expected => Ok(()),
        found => Err(format!("it is signed {found:?} and not {expected:?}")),
    }
}

/// The time of `20260601T120000Z`.
fn amz_date(text: &str) -> Result<Timestamp, String> {
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 16)
    );
    time::parse(&rfc3339).ok_or_else(|| format!("x-amz-date is {text:?}"))
}

fn authorization(url: &str, request: &Message, at: Timestamp) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let token = request.header("x-amz-security-token").map(str::to_owned);
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, token, None, "a test");
    let identity = credentials.into();
    let since_epoch = Duration::from_millis(u64::try_from(at.0).map_err(|error| text(&error))?);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("sqs")
        .time(SystemTime::UNIX_EPOCH + since_epoch)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| text(&error))?
        .into();
    // The signer adds the others itself.
    let signed = request
        .headers
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "content-type" | "x-amz-target"));
    let signed = signed.map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(&request.body);
    let signable = SignableRequest::new("POST", url, signed, body).map_err(|error| text(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| text(&error))?.into_parts();
    let (headers, _) = instructions.into_parts();
    let found = headers.iter().find(|header| header.name().eq_ignore_ascii_case("authorization"));
    found.map(|header| header.value().to_owned()).ok_or_else(|| "no signature".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://sqs.eu-central-1.amazonaws.com/";
    const NOW: Timestamp = Timestamp(1_780_315_200_000);

    fn call() -> Message {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "AmazonSQS.SendMessageBatch"),
            ("x-amz-date", "20260601T120000Z"),
        ];
        let mut message = Message {
            start: format!("POST {URL} HTTP/1.1"),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: b"{}".to_vec(),
        };
        let signature = authorization(URL, &message, NOW).unwrap();
        message.headers.push(("authorization".to_owned(), signature));
        message
    }

    #[test]
    fn signatures_are_checked() {
        assert_eq!(check_signature(URL, &call(), NOW), Ok(()));
        assert!(check_signature("https://sqs.eu-west-1.amazonaws.com/", &call(), NOW).is_err());
        assert!(check_signature(URL, &call(), NOW.plus_ms(901_000)).is_err());
        for at in 0..call().headers.len() {
            let mut other = call();
            other.headers[at].1.replace_range(..1, "X");
            assert!(check_signature(URL, &other, NOW).is_err(), "{:?}", other.headers[at]);
        }
        let other = Message { body: b"{ }".to_vec(), ..call() };
        assert!(check_signature(URL, &other, NOW).is_err());
    }
}
