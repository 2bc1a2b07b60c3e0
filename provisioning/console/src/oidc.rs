//! Single sign-on with OpenID Connect: the authorisation code flow with PKCE, state and nonce. Fails closed; a provider that
//! is down or lies keeps nobody from signing in with a password of ours.

pub mod config;
mod http;
pub mod person;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use openidconnect::{
    AuthType, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
        CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
        CoreTokenType,
    },
};
use tokio::sync::Mutex;

use self::{
    config::OidcConfig,
    http::{HttpError, Outgoing},
    person::{Claims, Person},
};

/// The provider's documents are asked for again after this long.
const BELIEVED: Duration = Duration::from_secs(600);
/// A provider that did not answer is not asked again before.
const SPARED: Duration = Duration::from_secs(5);
/// Keys that a token names and we do not have are looked for again no more often than this.
const KEYS_AGAIN: Duration = Duration::from_secs(10);
/// Clocks may differ by this much.
const LEEWAY_S: i64 = 60;
/// Oldest token that is taken: it was made for the sign-in under way.
const OLDEST_S: i64 = 600;
/// Signatures that are taken, whatever the provider says it can do: never none, never a shared secret.
const SIGNATURES: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type OurClient = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not like one.
    #[error("the provider cannot be used: {0}")]
    Unavailable(String),
    /// Its answer cannot be believed, or gives nobody a role.
    #[error("{0}")]
    Refused(String),
}

/// The provider, once somebody asked for it.
#[derive(Debug)]
pub struct Oidc {
    config: OidcConfig,
    secret: Option<ClientSecret>,
    way: Outgoing,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    provider: Option<(Arc<CoreProviderMetadata>, Instant)>,
    failed: Option<(String, Instant)>,
}

/// A sign-in that begins.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// Comes back with it.
    pub state: String,
    /// Stands in the token.
    pub nonce: String,
    /// Proves that who asks for the token is who began.
    pub verifier: String,
}

impl Oidc {
    /// Reads secret and authorities; asks nobody yet.
    ///
    /// # Errors
    /// A file cannot be used; named with its key.
    pub fn open(config: OidcConfig) -> anyhow::Result<Self> {
        let secret = match &config.client_secret_file {
            None => None,
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| {
                    format!("Failed to read {} (oidc.client_secret_file)", file.display())
                })?;
                let text = text.trim();
                anyhow::ensure!(
                    !text.is_empty(),
                    "{} (oidc.client_secret_file) is empty; write the client secret into it",
                    file.display()
                );
                Some(ClientSecret::new(text.to_owned()))
            }
        };
        Ok(Self {
            way: Outgoing::new(&config)?,
            secret,
            config,
            known: Mutex::default(),
        })
    }

    /// What was configured.
    pub const fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`OidcError::Unavailable`].
    pub async fn begin(&self) -> Result<Begun, OidcError> {
        let client = self.client(&*self.provider(BELIEVED).await?)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut ask = client
            .authorize_url(
                openidconnect::AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in &self.config.scopes {
            ask = ask.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = ask.url();
        Ok(Begun {
            url: url.to_string(),
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        })
    }

    /// Exchanges the code and says who it is.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn complete(
        &self,
        code: &str,
        nonce: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Result<Person, OidcError> {
        let provider = self.provider(BELIEVED).await?;
        let client = self.client(&provider)?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|e| OidcError::Unavailable(e.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(&self.way)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(answer) => {
                    OidcError::Refused(format!("the provider refused the code: {:?}", answer.error()))
                }
                RequestTokenError::Request(error) => OidcError::Unavailable(error.to_string()),
                RequestTokenError::Parse(error, _) => {
                    OidcError::Unavailable(format!("its token cannot be read: {error}"))
                }
                RequestTokenError::Other(error) => OidcError::Unavailable(error),
            })?;
        let token = answer
            .id_token()
            .ok_or_else(|| OidcError::Refused("the provider gave no ID token".into()))?;
        let nonce = Nonce::new(nonce.to_owned());
        let claims = match self.verify(&client, token, &nonce, now) {
            // The provider may have changed its keys since.
            Err(openidconnect::ClaimsVerificationError::SignatureVerification(_)) => {
                let client = self.client(&*self.provider(KEYS_AGAIN).await?)?;
                self.verify(&client, token, &nonce, now)
            }
            done => done,
        }
        .map_err(|error| {
            let cause = std::error::Error::source(&error).map(|e| format!(": {e}"));
            OidcError::Refused(format!(
                "the ID token cannot be believed: {error}{}",
                cause.unwrap_or_default()
            ))
        })?;
        let values = claims.additional_claims().values(&self.config.claim);
        let subject = claims.subject().as_str().to_owned();
        let plain = |name: Option<&openidconnect::LocalizedClaim<openidconnect::EndUserName>>| {
            person::name(name.and_then(|name| name.get(None)).map(|name| name.as_str()))
        };
        let username = person::name(claims.preferred_username().map(|name| name.as_str()))
            .or_else(|| person::name(claims.email().map(|mail| mail.as_str())))
            .or_else(|| person::name(Some(&subject)))
            .ok_or_else(|| OidcError::Refused("the ID token names nobody".into()))?;
        Ok(Person {
            issuer: self.config.issuer.clone(),
            display_name: plain(claims.name()).unwrap_or_else(|| username.clone()),
            username,
            subject,
            grants: person::worth(&values, &self.config.map),
        })
    }

    fn verify<'t>(
        &self,
        client: &OurClient,
        token: &'t openidconnect::IdToken<
            Claims,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
        nonce: &Nonce,
        now: Timestamp,
    ) -> Result<
        &'t openidconnect::IdTokenClaims<Claims, CoreGenderClaim>,
        openidconnect::ClaimsVerificationError,
    > {
        let now = now.as_second();
        let lenient = chrono::DateTime::from_timestamp(now - LEEWAY_S, 0)
            .unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(SIGNATURES)
            .set_time_fn(move || lenient)
            .set_issue_time_verifier_fn(move |at| {
                let age = now - at.timestamp();
                if age < -LEEWAY_S {
                    Err(format!(
                        "it was issued {} s in the future; check both clocks",
                        -age
                    ))
                } else if age > OLDEST_S + LEEWAY_S {
                    Err(format!("it was issued {age} s ago"))
                } else {
                    Ok(())
                }
            });
        token.claims(&verifier, nonce)
    }

    fn client(&self, provider: &CoreProviderMetadata) -> Result<OurClient, OidcError> {
        let broken = |e: &dyn std::fmt::Display| OidcError::Unavailable(e.to_string());
        let back = RedirectUrl::new(self.config.redirect_url.clone()).map_err(|e| broken(&e))?;
        let methods = provider.token_endpoint_auth_methods_supported();
        let only_post = methods.is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let client = OurClient::from_provider_metadata(
            provider.clone(),
            ClientId::new(self.config.client_id.clone()),
            self.secret.clone(),
        )
        .set_redirect_uri(back);
        Ok(if only_post {
            client.set_auth_type(AuthType::RequestBody)
        } else {
            client
        })
    }

    /// The provider's documents, no older than `believed`; asked for by one at a time.
    async fn provider(&self, believed: Duration) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((provider, at)) = &known.provider
            && at.elapsed() < believed
        {
            return Ok(Arc::clone(provider));
        }
        if let Some((why, at)) = &known.failed
            && at.elapsed() < SPARED
        {
            return Err(OidcError::Unavailable(why.clone()));
        }
        match self.discover().await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                known.provider = Some((Arc::clone(&provider), Instant::now()));
                known.failed = None;
                Ok(provider)
            }
            Err(why) => {
                tracing::warn!(error = why, "the provider of single sign-on cannot be used");
                known.failed = Some((why.clone(), Instant::now()));
                Err(OidcError::Unavailable(why))
            }
        }
    }

    async fn discover(&self) -> Result<CoreProviderMetadata, String> {
        // The issuer is compared letter by letter with what the provider says of itself, as written in the configuration.
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|e| e.to_string())?;
        let provider = CoreProviderMetadata::discover_async(issuer, &self.way)
            .await
            .map_err(|error: DiscoveryError<HttpError>| match error {
                DiscoveryError::Request(error) => error.to_string(),
                DiscoveryError::Parse(error) => format!("its configuration cannot be read: {error}"),
                DiscoveryError::Response(status, _, reason) => format!("it answered {status}: {reason}"),
                other => other.to_string(),
            })?;
        // People are sent there, so it must be as safe as what we ask ourselves.
        self.way
            .allows(provider.authorization_endpoint().url())
            .map_err(|e| e.to_string())?;
        Ok(provider)
    }
}
