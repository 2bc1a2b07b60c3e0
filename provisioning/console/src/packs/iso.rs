//! A pack as an optical disc: ISO 9660 level 3 with Rock Ridge and Joliet, by xorriso where it is installed.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::PackFailure;

const PROGRAM: &str = "xorriso";

/// Whether discs can be made on this machine.
pub fn is_possible() -> bool {
    Command::new(PROGRAM)
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Makes the image `out` of everything in `folder`. `label` is what the disc is called: cut to 16 letters, digits and `_`, all
/// that Joliet and ISO 9660 both show. Blocks for as long as it takes.
///
/// # Errors
/// No such program, or what it says.
pub fn make(folder: &Path, out: &Path, label: &str) -> Result<(), PackFailure> {
    let label: String = label
        .to_ascii_uppercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(16)
        .collect();
    let made = Command::new(PROGRAM)
        .args([
            "-as",
            "mkisofs",
            "-quiet",
            "-iso-level",
            "3",
            "-R",
            "-J",
            "-joliet-long",
            "-V",
            &label,
            "-o",
        ])
        .arg(out)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output();
    match made {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr);
            let mut last: Vec<&str> = said
                .lines()
                .rev()
                .filter(|line| !line.trim().is_empty())
                .take(3)
                .collect();
            last.reverse();
            Err(PackFailure::Xorriso(last.join(" / ")))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(PackFailure::NoXorriso),
        Err(error) => Err(PackFailure::Xorriso(error.to_string())),
    }
}
