//! How many different visitors: exact while they are few, estimated when they are many.

use std::collections::BTreeSet;
use std::fmt;

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use waypost_wire::bytes::{Reader, put_number};

/// Up to here visitors are counted exactly. Behind it, the estimate's standard error is 1.6%.
pub const EXACT_MAX: usize = 512;

/// 2^12 registers: standard error 1.04 / sqrt(4096).
const LG_REGISTERS: u8 = 12;

/// A set of visitors that can tell about how many they are, not who. Equal sets give equal bytes,
/// however they came together.
#[derive(Clone)]
pub struct Sketch(Form);

#[derive(Clone)]
enum Form {
    Few(BTreeSet<u64>),
    Many(Box<HllSketch>),
}

/// The bytes are no sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sketch of visitors")]
pub struct NoSketch;

impl Sketch {
    /// No visitor yet.
    pub const fn new() -> Self {
        Self(Form::Few(BTreeSet::new()))
    }

    /// Adds a visitor, by hash. Adding one again changes nothing.
    pub fn insert(&mut self, visitor: u64) {
        match &mut self.0 {
            Form::Few(visitors) => {
                visitors.insert(visitor);
                if EXACT_MAX < visitors.len() {
                    self.0 = Form::Many(Box::new(many(visitors)));
                }
            }
            Form::Many(sketch) => update(sketch, visitor),
        }
    }

    /// Adds all visitors of `other`.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, Form::Few(visitors)) => {
                for visitor in visitors {
                    self.insert(*visitor);
                }
            }
            (Form::Many(sketch), Form::Many(others)) => **sketch = union(sketch, others),
            (Form::Few(visitors), Form::Many(others)) => {
                let mut sketch = others.clone();
                for visitor in visitors.iter() {
                    update(&mut sketch, *visitor);
                }
                self.0 = Form::Many(sketch);
            }
        }
    }

    /// About how many visitors there are.
    pub fn estimate(&self) -> u64 {
        match &self.0 {
            Form::Few(visitors) => visitors.len() as u64,
            // Not `estimate`, which depends on the order of arrival.
            Form::Many(sketch) => sketch.composite_estimate().round() as u64,
        }
    }

    /// The sketch as bytes: a count of visitors and their hashes in ascending order, or 0 and the
    /// `HLL_6` image of the Apache DataSketches formats.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        match &self.0 {
            Form::Few(visitors) => {
                put_number(&mut to, visitors.len() as u64 + 1);
                for visitor in visitors {
                    to.extend_from_slice(&visitor.to_be_bytes());
                }
            }
            Form::Many(sketch) => {
                put_number(&mut to, 0);
                to.extend_from_slice(&image(sketch));
            }
        }
        to
    }

    /// Reads what [`Sketch::encode`] wrote.
    ///
    /// # Errors
    /// [`NoSketch`] if it did not write this.
    pub fn decode(bytes: &[u8]) -> Result<Self, NoSketch> {
        let mut from = Reader::new(bytes);
        let form = match from.number().map_err(|_| NoSketch)?.checked_sub(1) {
            Some(count) => Form::Few(few(&mut from, count)?),
            None => {
                let image = from.take(from.remaining()).map_err(|_| NoSketch)?;
                let sketch = HllSketch::deserialize(image).map_err(|_| NoSketch)?;
                Form::Many(Box::new(union(&sketch, &sketch)))
            }
        };
        let sketch = Self(form);
        match sketch.encode() == bytes {
            true => Ok(sketch),
            false => Err(NoSketch),
        }
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Sketch {
    fn eq(&self, other: &Self) -> bool {
        self.encode() == other.encode()
    }
}

impl Eq for Sketch {}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sketch({})", self.estimate())
    }
}

fn few(from: &mut Reader<'_>, count: u64) -> Result<BTreeSet<u64>, NoSketch> {
    if count > EXACT_MAX as u64 {
        return Err(NoSketch);
    }
    let mut visitors = BTreeSet::new();
    for _ in 0..count {
        let bytes = from.take(8).map_err(|_| NoSketch)?;
        let bytes = bytes.try_into().map_err(|_| NoSketch)?;
        visitors.insert(u64::from_be_bytes(bytes));
    }
    Ok(visitors)
}

fn many(visitors: &BTreeSet<u64>) -> HllSketch {
    let mut sketch = empty_union().to_sketch(HllType::Hll8);
    for visitor in visitors {
        update(&mut sketch, *visitor);
    }
    sketch
}

fn update(sketch: &mut HllSketch, visitor: u64) {
    sketch.update(raw_bytes::from_slice(&visitor.to_be_bytes()));
}

/// What only the set of visitors decides of a sketch: a union gives up the library's second
/// estimator, the one that depends on the order of arrival.
fn image(sketch: &HllSketch) -> Vec<u8> {
    let mut both = empty_union();
    both.update(sketch);
    both.update(sketch);
    both.to_sketch(HllType::Hll6).serialize()
}

fn union(one: &HllSketch, other: &HllSketch) -> HllSketch {
    let mut union = empty_union();
    union.update(one);
    union.update(other);
    union.to_sketch(HllType::Hll8)
}

fn empty_union() -> HllUnion {
    #[expect(clippy::expect_used, reason = "fails for constants out of range only")]
    HllUnion::new(LG_REGISTERS).expect("4 to 21 are allowed")
}

#[cfg(test)]
mod tests;
