//! `[live]`: the programs and addresses of live lessons that may be opened from the page, and what they need of the line.
//!
//! The page names an app by its id; what is then run stands here and nowhere else.

use agent_core::precheck::Needs;
use serde::Deserialize;

/// Most of them: what finds place on the page.
const MAX_APPS: usize = 4;
const MAX_NAME: usize = 32;
/// Opens an address where the file says nothing else.
const OPENER: &str = "xdg-open";

/// Live lessons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveConfig {
    /// What may be opened, in the order of the page.
    pub apps: Vec<LiveApp>,
}

/// One app, or one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveApp {
    /// What the page calls it.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// Program and arguments; where an address is named, the opener and that address.
    pub command: Vec<String>,
    /// Program and arguments that end it, where ending our own child does not.
    pub end: Option<Vec<String>>,
    /// Whom it talks to, as `host:port`; `None` is the console's address.
    pub check: Option<String>,
    /// What it needs of the line.
    pub needs: Needs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLive {
    opener: Option<Vec<String>>,
    #[serde(default)]
    apps: Vec<RawApp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApp {
    id: String,
    name: String,
    command: Option<Vec<String>>,
    url: Option<String>,
    end: Option<Vec<String>>,
    check: Option<String>,
    max_rtt_ms: Option<u32>,
    max_lost_percent: Option<u8>,
}

/// What is wrong: key, what stands there, what may.
pub(super) type Wrong = (&'static str, String, &'static str);

impl RawLive {
    pub(super) fn check(self) -> Result<LiveConfig, Wrong> {
        let opener = self.opener.unwrap_or_else(|| vec![OPENER.to_owned()]);
        program("live.opener", &opener)?;
        if self.apps.len() > MAX_APPS {
            return Err(("live.apps", format!("{} apps", self.apps.len()), "at most 4"));
        }
        let mut apps: Vec<LiveApp> = Vec::new();
        for raw in self.apps {
            let app = raw.check(&opener)?;
            if apps.iter().any(|known| known.id == app.id) {
                return Err(("live.apps.id", format!("{:?} twice", app.id), "each id once"));
            }
            apps.push(app);
        }
        Ok(LiveConfig { apps })
    }
}

impl RawApp {
    fn check(self, opener: &[String]) -> Result<LiveApp, Wrong> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || self.id.len() > MAX_NAME || !self.id.chars().all(plain) {
            let allowed = "1 to 32 of a-z, 0-9 and -";
            return Err(("live.apps.id", format!("{:?}", self.id), allowed));
        }
        let chars = self.name.chars().count();
        if self.name.trim().is_empty() || chars > MAX_NAME || self.name.chars().any(char::is_control) {
            let allowed = "1 to 32 characters in one line";
            return Err(("live.apps.name", format!("{:?}", self.name), allowed));
        }
        let command = match (self.command, self.url) {
            (Some(command), None) => command,
            (None, Some(url)) => {
                let bare = url.chars().any(|c| c.is_whitespace() || c.is_control());
                if !url.starts_with("https://") || bare || url.len() > 512 {
                    let allowed = "an address that begins with https://, at most 512 bytes";
                    return Err(("live.apps.url", format!("{url:?}"), allowed));
                }
                [opener, &[url]].concat()
            }
            _ => {
                let found = format!("both or neither of {:?}", self.id);
                return Err(("live.apps", found, "either command or url"));
            }
        };
        program("live.apps.command", &command)?;
        if let Some(end) = &self.end {
            program("live.apps.end", end)?;
        }
        if let Some(check) = &self.check {
            let fits = check.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
            if !fits || check.len() > 256 {
                return Err(("live.apps.check", format!("{check:?}"), "host:port"));
            }
        }
        let usual = Needs::default();
        let max_rtt_ms = self.max_rtt_ms.unwrap_or(usual.max_rtt_ms);
        if !(10..=5000).contains(&max_rtt_ms) {
            return Err(("live.apps.max_rtt_ms", max_rtt_ms.to_string(), "10 to 5000"));
        }
        let max_lost_percent = self.max_lost_percent.unwrap_or(usual.max_lost_percent);
        if max_lost_percent > 90 {
            return Err((
                "live.apps.max_lost_percent",
                max_lost_percent.to_string(),
                "0 to 90",
            ));
        }
        Ok(LiveApp {
            id: self.id,
            name: self.name,
            command,
            end: self.end,
            check: self.check,
            needs: Needs {
                max_rtt_ms,
                max_lost_percent,
            },
        })
    }
}

fn program(key: &'static str, command: &[String]) -> Result<(), Wrong> {
    if command.first().is_none_or(String::is_empty) {
        return Err((key, "empty".to_owned(), "a program and its arguments"));
    }
    Ok(())
}
