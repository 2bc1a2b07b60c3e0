//! Every board that ships, and every way in which a board file can be wrong.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs;
use std::path::Path;

use board_configs::{
    Board, BoardError, FanPoint, MAX_FILE_BYTES, Mcu, Measure, SecureElement, SensorAt, Source, builtin_names,
};
use tempfile::TempDir;

const GOOD: &str = include_str!("../boards/lm3s6965evb-rev-a.toml");

/// A folder with board files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(format!("{name}.toml")), text).unwrap();
    }
    dir
}

/// The emulated board with one piece replaced, loaded from a folder.
fn with(from: &str, to: &str) -> Result<Board, BoardError> {
    assert!(GOOD.contains(from), "{from:?} is in the board file");
    let dir = folder(&[("lm3s6965evb-rev-a", &GOOD.replacen(from, to, 1))]);
    Board::load(Source::Dir(dir.path()), "lm3s6965evb-rev-a")
}

/// The message must hold every one of `words`.
#[track_caller]
fn refused(board: Result<Board, BoardError>, words: &[&str]) {
    let message = board.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn every_file_in_the_folder_is_built_in_and_good() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let mut names: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| file.strip_suffix(".toml").unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, builtin_names().collect::<Vec<_>>());
    assert!(names.len() >= 4);
    for name in &names {
        let board = Board::builtin(name).unwrap();
        assert_eq!(&board.name, name);
        assert_eq!(board, Board::load(Source::Dir(&dir), name).unwrap());
        let text = fs::read_to_string(dir.join(format!("{name}.toml"))).unwrap();
        assert!(text.starts_with("# "), "{name} says what it is");
    }
}

#[test]
fn the_emulated_board_is_read_as_written() {
    let board = Board::builtin("lm3s6965evb-rev-a").unwrap();
    assert_eq!(
        board.mcu,
        Mcu::Uart {
            path: "/dev/ttyS0".into(),
            baud: 115_200
        }
    );
    assert_eq!(
        board.fan.unwrap()[0],
        FanPoint {
            at_c: 40,
            duty_percent: 20
        }
    );
    assert_eq!(
        board.sensors[0].at,
        SensorAt::I2c {
            bus: 0,
            address: 0x48
        }
    );
    assert_eq!((board.thermal.derate_at_c, board.thermal.cut_at_c), (70, 90));
}

#[test]
fn the_generic_box_asks_for_nothing() {
    let board = Board::builtin("generic-box-rev-a").unwrap();
    assert_eq!((board.mcu, board.fan, board.backlight), (Mcu::None, None, None));
}

#[test]
fn revision_b_is_revision_a_but_for_what_it_says() {
    let a = Board::builtin("rk3568-aio-rev-a").unwrap();
    let b = Board::builtin("rk3568-aio-rev-b").unwrap();
    assert_eq!(
        (b.ram_mib, b.storage.gib, b.storage.kind),
        (4096, 64, a.storage.kind)
    );
    assert_eq!(
        (&b.mcu, b.thermal, b.backlight, b.disk),
        (&a.mcu, a.thermal, a.backlight, a.disk)
    );
    assert_eq!(b.sensors.len(), 3, "lists are replaced, not joined");
    assert_eq!(b.sensors[2].measures, Measure::Light);
}

#[test]
fn a_board_names_what_keeps_its_key() {
    let of = |board: Result<Board, BoardError>| board.unwrap().secure_element;
    assert_eq!(of(Board::builtin("ops-pc-rev-a")), SecureElement::Tpm2);
    assert_eq!(
        of(Board::builtin("rk3568-aio-rev-a")),
        SecureElement::None,
        "may be left out"
    );
    let model = "model = \"lm3s6965evb\"";
    let named = |word: &str| with(model, &format!("{model}\nsecure_element = \"{word}\""));
    assert_eq!(of(named("none")), SecureElement::None);
    assert_eq!(of(named("tpm2")), SecureElement::Tpm2);
    refused(named("tpm"), &["secure_element = \"tpm\"", "\"none\", \"tpm2\""]);
}

#[test]
fn a_new_board_is_one_new_file() {
    let new = "# ours\ninherit = \"rk3568-aio-rev-b\"\nmodel = \"rk3568-aio\"\nrevision = \"c\"\n\
               [mcu]\nkind = \"none\"\n";
    let dir = folder(&[("rk3568-aio-rev-c", new)]);
    let board = Board::load(Source::Dir(dir.path()), "rk3568-aio-rev-c").unwrap();
    assert_eq!(
        board.mcu,
        Mcu::None,
        "a table that names its kind replaces its parent's"
    );
    assert_eq!(board.ram_mib, 4096);
}

#[test]
fn unknown_boards_and_keys_are_named_with_what_there_is() {
    refused(
        Board::builtin("rk3568-aio-rev-z"),
        &["rk3568-aio-rev-z", "generic-box-rev-a, lm3s6965evb-rev-a"],
    );
    refused(
        with("hysteresis_c", "histeresis_c"),
        &["lm3s6965evb-rev-a.toml", "line 30", "histeresis_c", "`cut_at_c`"],
    );
    refused(with("[fan]", "[fam]"), &["fam", "`fan`"]);
    refused(
        with("ram_mib = 1024", "ram_mib = \"1 GB\""),
        &["line 14", "expected i64"],
    );
    refused(with("[soc]", "[soc"), &["line 12"]);
}

#[test]
fn a_name_is_no_path() {
    for name in [
        "../secret-rev-a",
        "/etc/x-rev-a",
        "A-rev-a",
        "",
        "board",
        "-rev-a",
        &"x-rev-a".repeat(10),
    ] {
        refused(Board::builtin(name), &["<model>-rev-<revision>"]);
    }
}

#[test]
fn values_out_of_range_are_named_with_their_range() {
    let file = "lm3s6965evb-rev-a.toml";
    refused(
        with("cut_at_c = 90", "cut_at_c = 150"),
        &[file, "thermal.cut_at_c = 150", "from 30 to 120"],
    );
    refused(
        with("cut_at_c = 90", "cut_at_c = 80"),
        &["thermal.cut_at_c = 80", "more than thermal.shutdown_at_c = 80"],
    );
    refused(
        with("shutdown_at_c = 80", "shutdown_at_c = 60"),
        &["thermal.shutdown_at_c = 60", "more than"],
    );
    refused(
        with("hysteresis_c = 5", "hysteresis_c = 0"),
        &["thermal.hysteresis_c = 0", "1 to 20"],
    );
    refused(
        with("ram_mib = 1024", "ram_mib = -1"),
        &["soc.ram_mib = -1", "from 64"],
    );
    refused(
        with("ram_mib = 1024", "ram_mib = 9999999999999"),
        &["soc.ram_mib", "from 64"],
    );
    refused(
        with("class = \"generic\"", "class = \"z80\""),
        &["soc.class = \"z80\"", "\"x86-64\""],
    );
    refused(
        with("baud = 115200", "baud = 115201"),
        &["mcu.baud = 115201", "115200"],
    );
    refused(
        with("path = \"/dev", "path = \"dev"),
        &["mcu.path", "starts with '/'"],
    );
    refused(
        with("[55, 50]", "[35, 50]"),
        &["fan.curve[1] = [35, 50]", "hotter than 40"],
    );
    refused(with("[55, 50]", "[55, 10]"), &["fan.curve[1]", "at least 20 %"]);
    refused(with("[55, 50]", "[55, 150]"), &["fan.curve[1] = 150", "0 to 100"]);
    refused(
        with("[68, 100]", "[75, 100]"),
        &["fan.curve", "100 % at or below thermal.derate_at_c = 70"],
    );
    refused(
        with("[[40, 20], [55, 50], [68, 100]]", "[]"),
        &["fan.curve = []", "1 to 8 points"],
    );
    refused(
        with("default_percent = 80", "default_percent = 5"),
        &["backlight.default_percent = 5", "10 to 100"],
    );
    refused(
        with("max_percent = 100", "max_percent = 5"),
        &["backlight.max_percent = 5", "10 to 100"],
    );
    refused(
        with("reserve_mib = 512", "reserve_mib = 16384"),
        &["disk.reserve_mib", "storage.gib = 16"],
    );
    refused(
        with("address = 0x48", "address = 0x78"),
        &["sensors[0].address = 120", "8 to 119"],
    );
    refused(
        with("address = 0x48", "address = 0x68"),
        &["sensors[1]", "bus 0, address 0x68", "sensors[0] is there"],
    );
    refused(
        with("revision = \"a\"", "revision = \"b\""),
        &["revision = \"b\"", "lm3s6965evb-rev-b"],
    );
    refused(
        with("zh = \"仿真板", "zh = \"\\u0007仿真板"),
        &["display.zh", "printable"],
    );
}

#[test]
fn missing_and_meaningless_keys_are_named() {
    refused(
        with("cut_at_c = 90\n", ""),
        &["thermal.cut_at_c is missing", "from 30 to 120"],
    );
    refused(
        with("[mcu]\nkind = \"uart\"", "[mcu]\nkind = \"none\""),
        &["mcu.path", "remove it"],
    );
    refused(
        with("measures = \"temperature\"", "measures = \"light\""),
        &["sensors is missing", "temperature"],
    );
}

#[test]
fn a_bad_value_is_blamed_on_the_file_that_says_it() {
    let heir = "inherit = \"lm3s6965evb-rev-a\"\nmodel = \"lm3s6965evb\"\nrevision = \"b\"\n";
    let hot = GOOD.replace("cut_at_c = 90", "cut_at_c = 150");
    let dir = folder(&[("lm3s6965evb-rev-a", &hot), ("lm3s6965evb-rev-b", heir)]);
    let load = |dir: &TempDir| Board::load(Source::Dir(dir.path()), "lm3s6965evb-rev-b");
    refused(load(&dir), &["lm3s6965evb-rev-a.toml", "thermal.cut_at_c = 150"]);

    let heir = format!("{heir}[thermal]\ncut_at_c = 20\n");
    let dir = folder(&[("lm3s6965evb-rev-a", GOOD), ("lm3s6965evb-rev-b", &heir)]);
    refused(load(&dir), &["lm3s6965evb-rev-b.toml", "thermal.cut_at_c = 20"]);
}

#[test]
fn circles_and_long_lines_of_ancestors_are_named() {
    let heir = |of: &str| format!("inherit = \"{of}\"\n");
    let dir = folder(&[
        ("m-rev-a", &heir("m-rev-b")),
        ("m-rev-b", &heir("m-rev-a")),
        ("m-rev-c", &heir("m-rev-c")),
    ]);
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-a"),
        &["in a circle: m-rev-a → m-rev-b → m-rev-a;"],
    );
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-c"),
        &["in a circle: m-rev-c → m-rev-c;"],
    );

    let files: Vec<(String, String)> = (0..9)
        .map(|i| (format!("m-rev-{i}"), heir(&format!("m-rev-{}", i + 1))))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let dir = folder(&files);
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-0"),
        &["too deep", "m-rev-4 → m-rev-5;", "4 levels"],
    );

    let dir = folder(&[("m-rev-a", &heir("m-rev-gone"))]);
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-a"),
        &["m-rev-a.toml names board \"m-rev-gone\""],
    );
}

#[test]
fn a_file_that_is_no_board_file_is_refused() {
    let dir = folder(&[
        (
            "m-rev-a",
            &"#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1),
        ),
        ("m-rev-b", ""),
    ]);
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-a"),
        &["m-rev-a.toml", "65537 bytes"],
    );
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-b"),
        &["m-rev-b.toml", "model is missing"],
    );
    fs::write(dir.path().join("m-rev-c.toml"), [0xff, 0xfe, 0x00]).unwrap();
    refused(
        Board::load(Source::Dir(dir.path()), "m-rev-c"),
        &["failed to read", "m-rev-c.toml", "UTF-8"],
    );
}

#[test]
fn a_reserve_is_the_larger_of_its_two_and_never_more_than_the_disk() {
    let disk = Board::builtin("generic-box-rev-a").unwrap().disk;
    let gib = 1024 * 1024 * 1024;
    assert_eq!(disk.reserve_bytes(2 * gib), gib);
    assert_eq!(disk.reserve_bytes(100 * gib), 10 * gib);
    assert_eq!(disk.reserve_bytes(gib / 2), gib / 2);
}
