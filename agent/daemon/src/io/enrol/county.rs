//! What the board knows of its county: its identity's; before it has one, `[county] file`, else `county.json` in the data
//! folder, else `county.usb.json` there, where a USB disk's is put.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use contract::{
    signed::{KeyRole, TrustedKey},
    usb::{CountyFile, MAX_FILE_BYTES},
};

use crate::{config::Config, files, identity::IdentityFolder};

/// Why a county file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CountyError {
    /// It cannot be read.
    #[error("cannot read the county file {file}: {reason}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// It is no county file, or lacks what makes it one.
    #[error("the county file {file} is of no use: {reason}")]
    Useless {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Who told the board of its county.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The console itself, at enrolment.
    Identity,
    /// Whoever set the board up.
    File,
    /// A USB disk; another one may say otherwise.
    Disk,
}

/// The county, if the board knows it.
///
/// # Errors
/// There is a file, and it is of no use.
pub fn load(config: &Config) -> Result<Option<CountyFile>, CountyError> {
    Ok(find(config)?.map(|(county, _)| county))
}

/// The county, if the board knows it, and from whom.
///
/// # Errors
/// As [`load`].
pub fn find(config: &Config) -> Result<Option<(CountyFile, Source)>, CountyError> {
    let own = config.data_dir.join("county.json");
    let files = config.county.file.iter().chain([&own]);
    let files = files.map(|file| (file.clone(), Source::File));
    let disk = (kept_at(&config.data_dir), Source::Disk);
    let enrolled = IdentityFolder::of(config).county();
    for (file, source) in files.chain([disk]) {
        let Some(county) = read(&file)? else { continue };
        match &enrolled {
            None => return Ok(Some((county, source))),
            // Name and page are the file's to tell; whom to believe is not.
            Some(enrolled) if same_root(enrolled, &county) => {
                let county = CountyFile {
                    county: county.county,
                    web_url: county.web_url,
                    ..enrolled.clone()
                };
                return Ok(Some((county, Source::Identity)));
            }
            Some(_) => {}
        }
    }
    Ok(enrolled.map(|county| (county, Source::Identity)))
}

/// Keeps what a USB disk said, for a board that is not enrolled.
///
/// # Errors
/// Nothing is kept.
pub fn keep(data_dir: &Path, county: &CountyFile) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    files::replace(&kept_at(data_dir), &serde_json::to_vec_pretty(county)?, 0o644)
}

fn kept_at(data_dir: &Path) -> PathBuf {
    data_dir.join("county.usb.json")
}

fn read(file: &Path) -> Result<Option<CountyFile>, CountyError> {
    let unreadable = |reason| CountyError::Unreadable {
        file: file.to_owned(),
        reason,
    };
    let open = match fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = Vec::new();
    open.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    let county = parse(&text).map_err(|reason| CountyError::Useless {
        file: file.to_owned(),
        reason,
    })?;
    Ok(Some(county))
}

/// Reads and checks; the reason why not is one sentence.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &[u8]) -> Result<CountyFile, String> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is longer than {MAX_FILE_BYTES} bytes"));
    }
    let county: CountyFile = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let web = &county.web_url;
    if !county.console_url.starts_with("https://") || county.console_url.len() > 300 {
        Err("console_url must begin with https://".to_owned())
    } else if !(web.is_empty() || web.starts_with("https://") || web.starts_with("http://"))
        || web.len() > 300
    {
        Err("web_url must begin with https:// or http://, or be empty".to_owned())
    } else if !county.ca_pem.contains("-----BEGIN CERTIFICATE-----") {
        Err("ca_pem holds no certificate".to_owned())
    } else if !county.keys.iter().any(|key| key.role == KeyRole::Command) {
        Err("keys lacks one of the role command".to_owned())
    } else if county.county.chars().count() > 100 || county.county.chars().any(char::is_control) {
        Err("county must be a name in one line".to_owned())
    } else {
        Ok(county)
    }
}

/// Whether both speak for the same county: the same root authority and the same keys. Addresses and names may differ.
pub fn agree(one: &CountyFile, other: &CountyFile) -> bool {
    let holds = |keys: &[TrustedKey], key: &TrustedKey| keys.contains(key);
    same_root(one, other)
        && one.keys.iter().all(|key| holds(&other.keys, key))
        && other.keys.iter().all(|key| holds(&one.keys, key))
}

fn same_root(one: &CountyFile, other: &CountyFile) -> bool {
    let lines = |pem: &str| -> String { pem.split_whitespace().collect() };
    lines(&one.ca_pem) == lines(&other.ca_pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::enrol::kit;

    #[test]
    fn a_county_file_is_read_from_its_place_and_its_faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = kit::config(dir.path(), "s");
        assert_eq!(load(&config).unwrap(), None);
        let county = kit::County::new().file("https://127.0.0.1:1");
        keep(&config.data_dir, &county).unwrap();
        assert_eq!(load(&config).unwrap(), Some(county.clone()));
        assert_eq!(find(&config).unwrap().unwrap().1, Source::Disk);
        // The image's own goes first.
        let image = dir.path().join("image.json");
        let other = CountyFile {
            county: "image".into(),
            ..county.clone()
        };
        fs::write(&image, serde_json::to_vec(&other).unwrap()).unwrap();
        config.county.file = Some(image.clone());
        assert_eq!(load(&config).unwrap(), Some(other));
        for (change, word) in [
            (
                CountyFile {
                    console_url: "http://x".into(),
                    ..county.clone()
                },
                "console_url",
            ),
            (
                CountyFile {
                    web_url: "javascript:alert(1)".into(),
                    ..county.clone()
                },
                "web_url",
            ),
            (
                CountyFile {
                    ca_pem: String::new(),
                    ..county.clone()
                },
                "ca_pem",
            ),
            (
                CountyFile {
                    keys: vec![],
                    ..county.clone()
                },
                "keys",
            ),
        ] {
            fs::write(&image, serde_json::to_vec(&change).unwrap()).unwrap();
            let error = load(&config).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("image.json"), "{error}");
        }
        fs::write(&image, vec![b' '; 300_000]).unwrap();
        assert!(load(&config).unwrap_err().to_string().contains("longer"));
    }

    #[test]
    fn only_the_same_authority_and_the_same_keys_agree() {
        let (ours, theirs) = (kit::County::new(), kit::County::new());
        let (a, b) = (ours.file("https://a"), theirs.file("https://a"));
        assert!(agree(&a, &ours.file("https://b")));
        assert!(!agree(&a, &b));
        let swapped = CountyFile {
            keys: b.keys.clone(),
            ..a.clone()
        };
        assert!(!agree(&a, &swapped));
        let fewer = CountyFile {
            keys: a.keys[..1].to_vec(),
            ..a.clone()
        };
        assert!(!agree(&a, &fewer) && !agree(&fewer, &a));
    }
}
