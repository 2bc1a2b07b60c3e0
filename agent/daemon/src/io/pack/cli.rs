//! `bbt-agent pack …`: what a disk holds, its lessons taken by a stopped agent, a receipt asked of a running one.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use anyhow::{Context, bail};
use contract::{
    assignment::{AssignedLesson, Assignment},
    pack::PackedLesson,
    school::SchoolPlan,
    signed::Signed,
    usb::FOLDER,
};
use serde_json::{Value, json};

use super::{
    folder::DiskFolder,
    import::import,
    loose::Loose,
    make::{Maker, NewLesson, make},
    own,
    put::{self, Label},
    survey::{FoundLesson, Survey, pack_path, survey},
};
use crate::{
    author::AuthorFolder,
    config::Config,
    identity::{Identity, IdentityFolder},
    keeper,
    lock::DataLock,
    store::{ContentStore, LessonKey, StoreOptions},
    trust::{self, TrustDoor},
};

/// `bbt/` of what somebody named: the disk, or the folder itself.
fn named(disk: &Path) -> PathBuf {
    if disk.file_name().is_some_and(|name| name == FOLDER) {
        disk.to_owned()
    } else {
        disk.join(FOLDER)
    }
}

fn identity(config: &Config) -> anyhow::Result<Identity> {
    let identity = IdentityFolder::of(config).identity()?;
    identity.context("this device is not enrolled: no pack could be believed")
}

/// What the device believes, with what its school's plan says of authors.
fn believed(config: &Config, identity: &Identity) -> TrustDoor {
    let door = TrustDoor::default();
    door.replace(trust::resume(&config.data_dir, &identity.reply));
    let plan = std::fs::read(keeper::school_file(&config.data_dir)).ok();
    let plan = plan.and_then(|plan| serde_json::from_slice::<Signed<SchoolPlan>>(&plan).ok());
    if let Some(plan) = plan.and_then(|plan| door.verify(&plan).ok()) {
        door.with(|trust| trust.school(&plan));
    }
    door
}

fn look(
    config: &Config,
    identity: &Identity,
    disk: &Path,
) -> anyhow::Result<(DiskFolder, Survey, TrustDoor)> {
    let door = believed(config, identity);
    let bbt = DiskFolder::open(&named(disk)).context("Failed to open the disk")?;
    let found = survey(&bbt, Some(&identity.reply.device_id), &door).context("Failed to read the disk")?;
    Ok((bbt, found, door))
}

/// What is on a disk, and what of it is believed. Changes nothing.
///
/// # Errors
/// Not enrolled, or there is no such disk.
pub fn show(config: &Config, disk: &Path) -> anyhow::Result<Value> {
    let (_, found, _) = look(config, &identity(config)?, disk)?;
    let lesson = |found: &FoundLesson| {
        let PackedLesson {
            lesson,
            version,
            title,
            size_bytes,
            ..
        } = &found.packed;
        json!({
            "lesson": lesson, "version": version, "title": title, "size_bytes": size_bytes,
            "refused": found.refused.as_ref().map(ToString::to_string),
        })
    };
    let packs = found.packs.iter().map(|pack| {
        json!({
            "id": pack.manifest.id, "title": pack.manifest.title, "county": pack.manifest.county,
            "created_at": pack.manifest.created_at, "school": pack.school,
            "lessons": pack.lessons.iter().map(lesson).collect::<Vec<_>>(),
        })
    });
    let refused = found
        .refused
        .iter()
        .map(|(name, why)| json!({ "pack": name, "reason": why.to_string() }));
    Ok(json!({
        "packs": packs.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "assignments": found.assignments.len(),
    }))
}

/// Takes what is assigned from a disk, and with `all` everything that may be taken. The agent must not run: it does this by
/// itself.
///
/// # Errors
/// The agent runs, is not enrolled, or there is no such disk; lessons that did not come are in the answer.
pub fn take(config: &Config, disk: &Path, all: bool) -> anyhow::Result<(Value, bool)> {
    let _lock = DataLock::take(&config.data_dir).context(
        "the running agent takes lessons from disks by itself; plug it in, or look at the page on the board",
    )?;
    let identity = identity(config)?;
    let (bbt, found, door) = look(config, &identity, disk)?;
    let store = open_store(config, &door)?;
    let assigned = assigned(config, &door);
    let mut owned = own::load(&config.data_dir);
    let mut done = Vec::new();
    let mut good = true;
    for pack in &found.packs {
        let folder = bbt.inner(&pack_path(&pack.manifest.id))?;
        for lesson in pack.lessons.iter().filter(|lesson| lesson.refused.is_none()) {
            let same = |a: &&AssignedLesson| a.manifest == lesson.packed.manifest;
            let wanted = match assigned.iter().chain(&owned).find(same) {
                Some(wanted) => wanted.clone(),
                None if all && !assigned.iter().any(|a| a.lesson == lesson.packed.lesson) => {
                    let wanted = AssignedLesson {
                        lesson: lesson.packed.lesson.clone(),
                        version: lesson.packed.version,
                        manifest: lesson.packed.manifest,
                        size_bytes: lesson.packed.size_bytes,
                        pinned: false,
                        needed_by: None,
                    };
                    own::add(&config.data_dir, &mut owned, vec![wanted.clone()])
                        .context("Failed to note what is taken")?;
                    wanted
                }
                None => continue,
            };
            let key = LessonKey {
                lesson: wanted.lesson.clone(),
                version: wanted.version,
            };
            if store.held(&key)?.is_some_and(|held| held.is_ready()) {
                continue;
            }
            let stop = AtomicBool::new(false);
            let part_bytes = pack.manifest.part_bytes;
            let came = import(&store, &folder, part_bytes, &wanted, &stop, &mut |_| {});
            good &= came.is_ok();
            done.push(json!({
                "lesson": wanted.lesson, "version": wanted.version, "title": lesson.packed.title,
                "problem": came.err().map(|error| error.to_string()),
            }));
        }
    }
    Ok((json!({ "taken": done }), good))
}

fn open_store(config: &Config, door: &TrustDoor) -> anyhow::Result<ContentStore> {
    let options = StoreOptions {
        root: config.data_dir.clone(),
        trusted: door.with(|trust| trust.keys_of_the_held()),
        reserve_bytes: config.storage.reserve_bytes.unwrap_or(0),
        max_bytes: config.storage.max_bytes,
    };
    let (store, _) = ContentStore::open(options).context("Failed to open the lessons")?;
    store.trust(door.lesson_keys());
    Ok(store)
}

/// Makes a lesson of the school's own of the files in `folder`, in the order of their names, and writes it as a pack on the
/// disk at `out`, if one is named. The agent must not run: it does this from its page.
///
/// # Errors
/// The agent runs, is not enrolled or does not know its school, or a file is none that boards show; then nothing was made.
pub fn build(
    config: &Config,
    folder: &Path,
    mut wanted: NewLesson,
    out: Option<&Path>,
) -> anyhow::Result<Value> {
    let _lock = DataLock::take(&config.data_dir)
        .context("the running agent makes lessons from its page (more → 校本); stop it first")?;
    let identity = identity(config)?;
    let door = believed(config, &identity);
    let school = door.with(|trust| trust.own_school().map(str::to_owned));
    let school =
        school.context("this board does not know its school yet; let it connect to its console once")?;
    let disk = Loose::open(folder).context("Failed to open the folder")?;
    let listed = disk.list(&[]).context("Failed to read the folder")?;
    let files = listed.entries.into_iter().filter(|entry| !entry.folder);
    wanted.files = files.map(|entry| vec![entry.name]).collect();
    let author = AuthorFolder::of(config)
        .key()
        .context("Failed to have a key for the school's own lessons")?;
    door.with(|trust| trust.own_author(author.public.clone()));
    let store = open_store(config, &door)?;
    let key = wanted.version(&store, &door)?;
    let maker = Maker {
        store: &store,
        trust: &door,
        author: &author,
        school: &school,
    };
    let go_on = AtomicBool::new(false);
    let made =
        make(&maker, &disk, &wanted, &key, &go_on, &mut |_| {}).context("Failed to make the lesson")?;
    let mut owned = own::load(&config.data_dir);
    own::add(&config.data_dir, &mut owned, vec![made.clone()])
        .and_then(|()| own::settle(&config.data_dir, &mut owned, &made))
        .context("Failed to note the lesson")?;
    let plan = std::fs::read(keeper::school_file(&config.data_dir)).ok();
    let plan = plan.filter(|plan| put::may_carry(&door, plan));
    let pack = match out {
        Some(out) => {
            let placement = &identity.reply.placement;
            let label = Label {
                device: &identity.reply.device_id,
                place: &format!("{} {}", placement.region, placement.school),
                plan: plan.as_deref(),
            };
            let pack = put::write(&maker, &made, out, &label, &go_on, &mut |_| {});
            Some(pack.context("The lesson is made; failed to write it on the disk")?)
        }
        None => None,
    };
    Ok(json!({
        "lesson": made.lesson, "version": made.version, "size_bytes": made.size_bytes, "school": school,
        "author": author.public.key_id, "approved": door.with(|trust| trust.is_author()) == Some(true),
        "plan_on_disk": pack.is_some() && plan.is_some(), "pack": pack,
    }))
}

fn assigned(config: &Config, door: &TrustDoor) -> Vec<AssignedLesson> {
    let read = || -> Option<Assignment> {
        let bytes = std::fs::read(config.data_dir.join("state").join("assignment.json")).ok()?;
        let signed: Signed<Assignment> = serde_json::from_slice(&bytes).ok()?;
        door.verify(&signed).ok()
    };
    read().map(|assignment| assignment.lessons).unwrap_or_default()
}

/// Asks the running agent to write a receipt on a disk that it sees; gives its sentence.
///
/// # Errors
/// It does not run, does not see the disk, or could not write.
pub async fn receipt(config: &Config, disk: &Path) -> anyhow::Result<String> {
    let origin = format!("http://{}", config.player.listen);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(90))
        .build()
        .context("Failed to prepare the question")?;
    let asked = client.get(format!("{origin}/api/disks")).send().await;
    let disks: Value = asked
        .context("the agent does not run; start it first")?
        .json()
        .await?;
    let named = disk.canonicalize().unwrap_or_else(|_| disk.to_owned());
    let found = disks["disks"].as_array().into_iter().flatten().find(|card| {
        let path = card["path"].as_str().unwrap_or_default();
        Path::new(path) == disk || Path::new(path) == named
    });
    let Some(id) = found.and_then(|card| card["id"].as_str()) else {
        bail!(
            "the agent sees no lesson pack on {}; is it mounted under one of [usb] roots?",
            disk.display()
        );
    };
    let home: Value = client
        .get(format!("{origin}/api/home"))
        .send()
        .await?
        .json()
        .await?;
    let answer = client
        .post(format!("{origin}/api/disks/{id}/receipt"))
        .header("origin", &origin)
        .header("x-bbt-page", "1")
        .header("x-bbt-token", home["token"].as_str().unwrap_or_default())
        .json(&json!({}))
        .send()
        .await?;
    let good = answer.status().is_success();
    let said: Value = answer.json().await?;
    let said = said["message"].as_str().unwrap_or_default().to_owned();
    anyhow::ensure!(good, "{said}");
    Ok(said)
}
