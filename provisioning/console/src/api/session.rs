//! Signing in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::Grant;
use crate::config::Language;

/// Who wants in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// User name.
    pub username: String,
    /// Password.
    #[schema(format = Password)]
    pub password: String,
    /// The second factor's six digits; only for accounts that have one (`totp_required` says so).
    #[serde(default)]
    pub totp: Option<String>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SignInMethod {
    /// By password.
    #[serde(rename = "password")]
    Password,
    /// By password and second factor.
    #[serde(rename = "password+totp")]
    PasswordTotp,
    /// By the county's single sign-on.
    #[serde(rename = "oidc")]
    Oidc,
    /// By the password for emergencies.
    #[serde(rename = "break_glass")]
    BreakGlass,
}

impl SignInMethod {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordTotp => "password+totp",
            Self::Oidc => "oidc",
            Self::BreakGlass => "break_glass",
        }
    }

    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "password+totp" => Self::PasswordTotp,
            "oidc" => Self::Oidc,
            "break_glass" => Self::BreakGlass,
            _ => Self::Password,
        }
    }
}

/// Which ways of signing in there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionOptions {
    /// Single sign-on, if it is set up.
    pub oidc: Option<OidcOption>,
    /// Whether accounts of the console's own may sign in with their password; the account for emergencies always may.
    pub local: bool,
}

/// Single sign-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcOption {
    /// On the button.
    pub name: String,
}

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
pub struct OidcBegin {
    /// A path of these pages.
    pub return_to: String,
}

/// What the provider sends back with the browser.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
pub struct OidcCallback {
    /// Opens the token.
    pub code: Option<String>,
    /// Names the sign-in.
    pub state: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

impl std::fmt::Debug for OidcCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcCallback")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Who is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// User name.
    pub username: String,
    /// The person's name, for the page.
    pub display_name: String,
    /// The person's language.
    pub language: Language,
    /// How the person proved who they are.
    pub method: SignInMethod,
    /// Whether the account has a second factor.
    pub totp: bool,
    /// Names of the actions that the person may do somewhere; what is not here need not be offered.
    pub actions: Vec<String>,
    /// What the person holds.
    pub grants: Vec<Grant>,
}

/// One session of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// Its public name; its cookie is never shown.
    pub id: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, within a minute.
    pub last_seen_at: Option<Timestamp>,
    /// From where it began; empty if unknown.
    pub address: String,
    /// The browser, by its own word.
    pub user_agent: String,
    /// How the person proved who they are.
    pub method: SignInMethod,
    /// Whether it is the asker's own.
    pub current: bool,
}

/// Sessions of an account, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The sessions.
    pub items: Vec<SessionInfo>,
}
