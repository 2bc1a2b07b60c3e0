//! Every board that ships, and every way in which a board file can be wrong.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs;
use std::path::Path;

use board_configs::{
    Amplifier, AtShutdown, Board, BoardError, Drive, FanPoint, KEYS, MAX_FILE_BYTES, Mcu, Measure, Pin,
    Screen, ScreenProtocol, SecureElement, SensorAt, Source, book_table, builtin_names, names, schema,
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
        board.fan.unwrap().curve[0],
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
    assert_eq!(
        board.thermal.at_shutdown,
        AtShutdown::Report,
        "nobody's machine is stopped"
    );
    assert_eq!(board.watchdog.ask_s, 30, "what is left out has its default");
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
        (&b.mcu, b.thermal, &b.rails, b.pins, b.disk),
        (&a.mcu, a.thermal, &a.rails, a.pins, a.disk)
    );
    let (a, b_light) = (a.backlight.unwrap(), b.backlight.unwrap());
    assert_eq!((a.min_percent, a.ambient.len()), (b_light.min_percent, 0));
    assert_eq!((b_light.ambient.len(), b_light.ambient[1].lux), (4, 300));
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
               [mcu]\nkind = \"tcp\"\naddress = \"127.0.0.1:4000\"\n";
    let dir = folder(&[("rk3568-aio-rev-c", new)]);
    let board = Board::load(Source::Dir(dir.path()), "rk3568-aio-rev-c").unwrap();
    assert_eq!(
        board.mcu,
        Mcu::Tcp {
            address: "127.0.0.1:4000".into()
        },
        "a table that names its kind replaces its parent's"
    );
    assert_eq!(board.ram_mib, 4096);
}

#[test]
fn unknown_boards_and_keys_are_named_with_what_there_is() {
    refused(
        Board::builtin("rk3568-aio-rev-z"),
        &[
            "rk3568-aio-rev-z",
            "arm-box-rev-a, generic-box-rev-a, lm3s6965evb-rev-a",
        ],
    );
    let line = 1 + GOOD
        .lines()
        .position(|line| line.starts_with("hysteresis_c"))
        .unwrap();
    refused(
        with("hysteresis_c", "histeresis_c"),
        &[
            "lm3s6965evb-rev-a.toml",
            &format!("line {line}"),
            "histeresis_c",
            "`cut_at_c`",
        ],
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
        &["fan.curve[1] = [35, 50]", "more than 40"],
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

/// The RK3568 all-in-one with an heir's lines.
fn heir(lines: &str) -> Result<Board, BoardError> {
    let text = format!("inherit = \"rk3568-aio-rev-b\"\nmodel = \"rk3568-aio\"\nrevision = \"x\"\n{lines}");
    let dir = folder(&[("rk3568-aio-rev-x", &text)]);
    Board::load(Source::Dir(dir.path()), "rk3568-aio-rev-x")
}

/// The ARM box, which has no board controller, with an heir's lines.
fn box_heir(lines: &str) -> Result<Board, BoardError> {
    let text = format!("inherit = \"arm-box-rev-a\"\nmodel = \"arm-box\"\nrevision = \"x\"\n{lines}");
    let dir = folder(&[("arm-box-rev-x", &text)]);
    Board::load(Source::Dir(dir.path()), "arm-box-rev-x")
}

#[test]
fn no_pin_has_two_uses() {
    let twice = heir("[pins]\nled = \"PB13\"\n");
    refused(twice, &["pins.mute = \"PB13\"", "pins.led is wired to PB13"]);
    // A pin of a rail, said in the root; of a bus; and a rail's two pins.
    refused(
        heir("[pins]\nled = \"PB0\"\n"),
        &["rails[0].pin = \"PB0\"", "rk3568-aio-rev-a.toml", "pins.led"],
    );
    refused(heir("[pins]\nled = \"PB7\"\n"), &["i2c[0].sda", "pins.led"]);
    refused(
        heir("[[rails]]\nname = \"soc\"\npin = \"PB0\"\ngood_pin = \"PB0\"\n"),
        &["rails[0].good_pin = \"PB0\"", "rails[0].pin is wired"],
    );
    for bad in ["PB16", "PL0", "PB", "PB03", "B3", "pb3", "", "PB3 "] {
        refused(
            heir(&format!("[pins]\nled = \"{bad}\"\n")),
            &["pins.led", "PA0", "gpiochip0/17"],
        );
    }
}

#[test]
fn pins_are_of_whoever_guards_the_board() {
    refused(
        heir("[pins]\nled = \"gpiochip0/3\"\n"),
        &["pins.led", "pin of the board controller"],
    );
    refused(
        box_heir("[pins]\nled = \"PA3\"\n"),
        &["pins.led", "line of Linux"],
    );
    let board = box_heir("[pins]\nled = \"gpiochip1/17\"\n").unwrap();
    assert_eq!(board.pins.led, Some(Pin::Linux { chip: 1, line: 17 }));
    assert_eq!(board.pins.led.unwrap().to_string(), "gpiochip1/17");
    refused(
        box_heir("[fan]\nkind = \"pwm\"\ncurve = [[40, 100]]\n"),
        &["fan.kind = \"pwm\"", "\"linux\""],
    );
    refused(
        heir("[fan]\nkind = \"linux\"\npath = \"/sys/x\"\ncurve = [[40, 100]]\n"),
        &["fan.kind = \"linux\"", "\"pwm\""],
    );
    refused(
        box_heir("[[i2c]]\nbus = 0\nscl = \"gpiochip0/1\"\nsda = \"gpiochip0/2\"\n"),
        &["i2c", "Linux knows its buses"],
    );
}

#[test]
fn limits_that_are_inverted_are_named() {
    refused(
        heir("[backlight]\neye_care_percent = 10\n"),
        &["backlight.eye_care_percent = 10", "from 20 to 100"],
    );
    refused(
        heir("[backlight]\nambient = [[300, 40], [100, 80]]\n"),
        &["backlight.ambient[1] = [100, 80]", "more than 300"],
    );
    refused(
        heir("[backlight]\nambient = [[300, 10]]\n"),
        &["backlight.ambient[0] = 10", "20 to 100"],
    );
    let dark = "[[sensors]]\nmeasures = \"temperature\"\npart = \"lm75\"\nbus = 0\naddress = 0x48\n";
    refused(heir(dark), &["backlight.ambient", "measures = \"light\""]);
    refused(
        heir("[watchdog]\nask_s = 2\n"),
        &["watchdog.ask_s = 2", "5 to 600"],
    );
    refused(heir("[wake]\nlead_min = 4\n"), &["wake.lead_min = 4", "5 to 60"]);
    refused(
        heir("[[rails]]\nname = \"a\"\npin = \"PD0\"\ntimeout_ms = 0\n"),
        &["rails[0].timeout_ms = 0", "1 to 10000"],
    );
    refused(
        heir("[[rails]]\nname = \"a\"\npin = \"PD0\"\n[[rails]]\nname = \"a\"\npin = \"PD1\"\n"),
        &["rails[1].name = \"a\"", "rails[0] has this one"],
    );
    refused(
        heir("[[i2c]]\nbus = 1\nscl = \"PB6\"\nsda = \"PB7\"\n"),
        &["sensors[0].bus = 0", "[[i2c]]", "1"],
    );
}

#[test]
fn a_screen_is_told_as_its_kind_says() {
    let of = |board: &str| Board::builtin(board).unwrap().screen;
    assert_eq!(of("rk3588-aio-rev-a"), Screen::Own);
    assert_eq!(of("generic-box-rev-a"), Screen::None);
    assert!(matches!(
        of("retrofit-box-rev-a"),
        Screen::Rs232 {
            protocol: ScreenProtocol::Nec,
            baud: 9600,
            set_id: 1,
            ..
        }
    ));
    assert!(
        matches!(of("retrofit-box-rev-b"), Screen::Pjlink { address } if address == "192.168.10.20:4352")
    );
    refused(
        box_heir("[screen]\nkind = \"own\"\n"),
        &["screen.kind = \"own\"", "no panel"],
    );
    refused(
        box_heir("[screen]\nkind = \"pjlink\"\n"),
        &["screen.address is missing", "host:port"],
    );
    for bad in [
        "projector",
        "projector:",
        ":4352",
        "projector:0",
        "projector:70000",
        "a b:1",
    ] {
        refused(
            box_heir(&format!("[screen]\nkind = \"pjlink\"\naddress = \"{bad}\"\n")),
            &["screen.address", "host:port"],
        );
    }
    refused(
        box_heir("[screen]\nkind = \"pjlink\"\naddress = \"[::1]:4352\"\nset_id = 3\n"),
        &["screen.set_id = 3", "remove it"],
    );
    refused(
        heir("[amplifier]\nkind = \"gpio\"\n[pins]\nmute = 3\n"),
        &["expected a string"],
    );
    refused(
        box_heir("[amplifier]\nkind = \"gpio\"\n"),
        &["pins.mute is missing", "gpio"],
    );
    let alone = Board::builtin("arm-box-rev-a").unwrap();
    assert_eq!(alone.amplifier, Amplifier::Mixer, "inherited");
    assert!(matches!(alone.fan.unwrap().drive, Drive::Linux(path) if path.starts_with("/sys/")));
}

#[test]
fn a_file_is_read_by_its_path() {
    let dir = folder(&[(
        "rk3568-aio-rev-x",
        "inherit = \"rk3568-aio-rev-a\"\nrevision = \"x\"\n",
    )]);
    let file = dir.path().join("rk3568-aio-rev-x.toml");
    assert_eq!(Board::file(&file).unwrap().revision, "x");
    assert!(
        names(Source::Dir(dir.path()))
            .unwrap()
            .contains(&"rk3568-aio-rev-x".to_owned())
    );
    // One that is not there must not be answered with the program's own.
    refused(
        Board::file(&dir.path().join("rk3568-aio-rev-a.toml")),
        &["failed to read", "rk3568-aio-rev-a.toml"],
    );
    for name in ["board.toml", "x-rev-a.yaml", "X-rev-a.toml"] {
        refused(
            Board::file(&dir.path().join(name)),
            &[name, "<model>-rev-<revision>.toml"],
        );
    }
}

/// The text between two marks of the book's page.
const MARKS: [&str; 2] = [
    "<!-- keys: made by the test of board-configs -->\n",
    "<!-- end of keys -->",
];

/// `BLESS=1 cargo test -p board-configs` writes both anew.
#[test]
fn schema_and_book_are_made_of_the_keys() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bless = std::env::var_os("BLESS").is_some();
    let file = here.join("schema.json");
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if bless {
        fs::write(&file, &made).unwrap();
    }
    let same = fs::read_to_string(&file).unwrap() == made;
    assert!(
        same,
        "schema.json is not what the keys say; write it anew: BLESS=1"
    );

    let file = here.join("../docs/src/reference/board-configs.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (table, after) = rest.split_once(MARKS[1]).unwrap();
    if bless {
        let [begin, end] = MARKS;
        fs::write(&file, format!("{before}{begin}\n{}\n{end}{after}", book_table())).unwrap();
    } else {
        assert_eq!(table.trim(), book_table().trim(), "write it anew: BLESS=1");
    }
    for name in builtin_names() {
        assert!(
            page.contains(&format!("`{name}`")),
            "the book's page names {name}"
        );
    }
}

/// What the checks take, the schema takes; and what no check takes, it does not.
#[test]
fn the_schema_says_what_the_checks_say() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let json = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    for name in builtin_names() {
        let text = fs::read_to_string(dir.join(format!("{name}.toml"))).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&json(&text))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    for (from, to) in [
        ("cut_at_c = 90", "cut_at_c = 150"),
        ("cut_at_c = 90\n", ""),
        ("hysteresis_c", "histeresis_c"),
        ("class = \"generic\"", "class = \"z80\""),
        ("baud = 115200", "baud = 115201"),
        ("path = \"/dev", "path = \"dev"),
        ("led = \"PF0\"", "led = \"PF16\""),
        ("[[40, 20], [55, 50], [68, 100]]", "[]"),
        ("[55, 50]", "[55, 150]"),
        ("address = 0x48", "address = 0x78"),
        ("[fan]", "[fam]"),
        ("model = \"lm3s6965evb\"\n", ""),
    ] {
        assert!(GOOD.contains(from), "{from:?}");
        let text = GOOD.replacen(from, to, 1);
        assert!(!validator.is_valid(&json(&text)), "{to:?} is not allowed");
        assert!(with(from, to).is_err(), "{to:?} is not allowed");
    }
}

/// Every key can be written, and no other: what reads a file and the table of keys name the same ones.
#[test]
fn the_table_has_every_key_and_no_other() {
    let tables: std::collections::BTreeSet<&str> = KEYS
        .iter()
        .filter_map(|key| Some(key.name.split_once('.')?.0))
        .collect();
    for table in tables {
        let open = match table.strip_suffix("[]") {
            Some(list) => format!("[[{list}]]"),
            None => format!("[{table}]"),
        };
        // The reader of the file lists the keys that it knows when it meets another.
        let message = heir(&format!("{open}\nnonsense = 1\n")).unwrap_err().to_string();
        let known: std::collections::BTreeSet<String> = message
            .split('`')
            .skip(3)
            .step_by(2)
            .map(|key| format!("{table}.{key}"))
            .collect();
        let told: std::collections::BTreeSet<String> = KEYS
            .iter()
            .filter(|key| key.name.split_once('.').is_some_and(|(of, _)| of == table))
            .map(|key| key.name.to_owned())
            .collect();
        assert_eq!(known, told, "{message}");
    }
}
