use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::{
    BATCH_BYTES, BATCH_CLICKS, Click, SLUG_MAX_BYTES, TEXT_MAX_BYTES, Target, VERSION, flag, target,
};
use crate::bytes::{put_number, put_signed, put_text};
use crate::time::Timestamp;

/// Most bytes before the first text, and the counts.
const HEADER_MAX_BYTES: usize = 1 + 8 + 10 + 10 + 3 * 10;

/// Packs clicks into a batch, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct BatchWriter {
    source: u64,
    first_sequence: u64,
    count: usize,
    base: Timestamp,
    latest: Timestamp,
    positions_of_texts: BTreeMap<String, u64>,
    texts: Vec<u8>,
    positions_of_links: BTreeMap<u64, u64>,
    links: Vec<u8>,
    clicks: Vec<u8>,
}

impl BatchWriter {
    /// A batch whose first click will have the number `first_sequence` of `source`.
    pub const fn new(source: u64, first_sequence: u64) -> Self {
        Self {
            source,
            first_sequence,
            count: 0,
            base: Timestamp(0),
            latest: Timestamp(0),
            positions_of_texts: BTreeMap::new(),
            texts: Vec::new(),
            positions_of_links: BTreeMap::new(),
            links: Vec::new(),
            clicks: Vec::new(),
        }
    }

    /// Adds the next click and answers how long the batch is so far, in bytes, rounded up by at
    /// most 59. Texts are cut to their longest length.
    pub fn push(&mut self, click: &Click<'_>) -> usize {
        if self.count == 0 {
            self.base = click.at;
            self.latest = click.at;
        }
        self.count += 1;
        self.clicks.push(flags(click));
        put_signed(&mut self.clicks, click.at.0.wrapping_sub(self.latest.0));
        self.latest = click.at;
        match click.link_id {
            0 => self.text(click.slug, SLUG_MAX_BYTES),
            id => self.link(id),
        }
        let texts = [
            click.user_agent,
            click.referrer_host,
            click.country,
            click.region,
            click.city,
            click.continent,
            click.language,
        ];
        for text in texts {
            self.text(text, TEXT_MAX_BYTES);
        }
        if has_utm(click) {
            for text in click.utm {
                self.text(text, TEXT_MAX_BYTES);
            }
        }
        self.target(click.target);
        if let Some(visitor) = click.visitor {
            self.clicks.extend_from_slice(&visitor.to_be_bytes());
        }
        self.bytes()
    }

    /// Clicks so far.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether the batch should be sent before another click is added.
    pub const fn is_full(&self) -> bool {
        BATCH_CLICKS <= self.count || BATCH_BYTES <= self.bytes()
    }

    /// The batch; empty if there is no click in it.
    pub fn finish(self) -> Vec<u8> {
        if self.count == 0 {
            return Vec::new();
        }
        let mut to = Vec::with_capacity(self.bytes());
        to.push(VERSION);
        to.extend_from_slice(&self.source.to_be_bytes());
        put_number(&mut to, self.first_sequence);
        put_signed(&mut to, self.base.0);
        put_number(&mut to, self.positions_of_texts.len() as u64);
        to.extend_from_slice(&self.texts);
        put_number(&mut to, self.positions_of_links.len() as u64);
        to.extend_from_slice(&self.links);
        put_number(&mut to, self.count as u64);
        to.extend_from_slice(&self.clicks);
        to
    }

    const fn bytes(&self) -> usize {
        HEADER_MAX_BYTES + self.texts.len() + self.links.len() + self.clicks.len()
    }

    fn text(&mut self, text: &str, max_bytes: usize) {
        let text = &text[..text.floor_char_boundary(max_bytes)];
        let position = match self.positions_of_texts.get(text) {
            _ if text.is_empty() => 0,
            Some(position) => *position,
            None => {
                let position = self.positions_of_texts.len() as u64 + 1;
                self.positions_of_texts.insert(text.to_owned(), position);
                put_text(&mut self.texts, text);
                position
            }
        };
        put_number(&mut self.clicks, position);
    }

    fn link(&mut self, id: u64) {
        let next = self.positions_of_links.len() as u64;
        let position = *self.positions_of_links.entry(id).or_insert(next);
        if position == next {
            self.links.extend_from_slice(&id.to_be_bytes());
        }
        put_number(&mut self.clicks, position);
    }

    fn target(&mut self, target: Target) {
        match target {
            Target::Default => {}
            Target::Nowhere => self.clicks.push(target::NOWHERE),
            Target::Ios => self.clicks.push(target::IOS),
            Target::Android => self.clicks.push(target::ANDROID),
            Target::Expired => self.clicks.push(target::EXPIRED),
            Target::Rule { rule, variant } => {
                self.clicks.extend_from_slice(&[target::RULE, rule, variant]);
            }
        }
    }
}

fn has_utm(click: &Click<'_>) -> bool {
    click.utm.iter().any(|text| !text.is_empty())
}

fn flags(click: &Click<'_>) -> u8 {
    let bits = [
        (flag::HEAD, click.head),
        (flag::PREFETCH, click.prefetch),
        (flag::DATACENTRE, click.datacentre),
        (flag::ORPHAN, click.link_id == 0),
        (flag::UTM, has_utm(click)),
        (flag::TARGET, click.target != Target::Default),
        (flag::VISITOR, click.visitor.is_some()),
    ];
    bits.into_iter().filter(|(_, set)| *set).fold(0, |all, (bit, _)| all | bit)
}
