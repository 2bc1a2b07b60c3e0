//! Who may import whom (docs/src/architecture.md), held against `cargo metadata`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Our crates, and which of ours each may use outside its own tests. A crate that is not here fails the test.
const TABLE: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("board-link", &[]),
    ("board-configs", &[]),
    ("board-core", &["board-link"]),
    ("agent-core", &["contract", "board-link"]),
    (
        "bbt-agent",
        &[
            "agent-core",
            "contract",
            "board-link",
            "board-core",
            "board-configs",
        ],
    ),
    ("bbt-console", &["contract", "board-configs"]),
    ("system-tests", &["*"]),
    ("xtask", &["*"]),
    ("powercut", &["bbt-agent", "contract"]),
];

/// What the pure crates must never see.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "agent-core",
        &["tokio", "rumqttc", "sled", "reqwest", "sysinfo", "axum"],
    ),
    (
        "contract",
        &["tokio", "rumqttc", "sled", "reqwest", "axum", "sqlx"],
    ),
    ("board-core", &["serde_json", "rumqttc", "tokio", "contract"]),
    ("board-link", &["serde_json", "rumqttc", "tokio", "contract"]),
];

fn ours() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let uses = |package: &cargo_metadata::Package| {
        let outside_tests = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development);
        outside_tests.map(|d| d.name.clone()).collect()
    };
    metadata
        .packages
        .iter()
        .map(|package| (package.name.to_string(), uses(package)))
        .collect()
}

#[test]
fn nobody_reaches_through_a_wall() {
    let table: BTreeMap<_, _> = TABLE.iter().copied().collect();
    let packages = ours();
    for (package, uses) in &packages {
        let allowed = table.get(package.as_str()).unwrap_or_else(|| {
            panic!("crate {package} is not in the table: add it here and to docs/src/architecture.md")
        });
        for used in uses.iter().filter(|used| packages.contains_key(*used)) {
            assert!(
                allowed.contains(&"*") || allowed.contains(&used.as_str()),
                "{package} imports {used}; it may import only {allowed:?}"
            );
        }
    }
    for (package, _) in TABLE {
        assert!(
            packages.contains_key(*package),
            "the table names {package}, which is no longer in the workspace"
        );
    }
}

#[test]
fn the_cores_stay_pure() {
    let packages = ours();
    for (package, forbidden) in FORBIDDEN {
        for name in *forbidden {
            assert!(
                !packages[*package].contains(*name),
                "{package} must not depend on {name}"
            );
        }
    }
}

/// The clock and the disk are kept out of the agent's core by its own lint file.
#[test]
fn the_agents_core_forbids_the_clock() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/core/clippy.toml");
    let text = std::fs::read_to_string(file).expect("agent/core/clippy.toml is missing");
    for word in [
        "std::time::Instant::now",
        "std::time::SystemTime::now",
        "std::fs::",
    ] {
        assert!(
            text.contains(word),
            "agent/core/clippy.toml no longer disallows {word}"
        );
    }
}

/// A file with tests that no target has would never be run.
#[test]
fn every_file_with_tests_is_a_journey() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let metadata = MetadataCommand::new()
        .manifest_path(here.join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name == "system-tests");
    let targets: BTreeSet<_> = package
        .unwrap()
        .targets
        .iter()
        .map(|target| target.src_path.clone().into_std_path_buf())
        .collect();
    let mut todo = vec![here.join("journeys"), here.join("house")];
    let mut seen = 0;
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if ["#[test]", "#[tokio::test"]
            .iter()
            .any(|mark| text.lines().any(|line| line.starts_with(mark)))
        {
            seen += 1;
            assert!(
                targets.contains(&path),
                "{} is no [[test]] of tests/Cargo.toml: its tests never run",
                path.display()
            );
        }
    }
    assert!(seen > 30, "only {seen} files with tests were found");
}

/// The root holds the seven rooms, the README, licence, lock and dot files, and nothing else.
#[test]
fn the_root_is_tidy() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let listed = std::process::Command::new("git")
        .args(["-C", root, "ls-files"])
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "git ls-files failed: run the tests in a checkout"
    );
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "agent",
        "board-configs",
        "docs",
        "firmware",
        "provisioning",
        "tests",
        "clippy.toml",
        "rustfmt.toml",
        "deny.toml",
    ];
    for file in String::from_utf8(listed.stdout).unwrap().lines() {
        let top = file.trim_matches('"').split('/').next().unwrap();
        assert!(
            top.starts_with('.') || allowed.contains(&top),
            "{file} does not belong in the root"
        );
    }
}
