//! The loudspeaker: mute, heard again, and whether it is mute. By the mixer's own program, whichever the board has.
//!
//! `[sound]` names the programs; where it does not, `pactl` (PulseAudio, PipeWire), `wpctl` (PipeWire) and `amixer` (ALSA) are
//! tried in this order. With `pactl` every output is muted by its name, so that what was mute before stays so afterwards.

use std::{process::Stdio, time::Duration};

use agent_core::exam::Found;
use tokio::process::Command;

use crate::config::SoundConfig;

/// A mixer that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(3);
/// Stands for all outputs where the mixer tells no names.
const ALL: &str = "all";

/// How the loudspeaker is reached.
#[derive(Debug, Clone)]
pub struct Mixer {
    config: SoundConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Commands,
    Pactl,
    Wpctl,
    Amixer,
}

/// What a program of a mixer is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Mute,
    Unmute,
}

impl Mixer {
    /// As configured.
    pub const fn new(config: SoundConfig) -> Self {
        Self { config }
    }

    /// Mutes every output that is not mute; says which.
    pub async fn silence(&self) -> Found {
        let mut reasons = Vec::new();
        for way in self.ways() {
            match self.silence_by(way).await {
                Ok(found) => return found,
                Err(reason) => reasons.push(reason),
            }
        }
        Found::Failed(reasons.join("; "))
    }

    /// Lets every output be heard.
    pub async fn sound(&self) {
        self.unmute(None).await;
    }

    /// Lets these outputs be heard, by the names that [`Self::silence`] gave.
    pub async fn restore(&self, names: &[String]) {
        if !names.is_empty() {
            self.unmute(Some(names)).await;
        }
    }

    async fn unmute(&self, names: Option<&[String]>) {
        for way in self.ways() {
            let all = self.outputs(way).await;
            let Ok(all) = all else { continue };
            for (name, _) in all {
                if names.is_none_or(|names| names.contains(&name))
                    && let Err(reason) = self.set(way, &name, Set::Unmute).await
                {
                    tracing::warn!(output = %name, %reason, "the loudspeaker could not be unmuted");
                }
            }
            return;
        }
    }

    fn ways(&self) -> Vec<Way> {
        if self.config.commands.is_some() {
            vec![Way::Commands]
        } else {
            vec![Way::Pactl, Way::Wpctl, Way::Amixer]
        }
    }

    async fn silence_by(&self, way: Way) -> Result<Found, String> {
        let mut muted = Vec::new();
        for (name, mute) in self.outputs(way).await? {
            if !mute {
                if let Err(reason) = self.set(way, &name, Set::Mute).await {
                    return Ok(Found::Failed(reason));
                }
                muted.push(name);
            }
        }
        if muted.is_empty() {
            return Ok(Found::Mute);
        }
        // What was told to be mute is believed when it says so itself.
        let still = self.outputs(way).await?.into_iter().find(|(_, mute)| !mute);
        Ok(match still {
            None => Found::Muted(muted),
            Some((name, _)) => Found::Failed(format!("{name} did not fall silent")),
        })
    }

    /// Outputs by name, and whether each is mute.
    async fn outputs(&self, way: Way) -> Result<Vec<(String, bool)>, String> {
        match way {
            Way::Commands => {
                let commands = self.config.commands.as_ref().ok_or("no commands")?;
                let mute = self.run(&commands.is_mute).await?.0;
                Ok(vec![(ALL.to_owned(), mute)])
            }
            Way::Pactl => {
                let listed = self.output("pactl", &["list", "short", "sinks"]).await?;
                let mut found = Vec::new();
                for name in sink_names(&listed) {
                    // One that was unplugged in between makes no sound.
                    if let Ok(said) = self.output("pactl", &["get-sink-mute", &name]).await {
                        found.push((name, said.contains("yes")));
                    }
                }
                Ok(found)
            }
            Way::Wpctl => {
                let said = self
                    .output("wpctl", &["get-volume", "@DEFAULT_AUDIO_SINK@"])
                    .await?;
                Ok(vec![(ALL.to_owned(), said.contains("MUTED"))])
            }
            Way::Amixer => {
                let said = self.output("amixer", &["sget", "Master"]).await?;
                let mute = said.contains("[off]") && !said.contains("[on]");
                Ok(vec![(ALL.to_owned(), mute)])
            }
        }
    }

    async fn set(&self, way: Way, name: &str, set: Set) -> Result<(), String> {
        let mute = set == Set::Mute;
        match way {
            Way::Commands => {
                let commands = self.config.commands.as_ref().ok_or("no commands")?;
                let command = if mute { &commands.mute } else { &commands.unmute };
                match self.run(command).await? {
                    (true, _) => Ok(()),
                    (false, said) => Err(said),
                }
            }
            Way::Pactl => {
                let flag = if mute { "1" } else { "0" };
                self.output("pactl", &["set-sink-mute", name, flag])
                    .await
                    .map(drop)
            }
            Way::Wpctl => {
                let flag = if mute { "1" } else { "0" };
                let said = self
                    .output("wpctl", &["set-mute", "@DEFAULT_AUDIO_SINK@", flag])
                    .await;
                said.map(drop)
            }
            Way::Amixer => {
                let flag = if mute { "mute" } else { "unmute" };
                self.output("amixer", &["sset", "Master", flag]).await.map(drop)
            }
        }
    }

    async fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let command: Vec<_> = std::iter::once(program)
            .chain(arguments.iter().copied())
            .map(str::to_owned)
            .collect();
        match self.run(&command).await? {
            (true, said) => Ok(said),
            (false, said) => Err(said),
        }
    }

    /// Whether it succeeded, and what it said.
    async fn run(&self, command: &[String]) -> Result<(bool, String), String> {
        let (program, arguments) = command.split_first().ok_or("no program")?;
        let mut run = Command::new(program);
        run.args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(server) = &self.config.server {
            run.env("PULSE_SERVER", server);
        }
        let done = tokio::time::timeout(LIMIT, run.output()).await;
        let done = done
            .map_err(|_| format!("{program} did not answer within {} s", LIMIT.as_secs()))?
            .map_err(|error| format!("{program}: {error}"))?;
        let said = if done.status.success() {
            String::from_utf8_lossy(&done.stdout).into_owned()
        } else {
            let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            format!(
                "{program}: {}",
                if why.is_empty() {
                    done.status.to_string()
                } else {
                    why
                }
            )
        };
        Ok((done.status.success(), said))
    }
}

/// The second column.
fn sink_names(listed: &str) -> Vec<String> {
    let names = listed.lines().filter_map(|line| line.split('\t').nth(1));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::Path};

    use super::*;
    use crate::config::SoundCommands;

    fn script(dir: &Path, name: &str, body: &str) -> Vec<String> {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        vec![path.to_str().unwrap().to_owned()]
    }

    #[tokio::test]
    async fn configured_programs_mute_say_so_and_unmute() {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("mute");
        let mixer = |mute: &str| {
            Mixer::new(SoundConfig {
                server: None,
                commands: Some(SoundCommands {
                    is_mute: script(dir.path(), "is", &format!("test -e {}", flag.display())),
                    mute: script(dir.path(), "on", mute),
                    unmute: script(dir.path(), "off", &format!("rm {}", flag.display())),
                }),
            })
        };
        let good = mixer(&format!("touch {}", flag.display()));
        assert_eq!(good.silence().await, Found::Muted(vec![ALL.into()]));
        assert_eq!(good.silence().await, Found::Mute);
        good.restore(&[]).await;
        assert!(flag.exists(), "it was mute before");
        good.restore(&[ALL.to_owned()]).await;
        assert!(!flag.exists());
        // One that says yes and does nothing is not believed.
        assert!(
            matches!(mixer("true").silence().await, Found::Failed(why) if why.contains("did not fall silent"))
        );
        assert!(
            matches!(mixer("echo no >&2; exit 1").silence().await, Found::Failed(why) if why.contains("no"))
        );
    }

    #[test]
    fn sinks_are_read() {
        let listed =
            "0\talsa_output.hdmi\tmodule\ts16le 2ch 48000Hz\tRUNNING\n1\tnull sink\tmodule\ts16le\tIDLE\n";
        assert_eq!(sink_names(listed), ["alsa_output.hdmi", "null sink"]);
    }
}
