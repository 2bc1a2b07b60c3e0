//! What a broker of somebody else needs, written into a folder.

use std::{
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Subcommand;

use super::clock::house;
use crate::{broker::export, config::Config, db::Db, pki};

/// `broker`.
#[derive(Debug, Subcommand)]
pub enum Broker {
    /// Write configuration, access list, certificates and revocation list for Mosquitto, and what another broker must enforce.
    Export {
        /// The folder to write into; made if missing.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Where the folder will lie on the broker's machine; default: where it is written.
        #[arg(long, value_name = "DIR")]
        at: Option<PathBuf>,
        /// Address and port that the broker listens on.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8883")]
        listen: std::net::SocketAddr,
        /// Connections at once.
        #[arg(long, default_value_t = 10_000)]
        max_connections: usize,
    },
}

pub(super) async fn broker(command: Broker, config: &Config, db: &Db) -> anyhow::Result<()> {
    let Broker::Export {
        out,
        at,
        listen,
        max_connections,
    } = command;
    let pki = pki::open(config)?.pki;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(&out)
        .with_context(|| format!("Failed to make the folder {}", out.display()))?;
    let at = match at {
        Some(at) => at,
        None => out
            .canonicalize()
            .with_context(|| format!("Failed to find the folder {}", out.display()))?,
    };
    // As of now, whether or not a console serves this folder.
    let now = house(db).await?.sign()?;
    let crl = pki.crl(&db.certificates().dead(now).await?, now)?;
    let (server_cert, server_key) = pki.server_paths();
    let conf = export::mosquitto_conf(&at, &listen.to_string(), max_connections);
    write(&out, "mosquitto.conf", conf.as_bytes(), 0o640)?;
    write(&out, "acl", export::mosquitto_acl().as_bytes(), 0o640)?;
    write(&out, "README.md", export::readme().as_bytes(), 0o640)?;
    write(&out, "policy.md", export::policy_table().as_bytes(), 0o640)?;
    write(&out, "ca.pem", pki.ca_pem().as_bytes(), 0o640)?;
    write(&out, "crl.pem", crl.as_bytes(), 0o640)?;
    for (name, from, mode) in [
        ("server.pem", server_cert, 0o640),
        ("server.key", server_key, 0o600),
    ] {
        let bytes = std::fs::read(&from).with_context(|| format!("Failed to read {}", from.display()))?;
        write(&out, name, &bytes, mode)?;
    }
    println!("written to {}; README.md there says how to go on", out.display());
    Ok(())
}

/// Puts a file in its place in one step: a broker that reads it meanwhile sees the old or the new one.
fn write(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let place = folder.join(name);
    let part = folder.join(format!(".{name}.part"));
    let failed = || format!("Failed to write {}", place.display());
    std::fs::remove_file(&part).ok();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&part)
        .with_context(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(failed)?;
    std::fs::rename(&part, &place).with_context(failed)
}
