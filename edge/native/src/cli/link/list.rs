use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::view::LinkView;
use crate::cli::client::{Call, Client, Remote};
use crate::cli::failure::Failure;
use crate::cli::progress;
use crate::cli::surroundings::Surroundings;
use crate::cli::table::{clipped, table};

const EXAMPLES: &str = "\
Examples:
  waypost link list
  waypost link list --tag campaign --state active --sort -updated_at
  waypost link list --q example.com --all --json";

/// Links on a page of `--all`: the most that the API gives.
const PAGE: &str = "100";

/// Widest destination and title that a terminal shows.
const DESTINATION_CHARS: usize = 60;
const TITLE_CHARS: usize = 30;

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ListArgs {
    /// Only links with this text in slug, destination, title, notes or a tag (3 characters or more)
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Only links with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only links on this domain
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
    /// Only links in this state: active, blocked, deleted, disabled, expired or scheduled
    #[arg(long)]
    state: Option<String>,
    /// Order: created_at, -created_at (newest first; the default) or -updated_at
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Most links to show, 1 to 100 [default: 50]
    #[arg(long, value_name = "COUNT", conflicts_with = "all")]
    limit: Option<String>,
    /// Go on behind the page that showed this cursor
    #[arg(long)]
    cursor: Option<String>,
    /// Show all links, however many pages they take
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    remote: Remote,
}

/// A page whose links are kept as the server wrote them.
#[derive(Deserialize, Serialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl ListArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let page = match self.all {
            true => self.all(&client, surroundings)?,
            false => {
                let answer = self.page(&client, self.cursor.as_deref())?;
                if self.remote.json {
                    return surroundings.say(&answer.json());
                }
                answer.read()?
            }
        };
        if self.remote.json {
            return surroundings.say(&serde_json::to_string(&page).unwrap_or_default());
        }
        let links: Result<Vec<LinkView>, _> =
            page.data.iter().map(|link| serde_json::from_str(link.get())).collect();
        let links =
            links.map_err(|error| Failure::Failed(format!("a link cannot be read: {error}")))?;
        let rows: Vec<_> =
            links.iter().map(|link| row(link, surroundings.stdout_is_terminal)).collect();
        surroundings.say(&table(
            &["short url", "destination", "state", "clicks", "created", "title"],
            &rows,
        ))?;
        if let Some(cursor) = page.next_cursor {
            surroundings.note(&format!("There is more: --all, or --cursor {cursor}"));
        }
        Ok(())
    }

    /// Follows the cursors to the end.
    fn all(&self, client: &Client, surroundings: &Surroundings<'_>) -> Result<Page, Failure> {
        let spinner = progress::spinner(surroundings, "reading links");
        let mut all = Page { data: Vec::new(), next_cursor: None };
        let mut cursor = self.cursor.clone();
        loop {
            let page: Page = self.page(client, cursor.as_deref())?.read()?;
            spinner.inc(page.data.len() as u64);
            all.data.extend(page.data);
            match page.next_cursor {
                None => break,
                next if next == cursor => {
                    return Err(Failure::Failed("the server repeats a page".to_owned()));
                }
                next => cursor = next,
            }
        }
        spinner.finish_and_clear();
        Ok(all)
    }

    fn page(
        &self,
        client: &Client,
        cursor: Option<&str>,
    ) -> Result<crate::cli::client::Answer, Failure> {
        let limit = if self.all { Some(PAGE) } else { self.limit.as_deref() };
        let query: Vec<(&str, &str)> = [
            ("q", self.q.as_deref()),
            ("tag", self.tag.as_deref()),
            ("domain", self.domain.as_deref()),
            ("state", self.state.as_deref()),
            ("sort", self.sort.as_deref()),
            ("limit", limit),
            ("cursor", cursor),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        client.api(&Call { path: &["links"], query: &query, ..Call::default() })
    }
}

fn row(link: &LinkView, is_terminal: bool) -> Vec<String> {
    let cut = |text: &str, max_chars| match is_terminal {
        true => clipped(text, max_chars),
        false => text.to_owned(),
    };
    vec![
        link.short_url().to_owned(),
        cut(link.text("destination"), DESTINATION_CHARS),
        link.text("state").to_owned(),
        link.clicks(),
        link.text("created_at").to_owned(),
        cut(link.text("title"), TITLE_CHARS),
    ]
}
