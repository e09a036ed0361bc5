//! Calls the redirect core from exported functions, so that the linker keeps it and whatever
//! it would import from a host.

// Not called yet, but linked.
use waypost_core as _;
use waypost_wire as _;

/// Where the linker starts.
#[unsafe(no_mangle)]
pub extern "C" fn probe() -> u32 {
    0
}
