//! Making a data folder, and passwords.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::args::Init;
use crate::{
    app::{AppState, make_private},
    auth::{self, MIN_PASSWORD_CHARS},
    config::{Config, FILE_NAME},
    db::{
        DbError,
        scope::{FIRST_ROLES, Node},
    },
    pki::NewRoot,
};

const STARTER: &str =
    "# Configuration of bbt-console. Everything left out has its documented default; see `docs/`.
# listen_web = \"127.0.0.1:8080\"
# listen_devices = \"0.0.0.0:8443\"
# listen_mqtt = \"0.0.0.0:8883\"
# language = \"zh-CN\"
";

/// Makes what is missing; an existing folder keeps what it has.
pub(super) async fn init(data: &Path, init: Init) -> anyhow::Result<()> {
    make_private(data)?;
    let file = data.join(FILE_NAME);
    if !file.exists() {
        let host = match &init.public_host {
            Some(host) => format!("public_host = {}\n", toml::Value::from(host.as_str())),
            None => "# public_host = \"console.example\"   # how devices reach this machine\n".to_owned(),
        };
        std::fs::write(&file, format!("{STARTER}{host}"))
            .with_context(|| format!("Failed to write {}", file.display()))?;
    } else if init.public_host.is_some() {
        bail!(
            "{} exists already; set public_host in it yourself",
            file.display()
        );
    }
    // The password is the first line of standard input, the root's passphrase the next.
    let (password, generated) = password(init.password_stdin)?;
    let passphrase = match init.root_passphrase_stdin {
        true => Some(line("the root passphrase")?),
        false => None,
    };
    let passphrase = passphrase.as_ref().map(|p| p.as_str());
    let config = Config::load(data)?;
    let next = next(data, &config, &init.username);
    let (app, root) = AppState::create(config, passphrase).await?;
    let hash = auth::hash_password(&password)?;
    let added = app
        .db
        .users()
        .add(
            &init.username,
            &init.username,
            &hash,
            init.language,
            Timestamp::now(),
        )
        .await;
    if let Ok(user) = &added {
        for role in FIRST_ROLES {
            app.db
                .grants()
                .add(*user, role, Node::Root, "init", Timestamp::now())
                .await?;
        }
    }
    app.db.close().await;
    println!("data folder: {}", data.display());
    if let Some(root) = root {
        carry_away(&root);
    }
    match added {
        Ok(_) => told(&init.username, &password, generated),
        Err(DbError::AlreadyExists { .. }) => {
            println!(
                "user {} exists already and keeps its password; change it with: bbt-console --data {} user passwd {}",
                init.username,
                data.display(),
                init.username
            );
        }
        Err(error) => return Err(error.into()),
    }
    print!("{next}");
    Ok(())
}

/// What comes after `init`, as somebody does it who has never seen the console.
fn next(data: &Path, config: &Config, username: &str) -> String {
    let open = match config.web_url.as_str() {
        "" => format!(
            "{} in a browser on this machine",
            config.pages_here(config.listen_web)
        ),
        web_url => format!("{web_url} in a browser"),
    };
    let mut text = format!(
        "\nnext:\n  1. start the console, and leave it running:  bbt-console --data {} serve\n  \
         2. open {open}\n  \
         3. sign in as {username}; the first page leads on from there, to a lesson in a classroom\n",
        data.display()
    );
    if config.is_local_only() {
        text.push_str(&format!(
            "  boards on other machines find this one only after public_host in {} says its name or address\n",
            data.join(FILE_NAME).display()
        ));
    }
    text
}

/// Says what does not belong on this machine for long.
fn carry_away(root: &NewRoot) {
    println!(
        "offline root key: {}   (copy it to two USB sticks, lock them away, then delete it here)",
        root.folder.display()
    );
    if let Some(passphrase) = &root.passphrase {
        println!(
            "root passphrase: {}   (shown this once; keep it apart from the sticks)",
            **passphrase
        );
    }
}

/// One line of standard input, without its end.
pub(super) fn line(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .with_context(|| format!("Failed to read {what} from standard input"))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Says the name and, where it was made here, the password; it is nowhere else.
pub(super) fn told(username: &str, password: &str, generated: bool) {
    println!("user: {username}");
    if generated {
        println!("password: {password}   (shown this once)");
    }
}

/// A password from standard input, or a generated one (`true`).
pub(super) fn password(from_stdin: bool) -> anyhow::Result<(String, bool)> {
    if !from_stdin {
        return Ok((auth::generate_password(), true));
    }
    std::io::stdout().flush().ok();
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("Failed to read the password from standard input")?;
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    ensure!(
        password.chars().count() >= MIN_PASSWORD_CHARS,
        "the password has fewer than {MIN_PASSWORD_CHARS} characters; choose a longer one"
    );
    Ok((password, false))
}
