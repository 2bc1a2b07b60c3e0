//! The peers: libtorrent and aria2, one seeder in the console's place, one leecher for each board.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use contract::hash::Hash;
use system_tests::{
    netns::{CONSOLE, Netns, School},
    stand::{Process, until},
};

use super::race::{Fleet, Ready};
use crate::{
    setup::peers_python,
    sh::{root, run},
};

const PORT: u16 = 6881;
const TRACKER: u16 = 6969;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Libtorrent,
    LibtorrentSuper,
    Aria2,
}

/// One swarm.
pub(super) struct Torrent {
    program: Program,
    folder: PathBuf,
    torrent: PathBuf,
    name: PathBuf,
    content: Hash,
    boards: Vec<Netns>,
    addresses: Vec<String>,
    running: Vec<Option<Process>>,
    _seeder: Vec<Process>,
}

impl Torrent {
    pub(super) async fn prepare(
        school: &School,
        folder: &Path,
        content: &Path,
        program: Program,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let torrent = folder.join("content.torrent");
        let tracker = format!("http://{CONSOLE}:{TRACKER}/announce");
        run(python()?.arg("make").arg(content).arg(&torrent).arg(&tracker))?;
        let place = content.parent().context("the content lies nowhere")?;
        let mut seeder = Vec::new();
        match program {
            Program::Libtorrent | Program::LibtorrentSuper => {
                let mut command = script(&school.console)?;
                if program == Program::LibtorrentSuper {
                    command.env("SUPER_SEEDING", "1");
                }
                command
                    .arg("seed")
                    .arg(&torrent)
                    .arg(place)
                    .arg(CONSOLE.to_string());
                seeder.push(Process::start(
                    "libtorrent",
                    &mut command,
                    &folder.join("seeder.log"),
                )?);
            }
            Program::Aria2 => {
                let mut command = script(&school.console)?;
                command.arg("tracker").arg(TRACKER.to_string());
                seeder.push(Process::start(
                    "the tracker",
                    &mut command,
                    &folder.join("tracker.log"),
                )?);
                listens(&school.console, TRACKER).await?;
                let mut command = aria2(&school.console, place, &torrent);
                command.arg("--check-integrity=true");
                seeder.push(Process::start(
                    "aria2c",
                    &mut command,
                    &folder.join("seeder.log"),
                )?);
            }
        }
        listens(&school.console, PORT).await?;
        let mut fleet = Self {
            program,
            folder: folder.to_owned(),
            torrent,
            name: content.file_name().context("the content has no name")?.into(),
            content: Hash::of(&fs::read(content)?),
            boards: school.boards.clone(),
            addresses: (0..school.boards.len())
                .map(|n| school.address(n).to_string())
                .collect(),
            running: school.boards.iter().map(|_| None).collect(),
            _seeder: seeder,
        };
        if program != Program::Aria2 {
            // Up and waiting for the word, as boards are.
            for board in 0..fleet.boards.len() {
                fleet.start(board)?;
            }
            for board in &fleet.boards {
                listens(board, PORT).await?;
            }
        }
        Ok(fleet)
    }

    fn dir(&self, board: usize) -> PathBuf {
        self.folder.join(format!("board-{board:02}"))
    }

    fn done(&self, board: usize) -> PathBuf {
        self.folder.join(format!("done-{board:02}"))
    }
}

impl Fleet for Torrent {
    fn who(&self) -> &'static str {
        match self.program {
            Program::Libtorrent => "libtorrent",
            Program::LibtorrentSuper => "libtorrent super",
            Program::Aria2 => "aria2",
        }
    }

    async fn go(&mut self) -> Result<()> {
        fs::write(self.folder.join("go"), "")?;
        if self.program == Program::Aria2 {
            for board in 0..self.boards.len() {
                self.start(board)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, board: usize) -> Result<()> {
        let (dir, done) = (self.dir(board), self.done(board));
        fs::create_dir_all(&dir)?;
        let netns = &self.boards[board];
        let command = match self.program {
            Program::Libtorrent | Program::LibtorrentSuper => {
                let mut command = script(netns)?;
                command.arg("leech").arg(&self.torrent).arg(&dir);
                command
                    .arg(&self.addresses[board])
                    .arg(self.folder.join("go"))
                    .arg(&done);
                let console = CONSOLE.to_string();
                let others = self.addresses.iter().filter(|a| **a != self.addresses[board]);
                command.args(
                    others
                        .chain([&console])
                        .map(|address| format!("{address}:{PORT}")),
                );
                command
            }
            Program::Aria2 => {
                let hook = self.folder.join(format!("hook-{board:02}"));
                fs::write(&hook, format!("#!/bin/sh\n: > '{}'\n", done.display()))?;
                run_quietly(Command::new("chmod").arg("+x").arg(&hook))?;
                let mut command = aria2(netns, &dir, &self.torrent);
                command
                    .arg(format!("--on-bt-download-complete={}", hook.display()))
                    .args([
                        "--check-integrity=true",
                        "--auto-save-interval=1",
                        "--bt-enable-lpd=true",
                    ]);
                command
            }
        };
        let mut command = command;
        let log = self.folder.join(format!("board-{board:02}.log"));
        self.running[board] = Some(Process::start(self.who(), &mut command, &log)?);
        Ok(())
    }

    fn kill(&mut self, board: usize) {
        self.running[board] = None;
    }

    fn check_alive(&mut self) -> Result<()> {
        self.running
            .iter_mut()
            .flatten()
            .try_for_each(Process::check_alive)
    }

    fn pids(&mut self) -> Vec<u32> {
        self.running.iter().flatten().map(Process::pid).collect()
    }

    fn ready(&self, board: usize) -> Ready {
        let done = self.done(board);
        Box::new(move || done.exists())
    }

    fn wrong(&self, board: usize) -> Result<bool> {
        let file = self.dir(board).join(&self.name);
        Ok(Hash::of(&fs::read(file)?) != self.content)
    }
}

fn python() -> Result<Command> {
    let mut command = Command::new(peers_python()?);
    command.arg(root().join("tests/bench-peers/torrent.py"));
    Ok(command)
}

fn script(netns: &Netns) -> Result<Command> {
    let mut command = netns.command(&peers_python()?);
    command.arg(root().join("tests/bench-peers/torrent.py"));
    Ok(command)
}

/// TCP, no DHT, a tracker that answers at once, every peer unchoked as aria2 does by default, seeding without end.
fn aria2(netns: &Netns, dir: &Path, torrent: &Path) -> Command {
    let mut command = netns.command(Path::new("aria2c"));
    command
        .args([
            "--no-conf=true",
            "--enable-dht=false",
            "--enable-dht6=false",
            "--disable-ipv6=true",
            "--seed-ratio=0.0",
            "--file-allocation=none",
            "--bt-max-peers=0",
            "--bt-tracker-interval=2",
            "--console-log-level=warn",
            "--summary-interval=0",
            "--show-console-readout=false",
        ])
        .arg(format!("--listen-port={PORT}"))
        .arg(format!("--dir={}", dir.display()))
        .arg(torrent);
    command
}

async fn listens(netns: &Netns, port: u16) -> Result<()> {
    let wanted = format!(":{port:04X} ");
    until("a peer listens", Duration::from_secs(20), async || {
        let table = netns.within(|| Ok(fs::read_to_string("/proc/thread-self/net/tcp")?))?;
        // 0A: listening.
        let listening = table
            .lines()
            .any(|row| row.contains(&wanted) && row.split_whitespace().nth(3) == Some("0A"));
        Ok(listening.then_some(()))
    })
    .await
}

fn run_quietly(command: &mut Command) -> Result<()> {
    let done = command.output()?;
    anyhow::ensure!(done.status.success(), "{command:?} failed");
    Ok(())
}
