//! Signing in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Language;

/// Who wants in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignIn {
    /// User name.
    pub username: String,
    /// Password.
    #[schema(format = Password)]
    pub password: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("username", &self.username)
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
}
