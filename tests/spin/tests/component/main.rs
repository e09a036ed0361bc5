//! Tests of the Spin component on wasmtime.

mod bench;
mod cases;
mod clicks;
mod imports;
mod manifest;
mod outside;
mod push;
mod reuse;
mod settings;
mod spin_cli;
#[path = "../../../../edge/spin/src/settings.rs"]
mod spin_settings;
mod state;
mod store;
mod sync;
