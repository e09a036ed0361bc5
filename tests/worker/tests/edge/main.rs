//! What only an edge can get wrong, on the real runtime: everything behind it slow, failing or
//! lying, crowds, kills, and the limits of the platform.

mod answers;
mod clicks;
mod crash;
mod crowds;
mod limits;
mod memory;
mod origin;
mod panics;
mod state;
mod store;
mod waits;
