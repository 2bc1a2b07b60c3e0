//! Which names this console answers to: a page of another name that was led to our address (DNS rebinding) is refused.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use crate::{
    app::AppState,
    config::Config,
    error::{ApiError, Code},
};

/// Middleware: refuses a request that names a host which is not ours.
pub async fn refuse_foreign_host(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match foreign(&app.config, request.uri(), request.headers()) {
        None => Ok(next.run(request).await),
        Some(host) => Err(ApiError::new(Code::ForeignHost).arg("host", host)),
    }
}

/// The name that is not ours; without any name (HTTP/1.0) there is no page to be protected from.
fn foreign(config: &Config, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let shown = |text: &str| text.chars().take(100).collect::<String>();
    let named = headers.get_all(header::HOST).iter().map(|value| {
        let text = value.to_str().unwrap_or("?");
        text.parse::<Authority>()
            .map(|authority| authority.host().to_owned())
            .map_err(|_| shown(text))
    });
    let in_uri = uri.host().map(|host| Ok(host.to_owned()));
    for host in named.chain(in_uri) {
        match host {
            Ok(host) if ours(config, &host) => {}
            Ok(host) => return Some(shown(&host)),
            Err(text) => return Some(text),
        }
    }
    None
}

fn ours(config: &Config, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        let listens = config.listen_web.ip();
        return address.is_loopback()
            || address == listens
            || config.public_host.parse() == Ok(address)
            || web_host(config).is_some_and(|host| {
                host.trim_start_matches('[').trim_end_matches(']').parse() == Ok(address)
            });
    }
    let host = bare.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.eq_ignore_ascii_case(&config.public_host)
        || web_host(config).is_some_and(|ours| host.eq_ignore_ascii_case(&ours))
}

/// The host of `web_url`.
fn web_host(config: &Config) -> Option<String> {
    config.web_url.parse::<Uri>().ok()?.host().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_answered() {
        let folder = tempfile::tempdir().unwrap();
        let text = "public_host = \"console.county.example\"\nweb_url = \"https://bbt.county.example\"\n";
        std::fs::write(folder.path().join(crate::config::FILE_NAME), text).unwrap();
        let config = Config::load(folder.path()).unwrap();
        for (host, fits) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("console.county.example", true),
            ("bbt.county.example:443", true),
            ("bbt.county.example.", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("203.0.113.5:8080", false),
            ("not a host", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            let refused = foreign(&config, &Uri::from_static("/"), &headers);
            assert_eq!(refused.is_none(), fits, "{host}");
        }
        let bare = HeaderMap::new();
        assert_eq!(foreign(&config, &Uri::from_static("/"), &bare), None);
        let absolute = Uri::from_static("http://evil.example/");
        assert!(foreign(&config, &absolute, &bare).is_some());
    }
}
