use alloc::vec::Vec;

use super::{DecodeError, VERSION, flag, rules};
use crate::bytes::Reader;
use crate::record::{Generation, LinkRecord, LinkState, Preview, RedirectStatus};
use crate::time::Timestamp;

/// Reads a record; strings are borrowed from `bytes`, and nothing is allocated unless the link
/// has rules.
///
/// # Errors
/// Every byte is checked, so that what is read is what a Waypost wrote: see [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<LinkRecord<'_>, DecodeError> {
    let mut from = Reader::new(bytes);
    let version = from.byte().map_err(|_| DecodeError::Empty)?;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion(version));
    }
    let record = version_1(&mut from)?;
    match from.remaining() {
        0 => Ok(record),
        _ => Err(DecodeError::TrailingBytes),
    }
}

/// Which writing of which link a record is, without reading the rest.
///
/// # Errors
/// As [`decode`], as far as it is read.
pub fn generation(bytes: &[u8]) -> Result<Generation, DecodeError> {
    let mut from = Reader::new(bytes);
    match from.byte().map_err(|_| DecodeError::Empty)? {
        VERSION => {}
        version => return Err(DecodeError::UnknownVersion(version)),
    }
    from.number()?;
    from.take(2)?;
    Ok(Generation { link_id: from.number()?, version: from.number()? })
}

fn version_1<'a>(from: &mut Reader<'a>) -> Result<LinkRecord<'a>, DecodeError> {
    let flags = from.number()?;
    if flags & !flag::ALL != 0 {
        return Err(DecodeError::UnknownValue);
    }
    let has = |bit: u64| flags & bit != 0;
    let state = state(from.byte()?)?;
    let status = status(from.byte()?)?;
    // Field expressions run in the order they stand here, which is the order of the bytes.
    let mut record = LinkRecord {
        state,
        status,
        id: from.number()?,
        version: from.number()?,
        created_at: Timestamp(from.signed()?),
        destination: destination(from)?,
        starts_at: time(from, has(flag::STARTS_AT))?,
        expires_at: time(from, has(flag::EXPIRES_AT))?,
        expired_destination: optional_destination(from, has(flag::EXPIRED_DESTINATION))?,
        ios_destination: optional_destination(from, has(flag::IOS))?,
        android_destination: optional_destination(from, has(flag::ANDROID))?,
        password_version: password_version(from, has(flag::PASSWORD))?,
        readable_destination: text(from, has(flag::READABLE))?,
        title: text(from, has(flag::TITLE))?,
        preview: None,
        limited: has(flag::LIMITED),
        used_up: has(flag::USED_UP),
        forward_query: has(flag::FORWARD_QUERY),
        forward_path: has(flag::FORWARD_PATH),
        rules: Vec::new(),
    };
    let card = Preview {
        title: text(from, has(flag::PREVIEW_TITLE))?,
        description: text(from, has(flag::PREVIEW_DESCRIPTION))?,
        image: text(from, has(flag::PREVIEW_IMAGE))?,
    };
    record.preview = has(flag::PREVIEW).then_some(card);
    if has(flag::RULES) {
        record.rules = rules::take(from)?;
    }
    Ok(record)
}

fn state(code: u8) -> Result<LinkState, DecodeError> {
    match code {
        0 => Ok(LinkState::Live),
        1 => Ok(LinkState::Disabled),
        2 => Ok(LinkState::Deleted),
        3 => Ok(LinkState::BlockedAbuse),
        4 => Ok(LinkState::BlockedLegal),
        _ => Err(DecodeError::UnknownValue),
    }
}

fn status(code: u8) -> Result<RedirectStatus, DecodeError> {
    match code {
        0 => Ok(RedirectStatus::Found),
        1 => Ok(RedirectStatus::MovedPermanently),
        2 => Ok(RedirectStatus::TemporaryRedirect),
        3 => Ok(RedirectStatus::PermanentRedirect),
        _ => Err(DecodeError::UnknownValue),
    }
}

/// A destination was parsed when the link was written; this checks again what would do harm if
/// the bytes were damaged or forged: only visible ASCII may stand in a `Location` header.
pub(super) fn destination<'a>(from: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let text = from.text()?;
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text),
        false => Err(DecodeError::BadDestination),
    }
}

fn optional_destination<'a>(
    from: &mut Reader<'a>,
    there: bool,
) -> Result<Option<&'a str>, DecodeError> {
    there.then(|| destination(from)).transpose()
}

fn text<'a>(from: &mut Reader<'a>, there: bool) -> Result<Option<&'a str>, DecodeError> {
    Ok(there.then(|| from.text()).transpose()?)
}

fn time(from: &mut Reader<'_>, there: bool) -> Result<Option<Timestamp>, DecodeError> {
    Ok(there.then(|| from.signed()).transpose()?.map(Timestamp))
}

fn password_version(from: &mut Reader<'_>, there: bool) -> Result<Option<u32>, DecodeError> {
    if !there {
        return Ok(None);
    }
    u32::try_from(from.number()?).map(Some).map_err(|_| DecodeError::UnknownValue)
}
