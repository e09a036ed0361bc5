use std::path::PathBuf;

use clap::Args;

use super::super::failure::Failure;
use super::super::serve::ServeArgs;
use super::super::surroundings::Surroundings;
use super::Host;
use waypost_host::settings::{DomainSettings, Settings};

const EXAMPLES: &str = "\
Examples:
  waypost edge config
  waypost edge config --config /etc/waypost.toml
  waypost edge config --format spin

TOML lines: for wrangler, those of [env.production.vars] in wrangler.toml; for Spin, values of a
variables provider. Settings come from WAYPOST_* variables and the file, as for `waypost serve`.
Where the server is reached (waypost_origin_url) is not among its settings: add that.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ConfigArgs {
    /// What the edge runs on
    #[arg(long, value_enum, value_name = "HOST", default_value = "wrangler")]
    format: Host,
    /// Settings file of the server [default: waypost.toml, if there is one] [env: WAYPOST_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let settings = ServeArgs::in_file(self.config).settings(surroundings)?;
        for (name, value) in variables(&settings) {
            let name = match self.format {
                Host::Spin => name.to_owned(),
                Host::Wrangler => name.to_ascii_uppercase(),
            };
            // A string of JSON is one of TOML too.
            surroundings.say(&format!("{name} = {}", serde_json::Value::from(value)))?;
        }
        Ok(())
    }
}

/// The variables of an edge that decides as the server does.
fn variables(settings: &Settings) -> Vec<(&'static str, String)> {
    vec![
        ("waypost_public_url", settings.public_url.clone()),
        ("waypost_domains", domains(settings)),
        ("waypost_any_host", settings.any_host.to_string()),
        ("waypost_slug_slashes", settings.slug_slashes.to_string()),
        ("waypost_edit_delay_seconds", settings.edit_delay_seconds.to_string()),
        ("waypost_unlock_seconds", settings.unlock_seconds.to_string()),
    ]
}

/// Host names, each followed by what is not as usual. The default domain is known from the public
/// address, and is only told for that.
fn domains(settings: &Settings) -> String {
    let scheme = if settings.public_url.starts_with("https://") { "https" } else { "http" };
    let mut words = Vec::new();
    for (index, domain) in settings.domains.iter().enumerate() {
        let is_default = index == 0;
        let usual_url = match is_default {
            true => settings.public_url.clone(),
            false => format!("{scheme}://{}", domain.name),
        };
        let own = own_words(domain, &usual_url);
        if !is_default || !own.is_empty() {
            words.push(domain.name.clone());
            words.extend(own);
        }
    }
    words.join(" ")
}

fn own_words(domain: &DomainSettings, usual_url: &str) -> Vec<String> {
    let mut words = Vec::new();
    if domain.ignore_case {
        words.push("ignore_case".to_owned());
    }
    // A code typed in other case must not be refused where case does not matter.
    if domain.ignore_case || !domain.check_characters {
        words.push("unchecked".to_owned());
    }
    if let Some(home) = &domain.home {
        words.push(format!("home={home}"));
    }
    if domain.base_url != usual_url {
        words.push(format!("url={}", domain.base_url));
    }
    words
}
