//! The loudspeaker: mute, heard again, and whether it is mute. By the mixer's own program, whichever the board has.
//!
//! `[sound]` names the programs; where it does not, `pactl` (PulseAudio, PipeWire), `wpctl` (PipeWire) and `amixer` (ALSA) are
//! tried in this order. With `pactl` every output is muted by its name, so that what was mute before stays so afterwards. Names
//! that leave this module begin with the mixer that muted (`pactl:hdmi`): only that one can let them be heard again.

mod volume;

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

/// Whether a lesson would be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An output is open; how far, in percent, where the mixer tells.
    Open(Option<u32>),
    /// Every output is mute.
    Mute,
    /// No mixer answers.
    Unknown(String),
}

/// Why outputs are not known to be mute.
enum Trouble {
    /// This mixer does not answer; another one may.
    Elsewhere(String),
    /// This is the board's mixer, and it failed.
    Here(String),
}

impl Way {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Pactl => "pactl",
            Self::Wpctl => "wpctl",
            Self::Amixer => "amixer",
        }
    }

    fn named(self, name: &str) -> String {
        format!("{}:{name}", self.prefix())
    }

    /// The mixer that muted, and its own name for the output.
    fn of(named: &str) -> Option<(Self, &str)> {
        let (prefix, name) = named.split_once(':')?;
        let ways = [Self::Commands, Self::Pactl, Self::Wpctl, Self::Amixer];
        let way = ways.into_iter().find(|way| way.prefix() == prefix)?;
        Some((way, name))
    }
}

impl Mixer {
    /// As configured.
    pub const fn new(config: SoundConfig) -> Self {
        Self { config }
    }

    /// Mutes every output that is not mute; says which.
    pub async fn silence(&self) -> Found {
        self.silence_noting(&mut Vec::new()).await
    }

    /// The same; `muted` has the names as far as it came, even if nobody waits for the end.
    pub async fn silence_noting(&self, muted: &mut Vec<String>) -> Found {
        let mut reasons = Vec::new();
        for way in self.ways() {
            match self.silence_by(way, muted).await {
                Ok(()) if muted.is_empty() => return Found::Mute,
                Ok(()) => return Found::Muted(muted.clone()),
                Err(Trouble::Here(reason)) => {
                    reasons = vec![reason];
                    break;
                }
                Err(Trouble::Elsewhere(reason)) => reasons.push(reason),
            }
        }
        Found::Failed {
            reason: reasons.join("; "),
            muted: muted.clone(),
        }
    }

    /// Whether a lesson would be heard; changes nothing.
    pub async fn look(&self) -> Heard {
        let mut reasons = Vec::new();
        for way in self.ways() {
            match self.outputs(way).await {
                Ok(outputs) if outputs.iter().all(|(_, mute)| *mute) => return Heard::Mute,
                Ok(_) => return Heard::Open(self.volume(way).await),
                Err(reason) => reasons.push(reason),
            }
        }
        Heard::Unknown(reasons.join("; "))
    }

    /// How far the loudest output is open that is not mute, in percent.
    async fn volume(&self, way: Way) -> Option<u32> {
        match way {
            Way::Commands => None,
            Way::Pactl => loudest(&self.output("pactl", &["list", "sinks"]).await.ok()?),
            Way::Wpctl => {
                let said = self
                    .output("wpctl", &["get-volume", "@DEFAULT_AUDIO_SINK@"])
                    .await
                    .ok()?;
                let part: f64 = said.split_whitespace().nth(1)?.parse().ok()?;
                (part.is_finite() && part >= 0.0).then(|| (part * 100.0).round() as u32)
            }
            Way::Amixer => percents(&self.output("amixer", &["sget", "Master"]).await.ok()?).max(),
        }
    }

    /// Lets every output be heard, and these by the mixer that muted them.
    pub async fn sound(&self, names: &[String]) {
        self.restore(names).await;
        self.unmute(None).await;
    }

    /// Lets these outputs be heard, by the names that [`Self::silence`] gave.
    pub async fn restore(&self, names: &[String]) {
        let mut plain = Vec::new();
        for named in names {
            let Some((way, name)) = Way::of(named) else {
                // Noted down before names said their mixer.
                plain.push(named.clone());
                continue;
            };
            if let Err(reason) = self.set(way, name, Set::Unmute).await {
                tracing::warn!(output = %named, %reason, "the loudspeaker could not be unmuted");
            }
        }
        if !plain.is_empty() {
            self.unmute(Some(&plain)).await;
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

    async fn silence_by(&self, way: Way, muted: &mut Vec<String>) -> Result<(), Trouble> {
        let loud: Vec<_> = self
            .outputs(way)
            .await
            .map_err(Trouble::Elsewhere)?
            .into_iter()
            .filter(|(_, mute)| !mute)
            .collect();
        if loud.is_empty() {
            return Ok(());
        }
        // One that refuses must not keep the others loud.
        let mut refused = None;
        for (name, _) in &loud {
            // Noted first: a program that is given up may have muted all the same.
            muted.push(way.named(name));
            if let Err(reason) = self.set(way, name, Set::Mute).await {
                refused.get_or_insert(reason);
            }
        }
        if let Some(reason) = refused {
            return Err(Trouble::Here(reason));
        }
        // What was told to be mute is believed when it says so itself.
        let outputs = self.outputs(way).await.map_err(Trouble::Here)?;
        match outputs.into_iter().find(|(_, mute)| !mute) {
            None => Ok(()),
            Some((name, _)) => Err(Trouble::Here(format!("{name} did not fall silent"))),
        }
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
                // `get-sink-mute` came with PulseAudio 15; this tells the same at once since ever.
                let found = sinks(&self.output("pactl", &["list", "sinks"]).await?);
                if found.is_empty() {
                    return Err("pactl: no output is listed".to_owned());
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

/// Names, and whether each says that it is mute; one that does not say is taken to be loud.
fn sinks(listed: &str) -> Vec<(String, bool)> {
    let mut found: Vec<(String, bool)> = Vec::new();
    for line in listed.lines() {
        if let Some(index) = line.strip_prefix("Sink #") {
            found.push((index.trim().to_owned(), false));
        } else if let Some(sink) = found.last_mut() {
            if let Some(name) = line.strip_prefix("\tName: ") {
                name.clone_into(&mut sink.0);
            } else if let Some(mute) = line.strip_prefix("\tMute: ") {
                sink.1 = mute.trim() == "yes";
            }
        }
    }
    found
}

/// The volume of the loudest sink that is not mute.
fn loudest(listed: &str) -> Option<u32> {
    let sinks = listed.split("Sink #").skip(1);
    let open = sinks.filter(|sink| !sink.lines().any(|line| line.trim() == "Mute: yes"));
    open.filter_map(|sink| {
        let line = sink.lines().find(|line| line.starts_with("\tVolume: "))?;
        percents(line).max()
    })
    .max()
}

/// Every `40%` of a text.
fn percents(text: &str) -> impl Iterator<Item = u32> {
    let before = text.split('%');
    before.filter_map(|part| {
        let digits = part.rsplit(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
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
        assert_eq!(good.look().await, Heard::Open(None));
        assert_eq!(good.silence().await, Found::Muted(vec!["commands:all".into()]));
        assert_eq!(good.silence().await, Found::Mute);
        assert_eq!(good.look().await, Heard::Mute);
        good.restore(&[]).await;
        assert!(flag.exists(), "it was mute before");
        good.restore(&["amixer:all".to_owned()]).await;
        assert!(flag.exists(), "another mixer muted that");
        good.restore(&["commands:all".to_owned()]).await;
        assert!(!flag.exists());
        std::fs::write(&flag, "").unwrap();
        good.restore(&[ALL.to_owned()]).await;
        assert!(!flag.exists(), "an older note names no mixer");
        // One that says yes and does nothing is not believed.
        assert!(
            matches!(mixer("true").silence().await, Found::Failed { reason, .. } if reason.contains("did not fall silent"))
        );
        assert!(
            matches!(mixer("echo no >&2; exit 1").silence().await, Found::Failed { reason, muted } if reason.contains("no") && muted == ["commands:all"])
        );
    }

    #[test]
    fn sinks_are_read_and_one_that_does_not_say_is_loud() {
        let listed = "Sink #0\n\tState: RUNNING\n\tName: alsa_output.hdmi\n\tDescription: HDMI\n\tMute: yes\n\tVolume: \
                      front-left: 65536\n\tProperties:\n\t\tdevice.string = \"Mute: no\"\n\nSink #1\n\tState: IDLE\n\t\
                      Name: null sink\n\tMute: no\n\nSink #7\n\tState: SUSPENDED\n";
        let expected = [("alsa_output.hdmi", true), ("null sink", false), ("7", false)];
        assert_eq!(
            sinks(listed),
            expected.map(|(name, mute)| (name.to_owned(), mute))
        );
        assert!(sinks("").is_empty());
    }

    #[test]
    fn volumes_are_read_of_what_can_be_heard() {
        let listed = "Sink #0\n\tName: hdmi\n\tMute: yes\n\tVolume: front-left: 65536 / 100% / 0.00 dB\nSink #1\n\tName: \
                      amp\n\tMute: no\n\tVolume: front-left: 19661 /  30% / -31 dB,   front-right: 20000 /  31% / -30 dB\n\t\
                      Base Volume: 65536 / 100% / 0.00 dB\n";
        assert_eq!(loudest(listed), Some(31));
        assert_eq!(loudest("Sink #0\n\tMute: no\n"), None);
        let amixer =
            "  Front Left: Playback 20 [40%] [-9.00dB] [on]\n  Front Right: Playback 22 [44%] [on]\n";
        assert_eq!(percents(amixer).max(), Some(44));
    }

    #[test]
    fn a_name_says_its_mixer() {
        let named = Way::Pactl.named("alsa:hdmi");
        assert_eq!(named, "pactl:alsa:hdmi");
        assert_eq!(Way::of(&named), Some((Way::Pactl, "alsa:hdmi")));
        assert_eq!(Way::of("alsa_output.hdmi"), None);
    }
}
