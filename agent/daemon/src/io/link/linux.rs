//! Parts of a board that Linux reaches: files below `/sys` where the kernel has a driver, else `/dev/i2c-N` by
//! linux-embedded-hal. Nothing here waits for long, and nothing fails: what does not answer is not there, and is told in the log
//! once.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use board_configs::{Board, Drive, Measure, SensorAt};
use board_core::Wake;
use board_link::{CentiCelsius, MeterReading, Percent, RtcReading, UnixSeconds};
use linux_embedded_hal::I2cdev;

use super::i2c::{self, Part};
use crate::clock;

/// What `pwm1` of hwmon takes for full speed.
const FULL_PWM: u32 = 255;
/// An alarm nearer than this would ring before the board has stopped.
const NEAREST_ALARM: Duration = Duration::from_secs(90);

/// A sensor on a bus of the SoC.
struct OnBus {
    measures: Measure,
    part: Part,
    /// Of `/dev/i2c-N`.
    device: PathBuf,
    address: u8,
    /// Opened at the first look, and again after it did not answer.
    bus: Option<I2cdev>,
    awake: bool,
}

impl OnBus {
    fn look<T>(&mut self, read: impl FnOnce(&mut I2cdev, &mut Self) -> Option<T>) -> Option<T> {
        let mut bus = match self.bus.take() {
            Some(bus) => bus,
            None => I2cdev::new(&self.device).ok()?,
        };
        let found = read(&mut bus, self);
        self.bus = Some(bus);
        found
    }
}

/// The parts that a board's file names.
pub(super) struct Parts {
    temperatures: Vec<PathBuf>,
    on_bus: Vec<OnBus>,
    /// Folder of the clock.
    clock: Option<PathBuf>,
    fan: Option<PathBuf>,
    /// Folder of the screen's light.
    backlight: Option<PathBuf>,
    told: HashSet<PathBuf>,
}

impl Parts {
    /// `root` is where `/sys` is: `/`, but in tests.
    pub(super) fn of(board: &Board, root: &Path) -> Self {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let at = |what: Measure| {
            board
                .sensors
                .iter()
                .filter(move |sensor| sensor.measures == what)
                .filter_map(|sensor| match &sensor.at {
                    SensorAt::Path(path) => Some(below(path)),
                    SensorAt::I2c { .. } => None,
                })
        };
        let on_bus = board.sensors.iter().filter_map(|sensor| match sensor.at {
            SensorAt::Path(_) => None,
            SensorAt::I2c { bus, address } => Some(OnBus {
                measures: sensor.measures,
                part: Part::of(&sensor.part, sensor.shunt_mohm)?,
                device: below(&format!("/dev/i2c-{bus}")),
                address,
                bus: None,
                awake: false,
            }),
        });
        let linux = |drive: &Drive| match drive {
            Drive::Linux(path) => Some(below(path)),
            Drive::Pwm => None,
        };
        Self {
            temperatures: at(Measure::Temperature).collect(),
            on_bus: on_bus.collect(),
            clock: at(Measure::Clock).next(),
            fan: board.fan.as_ref().and_then(|fan| linux(&fan.drive)),
            backlight: board.backlight.as_ref().and_then(|light| linux(&light.drive)),
            told: HashSet::new(),
        }
    }

    /// The hottest; `None` when none answers.
    pub(super) fn temperature(&mut self) -> Option<CentiCelsius> {
        let read = |path: &PathBuf| {
            let milli: i32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
            i16::try_from(milli / 10).ok().map(CentiCelsius)
        };
        let on_bus = self.on_bus.iter_mut();
        let on_bus = on_bus
            .filter(|sensor| sensor.measures == Measure::Temperature)
            .filter_map(|sensor| sensor.look(|bus, sensor| i2c::temperature(bus, sensor.address)));
        let hottest = self.temperatures.iter().filter_map(read).chain(on_bus).max();
        let first = self.temperatures.first().cloned();
        let first = first.or_else(|| self.on_bus.first().map(|sensor| sensor.device.clone()));
        if hottest.is_none()
            && let Some(path) = first
        {
            self.tell(&path, "no temperature can be read");
        }
        hottest
    }

    /// Lux; `None` without a sensor, or when it does not answer.
    pub(super) fn light(&mut self) -> Option<u32> {
        let sensor = self
            .on_bus
            .iter_mut()
            .find(|sensor| sensor.measures == Measure::Light)?;
        sensor.look(|bus, sensor| i2c::light(bus, sensor.address, sensor.part, &mut sensor.awake))
    }

    /// `None` without a meter, or when it does not answer.
    pub(super) fn meter(&mut self) -> Option<MeterReading> {
        let sensor = self
            .on_bus
            .iter_mut()
            .find(|sensor| sensor.measures == Measure::Power)?;
        let Part::Meter(shunt_mohm) = sensor.part else {
            return None;
        };
        sensor.look(|bus, sensor| i2c::meter(bus, sensor.address, shunt_mohm))
    }

    /// `None` without a clock; `Some(None)` when it does not answer.
    pub(super) fn clock(&mut self) -> Option<Option<RtcReading>> {
        let file = self.clock.as_ref()?.join("since_epoch");
        let seconds = fs::read_to_string(file)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        Some(seconds.map(|seconds| RtcReading {
            time: UnixSeconds(seconds),
            // The kernel does not say whether it stopped; a year long gone is found out by whoever asks.
            trusted: true,
        }))
    }

    /// Drives the fan.
    pub(super) fn set_fan(&mut self, duty: Percent) {
        let Some(file) = self.fan.clone() else { return };
        // By hand, not by the chip's own curve.
        let mut enable = file.clone().into_os_string();
        enable.push("_enable");
        let _ = fs::write(enable, "1");
        let pwm = u32::from(duty.get()) * FULL_PWM / 100;
        self.write(&file, &pwm.to_string());
    }

    /// Drives the screen's light.
    pub(super) fn set_backlight(&mut self, share: Percent) {
        let Some(folder) = self.backlight.clone() else {
            return;
        };
        let most = fs::read_to_string(folder.join("max_brightness"));
        let most: u64 = most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(100);
        let level = u64::from(share.get()) * most / 100;
        self.write(&folder.join("brightness"), &level.to_string());
    }

    /// Lets the clock wake the board for its next window.
    pub(super) fn set_alarm(&mut self, wake: &Wake) {
        let Some(folder) = self.clock.clone() else { return };
        let file = folder.join("wakealarm");
        // It takes a new time only after the old one is gone.
        self.write(&file, "0");
        if let Some(at) = next_alarm(wake, clock::system().as_second()) {
            self.write(&file, &at.to_string());
        }
    }

    fn write(&mut self, file: &Path, text: &str) {
        if let Err(error) = fs::write(file, text) {
            self.tell(file, &error.to_string());
        }
    }

    fn tell(&mut self, path: &Path, reason: &str) {
        if self.told.insert(path.to_owned()) {
            // A virtual machine has none of them: a fact, not a fault.
            tracing::info!(path = %path.display(), reason, "a part of the board does not answer");
        }
    }
}

/// When the next window begins that has not begun yet, seconds since 1970.
fn next_alarm(wake: &Wake, now: i64) -> Option<i64> {
    let soonest = now.saturating_add(NEAREST_ALARM.as_secs().cast_signed());
    let mut from = now;
    // Under way, or too near: the one after it.
    for _ in 0..3 {
        let window = wake.current_or_next(UnixSeconds(from))?;
        if window.from >= soonest {
            return Some(window.from);
        }
        from = window.until;
    }
    None
}

#[cfg(test)]
mod tests {
    use board_link::{WakePlan, WakeWindow};

    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn parts_are_files_of_linux() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "sys/class/thermal/thermal_zone0/temp", "45250\n");
        write(root, "sys/class/hwmon/hwmon0/pwm1", "0\n");
        write(root, "sys/class/rtc/rtc0/since_epoch", "1795000000\n");
        let mut parts = Parts::of(&Board::builtin("arm-box-rev-a").unwrap(), root);
        assert_eq!(parts.temperature(), Some(CentiCelsius(4525)));
        parts.set_fan(Percent::new(50).unwrap());
        let driven = fs::read_to_string(root.join("sys/class/hwmon/hwmon0/pwm1")).unwrap();
        assert_eq!(driven, "127");
        let clock = parts.clock().unwrap().unwrap();
        assert_eq!((clock.time, clock.trusted), (UnixSeconds(1_795_000_000), true));

        let now = clock::system().as_second();
        let window = |from, minutes| WakeWindow {
            from: UnixSeconds(from),
            minutes,
        };
        let plan = WakePlan {
            windows: [window(now - 600, 30), window(now + 7_200, 60)]
                .into_iter()
                .collect(),
            weekly: None,
        };
        parts.set_alarm(&Wake::new(plan, None).unwrap());
        let alarm = fs::read_to_string(root.join("sys/class/rtc/rtc0/wakealarm")).unwrap();
        assert_eq!(alarm, (now + 7_200).to_string(), "not the one that is under way");
        parts.set_alarm(&Wake::default());
        let alarm = fs::read_to_string(root.join("sys/class/rtc/rtc0/wakealarm")).unwrap();
        assert_eq!(alarm, "0");
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut parts = Parts::of(&Board::builtin("generic-box-rev-a").unwrap(), dir.path());
        assert_eq!(parts.temperature(), None);
        assert_eq!(parts.clock(), None);
        parts.set_fan(Percent::FULL);
        parts.set_backlight(Percent::FULL);
        parts.set_alarm(&Wake::default());
        write(dir.path(), "sys/class/thermal/thermal_zone0/temp", "nonsense");
        assert_eq!(parts.temperature(), None);
    }
}
