//! `bbt-agent board …`: what boards there are, and whether a file is a good one.

use std::{fmt::Write as _, path::Path};

use board_configs::{Board, BoardError, Mcu, Screen, Source, names};
use serde_json::{Value, json};

/// The boards that there are, as JSON: those of `folder`, and those in the program.
///
/// # Errors
/// The folder cannot be listed. A file that is wrong is in the list, with its error.
pub fn list(folder: Option<&Path>) -> Result<Vec<Value>, BoardError> {
    let source = folder.map_or(Source::Embedded, Source::Dir);
    let of = |name: String| match Board::load(source, &name) {
        Ok(board) => summary(&board),
        Err(error) => json!({ "board": name, "error": error.to_string() }),
    };
    Ok(names(source)?.into_iter().map(of).collect())
}

/// The same as lines for people.
///
/// # Errors
/// As [`list`].
pub fn list_lines(folder: Option<&Path>) -> Result<String, BoardError> {
    let boards = list(folder)?;
    let width = boards
        .iter()
        .filter_map(|board| board["board"].as_str())
        .map(str::len)
        .max();
    let mut lines = String::new();
    for board in &boards {
        let name = board["board"].as_str().unwrap_or_default();
        let text = board["error"].as_str().map_or_else(
            || format!("{}  {}", word(&board["zh"]), word(&board["en"])),
            |error| format!("! {error}"),
        );
        let _ = writeln!(lines, "{name:width$}  {text}", width = width.unwrap_or_default());
    }
    Ok(lines)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Reads a file and what it inherits.
///
/// # Errors
/// Names the file, the key, what stands there and what may.
pub fn check(file: &Path) -> Result<Value, BoardError> {
    Board::file(file).map(|board| summary(&board))
}

/// What is said of a good file, for people.
pub fn good(file: &Path, board: &Value) -> String {
    format!(
        "{}: good. {}, {}; controller: {}; screen: {}",
        file.display(),
        word(&board["zh"]),
        word(&board["en"]),
        word(&board["controller"]),
        word(&board["screen"])
    )
}

/// The JSON Schema of board files.
pub fn schema() -> Value {
    board_configs::schema()
}

fn summary(board: &Board) -> Value {
    json!({
        "board": board.name,
        "zh": board.display.zh,
        "en": board.display.en,
        "ram_mib": board.ram_mib,
        "storage_gib": board.storage.gib,
        "controller": match &board.mcu {
            Mcu::None => "none".to_owned(),
            Mcu::Uart { path, baud } => format!("{path} at {baud} bit/s"),
            Mcu::Tcp { address } => format!("tcp:{address}"),
        },
        "screen": match &board.screen {
            Screen::None => "none".to_owned(),
            Screen::Own => "own".to_owned(),
            Screen::Rs232 { protocol, path, .. } => {
                format!("{} at {path}", format!("{protocol:?}").to_lowercase())
            }
            Screen::Pjlink { address } => format!("pjlink at {address}"),
        },
        "fan": board.fan.is_some(),
        "backlight": board.backlight.is_some(),
        "rails": board.rails.iter().map(|rail| &rail.name).collect::<Vec<_>>(),
        "sensors": board.sensors.iter().map(|sensor| &sensor.part).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_revision_is_one_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rk3588-aio-rev-b.toml");
        std::fs::write(
            &file,
            "inherit = \"rk3588-aio-rev-a\"\nrevision = \"b\"\n[soc]\nram_mib = 16384\n",
        )
        .unwrap();
        let board = check(&file).unwrap();
        assert_eq!(
            (&board["board"], &board["ram_mib"]),
            (&json!("rk3588-aio-rev-b"), &json!(16_384))
        );
        assert!(good(&file, &board).contains("/dev/ttyS9 at 460800"));
        let lines = list_lines(Some(dir.path())).unwrap();
        assert!(
            lines.contains("rk3588-aio-rev-b") && lines.contains("generic-box-rev-a"),
            "{lines}"
        );
        // One that is wrong is in the list all the same, and `check` names the key.
        std::fs::write(
            &file,
            "inherit = \"rk3588-aio-rev-a\"\nrevision = \"b\"\n[soc]\nram_mib = 1\n",
        )
        .unwrap();
        assert!(list_lines(Some(dir.path())).unwrap().contains("! board file"));
        let error = check(&file).unwrap_err().to_string();
        for word in ["rk3588-aio-rev-b.toml", "soc.ram_mib = 1", "from 64 to 1048576"] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn every_board_in_the_program_is_listed_without_an_error() {
        let boards = list(None).unwrap();
        assert!(boards.len() >= 9);
        assert!(
            boards.iter().all(|board| board.get("error").is_none()),
            "{boards:?}"
        );
        let error = list(Some(Path::new("/not/there"))).unwrap_err().to_string();
        assert!(error.contains("/not/there"), "{error}");
    }
}
