use alloc::vec::Vec;

use super::{VERSION, flag, rules};
use crate::bytes::{put_number, put_signed, put_text};
use crate::record::{LinkRecord, LinkState, RedirectStatus};

/// The bytes of a record. The same record gives the same bytes.
pub fn encode(record: &LinkRecord<'_>) -> Vec<u8> {
    let mut to = Vec::with_capacity(64 + record.destination.len());
    to.push(VERSION);
    put_number(&mut to, flags(record));
    to.push(state_code(record.state));
    to.push(status_code(record.status));
    put_number(&mut to, record.id);
    put_number(&mut to, record.version);
    put_signed(&mut to, record.created_at.0);
    put_text(&mut to, record.destination);
    for time in [record.starts_at, record.expires_at].into_iter().flatten() {
        put_signed(&mut to, time.0);
    }
    let destinations =
        [record.expired_destination, record.ios_destination, record.android_destination];
    for text in destinations.into_iter().flatten() {
        put_text(&mut to, text);
    }
    if let Some(version) = record.password_version {
        put_number(&mut to, u64::from(version));
    }
    let card = record.preview.unwrap_or_default();
    let texts =
        [record.readable_destination, record.title, card.title, card.description, card.image];
    for text in texts.into_iter().flatten() {
        put_text(&mut to, text);
    }
    if !record.rules.is_empty() {
        rules::put(&mut to, &record.rules);
    }
    to
}

fn flags(record: &LinkRecord<'_>) -> u64 {
    let card = record.preview.unwrap_or_default();
    let bits = [
        (flag::STARTS_AT, record.starts_at.is_some()),
        (flag::EXPIRES_AT, record.expires_at.is_some()),
        (flag::EXPIRED_DESTINATION, record.expired_destination.is_some()),
        (flag::IOS, record.ios_destination.is_some()),
        (flag::ANDROID, record.android_destination.is_some()),
        (flag::PASSWORD, record.password_version.is_some()),
        (flag::READABLE, record.readable_destination.is_some()),
        (flag::TITLE, record.title.is_some()),
        (flag::PREVIEW, record.preview.is_some()),
        (flag::PREVIEW_TITLE, card.title.is_some()),
        (flag::PREVIEW_DESCRIPTION, card.description.is_some()),
        (flag::PREVIEW_IMAGE, card.image.is_some()),
        (flag::RULES, !record.rules.is_empty()),
        (flag::LIMITED, record.limited),
        (flag::USED_UP, record.used_up),
        (flag::FORWARD_QUERY, record.forward_query),
        (flag::FORWARD_PATH, record.forward_path),
    ];
    bits.into_iter().filter(|(_, set)| *set).fold(0, |all, (bit, _)| all | bit)
}

const fn state_code(state: LinkState) -> u8 {
    match state {
        LinkState::Live => 0,
        LinkState::Disabled => 1,
        LinkState::Deleted => 2,
        LinkState::BlockedAbuse => 3,
        LinkState::BlockedLegal => 4,
    }
}

const fn status_code(status: RedirectStatus) -> u8 {
    match status {
        RedirectStatus::Found => 0,
        RedirectStatus::MovedPermanently => 1,
        RedirectStatus::TemporaryRedirect => 2,
        RedirectStatus::PermanentRedirect => 3,
    }
}
