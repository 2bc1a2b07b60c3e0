//! Keys sealed to a TPM 2.0, by the programs of tpm2-tools.
//!
//! A TPM seals at most 128 bytes, less than a key in PEM. So a fresh 32-byte secret is sealed under the TPM's own primary
//! key (made anew from its seed each time, stored nowhere), and the key is encrypted with that secret
//! (ChaCha20-Poly1305). What lies on the disk is opened by this one chip and by no other: a copy of the folder is of no
//! use on another board.
//!
//! What passes in the clear (the secret, once) goes through pipes between us and the programs, never through a file.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::KeyStore;

/// A TPM that is asked for longer than this is broken: a discrete one needs about a second.
const PATIENCE: Duration = Duration::from_secs(20);
const KIND: &str = "tpm2/1";
const SECRET_BYTES: usize = 32;
/// Most bytes of a program's answer that are read.
const MAX_ANSWER: u64 = 64 * 1024;

/// Seals to the board's TPM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tpm2 {
    /// Folder of `tpm2_createprimary` and the others; `None` is the search path.
    pub tools: Option<PathBuf>,
    /// How the TPM is reached, as tpm2-tools name it; `None` is their default (`device:/dev/tpmrm0`).
    pub tcti: Option<String>,
}

/// What lies on the disk.
#[derive(Serialize, Deserialize)]
struct Sealed {
    kind: String,
    /// The sealed object's public and private part (base64); the private one is encrypted by the TPM.
    public: String,
    private: String,
    /// The key, encrypted with the secret that is sealed (base64).
    key: String,
}

impl KeyStore for Tpm2 {
    fn seal(&self, secret: &[u8]) -> io::Result<Vec<u8>> {
        let wrap: [u8; SECRET_BYTES] = rand::random();
        let folder = Folder::new()?;
        let (primary, public, private) = (folder.at("primary"), folder.at("public"), folder.at("private"));
        self.primary(&primary)?;
        let args = [
            "-Q".as_ref(),
            "-C".as_ref(),
            primary.as_os_str(),
            "-i".as_ref(),
            "-".as_ref(),
            "-u".as_ref(),
            public.as_os_str(),
            "-r".as_ref(),
            private.as_os_str(),
        ];
        let made = self.ask("tpm2_create", &args, &wrap);
        self.flush();
        made?;
        let mut key = secret.to_vec();
        cipher(&wrap)?
            .seal_in_place_append_tag(nonce(), Aad::from(KIND), &mut key)
            .map_err(|_| io::Error::other("failed to encrypt the device's key"))?;
        let sealed = Sealed {
            kind: KIND.to_owned(),
            public: BASE64_STANDARD.encode(fs::read(public)?),
            private: BASE64_STANDARD.encode(fs::read(private)?),
            key: BASE64_STANDARD.encode(key),
        };
        Ok(serde_json::to_vec_pretty(&sealed)?)
    }

    fn open(&self, kept: &[u8]) -> io::Result<Vec<u8>> {
        if kept.starts_with(b"-----BEGIN") {
            tracing::warn!(
                "the device's key was kept before its board named a TPM: it is sealed at the next renewal"
            );
            return Ok(kept.to_vec());
        }
        let sealed: Sealed = serde_json::from_slice(kept).map_err(|_| damaged("it is no sealed key"))?;
        if sealed.kind != KIND {
            return Err(damaged(&format!(
                "it is sealed as {:?}, this program knows {KIND:?}",
                sealed.kind
            )));
        }
        let bytes = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|_| damaged("it is no base64"))
        };
        let folder = Folder::new()?;
        let (primary, public, private) = (folder.at("primary"), folder.at("public"), folder.at("private"));
        fs::write(&public, bytes(&sealed.public)?)?;
        fs::write(&private, bytes(&sealed.private)?)?;
        let opened = self.unseal(&primary, &public, &private, &folder.at("object"));
        self.flush();
        let wrap =
            <[u8; SECRET_BYTES]>::try_from(opened?).map_err(|_| damaged("it opens to another length"))?;
        let mut key = bytes(&sealed.key)?;
        let key = cipher(&wrap)?
            .open_in_place(nonce(), Aad::from(KIND), &mut key)
            .map_err(|_| damaged("its seal is broken"))?;
        Ok(key.to_vec())
    }

    fn file_name(&self) -> &'static str {
        "key.sealed"
    }
}

impl Tpm2 {
    fn primary(&self, context: &Path) -> io::Result<()> {
        let args = ["-Q", "-C", "o", "-g", "sha256", "-G", "ecc", "-c"];
        let mut args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        args.push(context.as_os_str());
        let made = self.ask("tpm2_createprimary", &args, &[]);
        self.flush();
        made.map(drop)
    }

    fn unseal(&self, primary: &Path, public: &Path, private: &Path, object: &Path) -> io::Result<Vec<u8>> {
        self.primary(primary)?;
        let args = [
            "-Q".as_ref(),
            "-C".as_ref(),
            primary.as_os_str(),
            "-u".as_ref(),
            public.as_os_str(),
            "-r".as_ref(),
            private.as_os_str(),
            "-c".as_ref(),
            object.as_os_str(),
        ];
        let loaded = self.ask("tpm2_load", &args, &[]);
        self.flush();
        loaded.map_err(|error| {
            let reason = format!("{error}; if this disk came from another board, enrol this board anew");
            io::Error::new(error.kind(), reason)
        })?;
        self.ask("tpm2_unseal", &["-c".as_ref(), object.as_os_str()], &[])
    }

    /// Each program loads what it needs from its context file. Without a resource manager that stays in the TPM and fills
    /// its three or so places.
    fn flush(&self) {
        if let Err(error) = self.ask("tpm2_flushcontext", &["-t".as_ref()], &[]) {
            tracing::debug!(%error, "the TPM keeps what was loaded");
        }
    }

    /// Runs one program of tpm2-tools; its standard output comes back.
    fn ask(&self, program: &str, args: &[&OsStr], input: &[u8]) -> io::Result<Vec<u8>> {
        let path = self
            .tools
            .as_ref()
            .map_or_else(|| OsString::from(program), |folder| folder.join(program).into());
        let mut command = Command::new(path);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(tcti) = &self.tcti {
            command.arg("-T").arg(tcti);
        }
        let failed = |reason: &str| {
            io::Error::other(format!(
                "the TPM does not do as told: {program}: {reason}; check that tpm2-tools is installed, that this user may \
                 open the TPM, and [tpm] in the configuration"
            ))
        };
        let mut child = command.spawn().map_err(|error| failed(&error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that fails early does not read; its own words say more than the broken pipe.
            let _ = stdin.write_all(input);
        }
        let asked = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if asked.elapsed() > PATIENCE => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(failed(&format!("no answer for {} s", PATIENCE.as_secs())));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        // Small answers: they fit into the pipes, so nobody waits for us to read.
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_ANSWER).read_to_end(&mut answer)?;
        }
        if status.success() {
            return Ok(answer);
        }
        let mut words = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = stderr.take(MAX_ANSWER).read_to_end(&mut words);
        }
        let words = String::from_utf8_lossy(&words);
        let said = words
            .lines()
            .map(str::trim)
            .find(|line| line.contains("ERROR"))
            .or_else(|| words.lines().last())
            .unwrap_or("it failed without a word");
        Err(failed(&said.chars().take(300).collect::<String>()))
    }
}

fn damaged(reason: &str) -> io::Error {
    let reason = format!("the device's sealed key cannot be opened: {reason}; enrol this board anew");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn cipher(secret: &[u8; SECRET_BYTES]) -> io::Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, secret)
        .map_err(|_| io::Error::other("failed to prepare the cipher"))?;
    Ok(LessSafeKey::new(key))
}

/// Always the same: each secret encrypts once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// For the files by which the programs pass objects to each other; gone when dropped. Nothing in it is in the clear.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("bbt-tpm-{}", hex::encode(rand::random::<[u8; 8]>()));
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Child;

    use super::*;

    /// A TPM of our own; ends with the test.
    struct Emulated {
        program: Child,
        folder: tempfile::TempDir,
    }

    impl Emulated {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name).display().to_string();
            let program = Command::new("swtpm")
                .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
                .args(["--tpmstate", &format!("dir={}", folder.path().display())])
                .args(["--server", &format!("type=unixio,path={}", at("tpm"))])
                .args(["--ctrl", &format!("type=unixio,path={}", at("tpm.ctrl"))])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("swtpm is installed by `cargo xtask setup`");
            let began = Instant::now();
            while !Path::new(&at("tpm.ctrl")).exists() || !Path::new(&at("tpm")).exists() {
                assert!(began.elapsed() < Duration::from_secs(10), "swtpm does not start");
                std::thread::sleep(Duration::from_millis(10));
            }
            Self { program, folder }
        }

        fn store(&self) -> Tpm2 {
            Tpm2 {
                tools: None,
                tcti: Some(format!("swtpm:path={}/tpm", self.folder.path().display())),
            }
        }
    }

    impl Drop for Emulated {
        fn drop(&mut self) {
            let _ = self.program.kill();
            let _ = self.program.wait();
        }
    }

    const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";

    #[test]
    fn what_one_tpm_sealed_it_opens_again_and_no_other_does() {
        let (own, other) = (Emulated::start(), Emulated::start());
        let kept = own.store().seal(KEY).unwrap();
        let text = String::from_utf8(kept.clone()).unwrap();
        assert!(
            !text.contains("PRIVATE KEY") && !text.contains("MIGHAgEA"),
            "{text}"
        );
        // More often than a TPM has places.
        for _ in 0..4 {
            assert_eq!(own.store().open(&kept).unwrap(), KEY);
        }
        let error = other.store().open(&kept).unwrap_err().to_string();
        assert!(
            error.contains("another board") && error.contains("tpm2_load"),
            "{error}"
        );
        // Nor does a changed file open.
        let mut sealed: Sealed = serde_json::from_slice(&kept).unwrap();
        let mut key = BASE64_STANDARD.decode(&sealed.key).unwrap();
        key[3] ^= 1;
        sealed.key = BASE64_STANDARD.encode(key);
        let error = own
            .store()
            .open(&serde_json::to_vec(&sealed).unwrap())
            .unwrap_err();
        assert!(error.to_string().contains("seal is broken"), "{error}");
        assert_ne!(kept, own.store().seal(KEY).unwrap(), "each secret is used once");
    }

    #[test]
    fn a_copied_folder_holds_no_key_for_another_boards_tpm() {
        use crate::{
            config::Config,
            identity::{IdentityFolder, tests::identity},
        };
        let (own, other) = (Emulated::start(), Emulated::start());
        let dir = tempfile::tempdir().unwrap();
        let config = |data: &str, tpm: &Emulated| {
            let text = format!(
                "data_dir = '{}'\nboard = 'ops-pc-rev-a'\nserial = 's'\n[tpm]\ntcti = '{}'\n",
                dir.path().join(data).display(),
                tpm.store().tcti.unwrap()
            );
            Config::parse(&text, Path::new("c")).unwrap()
        };
        let folder = IdentityFolder::of(&config("one", &own));
        folder.store(&identity("d1")).unwrap();
        assert_eq!(folder.identity().unwrap(), Some(identity("d1")));
        let here = dir.path().join("one/identity");
        assert!(here.join("key.sealed").exists() && !here.join("key.pem").exists());
        for entry in fs::read_dir(&here).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("key of d1"));
        }
        // The whole folder, as a repair by copying disks does it.
        let copied = Command::new("cp")
            .arg("-a")
            .args([dir.path().join("one"), dir.path().join("two")])
            .status();
        assert!(copied.unwrap().success());
        let copy = IdentityFolder::of(&config("two", &other))
            .identity()
            .unwrap()
            .unwrap();
        assert_eq!(copy.key_pem, "", "another TPM opened it");
    }

    #[test]
    fn a_tpm_that_is_not_there_is_named_with_what_to_do() {
        let nowhere = Tpm2 {
            tools: None,
            tcti: Some("swtpm:path=/nonexistent/tpm".into()),
        };
        let error = nowhere.seal(KEY).unwrap_err().to_string();
        for word in ["tpm2_createprimary", "tpm2-tools", "[tpm]"] {
            assert!(error.contains(word), "{error}");
        }
        let uninstalled = Tpm2 {
            tools: Some("/nonexistent".into()),
            tcti: None,
        };
        let error = uninstalled.seal(KEY).unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
        for kept in [
            &b"nothing"[..],
            b"{}",
            br#"{"kind":"x","public":"","private":"","key":""}"#,
        ] {
            let error = uninstalled.open(kept).unwrap_err().to_string();
            assert!(error.contains("enrol this board anew"), "{error}");
        }
    }
}
