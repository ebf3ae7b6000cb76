//! Help outside the program: `roomcast completions` writes completions for a shell, `roomcast man` writes man pages.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::output;

/// The commands of this group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write shell completions to standard output
    #[command(
        after_help = "Example:\n  roomcast completions bash > ~/.local/share/bash-completion/completions/roomcast"
    )]
    Completions(CompletionsArgs),
    /// Write man pages to a directory
    #[command(after_help = "Example:\n  roomcast man ~/.local/share/man/man1")]
    Man(ManArgs),
}

impl Command {
    /// Runs the command on the definition of the whole command line.
    ///
    /// # Errors
    /// Returns the error of the command.
    pub fn run(&self, mut definition: clap::Command) -> anyhow::Result<()> {
        match self {
            Command::Completions(args) => completions(args, &mut definition),
            Command::Man(args) => man(args, definition),
        }
    }
}

/// Arguments of `roomcast completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Shell that reads the completions
    shell: Shell,
}

/// Arguments of `roomcast man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Directory of the pages; created if it is missing
    #[arg(value_name = "DIRECTORY")]
    output: PathBuf,
}

/// Writes the completion script of `command` for one shell to standard output.
///
/// # Errors
/// Returns an error when standard output cannot be written.
fn completions(args: &CompletionsArgs, command: &mut clap::Command) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    // clap_complete panics when its writer fails, and a buffer in memory never fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, name, &mut script);
    output::print(script)
}

/// Writes one man page for `command` and one for each visible subcommand, at any depth, into a directory:
/// `roomcast.1`, `roomcast-predict.1`, `roomcast-models-list.1` and so on. Pages of that name are replaced.
///
/// # Errors
/// Returns an error when the directory cannot be created or a page cannot be written there.
fn man(args: &ManArgs, command: clap::Command) -> anyhow::Result<()> {
    let directory = &args.output;
    fs::create_dir_all(directory).with_context(|| format!("cannot create the directory {}", directory.display()))?;
    clap_mangen::generate_to(command, directory)
        .with_context(|| format!("cannot write man pages to {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> clap::Command {
        let models = clap::Command::new("models").subcommand(clap::Command::new("list").about("Lists versions"));
        clap::Command::new("roomcast").about("Forecasts").subcommand(models).subcommand(clap::Command::new("predict"))
    }

    #[test]
    fn every_subcommand_has_a_page() {
        let place = tempfile::tempdir().unwrap();
        let output = place.path().join("share/man1");
        man(&ManArgs { output: output.clone() }, command()).unwrap();
        let mut pages: Vec<_> =
            fs::read_dir(&output).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        pages.sort();
        assert_eq!(pages, ["roomcast-models-list.1", "roomcast-models.1", "roomcast-predict.1", "roomcast.1"]);
        assert!(fs::read_to_string(output.join("roomcast-models-list.1")).unwrap().contains("Lists versions"));
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = man(&ManArgs { output: file.path().join("man1") }, command()).unwrap_err();
        assert!(error.to_string().contains("man1"), "{error}");
    }
}
