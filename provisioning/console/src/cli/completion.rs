//! Completion for shells, and manual pages, both from the command line itself.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::Cli;

/// `completion`.
#[derive(Debug, Args)]
pub struct Completion {
    /// For which shell.
    shell: For,
}

/// A shell.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum For {
    /// Put it into /etc/bash_completion.d/bbt-console.
    Bash,
    /// Put it into a folder of $fpath as _bbt-console.
    Zsh,
    /// Put it into ~/.config/fish/completions/bbt-console.fish.
    Fish,
}

/// `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write one page for each subcommand into this folder, instead of the first page to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the script.
pub(super) fn completion(wish: &Completion) {
    let shell = match wish.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    clap_complete::generate(shell, &mut Cli::command(), "bbt-console", &mut std::io::stdout());
}

/// Prints the page, or writes all of them.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn man(wish: &Man) -> anyhow::Result<()> {
    match &wish.out {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("Failed to create the folder {}", folder.display()))?;
            clap_mangen::generate_to(Cli::command(), folder)
                .with_context(|| format!("Failed to write manual pages to {}", folder.display()))
        }
        None => clap_mangen::Man::new(Cli::command())
            .render(&mut std::io::stdout())
            .context("Failed to print the manual page"),
    }
}
