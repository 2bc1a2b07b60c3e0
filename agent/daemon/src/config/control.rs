//! `[control]`: the programs by which the board is switched off, its screen made dark and bright, and its volume set; and
//! `[logs]`: where the agent's log of the last hours is read.
//!
//! What is not named is looked for: `systemctl poweroff`; a backlight of the kernel's, then `ddcutil` for the screen; the mixer
//! that mutes for the volume. An empty list says that the board cannot.

use serde::Deserialize;

/// Stands for the volume in a program's arguments.
pub const PERCENT: &str = "{percent}";
/// Stands for the hours in a program's arguments.
pub const HOURS: &str = "{hours}";

/// How the board is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlConfig {
    /// Switches the machine off.
    pub power_off: Told,
    /// Makes the screen bright, and dark.
    pub screen: Option<Screen>,
    /// Sets the volume, `{percent}` being 0–100.
    pub volume: Told,
    /// Tells the log of the last `{hours}` hours on its standard output.
    pub logs: Told,
}

/// One thing that is told to the board.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Told {
    /// By whatever is found.
    #[default]
    Usual,
    /// By this program and its arguments.
    By(Vec<String>),
    /// Not at all.
    Never,
}

/// The screen's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// These.
    By {
        /// Bright.
        on: Vec<String>,
        /// Dark.
        off: Vec<String>,
    },
    /// Not at all.
    Never,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    power_off: Option<Vec<String>>,
    screen_on: Option<Vec<String>>,
    screen_off: Option<Vec<String>>,
    set_volume: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogs {
    command: Option<Vec<String>>,
}

impl RawControl {
    pub(super) fn check(self, logs: RawLogs) -> Result<ControlConfig, super::live::Wrong> {
        let screen = match (self.screen_on, self.screen_off) {
            (None, None) => None,
            (Some(on), Some(off)) if on.is_empty() && off.is_empty() => Some(Screen::Never),
            (Some(on), Some(off)) if named(&on) && named(&off) => Some(Screen::By { on, off }),
            _ => {
                return Err((
                    "control.screen_on",
                    "one of screen_on and screen_off, or one of them empty".to_owned(),
                    "both, each a program and its arguments; both [] where the screen cannot be switched; or none of them",
                ));
            }
        };
        let volume = told("control.set_volume", self.set_volume)?;
        if let Told::By(command) = &volume
            && !command.iter().any(|word| word.contains(PERCENT))
        {
            return Err((
                "control.set_volume",
                command.join(" "),
                "a program with {percent} among its arguments",
            ));
        }
        Ok(ControlConfig {
            power_off: told("control.power_off", self.power_off)?,
            screen,
            volume,
            logs: told("logs.command", logs.command)?,
        })
    }
}

fn named(command: &[String]) -> bool {
    command.first().is_some_and(|program| !program.is_empty())
}

fn told(key: &'static str, command: Option<Vec<String>>) -> Result<Told, super::live::Wrong> {
    match command {
        None => Ok(Told::Usual),
        Some(command) if command.is_empty() => Ok(Told::Never),
        Some(command) if named(&command) => Ok(Told::By(command)),
        Some(command) => Err((
            key,
            format!("{command:?}"),
            "a program and its arguments, or [] where the board cannot",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ControlConfig, super::super::live::Wrong> {
        toml::from_str::<RawControl>(text)
            .unwrap()
            .check(RawLogs::default())
    }

    #[test]
    fn programs_are_whole_or_not_there() {
        assert_eq!(read("").unwrap(), ControlConfig::default());
        let all = read(
            r#"
            power_off = ["poweroff"]
            screen_on = ["relay", "on"]
            screen_off = ["relay", "off"]
            set_volume = ["amp", "{percent}"]
            "#,
        )
        .unwrap();
        assert_eq!(all.power_off, Told::By(vec!["poweroff".into()]));
        assert!(matches!(all.screen, Some(Screen::By { .. })));
        let none = read("power_off = []\nscreen_on = []\nscreen_off = []\nset_volume = []").unwrap();
        assert_eq!((none.power_off, none.screen), (Told::Never, Some(Screen::Never)));
        for (bad, key) in [
            (r#"screen_on = ["x"]"#, "control.screen_on"),
            ("screen_on = [\"x\"]\nscreen_off = []", "control.screen_on"),
            (r#"set_volume = ["amp", "40"]"#, "control.set_volume"),
            (r#"power_off = [""]"#, "control.power_off"),
        ] {
            assert_eq!(read(bad).unwrap_err().0, key, "{bad}");
        }
    }
}
