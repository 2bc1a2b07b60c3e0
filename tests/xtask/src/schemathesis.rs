//! Schemathesis over the API document as everybody, for as long as one likes.

use std::fs;

use anyhow::{Result, ensure};
use system_tests::{
    fuzz::{self, Options},
    stand::Bins,
};

use crate::{setup, sh};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Whose turn: a role of the matrix at one of two counties, `everything`, `nobody` or `install`; may be given again.
    /// Without: all of them.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Generated cases for each operation.
    #[arg(long, default_value_t = 50)]
    examples: u32,
    /// Only generated cases, not the systematic ones.
    #[arg(long)]
    no_coverage: bool,
    /// The same seed makes the same cases; without one a new one is taken, and told.
    #[arg(long)]
    seed: Option<u64>,
    /// How many roles at a time.
    #[arg(long, default_value_t = 2)]
    at_once: usize,
}

pub(crate) fn run(args: Args) -> Result<()> {
    setup::schemathesis()?;
    sh::run(sh::cargo().args(["build", "-p", "bbt-console"]))?;
    // No agent runs in it: boards are nothing but their keys.
    let built = sh::target_dir().join("debug");
    let (console, agent) = (built.join("bbt-console"), built.join("bbt-agent"));
    let bins = Bins { console, agent };
    let folder = sh::root().join(".bbt/schemathesis-run");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let seed = args.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let options = Options {
        roles: args.roles,
        examples: args.examples,
        coverage: !args.no_coverage,
        seed: Some(seed),
        at_once: args.at_once,
    };
    let turns = tokio::runtime::Runtime::new()?.block_on(fuzz::run(&bins, &sh::root(), &folder, &options))?;
    fuzz::print(&turns);
    for turn in &turns {
        fs::write(folder.join(format!("said-{}.txt", turn.role)), &turn.said)?;
    }
    println!("   seed {seed}; what each said lies in .bbt/schemathesis-run");
    ensure!(
        turns.iter().all(|turn| turn.clean),
        "schemathesis found something"
    );
    Ok(())
}
