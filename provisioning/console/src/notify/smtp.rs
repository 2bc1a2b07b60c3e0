//! E-mail, over the address that was looked up and checked.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use super::{Message, SendError, TIMEOUT, guard::NotifyConfig};
use crate::{
    api::notify::SmtpSecurity,
    db::notify::{Secrets, Settings},
};

const ANSWER_CHARS: usize = 200;

/// Whether a text can be an e-mail address.
pub fn is_address(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok() && !text.chars().any(char::is_control)
}

pub(super) async fn send(
    config: &NotifyConfig,
    settings: &Settings,
    secrets: &Secrets,
    message: &Message,
) -> Result<(), SendError> {
    let channel = |what: String| SendError::Channel(what);
    config.check_smtp(&settings.smtp_host, settings.smtp_security)?;
    let address = config.resolve(&settings.smtp_host, settings.smtp_port).await?;
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| channel(format!("{text:?} is no e-mail address: {error}")))
    };
    let from = mailbox(&settings.smtp_from)?;
    let domain = from.email.domain().to_owned();
    let mail = lettre::Message::builder()
        .from(from)
        .to(mailbox(&message.address)?)
        .subject(message.title.replace(['\r', '\n'], " "))
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .header(ContentType::TEXT_PLAIN)
        .body(message.text.clone())
        .map_err(|error| channel(error.to_string()))?;
    // The certificate must be the name's, though the connection goes to the address.
    let parameters =
        || TlsParameters::new(settings.smtp_host.clone()).map_err(|error| channel(error.to_string()));
    let tls = match settings.smtp_security {
        SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
        SmtpSecurity::Starttls => Tls::Required(parameters()?),
        SmtpSecurity::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
        .port(address.port())
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let (Some(user), Some(password)) = (&settings.smtp_user, &secrets.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let target = settings.target.clone();
    builder.build().send(mail).await.map(|_| ()).map_err(|error| {
        let text: String = error
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .take(ANSWER_CHARS)
            .collect();
        if error.is_timeout() {
            SendError::Timeout { target }
        } else if error.is_permanent() || error.is_transient() {
            SendError::Refused { target, answer: text }
        } else {
            SendError::Unreachable { target, cause: text }
        }
    })
}
