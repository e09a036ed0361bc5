//! Clicks to SQS: one `SendMessageBatch` call, without an SDK.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waypost_wire::time::Timestamp;

use crate::clicks::Fate;
use crate::json::Json;
use crate::settings::Queue;
use crate::{HttpAnswer, HttpRequest, signature};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "AmazonSQS.SendMessageBatch";

/// Faults that SQS says are the sender's, and that pass: permissions and throttles are mended
/// without the message changing. Only what the message itself is to blame for is hopeless.
const HOPELESS: [&str; 3] = ["InvalidMessageContents", "MessageTooLong", "InvalidParameterValue"];

/// The signed call that sends each batch as one message, in base64: SQS carries text only.
pub(crate) fn request(queue: &Queue, batches: &[&[u8]], now: Timestamp) -> HttpRequest {
    // Nothing here needs escaping: settings refuse an address with quotes.
    let mut body = format!("{{\"QueueUrl\":\"{}\",\"Entries\":[", queue.url);
    for (at, batch) in batches.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{{\"Id\":\"{at}\",\"MessageBody\":\"");
        STANDARD.encode_string(batch, &mut body);
        body.push_str("\"}");
    }
    body.push_str("]}");
    let body = body.into_bytes();
    let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
    let headers = signature::sign(queue, headers, &body, now);
    HttpRequest { url: queue.endpoint.clone(), headers, body, timeout_ms: queue.timeout_ms }
}

/// What became of each message; `None` if the whole call failed.
pub(crate) fn fates(answer: &HttpAnswer, count: usize) -> Option<Vec<Fate>> {
    if answer.status != 200 {
        return None;
    }
    let mut fates = vec![Fate::Open; count];
    let mut json = Json::new(&answer.body);
    json.object(|name, json| match name {
        "Successful" => json.array(|json| {
            let entry = entry(json)?;
            set(&mut fates, &entry.id, Fate::Arrived);
            Some(())
        }),
        "Failed" => json.array(|json| {
            let entry = entry(json)?;
            let is_hopeless =
                entry.sender_fault && HOPELESS.iter().any(|end| entry.code.ends_with(end));
            set(&mut fates, &entry.id, if is_hopeless { Fate::Hopeless } else { Fate::Open });
            Some(())
        }),
        _ => json.skip(),
    })?;
    json.is_at_end().then_some(fates)
}

/// What SQS says of one message.
#[derive(Default)]
struct Entry {
    id: String,
    sender_fault: bool,
    code: String,
}

fn entry(json: &mut Json<'_>) -> Option<Entry> {
    let mut entry = Entry::default();
    json.object(|name, json| {
        match name {
            "Id" => entry.id = json.string()?,
            "SenderFault" => entry.sender_fault = json.boolean()?,
            "Code" => entry.code = json.string()?,
            _ => json.skip()?,
        }
        Some(())
    })?;
    Some(entry)
}

fn set(fates: &mut [Fate], id: &str, fate: Fate) {
    if let Some(known) = id.parse().ok().and_then(|at: usize| fates.get_mut(at)) {
        *known = fate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue {
            url: "https://sqs.eu-central-1.amazonaws.com/123456789012/clicks".to_owned(),
            endpoint: "https://sqs.eu-central-1.amazonaws.com/".to_owned(),
            region: "eu-central-1".to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            timeout_ms: 3_000,
        }
    }

    #[test]
    fn a_call_has_a_message_for_each_batch_and_a_signature() {
        let now = Timestamp(1_780_315_200_000);
        let request = request(&queue(), &[b"one", b"two"], now);
        assert_eq!(
            String::from_utf8(request.body.clone()).expect("text"),
            r#"{"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/123456789012/clicks","Entries":[{"Id":"0","MessageBody":"b25l"},{"Id":"1","MessageBody":"dHdv"}]}"#
        );
        let header = |name: &str| {
            let found = request.headers.iter().find(|(its_name, _)| *its_name == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        assert_eq!(header("x-amz-date"), "20260601T120000Z");
        assert_eq!(header("x-amz-target"), "AmazonSQS.SendMessageBatch");
        let authorization = header("authorization");
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260601/eu-central-1/sqs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=";
        assert!(authorization.starts_with(scope), "{authorization}");
    }

    #[test]
    fn session_tokens_are_sent_along() {
        let queue = Queue { session_token: Some("token".to_owned()), ..queue() };
        let request = request(&queue, &[b"x"], Timestamp(0));
        assert!(request.headers.contains(&("x-amz-security-token", "token".to_owned())));
    }

    #[test]
    fn each_message_has_its_own_fate() {
        let answer = |status, body: &str| HttpAnswer {
            status,
            signature: None,
            body: body.as_bytes().to_vec(),
        };
        let body = r#"{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"x"}],
            "Failed":[{"Id":"1","SenderFault":true,"Code":"InvalidMessageContents"},
                      {"Id":"2","SenderFault":true,"Code":"AccessDenied"},
                      {"Id":"3","SenderFault":false,"Code":"InternalError","Message":"x"},
                      {"Id":"9","SenderFault":false,"Code":"InternalError"}]}"#;
        assert_eq!(
            fates(&answer(200, body), 5),
            Some(vec![Fate::Arrived, Fate::Hopeless, Fate::Open, Fate::Open, Fate::Open])
        );
        assert_eq!(fates(&answer(500, body), 5), None);
        assert_eq!(fates(&answer(200, "<html>"), 5), None);
        assert_eq!(fates(&answer(200, "{}"), 1), Some(vec![Fate::Open]));
    }
}
