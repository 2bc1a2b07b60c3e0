//! The board by the operating system's programs: `systemctl`, a backlight of the kernel's or `ddcutil`, the mixer. What
//! `[control]` names comes first.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::process::Command;

use super::{Abilities, BoardControl, BoardError, BoardLook, BoardState};
use crate::{
    config::{ControlConfig, PERCENT, Screen, Told},
    io::sound::{Heard, Mixer},
};

/// A program that takes longer hangs; monitors on DDC take seconds.
const LIMIT: Duration = Duration::from_secs(20);
/// `bl_power` of a backlight that is dark: FB_BLANK_POWERDOWN.
const DARK: &str = "4";

/// The operating system's ways.
#[derive(Debug)]
pub struct SystemControl {
    config: ControlConfig,
    mixer: Mixer,
    /// Where `sys/` is.
    root: PathBuf,
    /// What the screen was last told; screens on programs and DDC do not say.
    told_screen: Mutex<Option<bool>>,
}

/// How a screen is switched.
enum ScreenWay {
    Commands(Vec<String>, Vec<String>),
    Backlights(Vec<PathBuf>),
    Ddc,
    None,
}

impl SystemControl {
    /// As configured; `root` is where `sys/` is, `/` but in tests.
    pub const fn new(config: ControlConfig, mixer: Mixer, root: PathBuf) -> Self {
        Self {
            config,
            mixer,
            root,
            told_screen: Mutex::new(None),
        }
    }

    fn power_off_command(&self) -> Option<Vec<String>> {
        match &self.config.power_off {
            Told::By(command) => Some(command.clone()),
            Told::Never => None,
            Told::Usual => {
                is_program("systemctl").then(|| ["systemctl", "poweroff"].map(str::to_owned).to_vec())
            }
        }
    }

    fn screen_way(&self) -> ScreenWay {
        match &self.config.screen {
            Some(Screen::By { on, off }) => return ScreenWay::Commands(on.clone(), off.clone()),
            Some(Screen::Never) => return ScreenWay::None,
            None => {}
        }
        let backlights = self.backlights();
        if !backlights.is_empty() {
            ScreenWay::Backlights(backlights)
        } else if is_program("ddcutil") {
            ScreenWay::Ddc
        } else {
            ScreenWay::None
        }
    }

    /// `bl_power` of each backlight.
    fn backlights(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join("sys/class/backlight"));
        let entries = entries.into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path().join("bl_power"));
        files.filter(|file| file.exists()).collect()
    }

    fn screen_on(&self, way: &ScreenWay) -> Option<bool> {
        match way {
            ScreenWay::Backlights(files) => {
                let said = std::fs::read_to_string(files.first()?).ok()?;
                Some(said.trim() == "0")
            }
            ScreenWay::Commands(..) | ScreenWay::Ddc => {
                *self.told_screen.lock().unwrap_or_else(PoisonError::into_inner)
            }
            ScreenWay::None => None,
        }
    }

    async fn look_now(&self) -> BoardLook {
        let screen = self.screen_way();
        let (mute, mixer_volume) = self.mixer.can().await;
        let volume = match &self.config.volume {
            Told::By(_) => true,
            Told::Never => false,
            Told::Usual => mixer_volume,
        };
        let mut state = BoardState {
            screen_on: self.screen_on(&screen),
            ..BoardState::default()
        };
        if mute {
            match self.mixer.look().await {
                Heard::Open(percent) => {
                    state.muted = Some(false);
                    state.volume = percent.and_then(|percent| u8::try_from(percent.min(100)).ok());
                }
                Heard::Mute => state.muted = Some(true),
                Heard::Unknown(_) => {}
            }
        }
        BoardLook {
            abilities: Abilities {
                power_off: self.power_off_command().is_some(),
                screen: !matches!(screen, ScreenWay::None),
                volume,
                mute,
            },
            state,
        }
    }

    async fn switch_screen(&self, on: bool) -> Result<(), BoardError> {
        const WHAT: &str = "switch its screen";
        match self.screen_way() {
            ScreenWay::Commands(bright, dark) => run(WHAT, if on { &bright } else { &dark }).await?,
            ScreenWay::Backlights(files) => {
                for file in files {
                    let power = if on { "0" } else { DARK };
                    tokio::fs::write(&file, power)
                        .await
                        .map_err(|error| BoardError::Failed {
                            what: WHAT,
                            reason: format!("{}: {error}", file.display()),
                        })?;
                }
            }
            // VCP D6, power mode: 1 is on, 4 is off by DPMS.
            ScreenWay::Ddc => {
                let mode = if on { "1" } else { "4" };
                run(WHAT, &["ddcutil", "setvcp", "d6", mode].map(str::to_owned)).await?;
            }
            ScreenWay::None => {
                return Err(BoardError::Cannot {
                    what: WHAT,
                    fix: "set screen_on and screen_off in [control] of the agent's configuration".to_owned(),
                });
            }
        }
        *self.told_screen.lock().unwrap_or_else(PoisonError::into_inner) = Some(on);
        Ok(())
    }
}

impl BoardControl for SystemControl {
    fn look(&self) -> BoxFuture<'_, BoardLook> {
        Box::pin(self.look_now())
    }

    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async {
            const WHAT: &str = "switch itself off";
            let command = self.power_off_command().ok_or_else(|| BoardError::Cannot {
                what: WHAT,
                fix: "set power_off in [control] of the agent's configuration".to_owned(),
            })?;
            tracing::warn!(command = %command.join(" "), "switching the machine off");
            run(WHAT, &command).await
        })
    }

    fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(self.switch_screen(on))
    }

    fn volume(&self, percent: u8) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async move {
            const WHAT: &str = "set its volume";
            match &self.config.volume {
                Told::By(command) => {
                    let percent = percent.min(100).to_string();
                    let command: Vec<_> = command
                        .iter()
                        .map(|word| word.replace(PERCENT, &percent))
                        .collect();
                    run(WHAT, &command).await
                }
                Told::Never => Err(BoardError::Cannot {
                    what: WHAT,
                    fix: "[control] set_volume says that it cannot".to_owned(),
                }),
                Told::Usual => {
                    let set = self.mixer.set_volume(percent).await;
                    set.map_err(|reason| BoardError::Failed { what: WHAT, reason })
                }
            }
        })
    }

    fn mute(&self, mute: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async move {
            let set = self.mixer.set_mute(mute).await;
            set.map_err(|reason| BoardError::Failed {
                what: "mute its loudspeaker",
                reason,
            })
        })
    }
}

/// Runs one program to its end.
async fn run(what: &'static str, command: &[String]) -> Result<(), BoardError> {
    let failed = |reason: String| BoardError::Failed { what, reason };
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| failed("no program is named".to_owned()))?;
    let running = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, running)
        .await
        .map_err(|_| failed(format!("{program} did not end within {} s", LIMIT.as_secs())))?
        .map_err(|error| failed(format!("{program} could not be started: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(200).collect();
    Err(failed(format!("{program} ended with {}: {said}", output.status)))
}

/// Whether a program of this name is where programs are.
fn is_program(name: &str) -> bool {
    let paths = std::env::var_os("PATH");
    let folders = std::env::split_paths(paths.as_deref().unwrap_or_else(|| OsStr::new("/usr/bin:/bin")));
    folders.map(|folder| folder.join(name)).any(|file| is_file(&file))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SoundConfig;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn of(config: ControlConfig, root: &Path) -> SystemControl {
        SystemControl::new(config, Mixer::new(SoundConfig::default()), root.to_owned())
    }

    #[tokio::test]
    async fn configured_programs_do_it_and_a_board_that_cannot_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("told");
        let note = |word: &str| words(&["sh", "-c", &format!("echo {word} >> '{}'", mark.display())]);
        let able = of(
            ControlConfig {
                power_off: Told::By(note("off")),
                screen: Some(Screen::By {
                    on: note("bright"),
                    off: note("dark"),
                }),
                volume: Told::By(note("volume-{percent}")),
                ..ControlConfig::default()
            },
            dir.path(),
        );
        assert_eq!(able.look().await.state.screen_on, None, "nobody told it yet");
        able.screen(false).await.unwrap();
        able.volume(35).await.unwrap();
        able.power_off().await.unwrap();
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "dark\nvolume-35\noff\n");
        let look = able.look().await;
        assert!(look.abilities.power_off && look.abilities.screen && look.abilities.volume);
        assert_eq!(look.state.screen_on, Some(false));

        let unable = of(
            ControlConfig {
                power_off: Told::Never,
                screen: Some(Screen::Never),
                volume: Told::Never,
                ..ControlConfig::default()
            },
            dir.path(),
        );
        let look = unable.look().await;
        assert!(!look.abilities.power_off && !look.abilities.screen && !look.abilities.volume);
        for refused in [
            unable.power_off().await,
            unable.screen(true).await,
            unable.volume(1).await,
        ] {
            assert!(matches!(refused, Err(BoardError::Cannot { .. })), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn a_backlight_of_the_kernels_is_found_and_a_program_that_fails_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let backlight = dir.path().join("sys/class/backlight/panel0");
        std::fs::create_dir_all(&backlight).unwrap();
        std::fs::write(backlight.join("bl_power"), "0\n").unwrap();
        let control = of(ControlConfig::default(), dir.path());
        assert_eq!(control.look().await.state.screen_on, Some(true));
        control.screen(false).await.unwrap();
        assert_eq!(std::fs::read_to_string(backlight.join("bl_power")).unwrap(), "4");
        assert_eq!(control.look().await.state.screen_on, Some(false));

        let broken = of(
            ControlConfig {
                power_off: Told::By(words(&["sh", "-c", "echo no rights >&2; exit 3"])),
                ..ControlConfig::default()
            },
            dir.path(),
        );
        let error = broken.power_off().await.unwrap_err().to_string();
        assert!(
            error.contains("no rights") && error.contains("switch itself off"),
            "{error}"
        );
    }
}
