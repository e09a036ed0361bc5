//! The program `waypost` as a process: started with settings, asked over HTTP, stopped by signals,
//! killed. What it promises is checked from the outside, against counts of the tests' own.

#![cfg(unix)]
#![expect(
    clippy::expect_used,
    reason = "a test that fails by panicking has said what it had to say"
)]

mod cleaning;
mod commands;
mod counting;
mod crash;
mod edges;
mod first_minute;
mod following;
mod http;
mod operating;
mod process;
mod real_input;
mod sealing;
mod windows;
