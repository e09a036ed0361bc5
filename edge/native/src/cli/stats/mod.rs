//! `waypost stats`: what was counted, in numbers, as a small chart and in tables.

mod answer;
mod chart;
mod show;

use clap::Args;

use super::client::{Answer, Call, Client, Remote};
use super::failure::Failure;
use super::link::LinkName;
use super::surroundings::Surroundings;
use super::table::{grouped, pairs};

use answer::{Integrity, Statistics};

const EXAMPLES: &str = "\
Examples:
  waypost stats
  waypost stats summer --by country,referrer,device
  waypost stats summer --from 2026-11-01 --to 2026-11-30 --interval day --tz Europe/Berlin
  waypost stats --by hour_of_week --json
  waypost stats --integrity

Breakdowns: country, region, city, continent, referrer, browser, os, device, language, utm_source,
utm_medium, utm_campaign, utm_term, utm_content, destination (of a link) and hour_of_week. Charts
and breakdowns are of people; everything else is counted by the reason why it is none.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatsArgs {
    /// Slug of a link, or its whole short URL [default: all links]
    #[arg(value_name = "SLUG|URL")]
    link: Option<String>,
    /// Domain of the link [default: the server's default domain]
    #[arg(long, value_name = "HOST", requires = "link")]
    domain: Option<String>,
    /// First day, or time, that counts [default: 30 days before the last one]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last day that counts, or time before which it ends [default: today]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Steps of the chart: hour, day or month [default: day]
    #[arg(long, value_name = "STEP")]
    interval: Option<String>,
    /// Time zone of days and hours, for example Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// What to break down by; several with commas between, or given again
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    by: Vec<String>,
    /// Most values of each breakdown, 1 to 500 [default: 50]
    #[arg(long, value_name = "COUNT")]
    limit: Option<String>,
    /// Show what became of every accepted click instead
    #[arg(long, conflicts_with_all = ["link", "from", "to", "interval", "tz", "by", "limit"])]
    integrity: bool,
    #[command(flatten)]
    remote: Remote,
}

impl StatsArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let answer = match self.integrity {
            true => client.api(&Call { path: &["stats", "integrity"], ..Call::default() })?,
            false => self.statistics(&client)?,
        };
        match (self.remote.json, self.integrity) {
            (true, _) => surroundings.say(&answer.json()),
            (false, true) => surroundings.say(&integrity(&answer.read()?)),
            (false, false) => surroundings.say(&show::text(&answer.read::<Statistics>()?)),
        }
    }

    fn statistics(&self, client: &Client) -> Result<Answer, Failure> {
        let by = self.by.join(",");
        let by = (!by.is_empty()).then_some(by.as_str());
        let query: Vec<(&str, &str)> = [
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("interval", self.interval.as_deref()),
            ("tz", self.tz.as_deref()),
            ("by", by),
            ("limit", self.limit.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let call = Call { query: &query, ..Call::default() };
        match &self.link {
            Some(link) => {
                LinkName::new(link.clone(), self.domain.clone()).call(client, Some("stats"), &call)
            }
            None => client.api(&Call { path: &["stats"], ..call }),
        }
    }
}

fn integrity(account: &Integrity) -> String {
    let rows = [
        ("accepted", account.accepted),
        ("= counted", account.counted),
        ("+ lost", account.lost),
        ("+ in flight", account.in_flight),
        ("duplicate (not counted again)", account.duplicate),
        ("late (counted in a later window)", account.late),
    ];
    let rows = rows.map(|(name, count)| (name.to_owned(), grouped(count)));
    format!("{}\nas of {}", pairs(&rows), account.at)
}
