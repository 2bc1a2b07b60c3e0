use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/bbt-agent.toml")).map_err(|e| e.to_string())
}

const LEAST: &str = "data_dir = '/var/lib/bbt-agent'\nboard = 'generic-box-rev-a'\n";

#[test]
fn two_keys_are_enough() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.player.listen.to_string(), "127.0.0.1:8008");
    assert_eq!(config.player.courseware_port, 8009);
    assert_eq!(config.health.interval, Duration::from_secs(60));
    assert_eq!(config.system.reboot_command, ["systemctl", "reboot"]);
    assert_eq!((config.language, config.fetch.max_parallel), (Language::ZhCn, 4));
}

#[test]
fn a_reason_is_printed_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bbt-agent.toml");
    let printed = || format!("{:#}", anyhow::Error::from(Config::load(&file).unwrap_err()));
    assert_eq!(printed().matches("(os error 2)").count(), 1, "{}", printed());
    std::fs::write(&file, "board = ").unwrap();
    assert_eq!(printed().matches("TOML parse error").count(), 1, "{}", printed());
}

#[test]
fn all_that_is_missing_is_named_at_once_with_an_example_that_fits() {
    let printed = |text: &str| parse(text).unwrap_err();
    for (text, words, others) in [
        ("", &["missing: data_dir, board, serial"][..], &[][..]),
        (
            "language = 'en'\nserial = 'S1'",
            &["missing: data_dir, board;"],
            &["serial (where"],
        ),
        ("board = 'generic-box-rev-a'", &["missing: data_dir, serial"], &[]),
    ] {
        let error = printed(text);
        for word in words.iter().chain(&["/etc/bbt-agent.toml", EXAMPLE]) {
            assert!(error.contains(word), "{word:?} is missing in: {error}");
        }
        for word in others {
            assert!(!error.contains(word), "{word:?} is in: {error}");
        }
    }
    let none = Config::load(Path::new("/nowhere/agent.toml"))
        .unwrap_err()
        .to_string();
    for word in [
        "/nowhere/agent.toml",
        "--config",
        "data_dir, board",
        "serial",
        EXAMPLE,
    ] {
        assert!(none.contains(word), "{word:?} is missing in: {none}");
    }
    // As it stands the example asks for the number on the nameplate, and for nothing else.
    assert!(
        printed(EXAMPLE).contains("serial is \"\""),
        "{}",
        printed(EXAMPLE)
    );
    let filled = EXAMPLE.replace("serial = \"\"", "serial = \"SN-1\"");
    assert_eq!(parse(&filled).unwrap().serial.as_deref(), Some("SN-1"));
}

#[test]
fn an_error_names_file_key_and_what_is_allowed() {
    for (text, words) in [
        ("board = 'x'", &["data_dir"][..]),
        ("data_dir = ''\nboard = 'x'", &["data_dir", "/var/lib/bbt-agent"]),
        ("data_dir = '/d'\nboard = ''", &["board"]),
        (
            "data_dir = '/d'\nboard = 'foo-board'",
            &["board is \"foo-board\"", "one of", "generic-box-rev-a"],
        ),
        (&format!("{LEAST}colour = 1"), &["colour", "unknown field"]),
        (
            &format!("{LEAST}[health]\ninterval_s = 0"),
            &["health.interval_s", "1 to 86400"],
        ),
        (
            &format!("{LEAST}[fetch]\nmax_parallel = 99"),
            &["fetch.max_parallel", "1 to 8"],
        ),
        (
            &format!("{LEAST}[fetch]\nlimit_kbps = 1"),
            &["fetch.limit_kbps", "64 to"],
        ),
        (
            &format!("{LEAST}[storage]\nmax_bytes = 0"),
            &["storage.max_bytes"],
        ),
        (&format!("{LEAST}[player]\nlisten = 'somewhere'"), &["listen"]),
        (
            &format!("{LEAST}[player]\ncourseware_port = 8008"),
            &["player.courseware_port", "own origin"],
        ),
        (
            &format!("{LEAST}[identity]\ndisk_id = ''"),
            &["identity.disk_id", "128 bytes"],
        ),
        (
            &format!("{LEAST}[system]\nreboot_command = []"),
            &["system.reboot_command"],
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains("/etc/bbt-agent.toml"), "{error}");
        for word in words {
            assert!(error.contains(word), "{word:?} is missing in: {error}");
        }
    }
}

#[test]
fn a_door_for_other_boards_that_nobody_wrote_keeps_no_board_from_starting() {
    let port = |text: &str| parse(&format!("{LEAST}{text}")).map(|config| config.lan.listen.port());
    assert_eq!(port(""), Ok(8010));
    for player in [
        "[player]\nlisten = '127.0.0.1:8010'\n",
        "[player]\nlisten = '127.0.0.1:8009'\n",
        "[player]\ncourseware_port = 8010\n",
    ] {
        assert_eq!(port(player), Ok(0), "{player}");
        assert_eq!(port(&format!("{player}[lan]\nmdns = false")), Ok(0), "{player}");
        let written = format!("{player}[lan]\nlisten = '0.0.0.0:8010'\n");
        let error = port(&written).unwrap_err();
        assert!(
            error.contains("lan.listen") && error.contains("0 for any"),
            "{error}"
        );
        assert_eq!(port(&format!("{written}enabled = false")), Ok(8010), "{player}");
    }
    assert_eq!(port("[player]\nlan_listen = ['192.168.1.2:8010']"), Ok(0));
}

#[test]
fn live_apps_are_named_by_the_file_and_nobody_else() {
    let live = |text: &str| parse(&format!("{LEAST}{text}"));
    let config = live(
        "[live]\nopener = ['/usr/bin/kiosk', '--new']\n[[live.apps]]\nid = 'meet'\nname = '腾讯会议'\ncommand = ['/opt/meet']\n\
         check = 'meet.example:443'\nmax_rtt_ms = 150\n[[live.apps]]\nid = 'web'\nname = '云课堂'\nurl = 'https://class.example/join'\n",
    )
    .unwrap();
    let [meet, web] = &config.live.apps[..] else {
        panic!("two");
    };
    assert_eq!((meet.needs.max_rtt_ms, meet.needs.max_lost_percent), (150, 20));
    assert_eq!(
        web.command,
        ["/usr/bin/kiosk", "--new", "https://class.example/join"]
    );
    for (text, words) in [
        ("id = 'A b'\nname = 'x'\ncommand = ['x']", "live.apps.id"),
        ("id = 'a'\nname = ''\ncommand = ['x']", "live.apps.name"),
        ("id = 'a'\nname = 'x'", "either command or url"),
        (
            "id = 'a'\nname = 'x'\ncommand = ['x']\nurl = 'https://x'",
            "either command or url",
        ),
        (
            "id = 'a'\nname = 'x'\nurl = 'file:///etc/passwd'",
            "live.apps.url",
        ),
        ("id = 'a'\nname = 'x'\ncommand = ['']", "live.apps.command"),
        (
            "id = 'a'\nname = 'x'\ncommand = ['x']\ncheck = 'host'",
            "host:port",
        ),
        (
            "id = 'a'\nname = 'x'\ncommand = ['x']\nmax_rtt_ms = 1",
            "10 to 5000",
        ),
    ] {
        let error = live(&format!("[[live.apps]]\n{text}")).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn the_board_controller_is_where_the_boards_file_says_or_where_the_configuration_does() {
    use crate::io::link::Port;
    let link = parse(LEAST).unwrap().link;
    assert_eq!((link.at, link.baud), (None, None));
    let link = parse(&format!("{LEAST}[link]\nat = 'tcp:127.0.0.1:4000'\nbaud = 9600"))
        .unwrap()
        .link;
    assert_eq!(
        (link.at, link.baud),
        (Some(Port::Tcp("127.0.0.1:4000".into())), Some(9600))
    );
    for (text, word) in [("at = 'ttyS0'", "link.at"), ("baud = 3", "link.baud is 3")] {
        let error = parse(&format!("{LEAST}[link]\n{text}")).unwrap_err();
        assert!(error.contains(word) && error.contains("allowed"), "{error}");
    }
}

#[test]
fn a_county_adds_a_board_by_a_file_and_a_wrong_one_names_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rk3568-aio-rev-k.toml");
    let config = format!(
        "data_dir = '/d'\nboard = 'rk3568-aio-rev-k'\nboards = '{}'\n",
        dir.path().display()
    );
    assert!(parse(&config).unwrap_err().contains("rk3568-aio-rev-k"));
    std::fs::write(&file, "inherit = 'rk3568-aio-rev-b'\nrevision = 'k'\n").unwrap();
    assert_eq!(parse(&config).unwrap().board.name, "rk3568-aio-rev-k");
    std::fs::write(
        &file,
        "inherit = 'rk3568-aio-rev-b'\nrevision = 'k'\n[thermal]\ncut_at_c = 20\n",
    )
    .unwrap();
    let error = parse(&config).unwrap_err();
    for word in [
        "/etc/bbt-agent.toml",
        "rk3568-aio-rev-k.toml",
        "thermal.cut_at_c = 20",
    ] {
        assert!(error.contains(word), "{error}");
    }
}
