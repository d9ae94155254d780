//! A sign-in that is begun: what goes to Microsoft with the browser, what stays with the browser, what stays here.
//!
//! `state` is known to the link, a cookie to the browser, hashes of both and a salt to the store. Verifier and nonce are
//! derived from all three, so that none of them alone is worth anything.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    credential::{Credential, GrantType},
    origin::Origin,
    ports::{Ports, Rng},
    records::{
        RecordError,
        authorizations::{Authorizations, Consumed, Errand, Pending},
    },
    secret::Secret,
    time::plus,
};

use super::id_token::tenant_of;

/// How long a browser may take (design: pending authorization).
pub(super) const LIFETIME: std::time::Duration = std::time::Duration::from_secs(600);

/// What is begun.
pub struct Begin<'a> {
    /// For which credential; it has an authorization URL unless an admin consents.
    pub credential: &'a Credential,
    /// What for.
    pub errand: Errand,
    /// From configuration only.
    pub redirect_uri: Url,
    /// Another person may take over.
    pub rebind: bool,
    /// The session that asked for it.
    pub session: Option<String>,
    /// What a policy of the tenant asked for when it refused the last token (`claims`, JSON).
    pub claims: Option<&'a str>,
}

/// A browser that can be sent on.
pub struct Begun {
    /// To Microsoft.
    pub location: Url,
    /// The record's key.
    pub key: String,
    /// The value of the flow's cookie.
    pub cookie: Secret,
}

/// What the browser proved, for the token endpoint.
pub struct Proof {
    /// PKCE (RFC 7636).
    pub verifier: Secret,
    /// What the id token must carry.
    pub nonce: Secret,
}

/// Begins sign-ins and consumes them.
#[derive(Clone)]
pub struct AuthorizationFlow {
    ports: Ports,
    shelf: Authorizations,
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// 32 random bytes, as text for URLs and cookies.
pub(crate) fn random(rng: &dyn Rng) -> Secret {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// HMAC-SHA256, as text for URLs.
pub(crate) fn derive(key: &str, label: &str, salt: &str) -> Secret {
    // A key of any length is taken; the branch is there because the type says it could fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        return Secret::new("");
    };
    mac.update(label.as_bytes());
    mac.update(&[0]);
    mac.update(salt.as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// What this browser proves for a row it consumed.
pub(crate) fn proof(state: &str, cookie: &Secret, salt: &str) -> Proof {
    let key = format!("{state}.{}", cookie.expose());
    Proof {
        verifier: derive(&key, "postroom pkce verifier", salt),
        nonce: derive(&key, "postroom nonce", salt),
    }
}

/// The challenge of a proof's verifier (RFC 7636 section 4.2, S256).
pub(super) fn challenge(proof: &Proof) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(proof.verifier.expose()))
}

/// Where the login pages of a credential are: pages whose form leads there must name it.
pub fn entra_origin(credential: &Credential) -> Option<Origin> {
    Origin::of(credential.authorization_url.as_ref().unwrap_or(&credential.token_url))
}

impl AuthorizationFlow {
    /// Over these ports.
    pub fn new(ports: Ports) -> Self {
        let shelf = Authorizations::new(std::sync::Arc::clone(&ports.store));
        Self { ports, shelf }
    }

    /// The shelf of what was begun.
    pub fn shelf(&self) -> &Authorizations {
        &self.shelf
    }

    /// Writes down what is begun; where the browser goes and what it takes along.
    pub async fn begin(&self, begin: Begin<'_>) -> Result<Begun, RecordError> {
        let rng = &*self.ports.rng;
        let (state, cookie, salt) = (random(rng), random(rng), rng.hex(32));
        let now = self.ports.clock.now();
        let credential = begin.credential;
        let scope = match credential.grant_type {
            // An admin consents to all that a person will be asked for, `openid` and its kin included: where people may
            // not consent themselves, they may not consent to those either.
            GrantType::AuthorizationCode => credential.asked_scope(),
            GrantType::ClientCredentials => credential.scope.clone(),
        };
        let pending = Pending {
            credential: credential.id.clone(),
            errand: begin.errand,
            client: credential.client(),
            redirect_uri: begin.redirect_uri,
            scope,
            issuer: expected_issuer(credential),
            salt: salt.clone(),
            rebind: begin.rebind,
            session: begin.session,
            begun_at: now,
        };
        let key = sha256_hex(state.expose());
        self.shelf
            .add(&key, &pending, &sha256_hex(cookie.expose()), now, plus(now, LIFETIME))
            .await?;
        let proof = proof(state.expose(), &cookie, &salt);
        let location = match begin.errand {
            Errand::SignIn => authorization_url(credential, &pending, &state, &proof, begin.claims),
            Errand::AdminConsent => consent_url(credential, &pending, &state),
        };
        Ok(Begun { location, key, cookie })
    }

    /// Consumes what was begun with this `state`, for the browser with this cookie. One write, and nobody is asked
    /// before it.
    pub async fn consume(
        &self,
        state: &str,
        cookie: &Secret,
        by: &str,
        now: Timestamp,
    ) -> Result<Consumed, RecordError> {
        self.shelf
            .consume(&sha256_hex(state), &sha256_hex(cookie.expose()), by, now)
            .await
    }
}

/// RFC 9207, as far as it can be known before anybody is asked: Entra's issuer of a tenant that is named by its id.
fn expected_issuer(credential: &Credential) -> Option<String> {
    let tenant = tenant_of(&credential.token_url)?;
    let origin = Origin::of(&credential.token_url)?;
    credential
        .token_url
        .path()
        .ends_with("/oauth2/v2.0/token")
        .then(|| format!("{origin}/{tenant}/v2.0"))
}

/// The typed URL with what the protocol needs; what the admin typed stays, but for these.
fn authorization_url(
    credential: &Credential,
    pending: &Pending,
    state: &Secret,
    proof: &Proof,
    claims: Option<&str>,
) -> Url {
    let challenge = challenge(proof);
    let mut ours = vec![
        ("client_id", credential.client_id.as_str()),
        ("response_type", "code"),
        ("response_mode", "query"),
        ("redirect_uri", pending.redirect_uri.as_str()),
        ("scope", &pending.scope),
        ("state", state.expose()),
        ("nonce", proof.nonce.expose()),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    ours.extend(claims.map(|claims| ("claims", claims)));
    let base = credential.authorization_url.as_ref().unwrap_or(&credential.token_url);
    merged(base.clone(), &ours)
}

/// "Admin consent on the Microsoft identity platform": beside the token endpoint of the tenant.
fn consent_place(token_url: &Url) -> Url {
    let mut url = token_url.clone();
    let path = match url.path().strip_suffix("/oauth2/v2.0/token") {
        // An admin consents for a tenant; this endpoint does not know `common`.
        Some("/common") => "/organizations/v2.0/adminconsent".to_owned(),
        Some(tenant) => format!("{tenant}/v2.0/adminconsent"),
        None => "/adminconsent".to_owned(),
    };
    url.set_path(&path);
    url
}

fn consent_url(credential: &Credential, pending: &Pending, state: &Secret) -> Url {
    let ours = [
        ("client_id", credential.client_id.as_str()),
        ("scope", &pending.scope),
        ("redirect_uri", pending.redirect_uri.as_str()),
        ("state", state.expose()),
    ];
    merged(consent_place(&credential.token_url), &ours)
}

pub(super) fn merged(mut url: Url, ours: &[(&str, &str)]) -> Url {
    let typed: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !ours.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(typed).extend_pairs(ours);
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{credential::CredentialForm, origin::TrustedOrigins, ports::SecretName};

    #[test]
    fn what_was_typed_stays_but_for_what_is_ours() {
        let typed = Url::parse("https://login.microsoftonline.com/t/oauth2/v2.0/authorize?prompt=select_account&State=x&redirect_uri=https://evil.example").unwrap();
        let url = merged(
            typed,
            &[("state", "ours"), ("redirect_uri", "https://a.example/OAuth2Callback")],
        );
        assert_eq!(
            url.query(),
            Some("prompt=select_account&state=ours&redirect_uri=https%3A%2F%2Fa.example%2FOAuth2Callback")
        );
    }

    #[test]
    fn a_proof_needs_link_browser_and_store() {
        let one = proof("state", &Secret::new("cookie"), "salt");
        assert_eq!(
            one.verifier.expose().len(),
            43,
            "RFC 7636 section 4.1 asks for 43 at least"
        );
        assert!(one.verifier != one.nonce);
        for (state, cookie, salt) in [
            ("s", "cookie", "salt"),
            ("state", "c", "salt"),
            ("state", "cookie", "s"),
        ] {
            assert!(proof(state, &Secret::new(cookie), salt).verifier != one.verifier);
        }
    }

    fn credential(login: &str, tenant: &str) -> Credential {
        let form = CredentialForm {
            id: "app".into(),
            grant_type: Some(GrantType::AuthorizationCode),
            authorization_url: Some(format!("https://{login}/{tenant}/oauth2/v2.0/authorize")),
            token_url: format!("https://{login}/{tenant}/oauth2/v2.0/token"),
            client_id: "11111111-2222-4333-8444-555555555555".into(),
            scope: "Mail.Read".into(),
            ..CredentialForm::default()
        };
        let name = |text: &str| SecretName(text.into());
        let settings = form.check(&TrustedOrigins::default()).unwrap().settings;
        settings.into_credential(name("client/a"), name("access/a"), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_issuer_of_each_cloud_is_known_where_the_tenant_is_named_by_its_id() {
        let tenant = "3e2d1c0b-0000-4000-8000-000000000001";
        for cloud in crate::config::CLOUDS {
            let login = cloud.login_host;
            let known = format!("https://{login}/{tenant}/v2.0");
            assert_eq!(expected_issuer(&credential(login, tenant)), Some(known));
            for named in ["contoso.example", "organizations", "common"] {
                assert_eq!(expected_issuer(&credential(login, named)), None, "{login} {named}");
            }
        }
    }

    #[test]
    fn an_admin_consents_for_a_tenant_never_for_common() {
        for (tenant, there) in [
            ("common", "/organizations/v2.0/adminconsent"),
            ("organizations", "/organizations/v2.0/adminconsent"),
            ("contoso.example", "/contoso.example/v2.0/adminconsent"),
        ] {
            let credential = credential("login.microsoftonline.com", tenant);
            assert_eq!(consent_place(&credential.token_url).path(), there);
        }
    }
}
