//! The console's HTTP API as a person's browser uses it: sign in, ask, do.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, Response, header};
use serde_json::Value;

/// A signed-in session.
#[derive(Clone)]
pub struct Console {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The cookie is a secret.
        f.debug_struct("Console")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// Signs in. `base` is the address of the web listener without a slash at its end.
    ///
    /// # Errors
    /// Not reachable, or the console refuses.
    pub async fn sign_in(base: &str, username: &str, password: &str) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .no_proxy()
            .tls_certs_only([])
            .build()?;
        let mut console = Self {
            http,
            base: base.to_owned(),
            cookie: String::new(),
        };
        let body = serde_json::json!({ "username": username, "password": password });
        let answer = console.send(Method::POST, "/session", Some(&body)).await?;
        let cookie = answer
            .headers()
            .get(header::SET_COOKIE)
            .context("Failed to sign in: no session cookie")?;
        console.cookie = cookie.to_str()?.split(';').next().unwrap_or_default().to_owned();
        Ok(console)
    }

    /// A file of the console that needs no session.
    ///
    /// # Errors
    /// Not reachable, or any answer but a success.
    pub async fn text(base: &str, path: &str) -> Result<String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
        let answer = http.get(format!("{base}{path}")).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}/api/v1{path}", self.base));
        if !self.cookie.is_empty() {
            request = request.header(header::COOKIE, &self.cookie);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("Failed to reach the console for {path}"))?;
        if !answer.status().is_success() {
            let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
            bail!("{method} {path}: {status}: {text}");
        }
        Ok(answer)
    }

    /// `GET /api/v1{path}`, the bytes as they come: a sheet to print, a zip.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.send(Method::GET, path, None).await?.bytes().await?.to_vec())
    }

    /// `POST`s one file as `multipart/form-data`.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn upload(&self, path: &str, name: &str, file: &[u8]) -> Result<Value> {
        self.form(path, &[("file", Some(name), file)]).await
    }

    /// `POST`s several parts as `multipart/form-data`: name, file name where it is a file, bytes.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn form(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Result<Value> {
        let mut body = Vec::new();
        for (name, file, bytes) in parts {
            let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
            let head = format!("--X\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--X--\r\n");
        let answer = self
            .http
            .post(format!("{}/api/v1{path}", self.base))
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=X")
            .body(body)
            .send()
            .await
            .with_context(|| format!("Failed to reach the console for {path}"))?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "POST {path}: {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{path}: the answer is not JSON"))
    }

    /// The session's cookie, `name=value`.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = self.send(method, path, body).await?.text().await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{path}: the answer is not JSON"))
    }

    /// `GET /api/v1{path}`.
    ///
    /// # Errors
    /// Not reachable, or any answer but a success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.json(Method::GET, path, None).await
    }

    /// `POST /api/v1{path}`.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.json(Method::POST, path, Some(&body)).await
    }

    /// `PUT /api/v1{path}`.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn put(&self, path: &str, body: Value) -> Result<Value> {
        self.json(Method::PUT, path, Some(&body)).await
    }

    /// `PATCH /api/v1{path}`.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn patch(&self, path: &str, body: Value) -> Result<Value> {
        self.json(Method::PATCH, path, Some(&body)).await
    }

    /// `DELETE /api/v1{path}`.
    ///
    /// # Errors
    /// As [`Console::get`].
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.json(Method::DELETE, path, None).await
    }
}
