//! The files that a cell of a table names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use contract::path::LessonPath;

use super::tree::source;
use crate::domain::import::{
    plan::{is_litter, is_subtitle, natural, stem},
    prepare::Source,
    walk,
};

/// The files that a cell names, and those of them that a teacher opens: a file with its subtitles, or all in a folder.
pub(super) fn files(root: &Path, named: &str) -> Result<(Vec<Source>, Vec<LessonPath>), &'static str> {
    let named = named.replace('\\', "/");
    let named = named.trim_start_matches("./").trim_matches('/');
    let path: LessonPath = named.parse().map_err(|_| "bulk_path")?;
    let mut at = root.join(path.as_str());
    if at.is_dir() {
        let sources = walk::sources(&at).map_err(|_| "bulk_folder_unreadable")?;
        let mut items: Vec<LessonPath> = sources
            .iter()
            .map(|s| s.path.clone())
            .filter(|path| !is_subtitle(path))
            .collect();
        items.sort_by(|a, b| natural(a.as_str(), b.as_str()));
        return if items.is_empty() {
            Err("bulk_folder_empty")
        } else {
            Ok((sources, items))
        };
    }
    if !at.is_file() {
        at = without_extension(&at).ok_or("bulk_no_file")?;
    }
    let folder = at.parent().ok_or("bulk_no_file")?;
    let name = at.file_name().and_then(|n| n.to_str()).ok_or("bulk_path")?;
    let item: LessonPath = name.parse().map_err(|_| "bulk_path")?;
    let mut sources = vec![source(item.clone(), &at).map_err(|_| "bulk_no_file")?];
    for entry in fs::read_dir(folder)
        .map_err(|_| "bulk_folder_unreadable")?
        .flatten()
    {
        let Ok(other) = entry.file_name().into_string() else {
            continue;
        };
        let beside = other
            .strip_prefix(stem(name))
            .is_some_and(|rest| rest.starts_with('.'));
        let Ok(other) = other.parse::<LessonPath>() else {
            continue;
        };
        if beside
            && is_subtitle(&other)
            && let Ok(source) = source(other, &entry.path())
        {
            sources.push(source);
        }
    }
    Ok((sources, vec![item]))
}

/// The one file of that name with any extension but that of subtitles.
fn without_extension(at: &Path) -> Option<PathBuf> {
    let wanted = at.file_name()?.to_str()?;
    let mut fits = fs::read_dir(at.parent()?).ok()?.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let subtitle = name.ends_with(".vtt") || name.ends_with(".srt");
        !is_litter(&name) && !subtitle && stem(&name) == wanted
    });
    let only = fits.next()?.path();
    (fits.next().is_none() && only.is_file()).then_some(only)
}
