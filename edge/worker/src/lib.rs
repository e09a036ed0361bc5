//! Waypost on Cloudflare Workers.
//!
//! In scope: what stands between [`waypost_outpost`] and `js/shim.js`, the Worker's entry: a
//! request comes in as one text, the reply goes out as one, in one call of [`follow`] if the
//! memory has the record. What has to be read or sent is done by the shim: a journey stops at an
//! errand, and [`resume`] brings what came of it. Out of scope: every decision.
#![warn(missing_docs)]

mod errand;
mod facts;
#[cfg(feature = "inject")]
mod inject;
mod instance;
mod output;
mod panic;
mod settings;
#[cfg(test)]
mod tests;

use instance::Instance;
use wasm_bindgen::prelude::wasm_bindgen;
use waypost_wire::time::Timestamp;

thread_local! {
    static INSTANCE: Instance = Instance::new();
}

/// Reports panics from now on. Where: at this address are the address and the length of the last
/// one's message.
#[wasm_bindgen]
pub fn panics() -> u32 {
    panic::report()
}

/// Begins with an empty memory, and with settings that are in the input: so many bytes of
/// `settings::Variables`. Returns whether they can be used; what there is to say about them is
/// put out. The source names this instance in its clicks: it is random.
#[wasm_bindgen]
pub fn begin(text_bytes: u32, source_low: u32, source_high: u32, now_ms: f64) -> bool {
    let source = join(source_low, source_high);
    INSTANCE.with(|instance| instance.begin(text_bytes, source, timestamp(now_ms)))
}

/// Where the registers are (`output::register`).
#[wasm_bindgen]
pub fn registers() -> u32 {
    INSTANCE.with(Instance::registers)
}

/// Where to put so many bytes of a request, or of what an errand came back with.
#[wasm_bindgen]
pub fn input(bytes: u32) -> u32 {
    INSTANCE.with(|instance| instance.input(bytes))
}

/// Follows a link. The request is in the input (`facts::Packed`), a form behind it; `draw` is
/// random. Returns what `output::register::STATUS` is.
#[wasm_bindgen]
pub fn follow(text_bytes: u32, form_bytes: u32, draw_low: u32, draw_high: u32, now_ms: f64) -> u32 {
    let draw = join(draw_low, draw_high);
    INSTANCE.with(|instance| instance.follow(text_bytes, form_bytes, draw, timestamp(now_ms)))
}

/// Goes on with a journey; what its errand came back with is in the input. Returns as [`follow`].
#[wasm_bindgen]
pub fn resume(journey: u32, code: u32, first_bytes: u32, body_bytes: u32, now_ms: f64) -> u32 {
    let now = timestamp(now_ms);
    INSTANCE.with(|instance| instance.resume(journey, code, first_bytes, body_bytes, now))
}

/// A flight that landed, whose waiting journeys go on; 0 when there is none (any more).
#[wasm_bindgen]
pub fn next_landed() -> u32 {
    INSTANCE.with(Instance::next_landed)
}

/// A journey that delivers the clicks of an instance that is not used any more; 0 if it cannot.
#[wasm_bindgen]
pub fn rescue() -> u32 {
    INSTANCE.with(Instance::rescue)
}

/// Breaks the instance as the text in the input says.
#[cfg(feature = "inject")]
#[wasm_bindgen]
pub fn inject(text_bytes: u32) {
    INSTANCE.with(|instance| inject::inject(&instance.take_input(text_bytes, 0).0));
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Milliseconds of a JavaScript clock are whole, and far below 2^53.
#[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and NaN is 0")]
const fn timestamp(ms: f64) -> Timestamp {
    Timestamp(ms as i64)
}
