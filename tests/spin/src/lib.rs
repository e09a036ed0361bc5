//! The redirect cases and the tests of the Spin component on wasmtime.
