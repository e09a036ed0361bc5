//! The native server as the origin of edges: signed questions over HTTP, and what they are
//! answered. `answers` asks as edges do, `refusals` as others might, `shared` looks at what edges
//! and the server's own visitors have in common.

mod answers;
mod asking;
mod refusals;
mod shared;
