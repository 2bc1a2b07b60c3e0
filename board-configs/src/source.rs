//! Finds board files and follows `inherit`. Knows no key but that one.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use toml::Table;

use crate::error::BoardError;
use crate::raw::RawBoard;

/// Levels of `inherit` between a board and its root, at most.
pub const MAX_DEPTH: usize = 4;

/// Bytes of a board file, at most.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;

static BUILTIN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// Where boards are looked for.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// In the program itself.
    Embedded,
    /// In a folder, then in the program: a folder's board may inherit from one that is built in.
    Dir(&'a Path),
}

/// The names of the boards in the program, sorted.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// One file on the way from a board to its root.
#[derive(Debug)]
pub(crate) struct Layer {
    /// For messages.
    pub(crate) file: String,
    pub(crate) table: Table,
}

/// The board's own file first, its root's last. Never empty.
pub(crate) fn layers(source: Source<'_>, name: &str) -> Result<Vec<Layer>, BoardError> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut chain: Vec<String> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        let again = chain.contains(&name);
        chain.push(name.clone());
        if again {
            return Err(BoardError::Cycle { chain });
        }
        if chain.len() > MAX_DEPTH + 1 {
            return Err(BoardError::TooDeep {
                chain,
                max: MAX_DEPTH,
            });
        }
        let asked_by = layers
            .last()
            .map_or("the configuration", |layer| layer.file.as_str());
        let (file, text) = read(source, &name, asked_by)?;
        let (layer, parent) = parse(file, &text)?;
        layers.push(layer);
        next = parent;
    }
    Ok(layers)
}

fn read(source: Source<'_>, name: &str, asked_by: &str) -> Result<(String, String), BoardError> {
    // Before any path is built from it: a name is no way out of the folder.
    if !is_name(name) {
        return Err(BoardError::BadName {
            name: name.to_owned(),
        });
    }
    if let Source::Dir(dir) = source {
        let path = dir.join(format!("{name}.toml"));
        let file = path.display().to_string();
        match read_bounded(&path, &file) {
            Err(BoardError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(text) => return Ok((file, text)),
        }
    }
    match BUILTIN.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ok((format!("{name}.toml (built in)"), (*text).to_owned())),
        None => Err(BoardError::Unknown {
            name: name.to_owned(),
            asked_by: asked_by.to_owned(),
            known: known_names(source),
        }),
    }
}

fn read_bounded(path: &Path, file: &str) -> Result<String, BoardError> {
    let failed = |source| BoardError::Read {
        file: file.to_owned(),
        source,
    };
    let mut text = String::new();
    let opened = fs::File::open(path).map_err(failed)?;
    opened
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let bytes = fs::metadata(path).map_or(text.len() as u64, |metadata| metadata.len());
        return Err(BoardError::TooLong {
            file: file.to_owned(),
            bytes,
            max: MAX_FILE_BYTES,
        });
    }
    Ok(text)
}

fn known_names(source: Source<'_>) -> Vec<String> {
    let mut names: Vec<String> = builtin_names().map(str::to_owned).collect();
    if let Source::Dir(dir) = source {
        // Only for the message; a folder that cannot be listed adds nothing to it.
        let files = fs::read_dir(dir).into_iter().flatten().flatten();
        names.extend(
            files
                .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
                .filter(|name| is_name(name)),
        );
    }
    names.sort();
    names.dedup();
    names
}

fn parse(file: String, text: &str) -> Result<(Layer, Option<String>), BoardError> {
    let located = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        BoardError::Parse {
            file: file.clone(),
            line: before.matches('\n').count() + 1,
            reason: error.message().to_owned(),
        }
    };
    // Read twice: typed, so that an unknown key is told with its own file and line; and as a table, which
    // remembers what was said here and what was left to the ancestors.
    let raw: RawBoard = toml::from_str(text).map_err(|error| located(&error))?;
    let table: Table = toml::from_str(text).map_err(|error| located(&error))?;
    Ok((Layer { file, table }, raw.inherit))
}

/// The board's name in a file's name.
pub(crate) fn name_of(file: &Path) -> Result<String, BoardError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_suffix(".toml").filter(|name| is_name(name)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(BoardError::BadFileName {
            file: file.display().to_string(),
        }),
    }
}

pub(crate) fn exists(file: &Path) -> Result<(), BoardError> {
    fs::metadata(file).map(drop).map_err(|source| BoardError::Read {
        file: file.display().to_string(),
        source,
    })
}

/// The names of the boards in a folder and in the program, sorted.
///
/// # Errors
/// The folder cannot be listed.
pub fn names(source: Source<'_>) -> Result<Vec<String>, BoardError> {
    if let Source::Dir(dir) = source {
        fs::read_dir(dir).map(drop).map_err(|reason| BoardError::Read {
            file: dir.display().to_string(),
            source: reason,
        })?;
    }
    Ok(known_names(source))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 64 && name.chars().all(plain) && name.contains("-rev-") && !name.starts_with('-')
}
