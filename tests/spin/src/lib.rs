//! The Spin component on the engine that Spin is made of (wasmtime), in this process: its imports
//! answered by a [`world::World`] that tests make up.
//!
//! In scope: what Spin does to a request on its way in, its store and variables with all their
//! errors, calls going out, instances that are used again. Out of scope: Spin's own back ends of
//! stores and variables, TLS.

pub mod arrival;
pub mod engine;
pub mod guest;
pub mod host;
pub mod once;
pub mod origin;
pub mod server;
pub mod spin;
pub mod world;
