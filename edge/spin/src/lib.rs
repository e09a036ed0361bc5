//! Waypost as a Spin component.
