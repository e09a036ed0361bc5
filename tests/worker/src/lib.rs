//! The redirect cases and the tests of the Cloudflare Worker on workerd: the real runtime, the
//! built Worker, and around them what it would talk to.

pub mod clicks;
pub mod client;
pub mod control;
pub mod host;
pub mod http1;
mod links;
pub mod settings;
pub mod stub;
pub mod workerd;
pub mod world;
