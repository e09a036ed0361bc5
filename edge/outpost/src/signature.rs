//! AWS Signature Version 4 of the one request that an edge sends to AWS.
//!
//! Our own because of what it weighs: AWS's crate would be two fifths of the Worker's module. It is
//! what the tests hold this one to.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use waypost_wire::time::Timestamp;

use crate::settings::Queue;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "sqs";

/// The headers of a POST to the queue's endpoint, whose path is `/` and which has no query:
/// `headers` (lower-case names, sorted, before `host` and after it) and those of the signature.
pub(crate) fn sign(
    queue: &Queue,
    headers: [(&'static str, &'static str); 2],
    body: &[u8],
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let time = Time::of(now);
    let [content_type, target] = headers;
    let mut all = vec![
        (content_type.0, content_type.1.to_owned()),
        ("host", queue.host().to_owned()),
        ("x-amz-date", time.long()),
    ];
    if let Some(token) = &queue.session_token {
        all.push(("x-amz-security-token", token.clone()));
    }
    all.push((target.0, target.1.to_owned()));
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let request = format!("POST\n/\n\n{lines}\n{names}\n{}", hex::encode(Sha256::digest(body)));
    let scope = format!("{}/{}/{SERVICE}/aws4_request", time.short(), queue.region);
    let text = format!(
        "{ALGORITHM}\n{}\n{scope}\n{}",
        time.long(),
        hex::encode(Sha256::digest(request.as_bytes()))
    );
    let secret = format!("AWS4{}", queue.secret_access_key);
    let key = [&*time.short(), &*queue.region, SERVICE, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex::encode(mac(&key, text.as_bytes()));
    let credential = format!("{}/{scope}", queue.access_key_id);
    let authorization = format!(
        "{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    );
    // The host is the connection's business.
    all.retain(|(name, _)| *name != "host");
    all.push(("authorization", authorization));
    all
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let none = hmac::digest::Key::<Hmac<Sha256>>::default();
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&none));
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// A time in the calendar.
struct Time {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

impl Time {
    /// Days to a date of the Gregorian calendar, in years that begin with March, so that the leap
    /// day is a year's last.
    const fn of(now: Timestamp) -> Self {
        let seconds = now.seconds();
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let since_year_0 = days + 719_468;
        let era = since_year_0.div_euclid(146_097);
        let day_of_era = since_year_0.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
        Self { year, month, day, second_of_day }
    }

    fn short(&self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    fn long(&self) -> String {
        let (minutes, second) = (self.second_of_day / 60, self.second_of_day % 60);
        format!("{}T{:02}{:02}{second:02}Z", self.short(), minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
    use aws_sigv4::sign::v4;

    use super::*;

    const HEADERS: [(&str, &str); 2] =
        [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "AmazonSQS.Send")];

    /// The same by AWS's crate.
    fn expected(queue: &Queue, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
        let credentials = Credentials::new(
            &queue.access_key_id,
            &queue.secret_access_key,
            queue.session_token.clone(),
            None,
            "test",
        );
        let identity = credentials.into();
        let since_epoch = Duration::from_millis(u64::try_from(now.0).expect("after 1970"));
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&queue.region)
            .name(SERVICE)
            .time(SystemTime::UNIX_EPOCH + since_epoch)
            .settings(SigningSettings::default())
            .build()
            .expect("parameters")
            .into();
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new("POST", &queue.endpoint, HEADERS.into_iter(), body)
            .expect("a request");
        let signed = aws_sigv4::http_request::sign(request, &parameters).expect("signed");
        let (headers, _) = signed.into_parts().0.into_parts();
        let mut all: Vec<_> = headers
            .iter()
            .map(|header| (header.name().to_owned(), header.value().to_owned()))
            .chain(HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn signatures_are_those_of_awss_crate() {
        let times = [0, 951_782_400_000, 951_868_799_999, 1_780_315_200_000, 4_107_542_400_000];
        for (number, now) in times.into_iter().map(Timestamp).enumerate() {
            for session_token in [None, Some("to/ken+==".to_owned())] {
                for endpoint in
                    ["https://sqs.eu-central-1.amazonaws.com/", "http://localhost:4566/"]
                {
                    let queue = Queue {
                        url: "https://sqs.eu-central-1.amazonaws.com/1/clicks".to_owned(),
                        endpoint: endpoint.to_owned(),
                        region: "eu-central-1".to_owned(),
                        access_key_id: format!("AKID{number}"),
                        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
                            .repeat(number),
                        session_token: session_token.clone(),
                        timeout_ms: 1,
                    };
                    let body = vec![b'x'; number * 100];
                    let mut found: Vec<_> = sign(&queue, HEADERS, &body, now)
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect();
                    found.sort();
                    assert_eq!(found, expected(&queue, &body, now), "{now:?} {endpoint}");
                }
            }
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = Time::of(Timestamp(-86_400_000));
        assert_eq!(before.long(), "19691231T000000Z");
        for day in 0..200_000 {
            let time = Time::of(Timestamp(day * 86_400_000));
            let leap = time.year % 4 == 0 && (time.year % 100 != 0 || time.year % 400 == 0);
            let days = match before.month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match (before.month, before.day) {
                (12, 31) => (before.year + 1, 1, 1),
                (month, last) if last == days => (before.year, month + 1, 1),
                (month, other) => (before.year, month, other + 1),
            };
            assert_eq!((time.year, time.month, time.day), expected);
            before = time;
        }
    }
}
