//! The tally of one window: clicks in, in any order; rollups out, the same for the same clicks.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use percent_encoding::percent_decode;
use waypost_core::agent;
use waypost_wire::click::{Click, Target};
use waypost_wire::time::Timestamp;

use super::classify::{BURST_CLICKS, BURST_MS, Class};
use super::rollup::{Dimension, Rollup, Subject, Totals};
use super::window::Window;
use crate::model::LinkId;

/// What a window's clicks come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// One rollup for every subject that has clicks.
    pub rollups: BTreeMap<Subject, Rollup>,
    /// When each link was followed last, inside the window.
    pub last_clicks: BTreeMap<LinkId, Timestamp>,
}

/// Clicks of one window, each added once.
#[derive(Debug)]
pub struct WindowTally {
    window: Window,
    values: Values,
    links: HashMap<u64, LinkTally>,
}

/// Clicks on one link, or on all slugs that are not there.
#[derive(Debug, Default)]
struct LinkTally {
    /// Clicks of every class that a click has by itself, but people's.
    others: Totals,
    /// Clicks of people, unless they are bursts.
    visits: Vec<Visit>,
    last_at: Timestamp,
}

/// A click of a person, unless it is part of a burst. The order of the fields puts the clicks of
/// a visitor side by side, in the order they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Visit {
    visitor: Option<u64>,
    at: Timestamp,
    source: u64,
    sequence: u64,
    profile: u32,
}

impl WindowTally {
    /// No clicks yet.
    pub fn new(window: Window) -> Self {
        Self { window, values: Values::default(), links: HashMap::new() }
    }

    /// Adds a click, under the number its source gave it.
    pub fn add(&mut self, source: u64, sequence: u64, click: &Click<'_>) {
        let agent = agent::parse(click.user_agent);
        let link = self.links.entry(click.link_id).or_default();
        link.last_at = link.last_at.max(click.at);
        match Class::of(click, &agent) {
            Class::Human => link.visits.push(Visit {
                visitor: click.visitor,
                at: click.at,
                source,
                sequence,
                profile: self.values.profile(click, &agent),
            }),
            class => link.others.add(class, 1),
        }
    }

    /// The rollup of one subject; `None` if it has no clicks.
    pub fn rollup(&mut self, subject: Subject) -> Option<Rollup> {
        let mut sum = Sum::default();
        match subject {
            Subject::Site => {
                for (id, link) in &mut self.links {
                    if *id != 0 {
                        sum.add(link);
                    }
                }
            }
            Subject::Orphans => sum.add(self.links.get_mut(&0)?),
            Subject::Link(LinkId(0)) => return None,
            Subject::Link(LinkId(id)) => sum.add(self.links.get_mut(&id)?),
        }
        let rollup = sum.rollup(&self.values);
        (rollup.totals.all() > 0).then_some(rollup)
    }

    /// The clicks on a link, by class.
    pub fn totals(&mut self, link: LinkId) -> Totals {
        let mut sum = Sum::default();
        if let Some(link) = self.links.get_mut(&link.0).filter(|_| link.0 != 0) {
            sum.add(link);
        }
        sum.totals
    }

    /// Everything.
    pub fn finish(mut self) -> Counted {
        let mut counted = Counted::default();
        let links: Vec<(u64, Timestamp)> =
            self.links.iter().map(|(id, link)| (*id, link.last_at)).collect();
        let last_moment = self.window.end().plus_ms(-1);
        let mut subjects = vec![Subject::Site];
        for (id, last_at) in links {
            if id == 0 {
                subjects.push(Subject::Orphans);
                continue;
            }
            subjects.push(Subject::Link(LinkId(id)));
            let at = last_at.clamp(self.window.start(), last_moment);
            counted.last_clicks.insert(LinkId(id), at);
        }
        for subject in subjects {
            if let Some(rollup) = self.rollup(subject) {
                counted.rollups.insert(subject, rollup);
            }
        }
        counted
    }
}

/// Clicks added up over links.
#[derive(Debug, Default)]
struct Sum {
    totals: Totals,
    profiles: HashMap<u32, u64>,
    visitors: BTreeSet<u64>,
}

impl Sum {
    fn add(&mut self, link: &mut LinkTally) {
        self.totals.merge(&link.others);
        link.visits.sort_unstable();
        for visits in link.visits.chunk_by(|one, next| one.visitor == next.visitor) {
            let visitor = visits.first().and_then(|visit| visit.visitor);
            self.visitors.extend(visitor);
            for (position, visit) in visits.iter().enumerate() {
                if visitor.is_some() && is_burst(visits, position) {
                    self.totals.add(Class::Burst, 1);
                } else {
                    self.totals.add(Class::Human, 1);
                    *self.profiles.entry(visit.profile).or_default() += 1;
                }
            }
        }
    }

    fn rollup(&self, values: &Values) -> Rollup {
        let mut rollup = Rollup {
            totals: self.totals,
            breakdowns: values.breakdowns(&self.profiles),
            ..Rollup::default()
        };
        for visitor in &self.visitors {
            rollup.uniques.insert(*visitor);
        }
        rollup.fold();
        rollup
    }
}

/// Whether the visitor clicked [`BURST_CLICKS`] times or more in the [`BURST_MS`] before.
fn is_burst(visits: &[Visit], position: usize) -> bool {
    let before = position.checked_sub(BURST_CLICKS).and_then(|before| visits.get(before));
    let (Some(before), Some(visit)) = (before, visits.get(position)) else {
        return false;
    };
    visit.at.ms_since(before.at) < BURST_MS
}

/// The values that clicks have in each dimension. A click refers to a whole combination of them,
/// since a visitor's clicks, and those of many visitors, share one.
#[derive(Debug, Default)]
struct Values {
    texts: Vec<String>,
    positions: HashMap<String, u32>,
    profiles: Vec<Profile>,
    positions_of_profiles: HashMap<Profile, u32>,
}

/// For each dimension 0 if there is no value, or else one more than its position.
type Profile = [u32; Dimension::ALL.len()];

impl Values {
    fn profile(&mut self, click: &Click<'_>, agent: &agent::Agent) -> u32 {
        let mut profile = Profile::default();
        for dimension in Dimension::ALL {
            let value = value(dimension, click, agent);
            if !value.is_empty() {
                profile[dimension as usize] = self.text(&value) + 1;
            }
        }
        if let Some(position) = self.positions_of_profiles.get(&profile) {
            return *position;
        }
        let position = self.profiles.len() as u32;
        self.profiles.push(profile);
        self.positions_of_profiles.insert(profile, position);
        position
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(position) = self.positions.get(text) {
            return *position;
        }
        let position = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.positions.insert(text.to_owned(), position);
        position
    }

    fn breakdowns(
        &self,
        clicks_by_profile: &HashMap<u32, u64>,
    ) -> BTreeMap<Dimension, BTreeMap<String, u64>> {
        let mut sums: HashMap<(Dimension, u32), u64> = HashMap::new();
        for (position, clicks) in clicks_by_profile {
            let Some(profile) = self.profiles.get(*position as usize) else {
                continue;
            };
            for (dimension, text) in Dimension::ALL.into_iter().zip(profile) {
                if let Some(text) = text.checked_sub(1) {
                    *sums.entry((dimension, text)).or_default() += clicks;
                }
            }
        }
        let mut breakdowns: BTreeMap<Dimension, BTreeMap<String, u64>> = BTreeMap::new();
        for ((dimension, text), clicks) in sums {
            if let Some(text) = self.texts.get(text as usize) {
                breakdowns.entry(dimension).or_default().insert(text.clone(), clicks);
            }
        }
        breakdowns
    }
}

/// The value of a click in a dimension; empty if it is not known.
fn value<'a>(dimension: Dimension, click: &Click<'a>, agent: &agent::Agent) -> Cow<'a, str> {
    match dimension {
        Dimension::Country => click.country.into(),
        Dimension::Region => click.region.into(),
        Dimension::City => city(click),
        Dimension::Continent => click.continent.into(),
        Dimension::Referrer => lower(click.referrer_host),
        Dimension::Browser => agent.browser.name().into(),
        Dimension::Os => agent.os.name().into(),
        Dimension::Device => agent.device.name().into(),
        Dimension::Language => lower(click.language),
        Dimension::UtmSource => campaign(click.utm[0]),
        Dimension::UtmMedium => campaign(click.utm[1]),
        Dimension::UtmCampaign => campaign(click.utm[2]),
        Dimension::UtmTerm => campaign(click.utm[3]),
        Dimension::UtmContent => campaign(click.utm[4]),
        Dimension::Destination => destination(click.target),
        Dimension::Slug => click.slug.into(),
    }
}

/// Cities of the same name are told apart by where they are.
fn city<'a>(click: &Click<'a>) -> Cow<'a, str> {
    let place = match click.region {
        "" => click.country,
        region => region,
    };
    match (click.city, place) {
        ("", _) => "".into(),
        (city, "") => city.into(),
        (city, place) => format!("{city}, {place}").into(),
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => text.to_ascii_lowercase().into(),
        false => text.into(),
    }
}

/// A value as a form would have sent it: percent-encoded, with `+` for a space. Bytes that are no
/// text become U+FFFD.
fn campaign(value: &str) -> Cow<'_, str> {
    if !value.contains(['+', '%']) {
        return value.into();
    }
    let spaced = value.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned().into()
}

fn destination(target: Target) -> Cow<'static, str> {
    match target {
        Target::Nowhere => "".into(),
        Target::Default => "destination".into(),
        Target::Ios => "ios_destination".into(),
        Target::Android => "android_destination".into(),
        Target::Expired => "expired_destination".into(),
        Target::Rule { rule, variant } => format!("rules/{rule}/{variant}").into(),
    }
}

#[cfg(test)]
mod tests;
