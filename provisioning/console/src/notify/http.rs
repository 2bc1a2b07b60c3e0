//! Webhooks and robots over HTTP: one POST, no redirects, to the address that was looked up and checked.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::{Value, json};
use url::Url;

use super::{Message, SendError, TIMEOUT, guard};
use crate::{api::notify::ChannelKind, config::Config, db::notify::Secrets};

/// Of an answer, this much is read.
const ANSWER_BYTES: usize = 16 << 10;
const ANSWER_CHARS: usize = 200;
/// 企业微信 takes 2,048 bytes of text, 钉钉 20,000.
const WECOM_BYTES: usize = 2_000;

pub(super) async fn send(
    config: &Config,
    kind: ChannelKind,
    secrets: &Secrets,
    message: &Message,
) -> Result<(), SendError> {
    let text = secrets
        .url
        .as_deref()
        .ok_or_else(|| SendError::Channel("it has no address".into()))?;
    let mut url = config.notify.check_url(text)?;
    let host = guard::plain_host(&url).ok_or_else(|| SendError::Channel("its address has no host".into()))?;
    let target = guard::shown(&url);
    let port = url.port_or_known_default().unwrap_or(443);
    let address = config.notify.resolve(&host, port).await?;
    let body = body(kind, message, &config.web_url).to_string();
    let mut headers = Vec::new();
    match (kind, &secrets.sign) {
        (ChannelKind::Dingtalk, Some(secret)) => {
            sign_dingtalk(&mut url, secret, jiff::Timestamp::now().as_millisecond())
        }
        (ChannelKind::Webhook, Some(secret)) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = hex::encode(hmac::sign(&key, body.as_bytes()));
            headers.push(("x-bbt-signature", format!("sha256={tag}")));
        }
        _ => {}
    }
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            return SendError::Timeout {
                target: target.clone(),
            };
        }
        // Its words name the address with the key in it.
        let mut cause: &dyn std::error::Error = &error.without_url();
        let mut text = cause.to_string();
        while let Some(inner) = cause.source() {
            text = inner.to_string();
            cause = inner;
        }
        SendError::Unreachable {
            target: target.clone(),
            cause: text,
        }
    };
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .resolve(&host, address)
        .build()
        .map_err(failed)?;
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        answer.extend_from_slice(&chunk);
        if answer.len() > ANSWER_BYTES {
            break;
        }
    }
    let said = || {
        String::from_utf8_lossy(&answer)
            .chars()
            .filter(|c| !c.is_control())
            .take(ANSWER_CHARS)
            .collect::<String>()
    };
    if !status.is_success() {
        return Err(SendError::Refused {
            target,
            answer: format!("{status} {}", said()),
        });
    }
    // Robots say in the body what went wrong.
    if kind != ChannelKind::Webhook {
        let code = serde_json::from_slice::<Value>(&answer)
            .ok()
            .and_then(|answer| answer["errcode"].as_i64());
        if code != Some(0) {
            return Err(SendError::Refused {
                target,
                answer: said(),
            });
        }
    }
    Ok(())
}

fn body(kind: ChannelKind, message: &Message, web_url: &str) -> Value {
    let about = match (message.order, message.incident) {
        (Some(id), _) => Some(format!("orders/{id}")),
        (None, Some(id)) => Some(format!("incidents/{id}")),
        (None, None) => None,
    };
    let page = about
        .filter(|_| !web_url.is_empty())
        .map(|path| format!("{}/{path}", web_url.trim_end_matches('/')));
    let whole = format!("{}\n{}", message.title, message.text);
    let numbers: Vec<&str> = Some(message.address.as_str())
        .filter(|number| !number.is_empty())
        .into_iter()
        .collect();
    match kind {
        ChannelKind::Wecom => {
            let text = json!({ "content": cut(&whole, WECOM_BYTES), "mentioned_mobile_list": numbers });
            json!({ "msgtype": "text", "text": text })
        }
        ChannelKind::Dingtalk => {
            json!({ "msgtype": "text", "text": { "content": whole }, "at": { "atMobiles": numbers, "isAtAll": false } })
        }
        ChannelKind::Webhook | ChannelKind::Smtp => json!({
            "id": message.id,
            "reason": message.reason,
            "severity": message.severity,
            "title": message.title,
            "text": message.text,
            "incident_id": message.incident,
            "order_id": message.order,
            "to": message.address,
            "url": page,
            "made_at": message.made,
        }),
    }
}

/// A text of at most so many bytes, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// 加签: HMAC-SHA256 over the time and the secret, with the secret as the key.
fn sign_dingtalk(url: &mut Url, secret: &str, now_ms: i64) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{now_ms}\n{secret}").as_bytes());
    url.query_pairs_mut()
        .append_pair("timestamp", &now_ms.to_string())
        .append_pair("sign", &STANDARD.encode(tag));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_signed_as_their_makers_say() {
        // Worked out with the sample of the maker's documentation (Python: hmac, base64, quote_plus).
        let mut url = Url::parse("https://oapi.dingtalk.com/robot/send?access_token=x").unwrap();
        sign_dingtalk(&mut url, "this is secret", 1_577_808_000_000);
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs[1], ("timestamp".into(), "1577808000000".into()));
        assert_eq!(pairs[2].1, DINGTALK_SIGN);
        assert_eq!(cut("三年级", 4), "三");
    }

    const DINGTALK_SIGN: &str = "ijHEivi6YiCNPZOq4hZstmvZ3sPfbioAiMhP30ae7W0=";
}
