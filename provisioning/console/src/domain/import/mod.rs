//! Lessons into the console: from a folder or an upload, through every check, to objects and one database row.
//!
//! Order, which a cut at any point leaves harmless: everything is checked and sealed in staging → files become objects → the
//! manifest becomes an object → one transaction names them. A refused lesson leaves nothing at all.
//!
//! What is imported is a draft, and its manifest is unsigned: it is signed when its review is through, see [`release`]. Only
//! whoever has a shell on the console's machine may say with [`Importer::release`] that it shall be signed at once.
//!
//! [`plan`], [`lesson_toml`] and the checkers are pure; [`prepare`] reads disks; only this file knows database and keys.

pub mod error;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod image;
pub mod lesson_toml;
pub mod mp3;
pub mod mp4;
pub mod pdf;
pub mod plan;
pub mod prepare;
pub mod release;
pub mod sniff;
pub mod subtitle;
#[cfg(test)]
mod tests;
pub mod walk;
pub mod zip_safe;

use std::{path::Path, sync::Arc};

use contract::{
    id::LessonId,
    lesson::{FileEntry, LessonManifest, LessonMeta},
    path::LessonPath,
};
use jiff::Timestamp;

pub use self::{
    error::{ImportError, Reason},
    prepare::{OnProgress, Progress},
};
use self::{
    lesson_toml::{Description, ItemWish},
    prepare::{Bounds, Bytes, Prepared, Source},
    zip_safe::Limits,
};
use super::{
    convert::{self, Tools},
    lint::{self, Examined},
};
use crate::db::lint::Examination;
use crate::{
    db::{
        Db, DbError,
        lessons::NewVersion,
        scope::{Node, Scope},
    },
    domain::review::ReviewState,
    objects::{Objects, Staged},
    pki::keys::SigningKeys,
};

/// What an import writes to.
#[derive(Debug, Clone)]
pub struct Importer {
    /// Where versions are registered.
    pub db: Db,
    /// Where bytes go.
    pub objects: Objects,
    /// Signs manifests.
    pub keys: Arc<SigningKeys>,
    /// Most bytes of one lesson.
    pub max_lesson_bytes: u64,
    /// Whose a new lesson is.
    pub owner: Node,
    /// Owners whose lessons may be changed.
    pub scope: Scope,
    /// Who imports: an account, or `cli:` and the operating system's user.
    pub by: String,
    /// Why versions are released at once, past the review; `None`: they are drafts.
    pub release: Option<String>,
    /// Whether content that was withdrawn may come again as a new draft. An import of many lessons leaves it alone.
    pub revive: bool,
    /// Films in folders that boards do not decode are transcoded first.
    pub transcode: bool,
}

/// What became of one lesson.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The lesson.
    pub id: LessonId,
    /// The version that now is the newest.
    pub version: u32,
    /// 课题.
    pub title: String,
    /// What happened.
    pub change: Change,
    /// Where that version stands in the review.
    pub state: ReviewState,
    /// Files of the lesson.
    pub files: usize,
    /// Bytes a device stores for it.
    pub size_bytes: u64,
    /// Files of the folder that nothing names; they were not imported.
    pub ignored: Vec<LessonPath>,
}

/// What an import did to a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// First version.
    New,
    /// A version more.
    Updated,
    /// The same content is the newest version already.
    Unchanged,
    /// The same, but it was retired and is on offer again.
    Restored,
}

/// The outcome for one folder.
#[derive(Debug)]
pub struct LessonOutcome {
    /// The folder's name.
    pub folder: String,
    /// What became of it.
    pub result: Result<Imported, ImportError>,
}

/// A lesson from the form.
#[derive(Debug)]
pub struct Upload {
    /// The lesson, to add a version to it; without one it follows from `meta`.
    pub id: Option<LessonId>,
    /// Curriculum fields.
    pub meta: LessonMeta,
    /// Titles by file name; others are named after their files.
    pub titles: Vec<(String, String)>,
    /// File names as the browser sent them, and the bytes.
    pub files: Vec<(String, Staged)>,
    /// Films that boards do not decode are transcoded first.
    pub transcode: bool,
}

/// Imports a lesson folder, or a folder of lesson folders. A bad lesson does not keep the others from being imported.
///
/// # Errors
/// Only when `folder` itself cannot be read; everything else is in the outcomes.
pub async fn import_folder(
    importer: &Importer,
    folder: &Path,
    now: Timestamp,
    progress: OnProgress,
) -> Result<Vec<LessonOutcome>, ImportError> {
    let root = folder.to_owned();
    let found = blocking(move || walk::lesson_folders(&root)).await;
    let folders = found.map_err(|reason| ImportError {
        lesson: folder.display().to_string(),
        file: String::new(),
        reason,
    })?;
    let mut outcomes = Vec::with_capacity(folders.len());
    for (name, path) in folders {
        let result = import_one(importer, &name, path, now, &progress).await;
        outcomes.push(LessonOutcome { folder: name, result });
    }
    Ok(outcomes)
}

async fn import_one(
    importer: &Importer,
    name: &str,
    folder: std::path::PathBuf,
    now: Timestamp,
    progress: &OnProgress,
) -> Result<Imported, ImportError> {
    let gather = move || {
        let description =
            walk::description(&folder).map_err(|reason| (lesson_toml::FILE_NAME.to_owned(), reason))?;
        Ok((description, walk::sources(&folder)?))
    };
    import_gathered(importer, name, gather, importer.transcode, now, progress).await
}

/// Imports a lesson whose description and files are known.
///
/// # Errors
/// The file and the reason; nothing was registered.
pub async fn import_described(
    importer: &Importer,
    name: &str,
    (description, sources): (Description, Vec<Source>),
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let gather = move || Ok((description, sources));
    import_gathered(
        importer,
        name,
        gather,
        importer.transcode,
        now,
        &(Arc::new(|_| ()) as OnProgress),
    )
    .await
}

async fn import_gathered(
    importer: &Importer,
    name: &str,
    gather: impl FnOnce() -> Result<(Description, Vec<Source>), prepare::Fault> + Send + 'static,
    transcode: bool,
    now: Timestamp,
    progress: &OnProgress,
) -> Result<Imported, ImportError> {
    let (objects, bounds, progress, lesson) = (
        importer.objects.clone(),
        importer.bounds(),
        progress.clone(),
        name.to_owned(),
    );
    let prepared = blocking(move || {
        let (mut description, mut sources) = gather()?;
        if transcode {
            convert::bring_in(&objects, &mut description, &mut sources, Tools::of_this_machine())?;
        }
        let mut prepared = prepare::prepare(&objects, &lesson, &description, sources, bounds, &progress)?;
        convert::enrich(&objects, &mut prepared, Tools::of_this_machine())
            .map_err(|reason| (String::new(), reason))?;
        Ok((description, prepared))
    })
    .await;
    let (description, prepared) = prepared.map_err(|(file, reason)| fault(name, file, reason))?;
    importer
        .publish(description, prepared, now)
        .await
        .map_err(|reason| fault(name, String::new(), reason))
}

/// Imports what came by upload.
///
/// # Errors
/// The file and the reason; nothing was registered.
pub async fn import_upload(
    importer: &Importer,
    upload: Upload,
    now: Timestamp,
    progress: OnProgress,
) -> Result<Imported, ImportError> {
    let (name, transcode) = (upload.meta.title.clone(), upload.transcode);
    let gather = move || describe_upload(upload);
    import_gathered(importer, &name, gather, transcode, now, &progress).await
}

fn describe_upload(upload: Upload) -> Result<(Description, Vec<Source>), prepare::Fault> {
    let meta = lesson_toml::check_meta(upload.meta).map_err(|reason| (String::new(), reason))?;
    let mut sources: Vec<Source> = Vec::new();
    for (name, staged) in upload.files {
        // A browser sends a bare name; some old ones send a path of their own disk.
        let bare = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let path: LessonPath = bare
            .parse()
            .map_err(|e: contract::path::PathError| (name.clone(), Reason::Path(e.to_string())))?;
        if sources.iter().any(|s| s.path == path) {
            return Err((name, Reason::Path("two files of this name were sent".into())));
        }
        let size = staged.size().map_err(|error| (name.clone(), error.into()))?;
        sources.push(Source {
            path,
            size,
            bytes: Bytes::Uploaded(staged),
        });
    }
    let title_of = |path: &LessonPath| {
        upload
            .titles
            .iter()
            .find(|(name, _)| name == path.as_str())
            .map(|(_, t)| t.clone())
    };
    // The form lists the files in teaching order; subtitles find their video by name.
    let items = sources
        .iter()
        .filter(|s| !plan::is_subtitle(&s.path))
        .map(|s| ItemWish {
            file: s.path.clone(),
            title: title_of(&s.path),
            subtitles: None,
        })
        .collect();
    Ok((
        Description {
            id: upload.id,
            meta,
            items,
        },
        sources,
    ))
}

impl Importer {
    /// Bounds of one lesson.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            lesson_bytes: self.max_lesson_bytes,
            zip: Limits::default(),
        }
    }

    async fn publish(
        &self,
        description: Description,
        prepared: Prepared,
        now: Timestamp,
    ) -> Result<Imported, Reason> {
        let Description { id, meta, .. } = description;
        let id = match id {
            Some(id) => id,
            None => lesson_toml::derive_id(&meta, self.owner)?,
        };
        if self
            .db
            .lessons()
            .writable(&self.scope, &id)
            .await
            .map_err(database)?
            == Some(false)
        {
            return Err(Reason::Description(format!(
                "the id {id} is taken by somebody else's lesson; choose another"
            )));
        }
        let findings = prepared.examine().await?;
        let Prepared {
            items,
            files,
            ignored,
        } = prepared;
        let (entries, sealed): (Vec<FileEntry>, Vec<_>) = files.into_iter().unzip();
        let mut manifest = LessonManifest {
            id,
            version: 1,
            meta,
            items,
            files: entries,
            created_at: now,
        };
        manifest
            .check()
            .map_err(|error| Reason::Description(error.to_string()))?;
        let digest = release::content_digest(&manifest)?;
        let examination = Examination {
            content_digest: digest.clone(),
            source_digest: release::source_digest(&manifest)?,
            findings,
        };
        let told = |manifest: &LessonManifest, change, state| Imported {
            id: manifest.id.clone(),
            version: manifest.version,
            title: manifest.meta.title.clone(),
            change,
            state,
            files: manifest.files.len(),
            size_bytes: manifest.stored_bytes(),
            ignored: ignored.clone(),
        };
        // Before the look at what is registered: a file that the store has lost is mended by importing again.
        for file in sealed {
            self.objects.put(file).await?;
        }
        if let Some((unchanged, state)) = self.is_unchanged(&mut manifest, &examination).await? {
            return Ok(told(&manifest, unchanged, state));
        }
        // Another import of the same lesson may take the number; the second look finds the next one.
        for _ in 0..4 {
            let document = match self.release {
                Some(_) => release::sign(&self.keys, &manifest)?,
                None => release::draft(&manifest)?,
            };
            let hash = self.objects.put_manifest(document).await?;
            let new = NewVersion {
                release: self.release.clone(),
                ..release::version(&manifest, hash, &digest, &self.by)
            };
            match self
                .db
                .lessons()
                .insert_version(&self.scope, self.owner, &new)
                .await
            {
                Ok(_) => {
                    self.db
                        .lint()
                        .put(&manifest.id, manifest.version, &examination, now)
                        .await
                        .map_err(database)?;
                    let change = if manifest.version == 1 {
                        Change::New
                    } else {
                        Change::Updated
                    };
                    let state = match self.release {
                        Some(_) => ReviewState::Released,
                        None => ReviewState::Draft,
                    };
                    return Ok(told(&manifest, change, state));
                }
                Err(DbError::AlreadyExists { .. }) => {}
                // Somebody else's import of the same id came between.
                Err(DbError::NotFound { .. }) => {
                    return Err(Reason::Description(format!(
                        "the id {} is taken by somebody else's lesson; choose another",
                        manifest.id
                    )));
                }
                Err(error) => return Err(database(error)),
            }
            if let Some((unchanged, state)) = self.is_unchanged(&mut manifest, &examination).await? {
                return Ok(told(&manifest, unchanged, state));
            }
        }
        Err(Reason::Console(
            "other imports of the same lesson kept taking its version number".into(),
        ))
    }

    /// The highest version that devices have had of a lesson although this console, restored from a copy, does not know it.
    async fn floor(&self, lesson: &LessonId) -> Result<u32, Reason> {
        self.db.backups().version_floor(lesson).await.map_err(database)
    }

    /// Gives the manifest its number, or says that this content is the newest version already.
    async fn is_unchanged(
        &self,
        manifest: &mut LessonManifest,
        examined: &Examination,
    ) -> Result<Option<(Change, ReviewState)>, Reason> {
        let latest = self.db.lessons().latest(&manifest.id).await.map_err(database)?;
        let Some(latest) = latest else {
            manifest.version = 1 + self.floor(&manifest.id).await?;
            return Ok(None);
        };
        // A version whose manifest the store has lost cannot be fetched by anybody; it is followed by an equal one.
        let again = match latest.state {
            ReviewState::Withdrawn => self.revive,
            ReviewState::Released => false,
            // The same content waits for its review; in an emergency it does not.
            _ => self.release.is_some(),
        };
        // Today's programs may make other pictures of the same files than those of last year.
        let before = self
            .db
            .lint()
            .of(&manifest.id, latest.version)
            .await
            .map_err(database)?;
        let same_sources = before.is_some_and(|(before, _)| {
            before.content_digest == latest.content_digest && before.source_digest == examined.source_digest
        });
        let same = same_sources || latest.content_digest == examined.content_digest;
        if again || !same || self.objects.manifest(latest.manifest).await.is_err() {
            manifest.version = latest.version.max(self.floor(&manifest.id).await?) + 1;
            return Ok(None);
        }
        manifest.version = latest.version;
        if latest.retired && latest.state == ReviewState::Released {
            self.db
                .lessons()
                .restore(&self.scope, &manifest.id)
                .await
                .map_err(database)?;
            return Ok(Some((Change::Restored, latest.state)));
        }
        Ok(Some((Change::Unchanged, latest.state)))
    }
}

impl Prepared {
    /// What the linter says of it.
    async fn examine(&self) -> Result<Vec<lint::Finding>, Reason> {
        let items = self.items.clone();
        let files: Vec<_> = self
            .files
            .iter()
            .map(|(entry, sealed)| Examined {
                path: entry.path.to_string(),
                media_type: entry.media_type.clone(),
                size: entry.size,
                at: sealed.path().to_owned(),
            })
            .collect();
        blocking(move || Ok::<_, Reason>(lint::examine(&items, &files))).await
    }
}

fn fault(lesson: &str, file: String, reason: Reason) -> ImportError {
    ImportError {
        lesson: lesson.to_owned(),
        file,
        reason,
    }
}

fn database(error: DbError) -> Reason {
    Reason::Console(error.to_string())
}

/// Runs what waits for disks where waiting is allowed. A panic there is a failed import, not a failed console.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static + FromPanic,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(E::from_panic(error.to_string())),
    }
}

trait FromPanic {
    fn from_panic(what: String) -> Self;
}

impl FromPanic for Reason {
    fn from_panic(what: String) -> Self {
        Self::Console(what)
    }
}

impl FromPanic for prepare::Fault {
    fn from_panic(what: String) -> Self {
        (String::new(), Reason::Console(what))
    }
}
