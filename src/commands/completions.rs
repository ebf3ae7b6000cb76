//! `roomcast completions` and `roomcast man`: writes completions for shells and man pages from the command line's
//! definition.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

/// Arguments of `roomcast completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Shell to write completions for
    pub shell: Shell,
}

/// Arguments of `roomcast man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Directory for the pages, made if it does not exist
    #[arg(value_name = "DIRECTORY")]
    pub output: PathBuf,
}

/// Writes the completion script of `command` for one shell to standard output.
///
/// # Errors
/// Returns an error when standard output cannot be written. A reader that closes the pipe early is no error.
pub fn completions(args: &CompletionsArgs, command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    // clap_complete panics when its writer fails, and a buffer in memory never fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, name, &mut script);
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&script).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write completions to standard output")
        }
        _ => Ok(()),
    }
}

/// Writes one man page for `command` and one for each visible subcommand, at any depth, into a directory:
/// `roomcast.1`, `roomcast-predict.1`, `roomcast-models-list.1` and so on. Pages of that name are replaced.
///
/// # Errors
/// Returns an error when the directory cannot be made or a page cannot be written there.
pub fn man(args: &ManArgs, command: Command) -> anyhow::Result<()> {
    let directory = &args.output;
    fs::create_dir_all(directory).with_context(|| format!("cannot make the directory {}", directory.display()))?;
    clap_mangen::generate_to(command, directory)
        .with_context(|| format!("cannot write man pages to {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let models = Command::new("models").subcommand(Command::new("list").about("Lists versions"));
        Command::new("roomcast").about("Forecasts").subcommand(models).subcommand(Command::new("predict"))
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
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = man(&ManArgs { output: file.path().join("man1") }, command()).unwrap_err();
        assert!(error.to_string().contains("man1"), "{error}");
    }
}
