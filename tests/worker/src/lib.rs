//! The redirect cases and the tests of the Cloudflare Worker on workerd.
