//! What the player and the console are shown of the device.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use agent_core::{Millis, report};
use contract::report::DeviceReport;

use super::agent::Agent;
use crate::{
    config::PlayerConfig,
    io::{fetch::Fetcher, probes},
    shelf::{Shelf, ShelfDevice, ShelfLesson, ShelfNotice},
};

/// Between two looks of the player at least.
const PACE: Duration = Duration::from_millis(250);

impl Agent {
    /// Shows what changed, not too often; says when the next look is due.
    pub(super) fn show_if_due(&mut self, now: Millis) -> Option<Millis> {
        if !self.dirty {
            return None;
        }
        let due = self.shown_at + PACE;
        if self.shown_at > Millis::default() && now < due {
            return Some(due);
        }
        self.dirty = false;
        self.shown_at = now;
        self.shelf.show(self.shelf_now(now));
        self.tell_disks();
        // Before the first survey a report would say that nothing is held, and before the first look that nothing can be told.
        if !self.lessons.preparing() && self.control.is_looked_at() {
            self.report.handle(report::Event::Now(self.report_now(now)), now);
        }
        None
    }

    fn shelf_now(&self, now: Millis) -> Shelf {
        let reply = &self.identity.reply;
        let assigned = self.lessons.assigned_lessons().iter();
        let sizes: HashMap<_, _> = assigned.map(|a| ((&a.lesson, a.version), a.size_bytes)).collect();
        let lesson = |status: contract::report::LessonStatus| {
            let status = self.as_trusted(status);
            let card = self
                .cards
                .get(&(status.lesson.clone(), status.version))
                .map(Arc::clone);
            let (lesson, version, state) = (status.lesson, status.version, status.state);
            let size_bytes = sizes.get(&(&lesson, version)).copied();
            Arc::new(ShelfLesson {
                lesson,
                version,
                state,
                size_bytes,
                card,
            })
        };
        let notices = self.commands.notices(now).into_iter().map(|notice| ShelfNotice {
            level: notice.level,
            title: notice.title.to_owned(),
            text: notice.text.to_owned(),
        });
        Shelf {
            device: Some(ShelfDevice {
                id: reply.device_id.clone(),
                placement: reply.placement.clone(),
            }),
            online: self.online,
            console_seen_ms: self.console_seen.map(|at| at.0),
            preparing: self.lessons.preparing(),
            lessons: self.lessons.shelf().into_iter().map(lesson).collect(),
            allowed: self.lessons.allowed(),
            notices: notices.collect(),
            disk: self.lessons.disk(),
            serial: self.hardware.serial.clone(),
            membership: self.membership.clone(),
            plan: self.classroom.plan(),
            clock: self.classroom.clock(),
            bytes_per_s: self.classroom.pace.bytes_per_s(now),
            held_back: self.held_back(),
            held_until: self.held_until(),
        }
    }

    pub(super) fn report_now(&self, now: Millis) -> DeviceReport {
        DeviceReport {
            device_id: self.identity.reply.device_id.clone(),
            boot_id: self.boot_id.clone(),
            generation: 0,
            assignment_generation: self.lessons.assignment_generation(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            board: self.config.board.name.clone(),
            lessons: (self.lessons.report().into_iter())
                .map(|status| self.as_trusted(status))
                .collect(),
            disk: self.lessons.disk(),
            player_urls: self.player_urls.clone(),
            hardware: Some(self.hardware.clone()),
            clock: Some(self.clock_trust(now)),
            peer: self.fetcher.as_ref().and_then(Fetcher::door),
            held_back: self.held_back(),
            snapshot: Some(self.trust.with(|trust| trust.snapshot_version())),
            author_key: self.trust.with(|trust| trust.own_author_key().cloned()),
            network: self.line.report(),
            controls: self.control.report(self.shelf.beside_now().lock.as_ref()),
        }
    }

    /// Addresses at which the player can be opened.
    pub(super) fn find_player_urls(&self) -> Vec<String> {
        player_urls(&self.config.player)
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/")
}

/// Where the board's own browser opens the player: a door that is open on every address has no name of its own.
pub(super) fn opens_here(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    url(SocketAddr::new(ip, listen.port()))
}

/// Addresses at which the player can be opened; what is open on every address is named by those that the board has.
pub(super) fn player_urls(player: &PlayerConfig) -> Vec<String> {
    let mut urls = Vec::new();
    for address in std::iter::once(&player.listen).chain(&player.lan_listen) {
        if address.ip().is_unspecified() {
            let own = probes::addresses()
                .into_iter()
                .filter(|ip| ip.is_ipv4() || address.is_ipv6());
            urls.extend(own.map(|ip| url(SocketAddr::new(ip, address.port()))));
        } else {
            urls.push(url(*address));
        }
    }
    urls.dedup();
    urls
}

#[cfg(test)]
mod tests {
    use super::opens_here;

    #[test]
    fn an_address_that_is_said_can_be_opened() {
        for (listen, said) in [
            ("127.0.0.1:8008", "http://127.0.0.1:8008/"),
            ("0.0.0.0:8008", "http://127.0.0.1:8008/"),
            ("[::]:8008", "http://[::1]:8008/"),
            ("192.168.1.20:80", "http://192.168.1.20:80/"),
        ] {
            assert_eq!(opens_here(listen.parse().unwrap()), said, "{listen}");
        }
    }
}
