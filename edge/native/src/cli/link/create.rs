use clap::Args;
use serde_json::Value;

use super::fields::{Fields, put};
use super::view::LinkView;
use crate::cli::client::{Call, Remote};
use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;
use crate::cli::table::shown;

const EXAMPLES: &str = "\
Examples:
  waypost link create https://example.com/a/long/address
  waypost link create https://example.com/summer --slug summer --tag campaign --tag 2030
  waypost link create https://example.com/sale --expires-at 2030-12-31T23:59:59Z --expired-destination https://example.com/over
  waypost link create https://example.com/ --utm-source newsletter --utm-medium email

The short URL is the whole of standard output. With --idempotency-key, repeating the command within
24 hours makes no second link.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CreateArgs {
    /// Where the link leads
    destination: String,
    /// Slug of your own choice [default: a code is made]
    #[arg(long)]
    slug: Option<String>,
    /// Domain of the link [default: the server's default domain]
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    #[command(flatten)]
    fields: Fields,
    /// Make the link switched off
    #[arg(long)]
    disabled: bool,
    /// Take the slug of a deleted link that is still in quarantine
    #[arg(long)]
    override_quarantine: bool,
    /// Your own name for this creation, which then happens once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl CreateArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let mut fields = self.fields.document(surroundings)?;
        put(&mut fields, "destination", Some(&self.destination));
        put(&mut fields, "slug", self.slug.as_ref());
        put(&mut fields, "domain", self.domain.as_ref());
        put(&mut fields, "disabled", self.disabled.then_some(true));
        put(&mut fields, "override_quarantine", self.override_quarantine.then_some(true));
        let headers: Vec<_> =
            self.idempotency_key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        let answer = client.api(&Call {
            method: "POST",
            path: &["links"],
            headers: &headers,
            body: Some(Value::Object(fields).to_string().into_bytes()),
            ..Call::default()
        })?;
        if self.remote.json {
            return surroundings.say(&answer.json());
        }
        let link: LinkView = answer.read()?;
        for warning in link.warnings() {
            surroundings.note(&format!("warning: {}", shown(warning)));
        }
        surroundings.say(link.short_url())
    }
}
