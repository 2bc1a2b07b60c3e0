//! Lesson folders on disk: which there are, what lies in them. Never follows a link.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use contract::{
    lesson::MAX_FILES,
    path::{LessonPath, PathError},
};

use super::{
    error::Reason,
    lesson_toml::{self, Description},
    plan::is_litter,
    prepare::{Bytes, Fault, Source},
};

/// Deepest folder in a lesson.
const MAX_DEPTH: usize = 8;

/// The lesson folders at `root`: itself, if it has a `lesson.toml`, else each folder in it, by name.
///
/// # Errors
/// `root` cannot be read, or holds no folder at all.
pub fn lesson_folders(root: &Path) -> Result<Vec<(String, PathBuf)>, Reason> {
    if root.join(lesson_toml::FILE_NAME).exists() {
        let name = root.file_name().map_or_else(
            || root.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        );
        return Ok(vec![(name, root.to_owned())]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !is_litter(&name) {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    if found.is_empty() {
        Err(Reason::NoLessonToml)
    } else {
        Ok(found)
    }
}

/// Reads a folder's `lesson.toml`.
///
/// # Errors
/// It is not there, too large, not UTF-8, or its fields are wrong.
pub fn description(folder: &Path) -> Result<Description, Reason> {
    let file = match File::open(folder.join(lesson_toml::FILE_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Reason::NoLessonToml),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(lesson_toml::MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > lesson_toml::MAX_BYTES {
        return Err(Reason::TooLarge {
            size: bytes.len() as u64,
            limit: lesson_toml::MAX_BYTES,
        });
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Reason::Description("it is not saved as UTF-8".into()))?;
    lesson_toml::parse(text.trim_start_matches('\u{feff}'))
}

/// Every file in the folder and its folders, but `lesson.toml` and litter.
///
/// # Errors
/// A link, a special file, a name that cannot stand in a lesson, or something unreadable; named.
pub fn sources(folder: &Path) -> Result<Vec<Source>, Fault> {
    let mut found = Vec::new();
    collect(folder, "", 0, &mut found)?;
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Source>) -> Result<(), Fault> {
    let at = |reason: Reason| (prefix.trim_end_matches('/').to_owned(), reason);
    if depth > MAX_DEPTH {
        return Err(at(Reason::Path(format!(
            "folders are nested more than {MAX_DEPTH} deep"
        ))));
    }
    for entry in fs::read_dir(folder).map_err(|e| at(e.into()))? {
        let entry = entry.map_err(|e| at(e.into()))?;
        let Ok(name) = entry.file_name().into_string() else {
            let shown = format!("{prefix}{}", entry.file_name().to_string_lossy());
            return Err((shown, Reason::Path("it is not UTF-8".into())));
        };
        if is_litter(&name) || (depth == 0 && name == lesson_toml::FILE_NAME) {
            continue;
        }
        let place = format!("{prefix}{name}");
        let fault = |reason: Reason| (place.clone(), reason);
        let meta = fs::symlink_metadata(entry.path()).map_err(|e| fault(e.into()))?;
        if meta.is_dir() {
            collect(&entry.path(), &format!("{place}/"), depth + 1, found)?;
            continue;
        }
        if !meta.is_file() {
            let what = if meta.is_symlink() {
                "it is a link"
            } else {
                "it is not an ordinary file"
            };
            return Err(fault(Reason::Unreadable(what.into())));
        }
        let path: LessonPath = place
            .parse()
            .map_err(|e: PathError| fault(Reason::Path(e.to_string())))?;
        if found.len() >= MAX_FILES {
            return Err(at(Reason::Description(format!(
                "a lesson has at most {MAX_FILES} files"
            ))));
        }
        found.push(Source {
            path,
            size: meta.len(),
            bytes: Bytes::Disk(entry.path()),
        });
    }
    Ok(())
}
