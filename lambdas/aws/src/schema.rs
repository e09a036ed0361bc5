//! The tables: keys, indices, and who must not be told of changes. The one description;
//! `template.yaml` is held to it, and tests create their tables from it.
//!
//! What each item looks like stands with the code that writes it; infra/data.md has every access
//! pattern with its cost.

use serde::Serialize;

/// Partitions of an index by time: each takes 1,000 writes a second (Amazon DynamoDB, "Partition
/// key design"), so that 16,000 links can be written a second.
pub const SHARDS: u64 = 16;

/// What an installation calls its tables and its bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Links, with their records. Its stream is what edges hear of changes by.
    pub links: String,
    /// Keys, guards, leases, limits: what is about links and callers and nobody publishes.
    pub control: String,
    /// Counting.
    pub counters: String,
    /// Raw clicks.
    pub raw_bucket: String,
}

impl Names {
    /// Names that begin alike.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |part: &str| format!("{prefix}-{part}");
        Self {
            links: name("links"),
            control: name("control"),
            counters: name("counters"),
            raw_bucket: name("raw"),
        }
    }
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Which of [`Names`].
    pub name: &'static str,
    /// Whether items have a sort key `sk` beside `pk`. Both are texts.
    pub has_sort_key: bool,
    /// Secondary indices. What is read through them is read anew from the table and is current, but
    /// for what an index holds beside keys.
    pub indices: &'static [Index],
    /// Whether every change is told, with the item before and after it.
    pub has_stream: bool,
    /// The attribute by which items vanish by themselves, in Unix seconds.
    pub ttl: Option<&'static str>,
}

/// A secondary index. Its keys are texts; an item that lacks one of them is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its partition key.
    pub pk: &'static str,
    /// Its sort key.
    pub sk: &'static str,
    /// Attributes that it holds beside the keys: for whoever walks it so often that reading the
    /// items would cost, and can do with what was so a moment ago.
    pub holds: &'static [&'static str],
}

const fn by(name: &'static str, sk: &'static str) -> Index {
    Index { name, pk: "shard", sk, holds: &[] }
}

/// What is told of a change, beside its key, id and time, which are in the keys.
const OF_CHANGES: &[&str] = &["stopped", "version"];

/// The partition of an index that an id belongs to. Ids differ least in their lowest bits, and the
/// highest move with time, so all of them are mixed (Knuth, "Multiplicative hashing": the odd number
/// next to 2^64 divided by the golden ratio).
pub fn shard(number: u64) -> String {
    let mixed = (number ^ (number >> 22)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:x}", mixed >> 60)
}

/// All of them.
pub fn shards() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|shard| format!("{shard:x}"))
}

/// All tables.
pub const TABLES: [Table; 3] = [
    Table {
        name: "links",
        has_sort_key: false,
        indices: &[
            by("by_created", "created"),
            Index { holds: OF_CHANGES, ..by("by_updated", "updated") },
            by("by_expires", "expires"),
            by("by_quarantine_end", "quarantine_end"),
            by("by_recompile", "recompile"),
            by("by_transition", "transition"),
        ],
        has_stream: true,
        ttl: None,
    },
    Table {
        name: "control",
        has_sort_key: true,
        indices: &[by("by_expires", "expires")],
        has_stream: false,
        ttl: Some("ttl"),
    },
    Table {
        name: "counters",
        has_sort_key: true,
        indices: &[by("by_last_use", "last_use")],
        has_stream: false,
        ttl: None,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn ids_spread_over_all_partitions() {
        let shards: Vec<String> = shards().collect();
        assert_eq!(shards.len() as u64, SHARDS);
        // Numbers in a row, Snowflakes of one machine in a row of milliseconds, and of many
        // machines in one.
        let ways: [fn(u64) -> u64; 3] =
            [|n| n, |n| (1_000_000_000 + n) << 22, |n| (1 << 40) | (n << 12)];
        for way in ways {
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            for number in 0..1_000 {
                *counts.entry(shard(way(number))).or_default() += 1;
            }
            assert!(counts.keys().all(|shard| shards.contains(shard)), "{counts:?}");
            assert_eq!(counts.len(), shards.len(), "{counts:?}");
            assert!(counts.values().all(|count| (30..=100).contains(count)), "{counts:?}");
        }
    }
}
