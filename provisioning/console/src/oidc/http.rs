//! The way out to the provider: only to the hosts that were named, without redirects, with an end to time and size.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use anyhow::Context;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::Url;

use super::config::{OidcConfig, is_safe};

const CONNECT: Duration = Duration::from_secs(4);
const WHOLE: Duration = Duration::from_secs(8);
/// Discovery, keys and tokens are some kilobytes.
const ANSWER: usize = 512 << 10;

/// Asks the provider.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    client: reqwest::Client,
    hosts: BTreeSet<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The provider's documents lead somewhere else.
    #[error("{0} is not a host of the provider; name it in oidc.hosts if it is")]
    ForeignHost(String),
    /// Neither TLS nor this machine.
    #[error("{0} is not reached over https")]
    NotSafe(String),
    /// No end of the answer in sight.
    #[error("the answer is larger than {} KiB", ANSWER >> 10)]
    TooLarge,
    /// The line, the name, the certificate.
    #[error("{0}")]
    Line(String),
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        // The reason stands at the end of the chain.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Self::Line(text)
    }
}

impl Outgoing {
    /// Ready to ask the hosts of `config`.
    ///
    /// # Errors
    /// The authorities in `oidc.ca_file` cannot be used.
    pub(super) fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        // One TLS provider for all; a second call only means that it is set.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(WHOLE);
        if let Some(file) = &config.ca_file {
            let failed = || {
                format!(
                    "Failed to use the certificates in {} (oidc.ca_file)",
                    file.display()
                )
            };
            let pem = std::fs::read(file).with_context(failed)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).with_context(failed)?;
            anyhow::ensure!(!certificates.is_empty(), "{}: there is none", failed());
            client = client.tls_certs_only(certificates);
        }
        Ok(Self {
            client: client
                .build()
                .context("Failed to prepare the way to the OIDC provider")?,
            hosts: config.hosts.clone(),
        })
    }

    /// Whether an address of the provider's documents may be asked, or people be sent to it.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn allows(&self, url: &Url) -> Result<(), HttpError> {
        if !is_safe(url) {
            return Err(HttpError::NotSafe(url.to_string()));
        }
        let host = url.host_str().unwrap_or_default();
        if !self.hosts.contains(host) {
            return Err(HttpError::ForeignHost(host.to_owned()));
        }
        Ok(())
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|e| HttpError::Line(e.to_string()))?;
        self.allows(&url)?;
        let mut answer = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body)
            .send()
            .await?;
        let status = answer.status();
        let headers = std::mem::take(answer.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > ANSWER {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Outgoing {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
