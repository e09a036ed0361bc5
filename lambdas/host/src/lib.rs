//! What every process that hosts the control plane needs, be it the one binary or a Lambda
//! function: settings, the installation's keys, the values made of both, and the operating
//! system's clock and randomness.

pub mod ambient;
pub mod key_file;
pub mod keys;
pub mod plan;
pub mod settings;
