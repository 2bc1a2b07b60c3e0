//! A small honest provider on a port of its own, which can be told to lie.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use openidconnect::{
    JsonWebKeyId, PrivateSigningKey,
    core::{CoreJwsSigningAlgorithm, CoreRsaPrivateSigningKey},
};
use rsa::pkcs1::EncodeRsaPrivateKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const CLIENT: &str = "bbt";
pub const SECRET: &str = "s3cret";

/// Two keys: the provider's, and one that only says it is.
static KEYS: LazyLock<[CoreRsaPrivateSigningKey; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let pem = key.to_pkcs1_pem(rsa::pkcs1::LineEnding::LF).unwrap();
        CoreRsaPrivateSigningKey::from_pem(&pem, Some(JsonWebKeyId::new("k1".into()))).unwrap()
    })
});

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    Good,
    OtherKey,
    UnknownKey,
    None,
    /// With the client's secret, which every console of that client knows.
    Shared,
}

/// What the provider says, and how.
#[derive(Debug, Clone)]
pub struct Says {
    pub subject: String,
    pub name: String,
    pub groups: Value,
    pub nonce: Option<String>,
    pub audience: Value,
    pub issuer: Option<String>,
    pub issued: i64,
    pub lasts: i64,
    pub seal: Seal,
    pub waits: Duration,
    /// Host of the token endpoint instead of its own.
    pub token_host: Option<String>,
}

impl Default for Says {
    fn default() -> Self {
        Self {
            subject: "sub-1".into(),
            name: "zhang".into(),
            groups: json!(["ops", "others"]),
            nonce: None,
            audience: json!(CLIENT),
            issuer: None,
            issued: 0,
            lasts: 300,
            seal: Seal::Good,
            waits: Duration::ZERO,
            token_host: None,
        }
    }
}

#[derive(Clone)]
pub struct Provider {
    pub issuer: String,
    says: Arc<Mutex<Says>>,
    codes: Arc<Mutex<HashMap<String, HashMap<String, String>>>>,
    task: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            says: Arc::default(),
            codes: Arc::default(),
            task: Arc::default(),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(provider.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        *provider.task.lock().unwrap() = Some(task);
        provider
    }

    pub fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }

    pub fn say(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }

    fn says(&self) -> Says {
        self.says.lock().unwrap().clone()
    }
}

async fn configuration(State(p): State<Provider>) -> Json<Value> {
    let says = p.says();
    let token_host = says.token_host.unwrap_or_else(|| p.issuer.clone());
    Json(json!({
        "issuer": says.issuer.as_ref().unwrap_or(&p.issuer),
        "authorization_endpoint": format!("{}/authorize", p.issuer),
        "token_endpoint": format!("{token_host}/token"),
        "jwks_uri": format!("{}/jwks", p.issuer),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // A liar offers what it should not; it is not taken up.
        "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
    }))
}

async fn jwks() -> Json<Value> {
    Json(json!({ "keys": [KEYS[0].as_verification_key()] }))
}

/// Consents at once.
async fn authorize(State(p): State<Provider>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let fits = asked["response_type"] == "code"
        && asked["client_id"] == CLIENT
        && asked["code_challenge_method"] == "S256"
        && asked["scope"].split(' ').any(|scope| scope == "openid");
    if !fits {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let code = format!("code-{}", p.codes.lock().unwrap().len());
    let to = format!("{}?code={code}&state={}", asked["redirect_uri"], asked["state"]);
    p.codes.lock().unwrap().insert(code, asked);
    Redirect::to(&to).into_response()
}

async fn token(
    State(p): State<Provider>,
    headers: HeaderMap,
    Form(asked): Form<HashMap<String, String>>,
) -> Response {
    let says = p.says();
    tokio::time::sleep(says.waits).await;
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    if headers
        .get(header::AUTHORIZATION)
        .is_none_or(|given| given != basic.as_str())
    {
        return refuse("invalid_client");
    }
    let Some(begun) = p.codes.lock().unwrap().remove(&asked["code"]) else {
        return refuse("invalid_grant");
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
    if challenge != begun["code_challenge"] || asked["redirect_uri"] != begun["redirect_uri"] {
        return refuse("invalid_grant");
    }
    let now = Timestamp::now().as_second() + says.issued;
    let claims = json!({
        "iss": p.issuer,
        "sub": says.subject,
        "aud": says.audience,
        "iat": now,
        "exp": now + says.lasts,
        "nonce": says.nonce.as_ref().unwrap_or(&begun["nonce"]),
        "preferred_username": says.name,
        "name": "张三",
        "groups": says.groups,
    });
    Json(json!({
        "access_token": "unused",
        "token_type": "Bearer",
        "expires_in": 60,
        "id_token": seal(&claims, says.seal),
    }))
    .into_response()
}

fn refuse(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

fn seal(claims: &Value, seal: Seal) -> String {
    let (alg, kid) = match seal {
        Seal::Good | Seal::OtherKey => ("RS256", "k1"),
        Seal::UnknownKey => ("RS256", "k2"),
        Seal::None => ("none", "k1"),
        Seal::Shared => ("HS256", "k1"),
    };
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!(
        "{}.{}",
        part(&json!({ "alg": alg, "kid": kid, "typ": "JWT" })),
        part(claims)
    );
    let signature = match seal {
        Seal::Good => KEYS[0]
            .sign(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, text.as_bytes())
            .unwrap(),
        Seal::OtherKey | Seal::UnknownKey => KEYS[1]
            .sign(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, text.as_bytes())
            .unwrap(),
        Seal::None => Vec::new(),
        Seal::Shared => openidconnect::core::CoreHmacKey::new(SECRET.as_bytes())
            .sign(&CoreJwsSigningAlgorithm::HmacSha256, text.as_bytes())
            .unwrap(),
    };
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
