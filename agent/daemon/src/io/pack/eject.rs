//! Lets go of a disk: everything written is brought to it, then it is unmounted if we may.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::folder::DiskFolder;

/// Where the disk whose folder `bbt` is given is mounted; `None` if that folder is no disk's of its own.
pub fn mount_point(bbt: &Path) -> Option<PathBuf> {
    let disk = bbt.parent()?;
    let device = |path: &Path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    (device(disk)? != device(disk.parent()?)?).then(|| disk.to_owned())
}

/// Brings everything to the disk and unmounts it where that is allowed. Says whether it is unmounted; not being so harms
/// nothing, since nothing waits to be written.
///
/// # Errors
/// The disk did not take what was written.
pub fn eject(bbt: &Path) -> io::Result<bool> {
    let Ok(folder) = DiskFolder::open(bbt) else {
        return Ok(true);
    };
    match rustix::fs::syncfs(folder.fd()) {
        Ok(()) | Err(rustix::io::Errno::ROFS) => {}
        Err(error) => return Err(error.into()),
    }
    drop(folder);
    let Some(place) = mount_point(bbt) else {
        return Ok(false);
    };
    Ok(rustix::mount::unmount(&place, rustix::mount::UnmountFlags::empty()).is_ok())
}
