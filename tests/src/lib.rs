//! What every part of Waypost is held to: cases as data, contracts of the seams, and what runs them.

pub mod case;
pub mod clicks;
pub mod contracts;
pub mod host;
pub mod hosts;
pub mod report;
pub mod seed;
pub mod server;
pub mod wire;
