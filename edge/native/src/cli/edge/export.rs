use std::io::{self, BufWriter, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use waypost_service::ambient::Clock;
use waypost_wire::state::STATE_KEY;

use super::super::config::DataDirectory;
use super::super::failure::Failure;
use super::super::surroundings::Surroundings;
use super::super::{progress, table};
use crate::export::{ExportError, Source};

const EXAMPLES: &str = "\
Examples:
  waypost edge export
  waypost edge export --format redis --data-dir /var/lib/waypost

Fill a store with it:
  $ waypost edge export > links.json
  $ npx wrangler kv bulk put links.json --binding LINKS --env production --remote
  $ waypost edge export --format redis | redis-cli -u redis://kv.example.com --pipe

Deleted links are there as long as their slugs are in quarantine. The state that edges share comes
last: links changed meanwhile are in it. It has the keys of visitor hashes: keep the file private.";

/// Records read at a time; at most 16 MiB.
const PAGE_RECORDS: u32 = 1_000;

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ExportArgs {
    /// What is filled
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "wrangler")]
    format: Format,
    #[command(flatten)]
    data: DataDirectory,
}

/// How keys and values are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Commands for `redis-cli --pipe`: the Redis of a key-value store of Spin
    Redis,
    /// JSON for `wrangler kv bulk put`: Workers KV
    Wrangler,
}

impl ExportArgs {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let directory = self.data.path(surroundings)?;
        let sealing = self.data.sealing(surroundings)?;
        let source = Source::open(&directory).and_then(|source| source.sealed_with(sealing));
        let source = source.map_err(failed)?;
        let bar = progress::bar(surroundings, source.count().map_err(failed)?);
        let ambient = surroundings.ambient.clone();
        let mut to = Entries::new(self.format, BufWriter::new(&mut *surroundings.stdout))?;
        let mut after = String::new();
        loop {
            let page = source.records_after(&after, PAGE_RECORDS).map_err(failed)?;
            for (key, record) in &page {
                to.put(key, record)?;
            }
            bar.inc(page.len() as u64);
            match page.into_iter().next_back() {
                Some((last, _)) => after = last,
                None => break,
            }
        }
        to.put(STATE_KEY, &source.state(ambient.now()).map_err(failed)?)?;
        let links = to.end()? - 1;
        bar.finish_and_clear();
        surroundings.note(&format!("{} links and the state are written", table::grouped(links)));
        Ok(())
    }
}

fn failed(error: ExportError) -> Failure {
    Failure::Failed(error.to_string())
}

/// Keys and values on their way out.
struct Entries<W> {
    format: Format,
    to: W,
    count: u64,
}

impl<W: Write> Entries<W> {
    fn new(format: Format, mut to: W) -> Result<Self, Failure> {
        let start = match format {
            Format::Redis => "",
            Format::Wrangler => "[\n",
        };
        to.write_all(start.as_bytes()).map_err(Failure::Output)?;
        Ok(Self { format, to, count: 0 })
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let written = match self.format {
            Format::Redis => self.put_command(key, value),
            Format::Wrangler => self.put_pair(key, value),
        };
        self.count += 1;
        written.map_err(Failure::Output)
    }

    /// `SET key value` as an array of bulk strings (RESP2).
    fn put_command(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        write!(self.to, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n", key.len())?;
        write!(self.to, "${}\r\n", value.len())?;
        self.to.write_all(value)?;
        self.to.write_all(b"\r\n")
    }

    fn put_pair(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        let before = if self.count == 0 { "" } else { ",\n" };
        let (key, value) = (serde_json::Value::from(key), STANDARD.encode(value));
        write!(self.to, "{before}{{\"key\":{key},\"value\":\"{value}\",\"base64\":true}}")
    }

    /// How many there were.
    fn end(mut self) -> Result<u64, Failure> {
        let end = match self.format {
            Format::Redis => "",
            Format::Wrangler => "\n]\n",
        };
        self.to.write_all(end.as_bytes()).map_err(Failure::Output)?;
        self.to.flush().map_err(Failure::Output)?;
        Ok(self.count)
    }
}
