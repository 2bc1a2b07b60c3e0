//! What wears out, what is hot and what is on.

use std::time::{Duration, Instant};

use super::Root;

/// A longer gap between two looks says nothing of the time between: the board slept.
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// The worst of all eMMC chips.
pub(super) fn emmc_wear(root: &Root) -> Option<u8> {
    emmc(root, "life_time")
        .filter_map(|text| parse_life_time(&text))
        .max()
}

/// The worst of all eMMC chips.
pub(super) fn emmc_pre_eol(root: &Root) -> Option<u8> {
    emmc(root, "pre_eol_info")
        .filter_map(|text| parse_pre_eol(&text))
        .max()
}

fn emmc(root: &Root, file: &'static str) -> impl Iterator<Item = String> {
    let whole =
        |name: &String| name.starts_with("mmcblk") && !name[6..].contains(|c: char| !c.is_ascii_digit());
    let disks = root.names("sys/block").into_iter().filter(whole);
    disks.filter_map(move |name| root.text(&format!("sys/block/{name}/device/{file}")))
}

fn hex(word: &str) -> Option<u8> {
    u8::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// `0x01 0x02`: steps of 10 % for the two memory types, 0x0b is worn out (JEDEC JESD84-B51, DEVICE_LIFE_TIME_EST).
pub(super) fn parse_life_time(text: &str) -> Option<u8> {
    let steps = text.split_whitespace().filter_map(hex);
    let worst = steps.filter(|step| (1..=11).contains(step)).max()?;
    Some((worst * 10).min(100))
}

/// `0x01`: 1 normal, 2 warning, 3 urgent (JEDEC JESD84-B51, PRE_EOL_INFO); 0 is not defined.
pub(super) fn parse_pre_eol(text: &str) -> Option<u8> {
    hex(text.trim()).filter(|state| (1..=3).contains(state))
}

/// The hottest believable sensor.
pub(super) fn hottest(root: &Root) -> Option<f32> {
    let zones = root.names("sys/class/thermal").into_iter();
    let zones = zones
        .filter(|name| name.starts_with("thermal_zone"))
        .map(|name| format!("sys/class/thermal/{name}/temp"));
    let chips = root.names("sys/class/hwmon").into_iter().flat_map(|chip| {
        let folder = format!("sys/class/hwmon/{chip}");
        let inputs = root.names(&folder).into_iter();
        inputs
            .filter(|name| name.starts_with("temp") && name.ends_with("_input"))
            .map(move |name| format!("{folder}/{name}"))
            .collect::<Vec<_>>()
    });
    zones
        .chain(chips)
        .filter_map(|path| root.number::<i32>(&path))
        .map(|milli| milli as f32 / 1000.0)
        .filter(|celsius| (-40.0..150.0).contains(celsius))
        .reduce(f32::max)
}

/// Whether a screen is lit: a connector that drives one, else a backlight. `None` where neither can be seen.
pub(super) fn screen_on(root: &Root) -> Option<bool> {
    let connectors = root.names("sys/class/drm").into_iter().filter_map(|name| {
        let of = |file: &str| root.text(&format!("sys/class/drm/{name}/{file}"));
        let connected = of("status")?.trim() == "connected";
        let driven = of("enabled").is_none_or(|text| text.trim() == "enabled");
        let awake = of("dpms")?.trim() == "On";
        connected.then_some(driven && awake)
    });
    let backlights = root.names("sys/class/backlight").into_iter().filter_map(|name| {
        let of = |file: &str| root.number::<u32>(&format!("sys/class/backlight/{name}/{file}"));
        // bl_power: 0 is on (FB_BLANK_UNBLANK).
        Some(of("bl_power")? == 0 && of("brightness").is_none_or(|level| level > 0))
    });
    // A panel whose backlight is off is dark though its connector is driven.
    let any = |found: Vec<bool>| (!found.is_empty()).then(|| found.contains(&true));
    match (any(connectors.collect()), any(backlights.collect())) {
        (Some(driven), Some(lit)) => Some(driven && lit),
        (driven, lit) => driven.or(lit),
    }
}

/// Whether sound comes out of any device: a playback stream that runs (ALSA). `None` without a sound device.
pub(super) fn speaker_on(root: &Root) -> Option<bool> {
    let mut found = None;
    for card in root.names("proc/asound") {
        if !card.starts_with("card") || card == "cards" {
            continue;
        }
        for pcm in root.names(&format!("proc/asound/{card}")) {
            if !pcm.starts_with("pcm") || !pcm.ends_with('p') {
                continue;
            }
            for sub in root.names(&format!("proc/asound/{card}/{pcm}")) {
                let Some(text) = root.text(&format!("proc/asound/{card}/{pcm}/{sub}/status")) else {
                    continue;
                };
                let running = text.lines().any(|line| line.trim() == "state: RUNNING");
                found = Some(found.unwrap_or(false) || running);
            }
        }
    }
    found
}

/// How long screen and loudspeaker were on.
#[derive(Debug, Default)]
pub(super) struct OnTimes {
    last: Option<Instant>,
    screen: Option<Duration>,
    speaker: Option<Duration>,
}

impl OnTimes {
    /// What is on now was on since the last look.
    pub(super) fn look(&mut self, root: &Root, now: Instant) {
        let passed = self
            .last
            .replace(now)
            .map(|last| now.saturating_duration_since(last))
            .filter(|passed| *passed <= LONGEST_LOOK)
            .unwrap_or_default();
        for (on, sum) in [
            (screen_on(root), &mut self.screen),
            (speaker_on(root), &mut self.speaker),
        ] {
            if let Some(on) = on {
                *sum.get_or_insert_default() += if on { passed } else { Duration::ZERO };
            }
        }
    }

    /// Whole seconds since the last time; parts of one stay for the next.
    pub(super) fn take(&mut self) -> (Option<u32>, Option<u32>) {
        let whole = |sum: &mut Option<Duration>| {
            let seconds = sum.as_ref()?.as_secs();
            if let Some(sum) = sum {
                *sum -= Duration::from_secs(seconds);
            }
            u32::try_from(seconds).ok()
        };
        (whole(&mut self.screen), whole(&mut self.speaker))
    }
}
