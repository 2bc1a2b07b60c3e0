//! Everything that the API does can be done by somebody: on a page or on the command line. What is neither is named here.
//!
//! The pages' calls are read from their source: `client.GET("/…")`, `call("get", …)`, addresses of files. A call in
//! `web/src/api` counts only if a page or component names the function around it. The command line's are in [`TYPED`], each a
//! verb that the program has.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bbt_console::cli::Cli;
use clap::CommandFactory;
use regex::Regex;

/// Operations that a verb of the command line does.
const TYPED: &[(&str, &str)] = &[
    ("GET /assets/{id}", "asset list"),
    ("GET /classrooms/export.csv", "classroom list"),
    ("GET /schools/export.csv", "school list"),
    ("POST /classrooms/{id}/timetable", "timetable import"),
    ("POST /schools/{id}/timetables", "timetable import"),
    ("GET /regions/{id}/line", "school line show"),
    ("PUT /regions/{id}/line", "school line set"),
    ("GET /report-preview", "report preview"),
    ("POST /lessons", "lesson import"),
    ("POST /lesson-imports", "lesson bulk"),
    ("POST /regions/{id}/roster", "roster import"),
    ("POST /backups", "backup create"),
    ("GET /backups", "backup list"),
    ("GET /restore-conflicts", "restore conflicts"),
    ("POST /restore-conflicts", "restore decide"),
    (
        "POST /restore-conflicts/withdrawals",
        "restore confirm-withdrawals",
    ),
];

/// Operations that are nobody's to call by hand, and why.
const NOBODYS: &[(&str, &str)] = &[(
    "GET /session/oidc/callback",
    "the provider of single sign-on sends the browser there",
)];

struct Call {
    method: String,
    path: Vec<String>,
    /// The function around it, for a call in `web/src/api`.
    function: Option<String>,
    file: usize,
}

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "locales" {
                sources(&path, found);
            }
        } else if (name.ends_with(".ts") || name.ends_with(".vue"))
            && name != "schema.d.ts"
            && !name.contains(".test.")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// `/a/${encodeURIComponent(b)}/c?d` as `a`, `{}`, `c`.
fn segments(path: &str) -> Vec<String> {
    let hole = Regex::new(r"\$\{(?:[^{}]|\{[^{}]*\})*\}?|\{\*?\w+\}").unwrap();
    let path = hole.replace_all(path, "{}");
    let path = path.split('?').next().unwrap();
    path.trim_matches('/').split('/').map(str::to_owned).collect()
}

fn calls(files: &[(PathBuf, String)]) -> Vec<Call> {
    let typed = Regex::new(r#"client\.(GET|POST|PUT|PATCH|DELETE)\(\s*"([^"]+)""#).unwrap();
    let named = Regex::new(r#"call(?:<[^(]*>)?\("(get|post|put|patch|delete)", ["`]([^"`]+)["`]"#).unwrap();
    let address = Regex::new(r#"(?:fileUrl\(["`]|/api/v1)(/[^"`?\s]*)"#).unwrap();
    let top = Regex::new(r"^export (?:const|(?:async )?function) (\w+)(.*)").unwrap();
    let member = Regex::new(r"^  (?:async )?(\w+)(?::|\()").unwrap();
    let mut calls = Vec::new();
    for (file, (path, text)) in files.iter().enumerate() {
        let is_api = path.to_str().unwrap().contains("/src/api/");
        let (mut function, mut within) = (None, false);
        for line in text.lines() {
            if let Some(found) = top.captures(line) {
                function = Some(found[1].to_owned());
                within = found[2].trim_end().ends_with("= {");
            } else if within && let Some(found) = member.captures(line) {
                function = Some(found[1].to_owned());
            }
            let mut add = |method: &str, path: &str| {
                calls.push(Call {
                    method: method.to_uppercase(),
                    path: segments(path),
                    function: function.clone().filter(|_| is_api),
                    file,
                });
            };
            for found in typed.captures_iter(line).chain(named.captures_iter(line)) {
                add(&found[1], &found[2]);
            }
            for found in address.captures_iter(line) {
                let sends = line.contains("send") || line.contains("\"POST\"");
                add(if sends { "POST" } else { "GET" }, &found[1]);
            }
        }
    }
    calls
}

/// Whether a call is one of the operation; a hole in the call stands for a word of the path only if the file says that word.
fn is_one(operation: &[String], call: &Call, text: &str) -> bool {
    let rest = operation.last().is_some_and(|last| last == "{}") && call.path.len() > operation.len();
    let length = operation.len() == call.path.len() || rest && operation.contains(&"files".to_owned());
    length
        && operation.iter().zip(&call.path).all(|(is, called)| {
            is == called
                || is.contains("{}") && called.contains("{}")
                || called == "{}" && text.contains(&format!("\"{is}\""))
        })
}

#[test]
fn everything_that_the_api_does_is_on_a_page_or_on_the_command_line() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/src");
    let mut files = Vec::new();
    sources(&web, &mut files);
    let calls = calls(&files);
    let pages: String = files
        .iter()
        .filter(|(path, _)| !path.to_str().unwrap().contains("/src/api/"))
        .map(|(_, text)| text.as_str())
        .collect();
    let words: BTreeSet<&str> = Regex::new(r"\w+")
        .unwrap()
        .find_iter(&pages)
        .map(|m| m.as_str())
        .collect();
    let used = |call: &Call| call.function.as_ref().is_none_or(|f| words.contains(f.as_str()));

    let document = bbt_console::router::openapi();
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let (mut on_pages, mut typed, mut out_of_reach) = (0, 0, Vec::new());
    for operation in &operations {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = segments(path);
        let on_page = calls
            .iter()
            .any(|call| call.method == method && is_one(&path, call, &files[call.file].1) && used(call));
        if on_page {
            on_pages += 1;
        } else if TYPED.iter().any(|(named, _)| named == operation) {
            typed += 1;
        } else if !NOBODYS.iter().any(|(named, _)| named == operation) {
            out_of_reach.push(operation.as_str());
        }
    }
    println!(
        "{} operations: {on_pages} on pages, {typed} by the command line alone, {} nobody's",
        operations.len(),
        NOBODYS.len()
    );
    assert!(
        out_of_reach.is_empty(),
        "neither a page nor the command line reaches {out_of_reach:?}"
    );
    for (named, _) in TYPED.iter().chain(NOBODYS) {
        assert!(operations.contains(*named), "{named} is no operation (any more)");
    }
    let cli = Cli::command();
    for (_, verb) in TYPED {
        let mut at = &cli;
        for word in verb.split(' ') {
            at = at
                .find_subcommand(word)
                .unwrap_or_else(|| panic!("bbt-console has no {verb}"));
        }
    }
}

#[test]
fn whatever_lists_or_shows_can_print_json() {
    fn walk(command: &clap::Command, path: &str, wrong: &mut Vec<String>, seen: &mut u32) {
        let mut leaf = true;
        for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
            leaf = false;
            walk(below, format!("{path} {}", below.get_name()).trim(), wrong, seen);
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        let shows = about.starts_with("List ")
            || about.starts_with("Show ")
            || ["list", "show", "status"].contains(&name);
        if leaf && shows {
            *seen += 1;
            let json = command.get_arguments().any(|arg| arg.get_id() == "json");
            if !json {
                wrong.push(format!("{path}: {about}"));
            }
        }
    }
    let (mut wrong, mut seen) = (Vec::new(), 0);
    walk(&Cli::command(), "", &mut wrong, &mut seen);
    println!("{seen} verbs list or show");
    assert!(wrong.is_empty(), "no --json:\n{}", wrong.join("\n"));
    assert!(seen > 40, "{seen}");
}

#[test]
fn completion_and_manual_name_every_verb() {
    for (shell, word) in [
        (clap_complete::Shell::Bash, "bbt__console"),
        (clap_complete::Shell::Zsh, "#compdef bbt-console"),
        (clap_complete::Shell::Fish, "complete -c bbt-console"),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "bbt-console", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(
            script.contains(word) || script.contains("_bbt-console"),
            "{shell}"
        );
        for verb in Cli::command().get_subcommands() {
            assert!(
                script.contains(verb.get_name()),
                "{shell} does not know {}",
                verb.get_name()
            );
        }
    }
    let folder = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(Cli::command(), folder.path()).unwrap();
    let pages = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(pages > 100, "{pages} pages");
    let page = std::fs::read_to_string(folder.path().join("bbt-console-backup-create.1")).unwrap();
    assert!(page.contains("without\\-lessons"), "{page}");
}
