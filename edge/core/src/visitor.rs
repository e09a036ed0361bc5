//! Facts of a request with what is worked out from them at most once.

use core::cell::OnceCell;

use crate::agent::{self, Agent};
use crate::facts::RequestFacts;

/// A request's facts and its agent, scanned when a rule first asks for it.
pub(crate) struct Visitor<'a> {
    pub(crate) facts: &'a RequestFacts<'a>,
    agent: OnceCell<Agent>,
}

impl<'a> Visitor<'a> {
    pub(crate) const fn new(facts: &'a RequestFacts<'a>) -> Self {
        Self { facts, agent: OnceCell::new() }
    }

    /// What the visitor's `User-Agent` says.
    pub(crate) fn agent(&self) -> &Agent {
        self.agent.get_or_init(|| agent::parse(self.facts.user_agent.unwrap_or_default()))
    }
}
