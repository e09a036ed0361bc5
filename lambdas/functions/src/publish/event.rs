//! Events of the stream of links, as far as they are read: keys, which link, which version. What is
//! published is read from the table.

use serde::Deserialize;
use waypost_service::model::LinkId;
use waypost_service::publish::Change;
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

/// How far the second of the stream is from the time of the write.
const SECONDS_APART_MS: i64 = 5_000;

/// What the function is called with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// By the stream.
    Changes(StreamEvent),
    /// By the schedule: the state alone.
    State(Task),
}

/// What the schedule says; all of it means the same.
#[derive(Debug, Deserialize)]
pub struct Task {
    /// `state`.
    pub task: String,
}

/// Records of one shard, in order.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    /// At most 10,000.
    #[serde(rename = "Records")]
    pub records: Vec<StreamRecord>,
}

/// A write of an item. What is missing or of another form is told apart later: one strange record
/// must not keep the others back.
#[derive(Debug, Deserialize)]
pub struct StreamRecord {
    #[serde(default)]
    dynamodb: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Data {
    approximate_creation_date_time: f64,
    keys: Image,
    new_image: Option<Image>,
    old_image: Option<Image>,
    sequence_number: String,
}

/// The attributes of an item that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Image {
    pk: Text,
    link_id: Text,
    version: Number,
    updated_at: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Number {
    #[serde(rename = "N")]
    digits: String,
}

impl Image {
    fn generation(&self) -> Option<Generation> {
        Some(Generation {
            link_id: u64::from_str_radix(&self.link_id.text, 16).ok()?,
            version: self.version.digits.parse().ok()?,
        })
    }
}

impl StreamRecord {
    /// Its number, by which the stream is told where to go on.
    pub fn sequence_number(&self) -> &str {
        &self.dynamodb.sequence_number
    }

    /// When it was written: as the stream says, which counts seconds, or as its link says if that
    /// is the same. Not every write of an item is one of its link.
    pub fn at(&self) -> Timestamp {
        let streamed = Timestamp((self.dynamodb.approximate_creation_date_time * 1_000.0) as i64);
        let image = self.dynamodb.new_image.as_ref();
        let written = image.and_then(|image| image.updated_at.digits.parse().ok()).map(Timestamp);
        match written {
            Some(written) if streamed.ms_since(written).abs() <= SECONDS_APART_MS => written,
            Some(written) if streamed.0 == 0 => written,
            _ => streamed,
        }
    }

    /// Whether the link, and so its record, is what it was: only what the control plane finds it by
    /// was written.
    pub fn is_unchanged(&self) -> bool {
        let generation = |image: &Option<Image>| image.as_ref().and_then(Image::generation);
        let (new, old) =
            (generation(&self.dynamodb.new_image), generation(&self.dynamodb.old_image));
        new.is_some() && new == old
    }

    /// What it tells; `None` if it is not about a link, or about nothing that edges know of it.
    pub fn change(&self) -> Option<Change> {
        if self.is_unchanged() {
            return None;
        }
        let Data { keys, new_image, old_image, .. } = &self.dynamodb;
        let new = match new_image {
            Some(image) => Some(image.generation()?),
            None => None,
        };
        let old = match old_image {
            Some(image) => Some(image.generation()?),
            None => None,
        };
        let lost = old.filter(|old| new.is_none_or(|new| new.link_id != old.link_id));
        let key = Some(&keys.pk.text).filter(|key| key.contains('/'))?.clone();
        let generation = new.max(old)?;
        Some(Change { key, generation, gone: lost.map(|old| LinkId(old.link_id)) })
    }
}
