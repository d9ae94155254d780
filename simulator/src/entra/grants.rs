//! Authorization codes and refresh tokens: what they are bound to, how long they live, how they rotate.

use super::scope::Scope;
use crate::clock::graph_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Life of a code in milliseconds (Microsoft identity platform, "authorization code flow": about ten minutes).
pub(crate) const CODE_LIFE_MS: i64 = 10 * 60 * 1000;
/// Longest time a refresh token may lie unused (Microsoft identity platform, "Refresh tokens": 90 days).
pub(crate) const INACTIVITY_MS: i64 = 90 * 24 * 3600 * 1000;

/// What happens to a refresh token that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rotation {
    /// Entra's way: a new one is given, the old one still serves until its own 90 days are over.
    #[default]
    EntraOldStaysValid,
    /// The old one is dead as soon as a new one was given.
    Strict,
    /// The same, and who uses a dead one kills the whole grant (RFC 9700 4.14.2).
    StrictWithFamilyRevocation,
}

/// How a code may be redeemed.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) app: String,
    pub(crate) oid: String,
    pub(crate) redirect_uri: String,
    /// Tenant name under which it was asked for: the tenant's id, or `common` or `organizations`.
    pub(crate) tenant: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) signed_in_ms: i64,
    pub(crate) mfa: bool,
    pub(crate) issued_ms: i64,
    pub(crate) redeemed: bool,
    pub(crate) revoked: bool,
}

/// A PKCE challenge (RFC 7636 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) text: String,
    pub(crate) s256: bool,
}

/// What a person once allowed an app, with all refresh tokens that came from it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) app: String,
    pub(crate) oid: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) signed_in_ms: i64,
    pub(crate) mfa: bool,
    pub(crate) issued_ms: i64,
    pub(crate) refreshed: u32,
    pub(crate) revoked: bool,
    pub(crate) expired: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct RefreshToken {
    /// Index of its grant.
    pub(crate) grant: usize,
    pub(crate) issued_ms: i64,
    /// A newer one was given for it.
    pub(crate) replaced: bool,
}

/// All codes and grants there ever were.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) codes: HashMap<String, Code>,
    /// In the order they came.
    pub(crate) all: Vec<Grant>,
    pub(crate) tokens: HashMap<String, RefreshToken>,
    pub(crate) rotation: Rotation,
}

/// A grant as the control shows it; no token is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantView {
    /// Number of the grant, from 0.
    pub number: usize,
    /// Client id.
    pub app: String,
    /// Address of the person.
    pub user: String,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Time of the redemption of its code.
    pub issued: String,
    /// How often it was refreshed.
    pub refreshed: u32,
    /// Refresh tokens that would still serve, its inactivity not counted.
    pub living_tokens: usize,
    /// Revoked by an admin, the person, or reuse of a token.
    pub revoked: bool,
    /// Expired by the control.
    pub expired: bool,
}

impl Grants {
    /// Notes a code; answers its text.
    pub(crate) fn add_code(&mut self, rng: &mut SmallRng, code: Code) -> String {
        let text = format!("1.AX{}", opaque(rng, 450));
        self.codes.insert(text.clone(), code);
        text
    }

    /// A new refresh token of a grant; answers its text.
    pub(crate) fn add_token(&mut self, rng: &mut SmallRng, grant: usize, now_ms: i64) -> String {
        let text = format!("1.AY{}", opaque(rng, 750));
        self.tokens.insert(
            text.clone(),
            RefreshToken {
                grant,
                issued_ms: now_ms,
                replaced: false,
            },
        );
        text
    }

    /// Revokes all grants and open codes of a person, or of everybody; answers how many grants lived.
    pub(crate) fn revoke(&mut self, oid: Option<&str>) -> usize {
        let hit = |of: &str| oid.is_none_or(|o| o == of);
        for code in self.codes.values_mut().filter(|c| hit(&c.oid)) {
            code.revoked = true;
        }
        let mut count = 0;
        for grant in self.all.iter_mut().filter(|g| hit(&g.oid) && !g.revoked) {
            grant.revoked = true;
            count += 1;
        }
        count
    }

    /// Whether a token serves under the rotation in force.
    pub(crate) fn serves(&self, token: &RefreshToken) -> bool {
        !token.replaced || self.rotation == Rotation::EntraOldStaysValid
    }

    pub(crate) fn views(&self, address_of: impl Fn(&str) -> String) -> Vec<GrantView> {
        let living = |number: usize| {
            self.tokens
                .values()
                .filter(|t| t.grant == number && self.serves(t))
                .count()
        };
        self.all
            .iter()
            .enumerate()
            .map(|(number, g)| GrantView {
                number,
                app: g.app.clone(),
                user: address_of(&g.oid),
                scopes: g.scopes.iter().map(Scope::short).collect(),
                issued: graph_time(g.issued_ms),
                refreshed: g.refreshed,
                living_tokens: if g.revoked || g.expired { 0 } else { living(number) },
                revoked: g.revoked,
                expired: g.expired,
            })
            .collect()
    }
}

/// Text nobody can read anything from, about 4/3 of `bytes` long.
pub(crate) fn opaque(rng: &mut SmallRng, bytes: usize) -> String {
    let mut block = vec![0; bytes];
    rng.fill_bytes(&mut block);
    URL_SAFE_NO_PAD.encode(block)
}
