//! Collecting faults with the places they are at.

use std::fmt;

use crate::problem::{FieldFault, Problem};

/// Most faults listed in one answer. Enough for every real mistake; a hostile body cannot make
/// the answer much larger than itself.
const LISTED_MAX: usize = 50;

/// A place in a body. Written out (as a JSON pointer, RFC 6901) only if there is a fault at it.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// All of it.
    Body,
    /// A member of an object.
    Field(&'a At<'a>, &'a str),
    /// An element of a list.
    Item(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) const fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) const fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Field(parent, name) => {
                write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Item(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// Faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    listed: Vec<FieldFault>,
    unlisted: usize,
}

impl Faults {
    pub(super) fn add(
        &mut self,
        at: At<'_>,
        detail: impl Into<String>,
        expected: impl Into<String>,
    ) {
        if self.listed.len() == LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        self.listed.push(FieldFault::new(at.to_string(), detail, expected));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The problem, if there was any fault.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.is_empty() {
            return Ok(());
        }
        let problem = Problem::invalid(self.listed);
        match self.unlisted {
            0 => Err(problem),
            more => Err(Problem {
                detail: format!("{}; {more} more are not listed", problem.detail),
                ..problem
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_json_pointers() {
        let rules = At::Body.field("rules");
        let rule = rules.item(12);
        assert_eq!(At::Body.to_string(), "");
        assert_eq!(rule.field("when").to_string(), "/rules/12/when");
        assert_eq!(At::Body.field("a/b~c").to_string(), "/a~1b~0c");
        assert_eq!(At::Body.field("").to_string(), "/");
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let mut faults = Faults::default();
        for index in 0..LISTED_MAX + 3 {
            faults.add(At::Body.item(index), "is wrong", "right");
        }
        let problem = faults.finish().expect_err("faults");
        assert_eq!(problem.errors.len(), LISTED_MAX);
        assert_eq!(problem.detail, "50 faults, the first at /0: is wrong; 3 more are not listed");
    }
}
