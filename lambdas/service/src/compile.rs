//! From the link its owner sees to the record the edge reads.

use waypost_wire::agent::{Browser, Device, Os};
use waypost_wire::codec::{NESTING_MAX, RECORD_MAX_BYTES, encode};
use waypost_wire::record::{
    Condition, LinkRecord, LinkState, Network, Preview, RedirectStatus, Rule, TimeOfWeek, Variant,
};
use waypost_wire::time::Timestamp;

use crate::condition::{day_bit, minute_of_day, parse_network};
use crate::destination::{
    Destination, DestinationRules, LENGTH_CEILING_BYTES, parse as parse_destination, with_utm,
};
use crate::model::{self, Block, Link, Utm, When};
use crate::zone;

/// A link's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// Bytes of `waypost_wire::codec::encode`.
    pub record: Vec<u8>,
    /// When the record must be compiled anew, because a table of time zone offsets in it runs
    /// out; `None` if never.
    pub recompile_at: Option<Timestamp>,
}

/// Why a link has no record. Drafts are checked so that this does not happen: a damaged store, or
/// a link written by a newer release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// `not` within `not`, deeper than records can be read.
    #[error("conditions are nested deeper than {NESTING_MAX} times")]
    Nesting,
    /// Not a status a link can have.
    #[error("{0} is no redirect status")]
    Status(u16),
    /// The record would be larger than [`RECORD_MAX_BYTES`].
    #[error("the record has {bytes} bytes, {RECORD_MAX_BYTES} are the most")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A word of a condition that this release does not know.
    #[error("{word:?} is no {kind}")]
    Word {
        /// What it should be.
        kind: &'static str,
        /// What is stored.
        word: String,
    },
}

/// Compiles a link's record. The same link and time give the same bytes.
pub fn compile(link: &Link, now: Timestamp) -> Result<Compiled, CompileError> {
    let destinations = Destinations::of(link);
    let readable = looks(&destinations.main).map(|looks| looks.display);
    let mut compiler = Compiler::at(now);
    let record = LinkRecord {
        id: link.id.0,
        version: link.version,
        state: state(link),
        created_at: link.created_at,
        destination: &destinations.main,
        readable_destination: readable.as_deref(),
        status: RedirectStatus::from_code(link.status).ok_or(CompileError::Status(link.status))?,
        starts_at: link.starts_at,
        expires_at: link.expires_at,
        expired_destination: link.expired_destination.as_deref(),
        limited: link.max_clicks.is_some(),
        used_up: link.used_up,
        forward_query: link.forward_query,
        forward_path: link.forward_path,
        ios_destination: destinations.ios.as_deref(),
        android_destination: destinations.android.as_deref(),
        password_version: link.password_hash.as_ref().map(|_| link.password_version),
        title: link.title.as_deref(),
        preview: link.preview.as_ref().map(preview),
        rules: rules(&mut compiler, link, &destinations)?,
    };
    let record = encode(&record);
    match record.len() {
        bytes if bytes > RECORD_MAX_BYTES => Err(CompileError::TooLarge { bytes }),
        _ => Ok(Compiled { record, recompile_at: compiler.recompile_at }),
    }
}

/// The place in `when` (a JSON pointer without its first slash, such as `query/1`) of the
/// condition at `position` in the compiled rule: what a decision reports is told to people so.
pub fn condition_place(when: &When, position: usize) -> Option<String> {
    // Which conditions there are does not depend on the time.
    let conditions = conditions(&mut Compiler::at(Timestamp(0)), when, 0).ok()?;
    let (name, _) = conditions.get(position)?;
    let before = conditions.iter().take(position);
    let same = before.filter(|(other, _)| other == name).count();
    match *name {
        "query" => Some(format!("query/{same}")),
        name => Some(name.to_owned()),
    }
}

/// How people see a stored web destination; `None` if they see what is stored.
pub(crate) fn looks(stored: &str) -> Option<Destination> {
    // Only a host with an A-label (RFC 5890 2.3.2.1) looks different.
    if !stored.contains("xn--") {
        return None;
    }
    // It was accepted once; what the rules are today does not matter here.
    let any = DestinationRules {
        length_max_bytes: LENGTH_CEILING_BYTES,
        allow_private_hosts: true,
        allow_shorteners: true,
        ..DestinationRules::default()
    };
    let looks = parse_destination(stored, &any).ok()?;
    (looks.display != stored).then_some(looks)
}

/// Every destination that carries the link's campaign parameters, with them.
#[derive(Debug)]
pub(crate) struct Destinations {
    pub(crate) main: String,
    pub(crate) ios: Option<String>,
    pub(crate) android: Option<String>,
    /// Per rule, its variants in order.
    pub(crate) rules: Vec<Vec<String>>,
}

impl Destinations {
    pub(crate) fn of(link: &Link) -> Self {
        let utm = link.utm.as_ref().map(utm_parameters).unwrap_or_default();
        // App links are opaque: what their query means is the app's business.
        let with = |url: &str| match url.starts_with("https:") || url.starts_with("http:") {
            true => with_utm(url, &utm),
            false => url.to_owned(),
        };
        let of_rule = |rule: &model::Rule| {
            let several = rule.destinations.iter().map(|variant| &variant.destination);
            rule.destination.iter().chain(several).map(|url| with(url)).collect()
        };
        Self {
            main: with(&link.destination),
            ios: link.ios_destination.as_deref().map(with),
            android: link.android_destination.as_deref().map(with),
            rules: link.rules.iter().map(of_rule).collect(),
        }
    }
}

fn utm_parameters(utm: &Utm) -> Vec<(&str, &str)> {
    let all = [
        ("utm_source", &utm.source),
        ("utm_medium", &utm.medium),
        ("utm_campaign", &utm.campaign),
        ("utm_term", &utm.term),
        ("utm_content", &utm.content),
    ];
    let given = all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    given.collect()
}

fn state(link: &Link) -> LinkState {
    match link {
        Link { deleted_at: Some(_), .. } => LinkState::Deleted,
        Link { blocked: Some(Block::Abuse), .. } => LinkState::BlockedAbuse,
        Link { blocked: Some(Block::Legal), .. } => LinkState::BlockedLegal,
        Link { disabled: true, .. } => LinkState::Disabled,
        _ => LinkState::Live,
    }
}

fn preview(preview: &model::Preview) -> Preview<'_> {
    Preview {
        title: preview.title.as_deref(),
        description: preview.description.as_deref(),
        image: preview.image.as_deref(),
    }
}

/// What compiling a rule learns on its way.
struct Compiler {
    now: Timestamp,
    recompile_at: Option<Timestamp>,
}

impl Compiler {
    const fn at(now: Timestamp) -> Self {
        Self { now, recompile_at: None }
    }
}

fn rules<'a>(
    compiler: &mut Compiler,
    link: &'a Link,
    destinations: &'a Destinations,
) -> Result<Vec<Rule<'a>>, CompileError> {
    let mut compiled = Vec::with_capacity(link.rules.len());
    for (rule, urls) in link.rules.iter().zip(&destinations.rules) {
        let when = conditions(compiler, &rule.when, 0)?;
        // A single destination has no weight of its own.
        let single = rule.destination.iter().map(|_| 1);
        let weights = single.chain(rule.destinations.iter().map(|variant| variant.weight));
        let variants = urls.iter().zip(weights);
        compiled.push(Rule {
            when: when.into_iter().map(|(_, condition)| condition).collect(),
            variants: variants
                .map(|(destination, weight)| Variant { destination, weight })
                .collect(),
        });
    }
    Ok(compiled)
}

/// The conditions of `when` in the order of its fields, each with the field's name.
fn conditions<'a>(
    compiler: &mut Compiler,
    when: &'a When,
    depth: usize,
) -> Result<Vec<(&'static str, Condition<'a>)>, CompileError> {
    if depth > NESTING_MAX {
        return Err(CompileError::Nesting);
    }
    let mut to = Vec::new();
    to.extend(texts("country", &when.country, Condition::Country));
    to.extend(texts("region", &when.region, Condition::Region));
    to.extend(texts("city", &when.city, Condition::City));
    to.extend(texts("continent", &when.continent, Condition::Continent));
    to.extend(texts("language", &when.language, Condition::Language));
    to.extend(words("device", &when.device, Device::from_name, Condition::Device)?);
    to.extend(words("os", &when.os, Os::from_name, Condition::Os)?);
    to.extend(words("browser", &when.browser, Browser::from_name, Condition::Browser)?);
    for test in &when.query {
        let equals = test.equals.as_deref();
        to.push(("query", Condition::Query { name: &test.name, equals }));
    }
    to.extend(texts("referrer", &when.referrer, Condition::Referrer));
    to.extend(words("ip", &when.ip, network, Condition::Ip)?);
    if let Some(date) = &when.date {
        to.push(("date", Condition::Date { from: date.from, until: date.until }));
    }
    if let Some(time) = &when.time {
        to.push(("time", Condition::Time(time_of_week(compiler, time)?)));
    }
    if let Some(not) = &when.not {
        let inner = conditions(compiler, not, depth + 1)?;
        let inner = inner.into_iter().map(|(_, condition)| condition).collect();
        to.push(("not", Condition::Not(inner)));
    }
    Ok(to)
}

/// A condition on texts that are compared as they are; none if there are no texts.
fn texts<'a>(
    name: &'static str,
    list: &'a [String],
    condition: fn(Vec<&'a str>) -> Condition<'a>,
) -> Option<(&'static str, Condition<'a>)> {
    let list: Vec<_> = list.iter().map(String::as_str).collect();
    (!list.is_empty()).then(|| (name, condition(list)))
}

/// A condition on words that stand for something; none if there are no words.
fn words<'a, T>(
    name: &'static str,
    list: &[String],
    read: fn(&str) -> Option<T>,
    condition: fn(Vec<T>) -> Condition<'a>,
) -> Result<Option<(&'static str, Condition<'a>)>, CompileError> {
    let read = |word: &String| read(word).ok_or_else(|| unknown(name, word));
    let list: Vec<_> = list.iter().map(read).collect::<Result<_, _>>()?;
    Ok((!list.is_empty()).then(|| (name, condition(list))))
}

fn unknown(kind: &'static str, word: &str) -> CompileError {
    let word = word.to_owned();
    CompileError::Word { kind, word }
}

fn network(text: &str) -> Option<Network> {
    parse_network(text).map(|parsed| parsed.network)
}

fn time_of_week(
    compiler: &mut Compiler,
    span: &model::TimeSpan,
) -> Result<TimeOfWeek, CompileError> {
    let minute = |text: &Option<String>, missing: u16| match text {
        None => Ok(missing),
        Some(text) => minute_of_day(text).ok_or_else(|| unknown("time of day", text)),
    };
    let offsets =
        zone::offsets(&span.zone, compiler.now).ok_or_else(|| unknown("time zone", &span.zone))?;
    let earliest = [compiler.recompile_at, offsets.recompile_at].into_iter().flatten().min();
    compiler.recompile_at = earliest;
    let mut days = if span.days.is_empty() { ALL_DAYS } else { 0 };
    for day in &span.days {
        days |= day_bit(day).ok_or_else(|| unknown("weekday", day))?;
    }
    Ok(TimeOfWeek {
        days,
        from_minute: minute(&span.from, 0)?,
        // A span until midnight ends with its day, not before it.
        until_minute: match minute(&span.until, 1_440)? {
            0 => 1_440,
            until => until,
        },
        offset_minutes: offsets.offset_minutes,
        changes: offsets.changes,
    })
}

const ALL_DAYS: u8 = 0b111_1111;

#[cfg(test)]
mod tests;
