//! From a reviewed draft to what boards believe: the draft's manifest is signed as it was admitted, and nothing else.

use std::sync::Arc;

use contract::{
    hash::Hash,
    lesson::{FileEntry, LessonManifest, LessonMeta, MAX_MANIFEST_BYTES},
};
use jiff::Timestamp;

use super::{Reason, lesson_toml};
use crate::{
    db::{
        Db, DbError,
        lessons::{NewFile, NewVersion},
        reviews::{Act, Emergency},
        scope::Scope,
    },
    domain::convert,
    objects::Objects,
    pki::keys::SigningKeys,
};

/// What releases and drafts are written with.
#[derive(Debug, Clone)]
pub struct Releaser {
    /// Where versions are registered.
    pub db: Db,
    /// Where manifests are.
    pub objects: Objects,
    /// Signs manifests.
    pub keys: Arc<SigningKeys>,
}

/// Why nothing was released or changed.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The database's word, the rules of the review among it.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The draft or the new description cannot be used.
    #[error("{0}")]
    Draft(Reason),
    /// What would be signed is not what was admitted.
    #[error(
        "the stored draft of {lesson} version {version} is not what was admitted; nothing was signed: import it again"
    )]
    NotAdmitted {
        /// The lesson.
        lesson: String,
        /// The version.
        version: u32,
    },
}

impl Releaser {
    /// 出库: signs the admitted draft and puts it on offer; answers how many devices got a new assignment.
    ///
    /// # Errors
    /// See [`ReleaseError`]; then nothing changed.
    pub async fn release(&self, act: &Act<'_>) -> Result<usize, ReleaseError> {
        let admitted = self.db.reviews().admitted(act).await?;
        let manifest = self.manifest(admitted.draft).await?;
        let same = manifest.id == *act.lesson
            && manifest.version == act.version
            && content_digest(&manifest).map_err(ReleaseError::Draft)? == admitted.content_digest;
        if !same {
            return Err(ReleaseError::NotAdmitted {
                lesson: act.lesson.to_string(),
                version: act.version,
            });
        }
        let document = sign(&self.keys, &manifest).map_err(ReleaseError::Draft)?;
        let signed = self
            .objects
            .put_manifest(document)
            .await
            .map_err(|e| ReleaseError::Draft(e.into()))?;
        Ok(self.db.reviews().release(act, signed).await?)
    }

    /// Signs a version that is not through its review and puts it on offer, because whoever runs the machine says so.
    ///
    /// # Errors
    /// See [`ReleaseError`]; then nothing changed.
    pub async fn emergency(&self, emergency: &Emergency<'_>) -> Result<usize, ReleaseError> {
        let latest = self.db.lessons().latest(emergency.lesson).await?;
        let latest = latest.ok_or_else(|| DbError::not_found("lesson", emergency.lesson))?;
        if !latest.state.is_open() {
            return Err(DbError::Conflict(format!(
                "version {} of {} is {}; import it again to have a new version",
                latest.version,
                emergency.lesson,
                latest.state.as_str()
            ))
            .into());
        }
        let manifest = self.manifest(latest.manifest).await?;
        let document = sign(&self.keys, &manifest).map_err(ReleaseError::Draft)?;
        let signed = self
            .objects
            .put_manifest(document)
            .await
            .map_err(|e| ReleaseError::Draft(e.into()))?;
        let reviews = self.db.reviews();
        Ok(reviews
            .release_now(emergency, latest.version, latest.manifest, signed)
            .await?)
    }

    /// The manifest of a draft, by the hash of its document.
    ///
    /// # Errors
    /// It is not there, or is no unsigned manifest.
    pub async fn manifest(&self, draft: Hash) -> Result<LessonManifest, ReleaseError> {
        let document = self
            .objects
            .manifest(draft)
            .await
            .map_err(|e| ReleaseError::Draft(e.into()))?;
        serde_json::from_slice(&document)
            .map_err(|e| ReleaseError::Draft(Reason::Console(format!("the draft cannot be read: {e}"))))
    }

    /// Changes a draft or a returned version in place: `change` gets its manifest. The version is a draft again.
    ///
    /// # Errors
    /// See [`ReleaseError`]; then nothing changed.
    pub async fn edit(
        &self,
        scope: &Scope,
        lesson: &contract::id::LessonId,
        version: u32,
        by: &str,
        now: Timestamp,
        change: impl FnOnce(&mut LessonManifest),
    ) -> Result<LessonManifest, ReleaseError> {
        if self.db.lessons().writable(scope, lesson).await? != Some(true) {
            return Err(DbError::not_found("lesson", lesson).into());
        }
        let latest = self.db.lessons().latest(lesson).await?;
        let latest = latest.ok_or_else(|| DbError::not_found("lesson", lesson))?;
        if latest.version != version || !latest.state.is_editable() {
            return Err(DbError::Conflict(format!(
                "only the newest version ({}, {}) of {lesson} can be changed, and only as long as it is a draft or was returned",
                latest.version,
                latest.state.as_str()
            ))
            .into());
        }
        let mut manifest = self.manifest(latest.manifest).await?;
        change(&mut manifest);
        (manifest.id, manifest.version) = (lesson.clone(), version);
        manifest.meta = lesson_toml::check_meta(manifest.meta).map_err(ReleaseError::Draft)?;
        manifest
            .check()
            .map_err(|error| ReleaseError::Draft(Reason::Description(error.to_string())))?;
        let digest = content_digest(&manifest).map_err(ReleaseError::Draft)?;
        let document = draft(&manifest).map_err(ReleaseError::Draft)?;
        let hash = self
            .objects
            .put_manifest(document)
            .await
            .map_err(|e| ReleaseError::Draft(e.into()))?;
        let new = NewVersion {
            created_at: now,
            ..self::version(&manifest, hash, &digest, by)
        };
        self.db.lessons().replace_draft(scope, &new).await?;
        Ok(manifest)
    }

    /// Gives a draft another description.
    ///
    /// # Errors
    /// See [`ReleaseError`]; then nothing changed.
    pub async fn describe(
        &self,
        scope: &Scope,
        lesson: &contract::id::LessonId,
        version: u32,
        meta: LessonMeta,
        by: &str,
        now: Timestamp,
    ) -> Result<LessonManifest, ReleaseError> {
        self.edit(scope, lesson, version, by, now, |manifest| manifest.meta = meta)
            .await
    }
}

/// The signed document of a manifest.
///
/// # Errors
/// It is larger than what devices read.
pub(super) fn sign(keys: &SigningKeys, manifest: &LessonManifest) -> Result<Vec<u8>, Reason> {
    let failed = |error: serde_json::Error| Reason::Console(error.to_string());
    let signed = keys.sign_content(manifest).map_err(failed)?;
    bounded(serde_json::to_vec(&signed).map_err(failed)?)
}

/// The unsigned document of a manifest: no device can take it for a signed one.
///
/// # Errors
/// It is larger than what devices read.
pub(super) fn draft(manifest: &LessonManifest) -> Result<Vec<u8>, Reason> {
    bounded(serde_json::to_vec(manifest).map_err(|error| Reason::Console(error.to_string()))?)
}

fn bounded(document: Vec<u8>) -> Result<Vec<u8>, Reason> {
    if document.len() > MAX_MANIFEST_BYTES {
        let (size, limit) = (document.len() as u64, MAX_MANIFEST_BYTES as u64);
        return Err(Reason::Description(format!(
            "its manifest has {size} bytes, more than the {limit} a device reads"
        )));
    }
    Ok(document)
}

/// Equal for equal lessons, whatever their version and time.
pub(super) fn content_digest(manifest: &LessonManifest) -> Result<String, Reason> {
    let content = serde_json::to_vec(&(&manifest.meta, &manifest.items, &manifest.files))
        .map_err(|error| Reason::Console(error.to_string()))?;
    Ok(blake3::hash(&content).to_hex().to_string())
}

/// Equal for lessons of equal files, whatever was made of them here.
pub(super) fn source_digest(manifest: &LessonManifest) -> Result<String, Reason> {
    let mut manifest = manifest.clone();
    for item in &mut manifest.items {
        (item.thumbnail, item.converted, item.pages) = (None, None, Vec::new());
    }
    manifest.files.retain(|file| !convert::is_derived(&file.path));
    content_digest(&manifest)
}

/// The row of a manifest, as a draft.
pub(super) fn version(manifest: &LessonManifest, hash: Hash, digest: &str, by: &str) -> NewVersion {
    let file = |f: &FileEntry| NewFile {
        path: f.path.clone(),
        hash: f.hash,
        size: f.size,
        media_type: f.media_type.clone(),
    };
    NewVersion {
        lesson: manifest.id.clone(),
        version: manifest.version,
        manifest: hash,
        content_digest: digest.to_owned(),
        size_bytes: manifest.stored_bytes(),
        meta: manifest.meta.clone(),
        items: manifest.items.clone(),
        files: manifest.files.iter().map(file).collect(),
        created_at: manifest.created_at,
        by: by.to_owned(),
        release: None,
    }
}
