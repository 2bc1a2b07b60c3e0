//! Multicast DNS: tells where we are and hears where others are. A hint and no more.

use std::{
    net::{IpAddr, SocketAddr, SocketAddrV6},
    sync::Arc,
    time::Duration,
};

use contract::{hash::Hash, id::DeviceId, peer::MDNS_SERVICE};
use mdns_sd::{IfKind, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio_util::sync::CancellationToken;

use super::book::Book;

/// A daemon that could not be started (no network at all) is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// Where our id stands in the announcement.
const ID: &str = "id";

/// Until stopped.
pub(super) async fn run(book: Arc<Book>, port: u16, stop: CancellationToken) {
    let mut told = false;
    loop {
        match announce(book.own(), port) {
            Ok((daemon, name, events)) => {
                loop {
                    let event = tokio::select! {
                        () = stop.cancelled() => break,
                        event = events.recv_async() => event,
                    };
                    match event {
                        Ok(ServiceEvent::ServiceResolved(service)) => {
                            if let Some((peer, addresses)) = where_is(&service) {
                                book.found(peer, addresses);
                            }
                        }
                        Ok(_) => {}
                        Err(_) => break,
                    }
                }
                // Others hear that we go.
                let _ = daemon.unregister(&name);
                let _ = daemon.shutdown();
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(%error, "no multicast DNS; other boards are found by the school's plan alone");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

type Started = (ServiceDaemon, String, mdns_sd::Receiver<ServiceEvent>);

fn announce(own: &DeviceId, port: u16) -> mdns_sd::Result<Started> {
    let daemon = ServiceDaemon::new()?;
    daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
    // An id may be longer than a label.
    let name: String = Hash::of(own.as_str().as_bytes())
        .to_hex()
        .chars()
        .take(16)
        .collect();
    let host = format!("bbt-{name}.local.");
    let properties = [(ID, own.as_str())];
    let service = ServiceInfo::new(MDNS_SERVICE, &name, &host, "", port, &properties[..])?.enable_addr_auto();
    let full_name = service.get_fullname().to_owned();
    daemon.register(service)?;
    let events = daemon.browse(MDNS_SERVICE)?;
    Ok((daemon, full_name, events))
}

fn where_is(service: &ResolvedService) -> Option<(DeviceId, Vec<SocketAddr>)> {
    let peer = DeviceId::new(service.get_property_val_str(ID)?).ok()?;
    let port = service.get_port();
    let mut addresses: Vec<_> = service
        .get_addresses()
        .iter()
        .map(|address| match address {
            // A link-local address is one only together with its link.
            ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
                SocketAddr::V6(SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index))
            }
            other => SocketAddr::new(other.to_ip_addr(), port),
        })
        .filter(|address| !address.ip().is_loopback())
        .collect();
    // The same order each time, so that the same news is no news; link-local ones last.
    let local = |address: &SocketAddr| matches!(address.ip(), IpAddr::V6(v6) if v6.is_unicast_link_local());
    addresses.sort_by_key(|address| (local(address), *address));
    Some((peer, addresses))
}
