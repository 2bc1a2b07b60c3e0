//! What the board is made of, as far as the kernel tells: the marks by which a copied disk is found out.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use contract::hardware::{Hardware, MAX_FIELD_BYTES, MAX_MACS};

use crate::config::Config;

/// The board's marks now. A serial number that nobody tells is empty.
pub fn hardware(config: &Config) -> Hardware {
    let given = |text: &Option<String>| text.as_deref().map(str::trim).map(str::to_owned);
    Hardware {
        serial: given(&config.serial).or_else(serial).unwrap_or_default(),
        mcu_id: given(&config.identity.mcu_id),
        disk_id: given(&config.identity.disk_id).or_else(|| disk_id(Path::new("/sys"), &config.data_dir)),
        macs: macs(Path::new("/sys/class/net")),
    }
}

/// The board's own serial number, if it tells one.
fn serial() -> Option<String> {
    let places = [
        "/sys/class/dmi/id/product_serial",
        "/sys/class/dmi/id/board_serial",
        "/proc/device-tree/serial-number",
    ];
    places
        .iter()
        .find_map(|place| mark(Path::new(place)))
        .map(|text| text.chars().take(64).collect())
}

/// A text of the kernel that names something, and is not a maker's placeholder.
fn mark(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let blank = text
        .chars()
        .all(|c| matches!(c, '0' | 'F' | 'f' | 'x' | '-' | ' ' | '.'));
    let placeholder = text == "None" || text.contains("O.E.M") || text.contains("Default string");
    let bounded = text.len() <= MAX_FIELD_BYTES && !text.chars().any(char::is_control);
    (!text.is_empty() && !blank && !placeholder && bounded).then(|| text.to_owned())
}

/// The eMMC's CID, else the serial number or world-wide name, of the disk that holds `folder`. A virtual disk has none.
///
/// The order of places stays as it is for good. Which one spoke is not remembered: a place that is silent at one start (a
/// kernel without the driver's attribute) and tells at the next gives another mark, and the board takes itself for a copy
/// until somebody at the console accepts it.
fn disk_id(sys: &Path, folder: &Path) -> Option<String> {
    // Before the first start there is no data folder yet, but the file system is its parent's.
    let device = folder
        .ancestors()
        .find_map(|place| fs::metadata(place).ok())?
        .dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let block = fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}"))).ok()?;
    disk_mark(&block)
}

/// `block` is a partition or a whole disk.
fn disk_mark(block: &Path) -> Option<String> {
    let disk = if block.join("partition").exists() {
        block.parent()?
    } else {
        block
    };
    ["device/cid", "device/serial", "serial", "wwid", "device/wwid"]
        .iter()
        .find_map(|name| mark(&disk.join(name)))
}

/// Addresses of physical links, sorted.
fn macs(net: &Path) -> Vec<String> {
    let links: Vec<PathBuf> = fs::read_dir(net)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    let mut macs: Vec<_> = links
        .iter()
        .filter(|link| link.join("device").exists())
        .filter_map(|link| mark(&link.join("address")))
        .collect();
    macs.sort_unstable();
    macs.dedup();
    macs.truncate(MAX_MACS);
    macs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn an_emmc_is_named_by_its_cid_whichever_partition_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("mmcblk0");
        write(&disk.join("device/cid"), "150100444a4e4234520712345678abcd\n");
        write(&disk.join("mmcblk0p3/partition"), "3\n");
        let cid = Some("150100444a4e4234520712345678abcd".to_owned());
        assert_eq!(disk_mark(&disk.join("mmcblk0p3")), cid);
        assert_eq!(disk_mark(&disk), cid);
        write(&disk.join("device/cid"), "00000000000000000000000000000000\n");
        assert_eq!(disk_mark(&disk), None, "zeros name nothing");
        write(&disk.join("device/serial"), " S4EVNX0R \n");
        assert_eq!(disk_mark(&disk).as_deref(), Some("S4EVNX0R"));
    }

    #[test]
    fn only_physical_links_are_told_and_a_placeholder_is_no_serial() {
        let dir = tempfile::tempdir().unwrap();
        for (name, address, physical) in [
            ("wlan0", "02:00:00:00:00:02", true),
            ("eth0", "02:00:00:00:00:01", true),
            ("lo", "00:00:00:00:00:00", false),
            ("docker0", "02:42:00:00:00:01", false),
        ] {
            write(&dir.path().join(name).join("address"), address);
            if physical {
                fs::create_dir(dir.path().join(name).join("device")).unwrap();
            }
        }
        assert_eq!(macs(dir.path()), ["02:00:00:00:00:01", "02:00:00:00:00:02"]);
        for text in ["To Be Filled By O.E.M.", "None", "", "0000", "Default string"] {
            let file = dir.path().join("serial");
            fs::write(&file, text).unwrap();
            assert_eq!(mark(&file), None, "{text:?}");
        }
    }
}
