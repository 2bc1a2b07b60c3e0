//! A board of files: what the kernel writes on an eMMC board with a panel, a loudspeaker and two ports.

use std::{os::unix::fs::symlink, path::Path};

use agent_core::health::happenings::{AliveNote, BootFacts, Ended, boot_reason};
use contract::{
    event::{BootReason, ReasonSource},
    id::BootId,
};

use super::*;

fn put(root: &Path, path: &str, text: &str) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn board() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n"),
        ("proc/loadavg", "1.50 0.70 0.30 2/300 12345\n"),
        (
            "proc/meminfo",
            "MemTotal:        2097152 kB\nMemFree:  1 kB\nMemAvailable:    1048576 kB\n",
        ),
        (
            "proc/pressure/cpu",
            "some avg10=0.00 avg60=12.50 avg300=0.00 total=1\n",
        ),
        (
            "proc/pressure/memory",
            "some avg10=0.00 avg60=1.25 avg300=0.40 total=1\nfull avg10=0 avg60=9 avg300=0 total=0\n",
        ),
        (
            "proc/pressure/io",
            "some avg10=0.00 avg60=nan avg300=0.40 total=1\n",
        ),
        ("proc/self/status", "Name:\tx\nVmRSS:\t   2048 kB\n"),
        ("sys/block/mmcblk0/device/life_time", "0x01 0x03\n"),
        ("sys/block/mmcblk0/device/pre_eol_info", "0x02\n"),
        ("sys/block/mmcblk0boot0/device/life_time", "0x0b 0x0b\n"),
        ("sys/class/thermal/thermal_zone0/temp", "51500\n"),
        ("sys/class/thermal/thermal_zone1/temp", "-274000\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "63250\n"),
        ("sys/class/hwmon/hwmon0/temp1_max", "99000\n"),
        ("sys/class/net/lo/statistics/rx_bytes", "999\n"),
        ("sys/class/net/lo/statistics/tx_bytes", "999\n"),
        ("sys/class/net/eth0/statistics/rx_bytes", "1000\n"),
        ("sys/class/net/eth0/statistics/tx_bytes", "500\n"),
        ("sys/class/net/eth0/device/vendor", "x"),
        ("sys/class/net/eth0/speed", "100\n"),
        ("sys/class/net/eth0/carrier", "1\n"),
        ("sys/class/net/eth1/device/vendor", "x"),
        ("sys/class/net/eth1/speed", "-1\n"),
        ("sys/class/drm/card0-HDMI-A-1/status", "connected\n"),
        ("sys/class/drm/card0-HDMI-A-1/enabled", "enabled\n"),
        ("sys/class/drm/card0-HDMI-A-1/dpms", "On\n"),
        ("sys/class/drm/card0-DP-1/status", "disconnected\n"),
        ("sys/class/drm/card0-DP-1/dpms", "Off\n"),
        ("proc/asound/cards", " 0 [x]\n"),
        (
            "proc/asound/card0/pcm0p/sub0/status",
            "state: RUNNING\nowner_pid   : 1\n",
        ),
        ("proc/asound/card0/pcm0c/sub0/status", "state: RUNNING\n"),
        ("sys/bus/usb/devices/usb1/idVendor", "1d6b\n"),
        ("sys/bus/usb/devices/usb1/idProduct", "0002\n"),
        ("sys/bus/usb/devices/usb1/bDeviceClass", "09\n"),
        ("sys/bus/usb/devices/1-1/idVendor", "0781\n"),
        ("sys/bus/usb/devices/1-1/idProduct", "5581\n"),
        ("sys/bus/usb/devices/1-1/bDeviceClass", "00\n"),
        ("sys/bus/usb/devices/1-1:1.0/bInterfaceClass", "08\n"),
        ("sys/bus/usb/devices/1-1:1.1/bInterfaceClass", "03\n"),
    ] {
        put(dir.path(), path, text);
    }
    dir
}

#[test]
fn a_board_of_files_is_read_field_by_field() {
    let dir = board();
    let mut probes = Probes::below(Root::new(dir.path()), dir.path());
    let first = probes.read();
    assert_eq!(
        (first.cpu_percent, first.network_rx_bytes),
        (None, None),
        "nothing to compare with yet"
    );
    put(dir.path(), "proc/stat", "cpu  200 0 150 1200 50 0 0 0 0 0\n");
    put(dir.path(), "sys/class/net/eth0/statistics/rx_bytes", "5000\n");
    let read = probes.read();
    assert_eq!(read.cpu_percent, Some(25.0));
    assert_eq!(read.load_1m, Some(1.5));
    assert_eq!(
        (read.memory_total_bytes, read.memory_available_bytes),
        (Some(2 << 30), Some(1 << 30))
    );
    assert_eq!(read.cpu_pressure_percent, Some(12.5));
    assert_eq!(
        (read.memory_pressure_percent, read.io_pressure_percent),
        (Some(1.25), None)
    );
    assert_eq!((read.emmc_wear_percent, read.emmc_pre_eol), (Some(30), Some(2)));
    assert_eq!(read.temperature_celsius, Some(63.25));
    assert_eq!(
        (read.network_rx_bytes, read.network_tx_bytes),
        (Some(4000), Some(0))
    );
    assert_eq!((read.link_mbps, read.agent_rss_bytes), (Some(100), Some(2 << 20)));
    assert_eq!((read.screen_on_s, read.speaker_on_s), (Some(0), Some(0)));
    assert_eq!(
        (read.disk_wear_percent, read.disk_reallocated_sectors),
        (None, None)
    );
}

#[test]
fn what_is_not_there_is_left_out_and_never_zero() {
    let empty = tempfile::tempdir().unwrap();
    let mut probes = Probes::below(Root::new(empty.path()), empty.path());
    probes.read();
    let mut read = probes.read();
    assert!(
        read.disk_total_bytes > Some(0),
        "the disk is asked by its own call"
    );
    (read.disk_total_bytes, read.disk_free_bytes, read.disk_free_inodes) = (None, None, None);
    assert_eq!(read, Readings::default());
    let sight = Looker::new(Root::new(empty.path()), empty.path()).look(true);
    assert_eq!((sight.usb, sight.apps, sight.link), (None, None, None));
}

#[test]
fn nonsense_of_the_kernel_is_no_reading() {
    let dir = board();
    for (path, text) in [
        ("proc/meminfo", "MemTotal: many kB\n"),
        ("sys/block/mmcblk0/device/life_time", "0x00 0xff\n"),
        ("sys/block/mmcblk0/device/pre_eol_info", "0x00\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "999999999\n"),
        ("sys/class/thermal/thermal_zone0/temp", "warm\n"),
        ("proc/pressure/cpu", "some avg60=1e9\n"),
    ] {
        put(dir.path(), path, text);
    }
    let read = Probes::below(Root::new(dir.path()), dir.path()).read();
    assert_eq!(read.memory_total_bytes, None);
    assert_eq!((read.emmc_wear_percent, read.emmc_pre_eol), (None, None));
    assert_eq!(
        (read.temperature_celsius, read.cpu_pressure_percent),
        (None, None)
    );
}

#[test]
fn screen_and_loudspeaker_are_on_for_as_long_as_they_are() {
    let dir = board();
    let root = Root::new(dir.path());
    let mut on = OnTimes::default();
    let begin = Instant::now();
    let at = |s: u64| begin + std::time::Duration::from_secs(s);
    on.look(&root, at(0));
    on.look(&root, at(10));
    put(dir.path(), "sys/class/drm/card0-HDMI-A-1/dpms", "Off\n");
    put(dir.path(), "proc/asound/card0/pcm0p/sub0/status", "closed\n");
    on.look(&root, at(20));
    assert_eq!(on.take(), (Some(10), Some(10)));
    put(dir.path(), "sys/class/drm/card0-HDMI-A-1/dpms", "On\n");
    on.look(&root, at(30));
    // The machine slept.
    on.look(&root, at(10_000));
    assert_eq!(on.take(), (Some(10), Some(0)));
    // The panel's own light counts.
    put(dir.path(), "sys/class/backlight/panel/bl_power", "4\n");
    on.look(&root, at(10_010));
    assert_eq!(on.take().0, Some(0));
}

#[test]
fn devices_links_and_programs_are_seen() {
    let dir = board();
    let program = |pid: u32, name: &str, library: &str| {
        put(
            dir.path(),
            &format!("proc/{pid}/stat"),
            &format!("{pid} ({name}) S {} 777 0 0", "0 ".repeat(18)),
        );
        put(
            dir.path(),
            &format!("proc/{pid}/maps"),
            &format!("7f00-7f01 r-xp 0 08:01 1 /usr/lib/{library}\n"),
        );
        symlink(
            format!("/usr/bin/{name}"),
            dir.path().join(format!("proc/{pid}/exe")),
        )
        .unwrap();
    };
    program(10, "chromium", "libX11.so.6");
    program(11, "cron", "libc.so.6");
    program(12, "Xorg", "libxcb.so.1");
    program(13, "game (2)", "libwayland-client.so.0");
    let mut looker = Looker::new(Root::new(dir.path()), dir.path());
    let sight = looker.look(true);
    let apps: Vec<_> = sight.apps.unwrap().into_iter().collect();
    assert_eq!(apps, ["chromium", "game (2)"]);
    let usb = sight.usb.unwrap();
    assert_eq!(
        (usb["1-1"].ids.as_str(), usb["1-1"].classes.as_slice()),
        ("0781:5581", &[3, 8][..])
    );
    assert_eq!(usb["usb1"].classes, [9]);
    assert_eq!((sight.link, sight.read_only), (Some(true), Some(false)));
    fs::remove_dir_all(dir.path().join("proc/13")).unwrap();
    put(dir.path(), "sys/class/net/eth0/carrier", "0\n");
    let sight = looker.look(true);
    assert_eq!((sight.apps.unwrap().len(), sight.link), (1, Some(false)));
    assert_eq!(looker.look(false).apps, None);
}

#[test]
fn the_kernel_says_why_the_board_was_off() {
    let dir = board();
    let root = Root::new(dir.path());
    let note = AliveNote {
        boot_id: BootId::new("b").unwrap(),
        ended: Ended::Not,
        wall_time: "2020-01-01T00:00:00Z".parse().ok(),
        budget: None,
    };
    let nothing = BootFacts {
        note: Some(note.clone()),
        ..BootFacts::default()
    };
    assert_eq!(boot_facts(&root, Some(note.clone())), nothing);
    put(dir.path(), "sys/class/watchdog/watchdog0/bootstatus", "32\n");
    let facts = boot_facts(&root, Some(note.clone()));
    assert_eq!(boot_reason(&facts), (BootReason::Watchdog, ReasonSource::Kernel));
    put(
        dir.path(),
        "sys/fs/pstore/console-ramoops-0",
        "every start leaves one\n",
    );
    assert!(!boot_facts(&root, Some(note.clone())).crash_record);
    put(dir.path(), "sys/fs/pstore/dmesg-ramoops-0", "Oops\n");
    assert!(boot_facts(&root, Some(note.clone())).crash_record);
    let told = AliveNote {
        wall_time: "2999-01-01T00:00:00Z".parse().ok(),
        ..note
    };
    assert!(!boot_facts(&root, Some(told)).crash_record, "it was there before");
}

#[test]
fn what_systemd_is_about_to_do_is_read() {
    assert_eq!(
        boot::ending_by("12 reboot.target start waiting\n13 bbt-agent.service stop running\n"),
        Ended::Restart
    );
    assert_eq!(
        boot::ending_by("12 poweroff.target start waiting\n"),
        Ended::Shutdown
    );
    assert_eq!(
        boot::ending_by("13 bbt-agent.service restart running\n"),
        Ended::Agent
    );
    assert_eq!(boot::ending_by(""), Ended::Agent);
}

#[test]
fn disks_that_tell_of_themselves_are_understood() {
    let nvme = serde_json::json!({"nvme_smart_health_information_log": {"percentage_used": 130}});
    assert_eq!(smart::parse(&nvme).unwrap().wear_percent, Some(100));
    let ata = serde_json::json!({
        "endurance_used": {"current_percent": 7},
        "ata_smart_attributes": {"table": [{"id": 5, "raw": {"value": 12}}, {"id": 9, "raw": {"value": 1}}]},
    });
    let found = smart::parse(&ata).unwrap();
    assert_eq!(
        (found.wear_percent, found.reallocated_sectors),
        (Some(7), Some(12))
    );
    assert_eq!(smart::parse(&serde_json::json!({"messages": []})), None);
}

#[test]
fn this_machine_gives_believable_readings() {
    let dir = tempfile::tempdir().unwrap();
    let mut probes = Probes::new(dir.path());
    probes.read();
    // Ticks are 10 ms.
    while probes.cpu == parse_cpu(&fs::read_to_string("/proc/stat").unwrap()) {
        std::thread::yield_now();
    }
    let second = probes.read();
    assert!(second.cpu_percent.is_some_and(|p| (0.0..=100.0).contains(&p)));
    assert!(second.memory_available_bytes < second.memory_total_bytes);
    assert!(second.disk_free_bytes <= second.disk_total_bytes && second.disk_total_bytes > Some(0));
    assert!(second.agent_rss_bytes > Some(100_000));
}
