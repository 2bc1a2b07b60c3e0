//! Lessons out of a folder tree. A folder with a `lesson.toml` is a lesson, wherever it stands. Else a folder of files is a
//! lesson of its name; where the folder's name only says where it belongs (四年级下册, 第五单元), each file is one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use contract::{lesson::LessonMeta, path::LessonPath};

use super::{
    Candidate, Fault, Found, MAX_LESSONS,
    guess::{self, Part, part},
};
use crate::domain::{
    import::{
        Reason,
        lesson_toml::{self, Description},
        plan::{is_litter, is_subtitle, stem},
        prepare::{Bytes, Source},
        walk,
    },
    vocab,
};

/// Deepest folder.
const MAX_DEPTH: usize = 16;

/// Reads everything below `root`.
///
/// # Errors
/// `root` itself cannot be read.
pub fn tree(root: &Path) -> Result<Found, Reason> {
    let mut found = Found::default();
    fs::read_dir(root)?;
    folder(root, &mut Vec::new(), &mut found);
    Ok(found)
}

fn folder(at: &Path, above: &mut Vec<String>, found: &mut Found) {
    let place = above.join("/");
    if found.candidates.len() >= MAX_LESSONS || above.len() > MAX_DEPTH {
        let fault = Fault::new(&place, 0, "", "bulk_too_much").arg("limit", MAX_LESSONS);
        return found.fault(fault);
    }
    if at.join(lesson_toml::FILE_NAME).is_file() {
        let description = walk::description(at).map_err(|reason| (lesson_toml::FILE_NAME.to_owned(), reason));
        let read = description.and_then(|description| Ok((description, walk::sources(at)?)));
        return lesson(&place, read, found);
    }
    let (folders, files) = match entries(at) {
        Ok(entries) => entries,
        Err(reason) => return refuse(&place, "", &reason, found),
    };
    let last = above.last().map(String::as_str);
    if !files.is_empty() {
        match last.map(part) {
            None => found.ignored.extend(files.iter().map(|(name, _)| name.clone())),
            Some(Part::Free) => {
                let named = last.unwrap_or_default();
                let over: Vec<&str> = above.iter().rev().skip(1).rev().map(String::as_str).collect();
                let read = walk::sources(at).map(|sources| (described(named, &over), sources));
                return lesson(&place, read, found);
            }
            Some(_) => each_file(&place, &files, above, found),
        }
    }
    for (name, path) in folders {
        above.push(name);
        folder(&path, above, found);
        above.pop();
    }
}

type Entries = Vec<(String, PathBuf)>;

fn entries(at: &Path) -> Result<(Entries, Entries), Reason> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(at)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if is_litter(&name) {
            continue;
        }
        if kind.is_dir() {
            folders.push((name, entry.path()));
        } else {
            files.push((name, entry.path()));
        }
    }
    folders.sort();
    files.sort();
    Ok((folders, files))
}

/// Each file with the subtitles of its name.
fn each_file(place: &str, files: &Entries, above: &[String], found: &mut Found) {
    let over: Vec<&str> = above.iter().map(String::as_str).collect();
    let mut parsed: Vec<(LessonPath, &PathBuf)> = Vec::new();
    for (name, path) in files {
        match name.parse::<LessonPath>() {
            Ok(name) => parsed.push((name, path)),
            Err(error) => refuse(place, name, &Reason::Path(error.to_string()), found),
        }
    }
    for (file, path) in parsed.iter().filter(|(file, _)| !is_subtitle(file)) {
        let title = stem(file.as_str());
        let beside = parsed.iter().filter(|(other, _)| {
            is_subtitle(other)
                && other
                    .as_str()
                    .strip_prefix(title)
                    .is_some_and(|rest| rest.starts_with('.'))
        });
        let sources: Result<Vec<Source>, _> = std::iter::once((file, *path))
            .chain(beside.map(|(other, path)| (other, *path)))
            .map(|(name, path)| source(name.clone(), path).map_err(|reason| (name.to_string(), reason)))
            .collect();
        let read = sources.map(|sources| (described(title, &over), sources));
        lesson(&format!("{place}/{file}"), read, found);
    }
}

/// One file as a part of a lesson; a link or a special file is none.
pub(super) fn source(name: LessonPath, path: &Path) -> Result<Source, Reason> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Err(Reason::Unreadable("it is a link or no ordinary file".into()));
    }
    Ok(Source {
        path: name,
        size: meta.len(),
        bytes: Bytes::Disk(path.to_owned()),
    })
}

fn described(title: &str, above: &[&str]) -> Description {
    let mut meta = LessonMeta {
        title: title.trim().to_owned(),
        ..LessonMeta::default()
    };
    guess::above(above, &mut meta);
    Description {
        id: None,
        meta,
        items: Vec::new(),
    }
}

fn lesson(place: &str, read: Result<(Description, Vec<Source>), (String, Reason)>, found: &mut Found) {
    let (mut description, sources) = match read {
        Ok(read) => read,
        Err((file, reason)) => return refuse(place, &file, &reason, found),
    };
    let mut bad = false;
    for (field, value) in [
        (vocab::Field::Subject, &description.meta.subject),
        (vocab::Field::Grade, &description.meta.grade),
    ] {
        if value.is_empty() {
            bad = true;
            let name = vocab::of(field).map_or("", |v| v.name.as_str());
            found.fault(Fault::new(place, 0, name, "bulk_folder_lacks"));
        }
    }
    if bad {
        found.refused += 1;
        return;
    }
    match lesson_toml::check_meta(description.meta) {
        Ok(meta) => {
            description.meta = meta;
            found.candidates.push(Candidate {
                place: place.to_owned(),
                row: 0,
                description,
                sources,
            });
        }
        Err(reason) => refuse(place, "", &reason, found),
    }
}

fn refuse(place: &str, file: &str, reason: &Reason, found: &mut Found) {
    found.refused += 1;
    found.fault(refusal(place, 0, file, reason));
}

/// A lesson that the import does not take, as a fault.
pub(super) fn refusal(place: &str, row: usize, file: &str, reason: &Reason) -> Fault {
    if let Reason::Word(fault) = reason {
        return Fault::word(place, row, file, fault);
    }
    let shown = match (place, file) {
        ("", file) => file.to_owned(),
        (place, "") => place.to_owned(),
        (place, file) => format!("{place}/{file}"),
    };
    Fault::new(place, row, file, reason.code())
        .arg("file", shown)
        .arg("detail", reason.detail())
}
