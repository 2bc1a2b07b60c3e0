//! Figures, printed side by side with a peer where there is one.
use anyhow::Result;

#[derive(clap::Subcommand)]
pub(crate) enum Which {}

pub(crate) fn run(which: Which) -> Result<()> {
    match which {}
}
