//! `waypost seal-keys`: files with the keys that links are sealed with.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tempfile::{Builder, NamedTempFile};
use waypost_host::key_file;
use waypost_service::ambient::Entropy;
use waypost_service::seal::file::with_new_key;

use super::failure::Failure;
use super::surroundings::Surroundings;

const EXAMPLES: &str = "\
Examples:
  waypost seal-keys new seal.keys
  waypost seal-keys new /etc/waypost/seal.keys";

const NEW_EXAMPLES: &str = "\
Examples:
  waypost seal-keys new seal.keys
  waypost seal-keys new /etc/waypost/seal.keys

Without a file, one is made that only its owner can read. With one, the new key gets the next number
and comes in front: it seals from then on, and the others still open what they sealed. The new file
takes the place of the old one at once and as a whole; no key is ever shown.";

/// Keys that links are sealed with at rest.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    /// Make a new key in a file, which is made if there is none
    New(NewArgs),
}

#[derive(Args, Clone, Debug)]
#[command(after_help = NEW_EXAMPLES)]
pub(super) struct NewArgs {
    /// File of keys
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Command {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        match self {
            Self::New(args) => args.run(surroundings),
        }
    }
}

impl NewArgs {
    fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let mut key = [0; 32];
        surroundings.ambient.fill(&mut key);
        let shown = self.file.display();
        let failed = |error: io::Error| Failure::Failed(format!("cannot write {shown}: {error}"));
        match self.file.try_exists().map_err(failed)? {
            false => {
                let (text, _) =
                    with_new_key(None, key).map_err(|fault| Failure::Failed(fault.to_string()))?;
                make(&self.file, &text).map_err(failed)?;
                surroundings.say(&format!(
                    "{shown} is made, with key 1.\n\
                     1. Keep a copy of it apart from the backups: without it, sealed links cannot be read.\n\
                     2. Start the server with it: --seal-keys-file {shown}, or WAYPOST_SEAL_KEYS_FILE.\n\
                     3. Links that are there already: stop the server once and run `waypost reseal`."
                ))
            }
            true => {
                // Where it lies, if this is only a name for it.
                let path = self.file.canonicalize().map_err(failed)?;
                let held =
                    hold(&path).map_err(|error| Failure::Failed(format!("{shown}: {error}")))?;
                let old =
                    key_file::text(&path).map_err(|fault| Failure::Failed(fault.to_string()))?;
                let (text, number) = with_new_key(Some(&old), key)
                    .map_err(|fault| Failure::Failed(format!("{shown}: {fault}")))?;
                replace(&path, &text).map_err(failed)?;
                drop(held);
                surroundings.say(&format!(
                    "{shown} has the new key {number} in front.\n\
                     1. Keep a copy of it apart from the backups: without it, sealed links cannot be read.\n\
                     2. Give it to every process that reads links, and start them again: key {number} seals from then on.\n\
                     3. `waypost reseal` seals all links with it, and says when the old keys can be taken out."
                ))
            }
        }
    }
}

/// Keeps others from changing the file at the same time.
fn hold(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, "somebody else is at work on it"))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Writes a file that must not be there yet.
fn make(path: &Path, text: &str) -> io::Result<()> {
    let directory = directory_of(path);
    let file = written(&directory, text)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    settle(&directory)
}

/// Puts a new file in the place of one that is there, with the same owner.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = directory_of(path);
    let file = written(&directory, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, chown};
        let (old, new) = (fs::metadata(path)?, file.as_file().metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // A server that runs as somebody else must still be able to read it.
            chown(file.path(), Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.persist(path).map_err(|error| error.error)?;
    settle(&directory)
}

/// A file beside its place, durable, which its owner alone can read (`tempfile` makes no other).
fn written(directory: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = Builder::new().prefix(".waypost-").suffix(".tmp").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes the name durable.
fn settle(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        // An empty parent is the working directory.
        Some(parent) if parent != Path::new("") => parent.into(),
        _ => ".".into(),
    }
}
