//! What the page is told of a disk.

use super::{import::ImportError, receipt::NotWritten, survey::PackRefused};
use crate::{
    messages,
    shelf::{Denied, Said, WayNote},
    store::StoreError,
};

pub(super) fn said(key: &str, values: &[(&str, String)]) -> Said {
    messages::said(|all| &all.disk, key, values)
}

pub(super) fn note(problem: bool, key: &str, values: &[(&str, String)]) -> Option<WayNote> {
    Some(WayNote {
        problem,
        said: said(key, values),
    })
}

pub(super) fn denied(key: &str) -> Denied {
    Denied {
        said: said(key, &[]),
        classrooms: Vec::new(),
    }
}

pub(super) fn of_import(title: &str, error: &ImportError) -> Option<WayNote> {
    let lesson = ("title", title.to_owned());
    let reason = ("reason", error.to_string());
    match error {
        ImportError::Stopped => note(false, "stopped", &[]),
        ImportError::Disk(_) => note(true, "pulled", &[lesson]),
        ImportError::Damaged(_) => note(true, "damaged", &[lesson]),
        ImportError::Busy(_) => note(false, "busy", &[lesson]),
        ImportError::Store(StoreError::Full { needed, free, .. }) => {
            let mib = |bytes: &u64| format!("{} MB", bytes.div_ceil(1_000_000));
            note(
                true,
                "full",
                &[lesson, ("needed", mib(needed)), ("free", mib(free))],
            )
        }
        ImportError::Store(StoreError::Manifest { .. }) => note(true, "refused", &[lesson, reason]),
        ImportError::Store(_) => note(true, "store", &[lesson, reason]),
    }
}

pub(super) fn of_pack(name: &str, refused: &PackRefused) -> Option<WayNote> {
    let values = [("pack", name.to_owned()), ("reason", refused.to_string())];
    match refused {
        PackRefused::Stranger(_) => note(true, "stranger", &values),
        PackRefused::OtherSchool(school) => note(
            true,
            "other_school",
            &[("pack", name.to_owned()), ("school", school.clone())],
        ),
        PackRefused::NoAuthor => note(true, "no_author", &values),
        PackRefused::NoSchool => note(true, "no_school", &values),
        _ => note(true, "bad_pack", &values),
    }
}

pub(super) fn of_receipt(error: &NotWritten) -> Option<WayNote> {
    match error {
        NotWritten::ReadOnly => None,
        NotWritten::Full => note(true, "receipt_full", &[]),
        NotWritten::Other(reason) => note(true, "receipt", &[("reason", format!("{reason:#}"))]),
    }
}
