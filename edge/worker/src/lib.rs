//! Waypost on Cloudflare Workers.
