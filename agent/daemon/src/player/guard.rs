//! Who may ask, and what every answer forbids the browser.
//!
//! The page trusts nothing but its own origin: a page elsewhere whose name was rebound to our address fails at `Host`, a
//! request that another site's page makes fails at `Origin`, and what we serve can ask nobody else (CSP).

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::Response,
};

use super::{
    disks, enrol,
    problem::{self, Refusal},
};
use crate::config::Language;

/// The address at which a connection arrived: one of the machine's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArrivedAt(pub(super) IpAddr);

/// The address that a connection came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct CameFrom(pub(super) IpAddr);

/// Whether the request was made on the board itself: from a loopback address, to a loopback address.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnBoard(pub(super) bool);

/// The host by which the browser reached us, without a port; checked.
#[derive(Debug, Clone)]
pub(super) struct Host(pub(super) String);

/// Which of the two servers it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    pub(super) kind: DoorKind,
    /// Port of the player, for the courseware; of the courseware, for the player.
    pub(super) other_port: u16,
    pub(super) language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorKind {
    Player,
    Courseware,
}

/// Checks the request, then adds the headers that every answer carries.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let language = problem::language(request.headers(), door.language);
    let arrived = request.extensions().get::<ArrivedAt>().copied();
    let host = arrived.and_then(|arrived| own_host(request.uri(), request.headers(), arrived.0));
    let Some((host, authority)) = host else {
        let named = request
            .headers()
            .get(header::HOST)
            .map_or("nothing".into(), |h| format!("{h:?}"));
        return protect(Refusal::HostRefused.answer(language, named), door, "");
    };
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && origin.as_bytes() != format!("http://{authority}").as_bytes()
    {
        return protect(
            Refusal::OriginRefused.answer(language, format!("{origin:?}")),
            door,
            &host,
        );
    }
    let came = request.extensions().get::<CameFrom>().copied();
    let own = |ip: IpAddr| ip.to_canonical().is_loopback();
    let on_board = came.is_some_and(|came| own(came.0)) && arrived.is_some_and(|arrived| own(arrived.0));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    // What may be asked on the board's own page: see `enrol` and `disks`.
    let asks = *request.method() == Method::POST
        && door.kind == DoorKind::Player
        && (enrol::PATHS.contains(&request.uri().path()) || disks::is_question(request.uri().path()));
    if asks && !(on_board && enrol::is_own_page(request.headers())) {
        return protect(Refusal::OnBoardOnly.answer(language, ""), door, &host);
    }
    if !reads && !asks {
        return protect(
            Refusal::MethodRefused.answer(language, request.method()),
            door,
            &host,
        );
    }
    request.extensions_mut().insert(OnBoard(on_board));
    request.extensions_mut().insert(Host(host.clone()));
    request.extensions_mut().insert(language);
    protect(next.run(request).await, door, &host)
}

/// The host without its port, and the authority as it was written, if both name this machine.
///
/// A name can be rebound to our address by whoever owns it; an address cannot. So every name but `localhost` is refused,
/// and of addresses those the connection really arrived at.
fn own_host(uri: &Uri, headers: &HeaderMap, arrived_at: IpAddr) -> Option<(String, String)> {
    let mut named = headers.get_all(header::HOST).iter();
    let authority = named.next()?.to_str().ok()?;
    if named.next().is_some() || uri.authority().is_some_and(|a| a.as_str() != authority) {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, "80"),
    };
    port.parse::<u16>().ok()?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let own = match bare.unwrap_or(host).parse::<IpAddr>() {
        // A v6 address stands in brackets, a v4 address does not.
        Ok(address) if address.is_ipv6() == bare.is_some() => {
            address.is_loopback() || address.to_canonical() == arrived_at.to_canonical()
        }
        Ok(_) => false,
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    own.then(|| (host.to_owned(), authority.to_owned()))
}

fn protect(mut answer: Response, door: Door, host: &str) -> Response {
    let headers = answer.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()",
    );
    let policy = match door.kind {
        DoorKind::Player => {
            set(header::X_FRAME_OPTIONS, "DENY");
            set(
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            );
            format!(
                "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'; frame-src http://{host}:{}",
                door.other_port
            )
        }
        // Its own origin, so that an exercise keeps its storage, fonts and data; no worker that outlives it, no forms
        // sent, nobody asked but itself, framed by nobody but the player.
        DoorKind::Courseware => format!(
            "sandbox allow-scripts allow-same-origin; \
             default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; worker-src blob:; object-src 'none'; \
             base-uri 'self'; form-action 'none'; frame-ancestors http://{host}:{}",
            door.other_port
        ),
    };
    // A file handed out keeps its own, stricter policy.
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY)
        && let Ok(policy) = HeaderValue::from_str(&policy)
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_host() {
        let check = |host: &str, at: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            own_host(&Uri::from_static("/"), &headers, at.parse().unwrap()).is_some()
        };
        for host in [
            "localhost",
            "LOCALHOST:8008",
            "127.0.0.1:8008",
            "127.0.0.1",
            "[::1]:8008",
            "192.168.1.20:8008",
        ] {
            assert!(check(host, "192.168.1.20"), "{host}");
        }
        assert!(check("[fe80::1]:8008", "fe80::1"));
        assert!(check("192.168.1.20", "::ffff:192.168.1.20"));
        for host in [
            "evil.example",
            "evil.example:8008",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8008",
            "192.168.1.21",
            "127.1",
            "2130706433",
            "0x7f000001",
            "localhost:",
            "localhost:port",
            "localhost:99999",
            "user@localhost",
            "",
            "[127.0.0.1]",
            "::1",
            "fe80::1",
            "0.0.0.0",
            "localhost:8008, evil.example",
        ] {
            assert!(!check(host, "192.168.1.20"), "{host}");
        }
        let mut two = HeaderMap::new();
        two.append(header::HOST, HeaderValue::from_static("localhost"));
        two.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(own_host(&Uri::from_static("/"), &two, [127, 0, 0, 1].into()).is_none());
        assert!(own_host(&Uri::from_static("/"), &HeaderMap::new(), [127, 0, 0, 1].into()).is_none());
        let mut one = HeaderMap::new();
        one.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(
            own_host(
                &Uri::from_static("http://evil.example/"),
                &one,
                [127, 0, 0, 1].into()
            )
            .is_none()
        );
    }
}
