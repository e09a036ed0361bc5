use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::bytes::{ReadError, put_number, put_signed, put_text};

fn full() -> Click<'static> {
    Click {
        link_id: (1 << 63) - 1,
        slug: "",
        at: Timestamp(1_795_244_400_123),
        head: true,
        prefetch: true,
        datacentre: true,
        visitor: Some(u64::MAX),
        user_agent: "Mozilla/5.0",
        referrer_host: "news.example",
        country: "DE",
        region: "DE-NW",
        city: "Köln",
        continent: "EU",
        language: "de",
        utm: ["a", "", "c%20d", "", "e"],
        target: Target::Rule { rule: 3, variant: 255 },
    }
}

fn orphan() -> Click<'static> {
    Click {
        slug: "no-such-thing",
        at: Timestamp(1_795_244_399_000),
        visitor: Some(0),
        ..Click::default()
    }
}

fn plain() -> Click<'static> {
    Click {
        link_id: 7,
        at: Timestamp(1_795_244_400_123),
        user_agent: "Mozilla/5.0",
        target: Target::Default,
        ..Click::default()
    }
}

fn packed(source: u64, first_sequence: u64, clicks: &[Click<'_>]) -> Vec<u8> {
    let mut writer = BatchWriter::new(source, first_sequence);
    for click in clicks {
        writer.push(click);
    }
    writer.finish()
}

fn unpacked(bytes: &[u8]) -> Result<Vec<(u64, Click<'_>)>, BatchError> {
    Batch::parse(bytes).map(|batch| batch.clicks().collect())
}

#[test]
fn clicks_come_back_as_they_were_with_their_numbers() {
    let targets = [
        Target::Nowhere,
        Target::Default,
        Target::Ios,
        Target::Android,
        Target::Expired,
        Target::Rule { rule: 0, variant: 0 },
    ];
    let of_target = |target| Click { target, ..plain() };
    let mut clicks = vec![full(), orphan(), plain(), full()];
    clicks.extend(targets.map(of_target));
    let bytes = packed(u64::MAX, 40, &clicks);
    let batch = Batch::parse(&bytes).expect("a batch");
    assert_eq!(batch.id(), BatchId { source: u64::MAX, first_sequence: 40 });
    assert_eq!(batch.count(), 10);
    let numbered: Vec<(u64, Click<'_>)> = (40..).zip(clicks).collect();
    assert_eq!(batch.clicks().collect::<Vec<_>>(), numbered);
}

#[test]
fn any_times_in_any_order_come_back() {
    let times = [0, i64::MAX, i64::MIN, -1, i64::MIN, i64::MAX, 600_000];
    let clicks = times.map(|at| Click { at: Timestamp(at), ..plain() });
    let bytes = packed(1, 0, &clicks);
    let read = unpacked(&bytes).expect("a batch");
    assert_eq!(read.into_iter().map(|(_, click)| click).collect::<Vec<_>>(), clicks);
}

#[test]
fn a_text_is_there_once_and_cut_at_a_character() {
    let long = "ü".repeat(200);
    let slug = format!("{}é", "x".repeat(63));
    let click = Click {
        slug: &slug,
        user_agent: &long,
        city: &long,
        utm: [&long, "", "", "", &long],
        ..Click::default()
    };
    let bytes = packed(1, 0, &[click, click]);
    let cut = &long[..TEXT_MAX_BYTES];
    let expected = Click {
        slug: &slug[..63],
        user_agent: cut,
        city: cut,
        utm: [cut, "", "", "", cut],
        ..Click::default()
    };
    assert_eq!(unpacked(&bytes), Ok(vec![(0, expected), (1, expected)]));
    assert!(bytes.len() < TEXT_MAX_BYTES + 63 + 80, "{}", bytes.len());
}

#[test]
fn the_length_so_far_is_close_and_never_too_low() {
    let mut writer = BatchWriter::new(u64::MAX, SEQUENCE_MAX - 3);
    for click in [full(), orphan(), plain()] {
        let so_far = writer.push(&click);
        let now = writer.clone().finish().len();
        assert!((now..now + 60).contains(&so_far), "{so_far} for {now}");
    }
}

#[test]
fn a_full_batch_is_full_by_clicks_or_by_bytes_and_is_always_read() {
    let mut small = BatchWriter::new(1, 0);
    let mut large = BatchWriter::new(1, 0);
    let mut number = 0;
    while !small.is_full() {
        small.push(&plain());
    }
    assert_eq!(small.count(), BATCH_CLICKS);
    while !large.is_full() {
        let texts: Vec<String> = (0..12)
            .map(|_| {
                number += 1;
                format!("{number:0>256}")
            })
            .collect();
        large.push(&Click {
            link_id: number,
            visitor: Some(number),
            user_agent: &texts[0],
            referrer_host: &texts[1],
            country: &texts[2],
            region: &texts[3],
            city: &texts[4],
            continent: &texts[5],
            language: &texts[6],
            utm: [&texts[7], &texts[8], &texts[9], &texts[10], &texts[11]],
            ..plain()
        });
    }
    assert!(large.count() < BATCH_CLICKS);
    let bytes = large.finish();
    // In base64 at most two requests of 64 KiB.
    assert!((BATCH_BYTES - 60..2 * 48 * 1024).contains(&bytes.len()), "{}", bytes.len());
    assert!(Batch::parse(&bytes).is_ok());
}

#[test]
fn nothing_packed_is_nothing_to_send() {
    assert_eq!(BatchWriter::new(1, 0).finish(), Vec::<u8>::new());
}

#[test]
fn every_shortened_or_lengthened_batch_is_refused() {
    let mut bytes = packed(5, 1_000, &[full(), orphan(), plain()]);
    for length in 0..bytes.len() {
        assert!(Batch::parse(&bytes[..length]).is_err(), "{length}");
    }
    bytes.push(0);
    assert_eq!(unpacked(&bytes), Err(BatchError::TrailingBytes));
}

/// A batch of one click, of parts that a test can spoil.
struct Parts {
    version: u8,
    first_sequence: u64,
    texts: Vec<String>,
    links: Vec<u64>,
    count: u64,
    click: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        Self {
            version: VERSION,
            first_sequence: 0,
            texts: vec!["Agent".to_string()],
            links: vec![7],
            count: 1,
            click: vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        }
    }

    fn parse(&self) -> Result<(), BatchError> {
        let mut bytes = vec![self.version];
        bytes.extend_from_slice(&[0; 8]);
        put_number(&mut bytes, self.first_sequence);
        put_signed(&mut bytes, 0);
        put_number(&mut bytes, self.texts.len() as u64);
        for text in &self.texts {
            put_text(&mut bytes, text);
        }
        put_number(&mut bytes, self.links.len() as u64);
        for link in &self.links {
            bytes.extend_from_slice(&link.to_be_bytes());
        }
        put_number(&mut bytes, self.count);
        bytes.extend_from_slice(&self.click);
        Batch::parse(&bytes).map(|_| ())
    }
}

#[test]
fn faults_are_told_apart() {
    assert_eq!(Parts::new().parse(), Ok(()));
    assert_eq!(unpacked(&[]), Err(BatchError::Empty));
    assert_eq!(unpacked(&vec![1; BATCH_MAX_BYTES + 1]), Err(BatchError::TooLong));
    let spoilt = |spoil: fn(&mut Parts)| {
        let mut parts = Parts::new();
        spoil(&mut parts);
        parts.parse()
    };
    let faults = [
        (spoilt(|parts| parts.version = 2), BatchError::UnknownVersion(2)),
        (spoilt(|parts| parts.first_sequence = SEQUENCE_MAX), BatchError::Sequence),
        (spoilt(|parts| parts.first_sequence = u64::MAX), BatchError::Sequence),
        (spoilt(|parts| parts.texts[0].clear()), BatchError::TextLength),
        (spoilt(|parts| parts.texts[0] = "x".repeat(257)), BatchError::TextLength),
        (spoilt(|parts| parts.links[0] = 0), BatchError::LinkId),
        (spoilt(|parts| parts.links[0] = 1 << 63), BatchError::LinkId),
        (spoilt(|parts| parts.count = 0), BatchError::NoClicks),
        (spoilt(|parts| parts.count = u64::MAX), BatchError::Sequence),
        (spoilt(|parts| parts.count = 2), BatchError::Value(ReadError::Truncated)),
        (spoilt(|parts| parts.click[0] = 0x80), BatchError::UnknownValue),
        (spoilt(|parts| parts.click[2] = 1), BatchError::Position),
        (spoilt(|parts| parts.click[9] = 2), BatchError::Position),
    ];
    for (found, expected) in faults {
        assert_eq!(found, Err(expected));
    }
    let mut wrong_target = Parts::new();
    wrong_target.click[0] = flag::TARGET;
    wrong_target.click.push(9);
    assert_eq!(wrong_target.parse(), Err(BatchError::UnknownValue));
}

/// Numbers that follow from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

#[test]
fn hostile_bytes_neither_panic_nor_break_the_promise_of_a_parsed_batch() {
    let good = packed(5, 1_000, &[full(), orphan(), plain(), full()]);
    let mut draws = Draws(2_026);
    let mut read = 0;
    for _ in 0..200_000 {
        let mut bytes = good.clone();
        for _ in 0..=draws.below(4) {
            let at = draws.below(bytes.len());
            match draws.below(4) {
                0 => bytes[at] ^= 1 << draws.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][draws.below(5)],
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, draws.below(256) as u8),
            }
        }
        let Ok(batch) = Batch::parse(&bytes) else {
            continue;
        };
        read += 1;
        let clicks: Vec<(u64, Click<'_>)> = batch.clicks().collect();
        assert_eq!(clicks.len() as u64, batch.count());
        let repacked = packed(
            batch.id().source,
            batch.id().first_sequence,
            &clicks.iter().map(|(_, click)| *click).collect::<Vec<_>>(),
        );
        let same = unpacked(&repacked).expect("a batch");
        assert_eq!(same.len(), clicks.len());
        for ((_, mut one), (_, other)) in clicks.into_iter().zip(same) {
            one.slug = &one.slug[..one.slug.floor_char_boundary(SLUG_MAX_BYTES)];
            assert_eq!(one, other);
        }
    }
    assert!(read > 1_000, "only {read} damaged batches were read at all");
}

const AGENTS: [(&str, &str); 6] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
        ".0.0.0 Safari/537.36",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
        ".0.0.0 Mobile Safari/537.36",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
        ".1 Mobile/15E148 Safari/604.1",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
        ".4 Safari/605.1.15",
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/", ".0"),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram ",
        ".0.0.29.80 (iPhone14,5; iOS 18_6_2; de_DE; de; scale=3.00; 1170x2532; IABMV/1; 784213654)",
    ),
];

/// Five hundred clicks as a busy host sees them: 200 user agents, 400 links, all visitors
/// different, half with a referrer, one in five from a campaign.
#[test]
fn five_hundred_clicks_fit_one_billed_request() {
    let agents: Vec<String> = (0..200)
        .map(|number| {
            let (front, back) = AGENTS[number % AGENTS.len()];
            format!("{front}{}{back}", 100 + number)
        })
        .collect();
    let cities: Vec<String> = (0..150).map(|number| format!("Neustadt {number}")).collect();
    let hosts: Vec<String> = (0..40).map(|number| format!("news{number}.example.com")).collect();
    let regions: Vec<String> = (0..60).map(|number| format!("DE-{number:02}")).collect();
    let mut draws = Draws(7);
    let mut writer = BatchWriter::new(u64::MAX, 1_234_567);
    let mut at = 1_795_244_400_000;
    for _ in 0..500 {
        at += draws.below(40) as i64;
        writer.push(&Click {
            link_id: 400_000_000_000_000_000 + draws.below(400) as u64,
            at: Timestamp(at),
            visitor: Some(draws.0),
            user_agent: &agents[draws.below(200)],
            referrer_host: ["", &hosts[draws.below(40)]][draws.below(2)],
            country: ["DE", "FR", "US", "IN", "BR"][draws.below(5)],
            region: &regions[draws.below(60)],
            city: &cities[draws.below(150)],
            continent: ["EU", "NA", "AS", "SA"][draws.below(4)],
            language: ["de", "en", "fr", "pt", "hi"][draws.below(5)],
            utm: match draws.below(5) {
                0 => ["newsletter", "email", "spring-sale", "", "header"],
                _ => [""; 5],
            },
            target: Target::Default,
            ..Click::default()
        });
    }
    let bytes = writer.finish().len();
    // 64 KiB of base64 are 48 KiB.
    assert!(bytes <= 500 * 98, "{bytes} bytes, {} a click", bytes / 500);
    assert!(bytes <= 48 * 1024);
}
