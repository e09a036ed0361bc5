//! Which record to read next, and when to stop.

use waypost_wire::codec;
use waypost_wire::key::LinkKey;

use crate::decide::Found;
use crate::decision::{Cause, Decision, Fixed, NotFoundReason, RefuseReason};
use crate::facts::{Method, RequestFacts};
use crate::policy::{Domain, Policy};
use crate::route::{Candidate, Route, SlugPath};

/// Where a record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The copy nearby.
    Edge,
    /// Where links are written; asked when the copy has none, or none that can be read.
    Origin,
}

/// One read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Where.
    pub source: Source,
    /// What.
    pub key: LinkKey,
}

/// What a read found.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// The store did not answer.
    Failed,
    /// These bytes.
    Found(&'a [u8]),
    /// Nothing.
    Missing,
}

/// What follows from a read.
#[derive(Debug)]
pub enum Next<'a> {
    /// This is the answer.
    Done(Decision<'a>),
    /// This link: [`crate::decide::decide`].
    Found(Found<'a>),
    /// Read again: [`Flow::read`] has the next one.
    Read,
}

/// The reads of one request. A path can be read as several slugs, longest first; each is asked of
/// the copy, then of the origin.
#[derive(Debug)]
pub struct Flow<'a> {
    path: SlugPath<'a>,
    domain: &'a Domain,
    read_through: bool,
    source: Source,
    segments: usize,
    candidate: Candidate<'a>,
}

impl<'a> Flow<'a> {
    /// Starts a request.
    ///
    /// # Errors
    /// The decision, for requests that need no read.
    pub fn start(facts: &RequestFacts<'a>, policy: &'a Policy) -> Result<Self, Decision<'a>> {
        if facts.method == Method::Other {
            return Err(Decision::Refuse(RefuseReason::Method));
        }
        let Some(domain) = policy.domain(facts.host) else {
            return Err(Decision::Refuse(RefuseReason::WrongHost));
        };
        let path = match Route::parse(facts.path) {
            Route::Slug(path) => path,
            Route::Malformed => return Err(Decision::Refuse(RefuseReason::MalformedPath)),
            Route::Unknown => return Err(Decision::NotFound(NotFoundReason::NoSlug)),
            route @ (Route::Favicon | Route::Home | Route::Robots) => {
                return Err(fixed(&route, facts.method, domain));
            }
        };
        let mut flow = Self {
            segments: path.longest(policy.slashes) + 1,
            path,
            domain,
            read_through: policy.read_through,
            source: Source::Edge,
            candidate: Candidate { slug: "".into(), suffix: "" },
        };
        match flow.shorten() {
            None => Ok(flow),
            Some(decision) => Err(decision),
        }
    }

    /// The read that is due.
    pub fn read(&self) -> Read {
        Read {
            source: self.source,
            key: LinkKey::new(&self.domain.name, &self.candidate.slug, self.domain.ignore_case),
        }
    }

    /// Takes what the read found.
    pub fn take<'b>(&mut self, lookup: Lookup<'b>) -> Next<'b>
    where
        'a: 'b,
    {
        match lookup {
            Lookup::Failed => self.fail(Cause::ReadFailed),
            Lookup::Missing => self.miss(),
            Lookup::Found(bytes) => match codec::decode(bytes) {
                Err(_) => self.fail(Cause::DamagedRecord),
                Ok(record) => {
                    let suffix = self.candidate.suffix;
                    if !matches!(suffix, "" | "/") && !record.forward_path {
                        return self.next_candidate();
                    }
                    let preview = self.path.preview;
                    Next::Found(Found { record, suffix, preview })
                }
            },
        }
    }

    fn miss<'b>(&mut self) -> Next<'b> {
        if self.source == Source::Edge && self.read_through {
            self.source = Source::Origin;
            return Next::Read;
        }
        self.next_candidate()
    }

    /// A failed read never becomes "not found": only the origin's word can make it that.
    fn fail<'b>(&mut self, cause: Cause) -> Next<'b> {
        if self.source == Source::Edge && self.read_through {
            self.source = Source::Origin;
            return Next::Read;
        }
        Next::Done(Decision::Unavailable(cause))
    }

    fn next_candidate<'b>(&mut self) -> Next<'b> {
        match self.shorten() {
            None => Next::Read,
            Some(decision) => Next::Done(decision),
        }
    }

    /// Goes to the next shorter slug worth a read; the decision if there is none.
    fn shorten<'b>(&mut self) -> Option<Decision<'b>> {
        let mut refused = false;
        while self.segments > 1 {
            self.segments -= 1;
            let Some(candidate) = self.path.candidate(self.segments) else {
                continue;
            };
            let check = self.domain.check.as_ref();
            if check.is_some_and(|check| check.refuses(&candidate.slug)) {
                refused = true;
                continue;
            }
            self.candidate = candidate;
            self.source = Source::Edge;
            return None;
        }
        Some(Decision::NotFound(match refused {
            true => NotFoundReason::CheckCharacter,
            false => NotFoundReason::NoLink,
        }))
    }
}

fn fixed<'a>(route: &Route<'_>, method: Method, domain: &Domain) -> Decision<'a> {
    match (method, route) {
        (Method::Post | Method::Write, _) => Decision::Refuse(RefuseReason::Method),
        (_, Route::Favicon) => Decision::Serve(Fixed::Favicon),
        (_, Route::Robots) => Decision::Serve(Fixed::Robots),
        _ => Decision::Serve(Fixed::Home(domain.home.clone())),
    }
}
