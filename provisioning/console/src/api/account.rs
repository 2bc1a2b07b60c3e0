//! One's own account.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::users::{Grant, UserKind};
use crate::config::Language;

/// One's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Name for signing in.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// Language of the pages.
    pub language: Language,
    /// How the person proves who they are.
    pub kind: UserKind,
    /// Has a second factor.
    pub totp: bool,
    /// When the password was last changed.
    pub password_changed_at: Option<Timestamp>,
    /// What it may do, and where.
    pub grants: Vec<Grant>,
}

/// Changes to one's own account; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeAccount {
    /// Name for people, 1–80 characters.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Language of the pages.
    #[serde(default)]
    pub language: Option<Language>,
}

/// Another password for oneself.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The password so far.
    #[schema(format = Password)]
    pub current: String,
    /// The new one.
    #[schema(format = Password)]
    pub new: String,
}

/// The password once more, before the second factor is changed.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ConfirmPassword {
    /// The password.
    #[schema(format = Password)]
    pub password: String,
}

/// A second factor that waits for its first code. Shown this once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TotpSetup {
    /// Base 32, to be typed into an authenticator.
    pub secret: String,
    /// `otpauth://…`.
    pub uri: String,
    /// The same as a QR code (SVG).
    pub qr_svg: String,
}

/// The first code of a new second factor.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TotpCode {
    /// Six digits.
    pub code: String,
}
