use alloc::vec;
use alloc::vec::Vec;

use super::sign::{OriginKey, SKEW_MAX_SECONDS, SignatureFault};
use super::*;
use crate::time::Timestamp;

fn questions() -> Vec<Question<'static>> {
    vec![
        Question::Clicks { batches: vec![b"one", b"", b"three"] },
        Question::Consume { link_id: u64::MAX },
        Question::Resolve { key: "s.example/abc" },
        Question::State,
        Question::Unlock { key: "s.example/abc", password: "sésame", client_ip: Some(7) },
        Question::Unlock { key: "s.example/abc", password: "", client_ip: None },
    ]
}

#[test]
fn questions_are_read_as_they_were_asked_and_not_otherwise() {
    for question in questions() {
        let mut bytes = question.encode();
        assert_eq!(Question::decode(question.path(), &bytes), Some(Ok(question.clone())));
        for length in 0..bytes.len() {
            let read = Question::decode(question.path(), &bytes[..length]);
            assert!(read.is_some_and(|read| read.is_err()), "{question:?} {length}");
        }
        bytes.push(0);
        let read = Question::decode(question.path(), &bytes);
        assert_eq!(read, Some(Err(OriginError::UnknownValue)), "{question:?}");
        bytes[0] = 2;
        let read = Question::decode(question.path(), &bytes);
        assert_eq!(read, Some(Err(OriginError::UnknownVersion)));
    }
    assert_eq!(Question::decode("/api/v1/edge/other", &[1]), None);
    let two = [&[1u8, 0, 0, 2][..], &[0; 16]].concat();
    assert_eq!(Question::decode("/api/v1/edge/unlock", &two), Some(Err(OriginError::UnknownValue)));
}

#[test]
fn answers_are_read_as_they_were_given_and_not_otherwise() {
    fn check<'a, A: Answer<'a> + PartialEq + core::fmt::Debug>(answer: &A, bytes: &'a [u8]) {
        assert_eq!(A::decode(bytes).as_ref(), Ok(answer));
        for length in 0..bytes.len() {
            assert!(A::decode(&bytes[..length]).is_err(), "{answer:?} {length}");
        }
        assert_eq!(A::decode(b"\x02"), Err(OriginError::UnknownVersion));
    }
    let found = Resolved { key: "s.example/abc", record: Some(b"record") };
    check(&found, &found.encode());
    let missing = Resolved { key: "s.example/abc", record: None };
    check(&missing, &missing.encode());
    for used in [Used::Exhausted, Used::Taken] {
        check(&used, &used.encode());
    }
    for unlocked in [Unlocked::Right, Unlocked::TooMany, Unlocked::Wrong] {
        check(&unlocked, &unlocked.encode());
    }
    let stored = Stored { batches: vec![true, false] };
    check(&stored, &stored.encode());
    assert_eq!(Used::decode(&[1, 9]), Err(OriginError::UnknownValue));
    assert_eq!(Used::decode(&[1, 0, 0]), Err(OriginError::UnknownValue));
}

const NOW: Timestamp = Timestamp(1_780_315_200_500);

#[test]
fn a_signature_covers_time_path_and_body() {
    let key = OriginKey::new([7; 32]);
    let (header, mac) = key.sign_question("/a", b"body", NOW);
    assert_eq!(key.check_question(&header, "/a", b"body", NOW), Ok(mac));
    let wrong = Err(SignatureFault::Wrong);
    assert_eq!(key.check_question(&header, "/b", b"body", NOW), wrong);
    assert_eq!(key.check_question(&header, "/a", b"bodz", NOW), wrong);
    assert_eq!(OriginKey::new([8; 32]).check_question(&header, "/a", b"body", NOW), wrong);
    let later = header.replacen("t=1780315200", "t=1780315201", 1);
    assert_eq!(key.check_question(&later, "/a", b"body", NOW), wrong);
    for (skew, is_right) in [(SKEW_MAX_SECONDS, true), (SKEW_MAX_SECONDS + 1, false)] {
        for skew_ms in [skew * 1_000, -skew * 1_000] {
            let found = key.check_question(&header, "/a", b"body", NOW.plus_ms(skew_ms));
            assert_eq!(found.is_ok(), is_right, "{skew_ms}");
        }
    }
    for malformed in ["", "t=,s=", "t=1", "s=00", "t=x,s=00", &header[..header.len() - 1]] {
        let found = key.check_question(malformed, "/a", b"body", NOW);
        assert_eq!(found, Err(SignatureFault::Malformed), "{malformed}");
    }
}

#[test]
fn an_answer_fits_one_question() {
    let key = OriginKey::new([7; 32]);
    let (_, mac) = key.sign_question("/a", b"body", NOW);
    let (_, other) = key.sign_question("/a", b"other", NOW);
    let header = key.sign_answer(&mac, 200, b"answer");
    assert!(key.is_answer(&header, &mac, 200, b"answer"));
    assert!(!key.is_answer(&header, &other, 200, b"answer"));
    assert!(!key.is_answer(&header, &mac, 404, b"answer"));
    assert!(!key.is_answer(&header, &mac, 200, b"answes"));
    assert!(!key.is_answer("", &mac, 200, b"answer"));
    assert!(!OriginKey::new([8; 32]).is_answer(&header, &mac, 200, b"answer"));
    assert_eq!(alloc::format!("{key:?}"), "OriginKey");
}
