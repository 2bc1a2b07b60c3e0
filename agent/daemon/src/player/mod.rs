//! The local player: lessons on 127.0.0.1 and the school's LAN.
//!
//! Two servers for each address. The player's own serves the embedded pages, the shelf and lesson files; the
//! courseware's, on a port and so on an origin of its own, serves what lessons bring to be run. Both only show: GET and
//! HEAD, no session, nothing that changes anything, but for what is asked by `POST` on the board's own page; `guard` lets
//! nobody else as far as a handler of a `POST`.
//! Knows the shelf and the store, no console and no network beyond.

mod body;
mod brief;
mod class;
mod courseware;
mod diag;
mod disks;
mod enrol;
mod exam;
mod faults;
mod guard;
mod home;
mod lessons;
mod listen;
mod lock;
mod media;
#[cfg(test)]
mod oracle;
mod own;
mod pages;
mod pinyin;
mod privacy;
mod problem;
mod range;
mod search;
mod settings;
mod shelf_json;
#[cfg(test)]
mod tests;
mod usb;
mod use_;

use std::{io, net::SocketAddr};

use axum::{
    Router,
    extract::FromRef,
    middleware,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Language, PlayerConfig},
    shelf::PlayerState,
};
use guard::{Door, DoorKind, Entry};
use search::SearchDoor;
use shelf_json::Api;

/// The player cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// The address is taken or not ours.
    #[error(
        "the player cannot listen on {address}: {reason}; end the program that has it, or change [player] listen, \
         lan_listen or courseware_port in the configuration"
    )]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
}

/// The running servers; dropping it ends them.
#[derive(Debug)]
pub struct Player {
    addresses: Vec<SocketAddr>,
    servers: JoinSet<()>,
    search: SearchDoor,
    ending: CancellationToken,
}

impl Player {
    /// Listens on every configured address. One on the LAN that cannot be had is only logged: the board plays without it.
    ///
    /// # Errors
    /// The device's own address cannot be had.
    pub async fn start(config: &PlayerConfig, state: PlayerState) -> Result<Self, PlayerError> {
        let mut player = Self {
            addresses: Vec::new(),
            servers: JoinSet::new(),
            search: SearchDoor::default(),
            ending: CancellationToken::new(),
        };
        let (search, ending) = (player.search.clone(), player.ending.clone());
        player.servers.spawn(search::keep(state.clone(), search, ending));
        for address in addresses(config) {
            match player.open(address, config, &state).await {
                Ok(()) => {}
                Err(error) if address != config.listen && !covers(address, config.listen) => {
                    tracing::error!("{error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(player)
    }

    /// Where the player can be opened.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ends the servers, giving answers under way a moment.
    pub async fn stop(mut self) {
        self.ending.cancel();
        while self.servers.join_next().await.is_some() {}
    }

    async fn open(
        &mut self,
        address: SocketAddr,
        config: &PlayerConfig,
        state: &PlayerState,
    ) -> Result<(), PlayerError> {
        let bind = async |address: SocketAddr| {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|reason| PlayerError::Bind { address, reason })?;
            let own = listener
                .local_addr()
                .map_err(|reason| PlayerError::Bind { address, reason })?;
            Ok((listener, own))
        };
        let (player, own) = bind(address).await?;
        let (courseware, own_courseware) =
            bind(SocketAddr::new(address.ip(), config.courseware_port)).await?;
        self.addresses.push(own);
        let mut api = Api::new(state.clone(), own_courseware.port(), self.ending.clone());
        api.search = self.search.clone();
        let (language, ending) = (config.language, &self.ending);
        self.servers.spawn(listen::serve(
            player,
            player_routes(api, language),
            ending.clone(),
        ));
        let routes = courseware_routes(state.clone(), own.port(), language);
        self.servers
            .spawn(listen::serve(courseware, routes, ending.clone()));
        Ok(())
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

impl FromRef<Api> for PlayerState {
    fn from_ref(api: &Api) -> Self {
        api.state.clone()
    }
}

fn player_routes(api: Api, language: Language) -> Router {
    let door = Door {
        kind: DoorKind::Player,
        other_port: api.courseware_port,
        language,
    };
    let entry = Entry {
        door,
        state: api.state.clone(),
    };
    Router::new()
        .route("/api/home", get(home::home))
        .route("/api/lessons", get(lessons::lessons))
        .route("/api/lessons/{id}", get(lessons::lesson))
        .route("/api/search", get(search::search))
        .route("/api/pinyin", get(pinyin::pinyin))
        .merge(settings::routes())
        .route("/api/shelf", get(shelf_json::shelf))
        .route("/api/live", get(shelf_json::live))
        .route("/api/qr.svg", get(enrol::qr))
        .route("/api/disks", get(disks::disks))
        .route("/api/disks/{id}/files", get(usb::files))
        .route("/api/disks/{id}/{verb}", post(disks::ask))
        .route("/usb/{*path}", get(usb::file))
        .route(enrol::PATHS[0], post(enrol::code))
        .route(enrol::PATHS[1], post(enrol::classroom))
        .route("/files/{lesson}/{*path}", get(media::file))
        .merge(own::routes())
        .merge(class::routes())
        .merge(exam::routes())
        .merge(lock::routes())
        .merge(use_::routes())
        .merge(faults::routes())
        .merge(diag::routes())
        .merge(privacy::routes())
        .fallback(get(pages::page))
        .method_not_allowed_fallback(other_method)
        .with_state(api)
        .layer(middleware::from_fn_with_state(entry.state.clone(), exam::gate))
        .layer(middleware::from_fn_with_state(entry, guard::guard))
}

fn courseware_routes(state: PlayerState, player_port: u16, language: Language) -> Router {
    let door = Door {
        kind: DoorKind::Courseware,
        other_port: player_port,
        language,
    };
    Router::new()
        .route("/{lesson}/{version}/{*path}", get(media::courseware))
        .fallback(nothing)
        .with_state(state.clone())
        .layer(middleware::from_fn_with_state(
            state.clone(),
            exam::courseware_gate,
        ))
        .layer(middleware::from_fn_with_state(
            Entry { door, state },
            guard::guard,
        ))
}

/// A path that is there, but not for this.
async fn other_method(
    method: axum::http::Method,
    axum::Extension(language): axum::Extension<Language>,
) -> axum::response::Response {
    problem::Refusal::MethodRefused.answer(language, method)
}

async fn nothing(
    uri: axum::http::Uri,
    axum::Extension(language): axum::Extension<Language>,
) -> axum::response::Response {
    problem::Refusal::NotFound.answer(language, uri.path())
}

/// Every address once; one that a wildcard covers is left out, since both cannot be had.
fn addresses(config: &PlayerConfig) -> Vec<SocketAddr> {
    let all: Vec<_> = std::iter::once(config.listen)
        .chain(config.lan_listen.iter().copied())
        .collect();
    let mut kept: Vec<SocketAddr> = Vec::new();
    for address in &all {
        let covered = all
            .iter()
            .any(|other| other != address && covers(*other, *address));
        if !covered && !kept.contains(address) {
            kept.push(*address);
        }
    }
    kept
}

/// Whether listening on `wide` also hears `narrow`.
fn covers(wide: SocketAddr, narrow: SocketAddr) -> bool {
    let every = wide.ip().is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4());
    wide.port() == narrow.port() && every && !(narrow.ip().is_unspecified() && narrow.is_ipv6())
}
