use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fields::put;
use super::name::LinkName;
use crate::cli::client::{Call, Remote};
use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;
use crate::cli::table::{pairs, table};

const EXAMPLES: &str = "\
Examples:
  waypost link explain summer
  waypost link explain summer --country DE --language 'de-AT, en;q=0.5'
  waypost link explain summer --user-agent 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)'
  waypost link explain summer --at 2030-12-24T18:00:00Z --query 'ref=mail&x=1'";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    link: LinkName,
    /// Country of the visitor, for example DE
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Region of the visitor, for example DE-BE
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// City of the visitor
    #[arg(long, value_name = "NAME")]
    city: Option<String>,
    /// Continent of the visitor, for example EU
    #[arg(long, value_name = "CODE")]
    continent: Option<String>,
    /// Accept-Language of the visitor
    #[arg(long, value_name = "TEXT")]
    language: Option<String>,
    /// User-Agent of the visitor
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Page that the visitor comes from
    #[arg(long, value_name = "URL", alias = "referrer")]
    referer: Option<String>,
    /// Address of the visitor
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// When the visitor comes [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Query of the request, without ?
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// Path behind the slug, beginning with /
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Method of the request [default: GET]
    #[arg(long)]
    method: Option<String>,
    /// The visitor asks for the preview page (+)
    #[arg(long)]
    preview: bool,
    /// The visitor has given the password
    #[arg(long)]
    unlocked: bool,
    #[command(flatten)]
    remote: Remote,
}

/// What the server says.
#[derive(Deserialize)]
struct Explanation {
    decision: String,
    reason: String,
    status: u16,
    location: Option<String>,
    cache_control: Option<String>,
    #[serde(default)]
    takes_use: bool,
    matched_rule: Option<u64>,
    #[serde(default)]
    rules: Vec<Fate>,
    time: String,
}

#[derive(Deserialize)]
struct Fate {
    name: Option<String>,
    outcome: String,
    failed: Option<String>,
}

impl ExplainArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let body = Some(Value::Object(self.request()).to_string().into_bytes());
        let call = Call { method: "POST", body, ..Call::default() };
        let answer = self.link.call(&client, Some("explain"), &call)?;
        if self.remote.json {
            return surroundings.say(&answer.json());
        }
        let explanation: Explanation = answer.read()?;
        surroundings.say(&pairs(&explanation.facts()))?;
        if explanation.rules.is_empty() {
            return Ok(());
        }
        surroundings.say("")?;
        let rows: Vec<_> = explanation.rules.iter().enumerate().map(Fate::row).collect();
        surroundings.say(&table(&["rule", "name", "outcome", "did not hold"], &rows))
    }

    fn request(&self) -> Map<String, Value> {
        let mut request = Map::new();
        put(&mut request, "country", self.country.as_ref());
        put(&mut request, "region", self.region.as_ref());
        put(&mut request, "city", self.city.as_ref());
        put(&mut request, "continent", self.continent.as_ref());
        put(&mut request, "language", self.language.as_ref());
        put(&mut request, "user_agent", self.user_agent.as_ref());
        put(&mut request, "referrer", self.referer.as_ref());
        put(&mut request, "ip", self.ip.as_ref());
        put(&mut request, "time", self.at.as_ref());
        put(&mut request, "query", self.query.as_ref());
        put(&mut request, "path", self.path.as_ref());
        put(&mut request, "method", self.method.as_ref());
        put(&mut request, "preview", self.preview.then_some(true));
        put(&mut request, "unlocked", self.unlocked.then_some(true));
        request
    }
}

impl Explanation {
    fn facts(&self) -> Vec<(String, String)> {
        let because = match self.matched_rule {
            Some(index) => format!("{} (rule {})", self.reason, index + 1),
            None => self.reason.clone(),
        };
        let facts = [
            ("decision", Some(self.decision.clone())),
            ("because", Some(because)),
            ("status", Some(self.status.to_string())),
            ("location", self.location.clone()),
            ("cache-control", self.cache_control.clone()),
            ("takes a use", self.takes_use.then(|| "yes".to_owned())),
            ("at", Some(self.time.clone())),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl Fate {
    fn row((index, fate): (usize, &Self)) -> Vec<String> {
        // The place is in the link's JSON: /rules/0/when/country.
        let place = fate.failed.as_deref().unwrap_or_default();
        let condition = place.split_once("/when/").map_or(place, |(_, condition)| condition);
        vec![
            (index + 1).to_string(),
            fate.name.clone().unwrap_or_default(),
            fate.outcome.replace('_', " "),
            condition.to_owned(),
        ]
    }
}
