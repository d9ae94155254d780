//! Who signed in, and what they let us do.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A person as the identity provider knows them; never an address, which can be given to somebody else.
///
/// Microsoft Entra: the claims `tid` and `oid` of the id token ("ID token claims reference"). A provider without these:
/// `iss` and `sub` (OpenID Connect Core 1.0 section 5.7).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// `tid`, or `iss`.
    pub tenant: String,
    /// `oid`, or `sub`.
    pub object: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.object)
    }
}

/// A sign-in that was finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub identity: Identity,
    /// Their name, to show; proves nothing.
    pub name: Option<String>,
    /// Their address (`preferred_username`), to show; proves nothing.
    pub address: Option<String>,
    /// When, by our clock.
    pub at: Timestamp,
    /// The scope that was asked for.
    pub asked: String,
    /// What was granted: short names, as Microsoft answered.
    pub granted: Vec<String>,
    /// The app they signed in to ([`super::Credential::client`]).
    pub client: String,
    /// Whether a refresh token came with it (`offline_access`).
    pub renewable: bool,
}

impl SignIn {
    /// How a person is named on a page or a line.
    pub fn who(&self) -> &str {
        self.address
            .as_deref()
            .or(self.name.as_deref())
            .unwrap_or(&self.identity.object)
    }
}
