//! Who may ask, and what every answer forbids the browser.
//!
//! The page trusts nothing but its own origin: a page elsewhere whose name was rebound to our address fails at `Host`, a
//! request that another site's page makes fails at `Origin`, and what we serve can ask nobody else (CSP).

use std::net::IpAddr;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};

use super::{
    courseware, enrol,
    home::OwnLanguage,
    problem::{self, Refusal},
};
use contract::event::Tamper;

use crate::{config::Language, notebook::Word, shelf::PlayerState};

/// Most bytes of a request's headers, but for cookies.
const HEAD_BYTES: usize = 16 * 1024;
/// Nobody here sets cookies but exercises; more than this is no exercise's memory.
const COOKIE_BYTES: usize = 4 * 1024;

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

/// A server's door, and what its guard must know.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) door: Door,
    pub(super) state: PlayerState,
}

/// A header with the token that only our own page could read.
pub(super) const TOKEN: &str = "x-bbt-token";
/// What changes something is asked under this.
const WRITES: &str = "/api/";

/// What the player's own page cannot ask for.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()";
/// What an exercise cannot ask for: not even the whole screen, where the teacher's way back would be gone.
const NO_PERMISSIONS: &str = "camera=(), microphone=(), display-capture=(), geolocation=(), usb=(), serial=(), hid=(), midi=(), \
     bluetooth=(), payment=(), fullscreen=(), clipboard-read=(), screen-wake-lock=(), idle-detection=(), \
     local-fonts=(), publickey-credentials-get=()";
const NO_FEATURES: &str = "camera 'none'; microphone 'none'; geolocation 'none'; usb 'none'; midi 'none'; payment 'none'; \
     fullscreen 'none'";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorKind {
    Player,
    Courseware,
}

/// Checks the request, then adds the headers that every answer carries.
pub(super) async fn guard(entry: State<Entry>, request: Request, next: Next) -> Response {
    let cookies = request
        .headers()
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::len)
        .sum::<usize>();
    let mut answer = judged(entry, request, next).await;
    // An exercise may set cookies for the whole site, so many that nobody would hear the player's questions any more.
    if cookies > COOKIE_BYTES {
        let clear = HeaderValue::from_static("\"cookies\"");
        answer.headers_mut().insert("clear-site-data", clear);
    }
    answer
}

async fn judged(State(entry): State<Entry>, mut request: Request, next: Next) -> Response {
    let door = entry.door;
    let own_language = entry.state.settings().now().language.unwrap_or(door.language);
    let language = problem::language(request.headers(), own_language);
    let arrived = request.extensions().get::<ArrivedAt>().copied();
    let came = request.extensions().get::<CameFrom>().copied();
    let own = |ip: IpAddr| ip.to_canonical().is_loopback();
    let on_board = came.is_some_and(|came| own(came.0)) && arrived.is_some_and(|arrived| own(arrived.0));
    let others = request
        .headers()
        .iter()
        .filter(|(name, _)| *name != header::COOKIE);
    if others
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum::<usize>()
        > HEAD_BYTES
    {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        return protect(answer, door, "", false);
    }
    let host = arrived.and_then(|arrived| own_host(request.uri(), request.headers(), arrived.0, door.kind));
    let Some((host, authority)) = host else {
        let named = request
            .headers()
            .get(header::HOST)
            .map_or("nothing".into(), |h| format!("{h:?}"));
        return protect(Refusal::HostRefused.answer(language, named), door, "", false);
    };
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && origin.as_bytes() != format!("http://{authority}").as_bytes()
    {
        if *request.method() != Method::GET {
            let detail = format!("{} {} from {origin:?}", request.method(), request.uri().path());
            entry.state.notebook().say(Word::Tamper(Tamper::LocalApi, detail));
        }
        return protect(
            Refusal::OriginRefused.answer(language, format!("{origin:?}")),
            door,
            &host,
            on_board,
        );
    }
    // Nothing of a lesson stays behind to answer for it; CSP refuses it too.
    if request.headers().contains_key("service-worker") {
        return protect(
            Refusal::NotFound.answer(language, "no service workers here"),
            door,
            &host,
            on_board,
        );
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    // What changes something is asked on the board's own page, by a page that could read our answers: whichever path it is.
    let asks = *request.method() == Method::POST
        && door.kind == DoorKind::Player
        && request.uri().path().starts_with(WRITES);
    if asks && !(on_board && enrol::is_own_page(request.headers())) {
        return protect(Refusal::OnBoardOnly.answer(language, ""), door, &host, on_board);
    }
    if asks && !brings_token(request.headers(), entry.state.token()) {
        let detail = format!("{} without the page's token", request.uri().path());
        entry.state.notebook().say(Word::Tamper(Tamper::LocalApi, detail));
        return protect(Refusal::TokenRefused.answer(language, ""), door, &host, on_board);
    }
    if !reads && !asks {
        return protect(
            Refusal::MethodRefused.answer(language, request.method()),
            door,
            &host,
            on_board,
        );
    }
    request.extensions_mut().insert(OnBoard(on_board));
    request.extensions_mut().insert(Host(host.clone()));
    request.extensions_mut().insert(language);
    request.extensions_mut().insert(OwnLanguage(own_language));
    protect(next.run(request).await, door, &host, on_board)
}

/// Whether the page read its token from us. Compared without hurry: how long it takes tells nothing.
fn brings_token(headers: &HeaderMap, token: &str) -> bool {
    let mut brought = headers.get_all(TOKEN).iter();
    let (Some(brought), None) = (brought.next(), brought.next()) else {
        return false;
    };
    let (brought, token) = (brought.as_bytes(), token.as_bytes());
    let differ = brought
        .iter()
        .zip(token)
        .fold(0, |differ, (a, b)| differ | (a ^ b));
    brought.len() == token.len() && !token.is_empty() && differ == 0
}

/// The host without its port, and the authority as it was written, if both name this machine.
///
/// A name can be rebound to our address by whoever owns it; an address cannot. So every name but `localhost` is refused,
/// and of addresses those the connection really arrived at. Courseware has names of its own under `localhost`, which mean
/// this machine and nothing else; only they are its hosts on the board (`media` compares with the lesson).
fn own_host(uri: &Uri, headers: &HeaderMap, arrived_at: IpAddr, kind: DoorKind) -> Option<(String, String)> {
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
        Err(_) => {
            host.eq_ignore_ascii_case("localhost")
                || (arrived_at.to_canonical().is_loopback()
                    && match kind {
                        DoorKind::Player => host == courseware::PLAYER,
                        DoorKind::Courseware => courseware::is_label(host),
                    })
        }
    };
    own.then(|| (host.to_owned(), authority.to_owned()))
}

fn protect(mut answer: Response, door: Door, host: &str, on_board: bool) -> Response {
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
    // Each origin in a process of its own, though player and exercises are one site.
    set(HeaderName::from_static("origin-agent-cluster"), "?1");
    // A page cannot take it back, whatever it links to: not one name is asked for ahead of time.
    set(HeaderName::from_static("x-dns-prefetch-control"), "off");
    let port = door.other_port;
    let policy = match door.kind {
        DoorKind::Player => {
            set(HeaderName::from_static("permissions-policy"), PERMISSIONS);
            set(header::X_FRAME_OPTIONS, "DENY");
            set(
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            );
            // On the board a lesson's exercises have a name of their own.
            let frames = if on_board { "*.localhost" } else { host };
            format!(
                "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'; frame-src http://{frames}:{port}"
            )
        }
        // Its own origin, so that an exercise keeps its storage, fonts and data; no worker that outlives it, no forms
        // sent, nobody asked but itself, framed by nobody but itself and the player.
        DoorKind::Courseware => {
            set(HeaderName::from_static("permissions-policy"), NO_PERMISSIONS);
            // As engines before Chrome 88 read it.
            set(HeaderName::from_static("feature-policy"), NO_FEATURES);
            let player = if on_board {
                format!(
                    "http://{}:{port} http://127.0.0.1:{port} http://localhost:{port}",
                    courseware::PLAYER
                )
            } else {
                format!("http://{host}:{port}")
            };
            format!(
                "sandbox allow-scripts allow-same-origin; \
                 default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; worker-src blob:; object-src 'none'; \
                 base-uri 'self'; form-action 'none'; frame-ancestors 'self' {player}"
            )
        }
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
            own_host(
                &Uri::from_static("/"),
                &headers,
                at.parse().unwrap(),
                DoorKind::Player,
            )
            .is_some()
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
        assert!(
            own_host(
                &Uri::from_static("/"),
                &two,
                [127, 0, 0, 1].into(),
                DoorKind::Player
            )
            .is_none()
        );
        let none = HeaderMap::new();
        assert!(
            own_host(
                &Uri::from_static("/"),
                &none,
                [127, 0, 0, 1].into(),
                DoorKind::Player
            )
            .is_none()
        );
        let mut one = HeaderMap::new();
        one.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(
            own_host(
                &Uri::from_static("http://evil.example/"),
                &one,
                [127, 0, 0, 1].into(),
                DoorKind::Player
            )
            .is_none()
        );
    }

    #[test]
    fn a_lessons_own_name_is_a_host_of_its_exercises_and_of_nothing_else() {
        let check = |kind, at: &str| named("l0123456789abcdef0123.bbt.localhost:8009", kind, at);
        fn named(host: &'static str, kind: DoorKind, at: &str) -> bool {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            own_host(&Uri::from_static("/"), &headers, at.parse().unwrap(), kind).is_some()
        }
        assert!(named("bbt.localhost:8008", DoorKind::Player, "127.0.0.1"));
        assert!(!named("bbt.localhost:8008", DoorKind::Player, "192.168.1.20"));
        assert!(!named("bbt.localhost:8009", DoorKind::Courseware, "127.0.0.1"));
        assert!(named(
            "l0123456789abcdef0123.localhost",
            DoorKind::Courseware,
            "127.0.0.1"
        ));
        assert!(check(DoorKind::Courseware, "127.0.0.1"));
        assert!(!check(DoorKind::Courseware, "192.168.1.20"));
        assert!(!check(DoorKind::Player, "127.0.0.1"));
    }
}
