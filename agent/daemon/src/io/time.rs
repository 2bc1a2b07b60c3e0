//! Asks the console what time it is: the `Date` of any answer over a connection that only the console can answer.

use std::time::Duration;

use contract::api::ENROL;
use jiff::Timestamp;

/// The console's time; `None` if it does not answer or says nothing.
pub async fn console_time(console_url: &str, tls: rustls::ClientConfig) -> Option<Timestamp> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(15))
        .build()
        .ok()?;
    // Any path will do, and any status: only the header counts.
    let response = client.head(format!("{console_url}{ENROL}")).send().await.ok()?;
    parse_date(response.headers().get(reqwest::header::DATE)?.to_str().ok()?)
}

fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_http_date() {
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        assert_eq!(parse_date("yesterday"), None);
    }
}
