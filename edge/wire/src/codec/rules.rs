//! Rules of a record as bytes: counts, then tagged conditions.

use alloc::vec::Vec;

use super::read::destination;
use super::{DecodeError, NESTING_MAX};
use crate::agent::{Browser, Device, Os};
use crate::bytes::{Reader, put_number, put_signed, put_text};
use crate::record::{Condition, Network, Rule, TimeOfWeek, Variant};
use crate::time::Timestamp;

mod tag {
    pub(super) const BROWSER: u8 = 0;
    pub(super) const CITY: u8 = 1;
    pub(super) const CONTINENT: u8 = 2;
    pub(super) const COUNTRY: u8 = 3;
    pub(super) const DATE: u8 = 4;
    pub(super) const DEVICE: u8 = 5;
    pub(super) const IP: u8 = 6;
    pub(super) const LANGUAGE: u8 = 7;
    pub(super) const NOT: u8 = 8;
    pub(super) const OS: u8 = 9;
    pub(super) const QUERY_PRESENT: u8 = 10;
    pub(super) const QUERY_EQUALS: u8 = 11;
    pub(super) const REFERRER: u8 = 12;
    pub(super) const REGION: u8 = 13;
    pub(super) const TIME: u8 = 14;
}

pub(super) fn put(to: &mut Vec<u8>, rules: &[Rule<'_>]) {
    put_number(to, rules.len() as u64);
    for rule in rules {
        put_conditions(to, &rule.when);
        put_number(to, rule.variants.len() as u64);
        for variant in &rule.variants {
            put_text(to, variant.destination);
            put_number(to, u64::from(variant.weight));
        }
    }
}

fn put_conditions(to: &mut Vec<u8>, conditions: &[Condition<'_>]) {
    put_number(to, conditions.len() as u64);
    for condition in conditions {
        put_condition(to, condition);
    }
}

fn put_condition(to: &mut Vec<u8>, condition: &Condition<'_>) {
    match condition {
        Condition::Browser(list) => put_codes(to, tag::BROWSER, list, |item| item.code()),
        Condition::City(list) => put_texts(to, tag::CITY, list),
        Condition::Continent(list) => put_texts(to, tag::CONTINENT, list),
        Condition::Country(list) => put_texts(to, tag::COUNTRY, list),
        Condition::Date { from, until } => {
            to.push(tag::DATE);
            put_optional_time(to, *from);
            put_optional_time(to, *until);
        }
        Condition::Device(list) => put_codes(to, tag::DEVICE, list, |item| item.code()),
        Condition::Ip(list) => {
            to.push(tag::IP);
            put_number(to, list.len() as u64);
            for network in list {
                to.extend_from_slice(&network.address.to_be_bytes());
                to.push(network.prefix_bits);
            }
        }
        Condition::Language(list) => put_texts(to, tag::LANGUAGE, list),
        Condition::Not(inner) => {
            to.push(tag::NOT);
            put_conditions(to, inner);
        }
        Condition::Os(list) => put_codes(to, tag::OS, list, |item| item.code()),
        Condition::Query { name, equals: None } => {
            to.push(tag::QUERY_PRESENT);
            put_text(to, name);
        }
        Condition::Query { name, equals: Some(value) } => {
            to.push(tag::QUERY_EQUALS);
            put_text(to, name);
            put_text(to, value);
        }
        Condition::Referrer(list) => put_texts(to, tag::REFERRER, list),
        Condition::Region(list) => put_texts(to, tag::REGION, list),
        Condition::Time(time) => put_time(to, time),
    }
}

fn put_texts(to: &mut Vec<u8>, tag: u8, list: &[&str]) {
    to.push(tag);
    put_number(to, list.len() as u64);
    for text in list {
        put_text(to, text);
    }
}

fn put_codes<T>(to: &mut Vec<u8>, tag: u8, list: &[T], code: impl Fn(&T) -> u8) {
    to.push(tag);
    put_number(to, list.len() as u64);
    to.extend(list.iter().map(code));
}

/// One byte that tells whether there is a time, then the time.
fn put_optional_time(to: &mut Vec<u8>, time: Option<Timestamp>) {
    match time {
        None => to.push(0),
        Some(time) => {
            to.push(1);
            put_signed(to, time.0);
        }
    }
}

fn put_time(to: &mut Vec<u8>, time: &TimeOfWeek) {
    to.push(tag::TIME);
    to.push(time.days);
    put_number(to, u64::from(time.from_minute));
    put_number(to, u64::from(time.until_minute));
    put_signed(to, i64::from(time.offset_minutes));
    put_number(to, time.changes.len() as u64);
    let mut before = 0;
    for (at_seconds, offset_minutes) in &time.changes {
        put_signed(to, at_seconds.wrapping_sub(before));
        put_signed(to, i64::from(*offset_minutes));
        before = *at_seconds;
    }
}

pub(super) fn take<'a>(from: &mut Reader<'a>) -> Result<Vec<Rule<'a>>, DecodeError> {
    list(from, |from| Ok(Rule { when: take_conditions(from, 0)?, variants: take_variants(from)? }))
}

fn take_variants<'a>(from: &mut Reader<'a>) -> Result<Vec<Variant<'a>>, DecodeError> {
    let variants = list(from, |from| {
        Ok(Variant { destination: destination(from)?, weight: narrow(from.number()?)? })
    })?;
    match variants.is_empty() {
        true => Err(DecodeError::UnknownValue),
        false => Ok(variants),
    }
}

fn take_conditions<'a>(
    from: &mut Reader<'a>,
    depth: usize,
) -> Result<Vec<Condition<'a>>, DecodeError> {
    if depth > NESTING_MAX {
        return Err(DecodeError::TooDeep);
    }
    list(from, |from| take_condition(from, depth))
}

fn take_condition<'a>(from: &mut Reader<'a>, depth: usize) -> Result<Condition<'a>, DecodeError> {
    Ok(match from.byte()? {
        tag::BROWSER => Condition::Browser(codes(from, Browser::from_code)?),
        tag::CITY => Condition::City(texts(from)?),
        tag::CONTINENT => Condition::Continent(texts(from)?),
        tag::COUNTRY => Condition::Country(texts(from)?),
        tag::DATE => Condition::Date { from: optional_time(from)?, until: optional_time(from)? },
        tag::DEVICE => Condition::Device(codes(from, Device::from_code)?),
        tag::IP => Condition::Ip(list(from, network)?),
        tag::LANGUAGE => Condition::Language(texts(from)?),
        tag::NOT => Condition::Not(take_conditions(from, depth + 1)?),
        tag::OS => Condition::Os(codes(from, Os::from_code)?),
        tag::QUERY_PRESENT => Condition::Query { name: from.text()?, equals: None },
        tag::QUERY_EQUALS => Condition::Query { name: from.text()?, equals: Some(from.text()?) },
        tag::REFERRER => Condition::Referrer(texts(from)?),
        tag::REGION => Condition::Region(texts(from)?),
        tag::TIME => Condition::Time(take_time(from)?),
        _ => return Err(DecodeError::UnknownValue),
    })
}

/// Reads a count and that many items. Every item takes at least one byte, so a count above the
/// bytes that are left is refused before anything is allocated for it.
fn list<'a, T>(
    from: &mut Reader<'a>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = from.number()?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > from.remaining() {
        return Err(crate::bytes::ReadError::Truncated.into());
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(item(from)?);
    }
    Ok(items)
}

fn texts<'a>(from: &mut Reader<'a>) -> Result<Vec<&'a str>, DecodeError> {
    list(from, |from| Ok(from.text()?))
}

fn codes<T>(
    from: &mut Reader<'_>,
    from_code: impl Fn(u8) -> Option<T>,
) -> Result<Vec<T>, DecodeError> {
    list(from, |from| from_code(from.byte()?).ok_or(DecodeError::UnknownValue))
}

fn network(from: &mut Reader<'_>) -> Result<Network, DecodeError> {
    let mut address = [0; 16];
    address.copy_from_slice(from.take(16)?);
    let prefix_bits = from.byte()?;
    if prefix_bits > 128 {
        return Err(DecodeError::UnknownValue);
    }
    Ok(Network { address: u128::from_be_bytes(address), prefix_bits })
}

fn optional_time(from: &mut Reader<'_>) -> Result<Option<Timestamp>, DecodeError> {
    match from.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Timestamp(from.signed()?))),
        _ => Err(DecodeError::UnknownValue),
    }
}

fn take_time(from: &mut Reader<'_>) -> Result<TimeOfWeek, DecodeError> {
    let days = from.byte()?;
    let from_minute: u16 = narrow(from.number()?)?;
    let until_minute: u16 = narrow(from.number()?)?;
    let offset_minutes = narrow(from.signed()?)?;
    if days > 0x7f || from_minute >= 1440 || !(1..=1440).contains(&until_minute) {
        return Err(DecodeError::UnknownValue);
    }
    let mut before = 0i64;
    let changes = list(from, |from| {
        before = before.wrapping_add(from.signed()?);
        Ok((before, narrow(from.signed()?)?))
    })?;
    Ok(TimeOfWeek { days, from_minute, until_minute, offset_minutes, changes })
}

fn narrow<T, U: TryFrom<T>>(value: T) -> Result<U, DecodeError> {
    U::try_from(value).map_err(|_| DecodeError::UnknownValue)
}
