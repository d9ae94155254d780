//! The console's own sign-in: a browser goes to the issuer and comes back with a code; who is it, and what may they do?
//!
//! OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636). The issuer is chosen by whoever sets Postroom up,
//! never by somebody in a browser, and nothing of what it gives is kept but who it was.

use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;

use crate::{
    config::SignInSettings,
    ports::{Ports, SecretName, Stage},
    records::{
        api_keys::Scope,
        authorizations::{Authorizations, Entry},
    },
    secret::Secret,
    time::plus,
};

use super::{
    authorization::{Begun, LIFETIME, Proof, challenge, merged, proof, random, sha256_hex},
    client,
    entra::{Ask, Endpoint, ask},
    error::{TokenError, TokenErrorKind},
    id_token::{Asked, Claims, proven, refused, shown, tenant_of},
    keys::{Authorities, Named},
};

/// The secret of the app at the issuer. Public clients have none.
const SECRET: &str = "sign-in/console";
/// Who somebody is, under which name and address; no access to anything.
const SCOPE: &str = "openid profile email";

/// The door of the console.
pub struct Entrance {
    settings: SignInSettings,
    digest: String,
    authorities: Authorities,
}

/// Somebody for whom the issuer vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// `oid` at Entra ID, `sub` elsewhere: never reused for another person.
    pub subject: String,
    /// Their address or name, for people to read; nothing is decided by it.
    pub who: String,
    /// What they may do; `None`: nothing.
    pub scope: Option<Scope>,
    /// The claim was too long for the token, so that nothing can be said (Entra ID leaves out more than 200 groups).
    pub left_out: bool,
}

impl Entrance {
    /// With these settings.
    pub fn new(settings: SignInSettings) -> Self {
        Self {
            digest: settings.digest(),
            settings,
            authorities: Authorities::default(),
        }
    }

    /// What was set.
    pub fn settings(&self) -> &SignInSettings {
        &self.settings
    }

    /// Names all settings at once, for sessions that must not outlive them.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Writes down that somebody is on their way, and says where the browser goes. Asks the issuer to describe itself, once.
    pub async fn begin(&self, ports: &Ports, redirect_uri: &Url) -> Result<Begun, TokenError> {
        let authority = self
            .authorities
            .of(&*ports.http, &*ports.clock, self.named(), false)
            .await?;
        let (there, _) = authority.endpoints().ok_or_else(incomplete)?;
        let rng = &*ports.rng;
        let (state, cookie, salt) = (random(rng), random(rng), rng.hex(32));
        let now = ports.clock.now();
        let key = sha256_hex(state.expose());
        let proof = proof(state.expose(), &cookie, &salt);
        Authorizations::entries(Arc::clone(&ports.store))
            .add(
                &key,
                &Entry { salt },
                &sha256_hex(cookie.expose()),
                now,
                plus(now, LIFETIME),
            )
            .await?;
        let location = merged(
            there.clone(),
            &[
                ("client_id", self.settings.client_id.as_str()),
                ("response_type", "code"),
                ("response_mode", "query"),
                ("redirect_uri", redirect_uri.as_str()),
                ("scope", SCOPE),
                ("state", state.expose()),
                ("nonce", proof.nonce.expose()),
                ("code_challenge", &challenge(&proof)),
                ("code_challenge_method", "S256"),
            ],
        );
        Ok(Begun { location, key, cookie })
    }

    /// Redeems a code and checks the id token. `issuer` is what the answer called itself (RFC 9207), if it did.
    pub async fn redeem(
        &self,
        ports: &Ports,
        code: &Secret,
        issuer: Option<&str>,
        proof: &Proof,
        redirect_uri: &Url,
    ) -> Result<Visitor, TokenError> {
        let authority = self
            .authorities
            .of(&*ports.http, &*ports.clock, self.named(), false)
            .await?;
        if !authority.may_have_answered(issuer) {
            return Err(refused(
                "the answer does not come from the issuer that was asked (`iss`)",
            ));
        }
        let (_, token_url) = authority.endpoints().ok_or_else(incomplete)?;
        let secret = ports.vault.read(&SecretName(SECRET.to_owned()), Stage::Current).await?;
        // Whoever stored it by hand may have left the end of a line.
        let secret = secret.map_or_else(|| Secret::new(""), |entry| Secret::new(entry.value.expose().trim()));
        let endpoint = Endpoint {
            http: Arc::clone(&ports.http),
            clock: &*ports.clock,
            token_url,
            client_id: &self.settings.client_id,
            proof: &client::Proof::Secret(secret),
            // Without an assertion nothing needs an id.
            jti: String::new(),
        };
        let question = Ask::Code {
            code,
            verifier: &proof.verifier,
            redirect_uri,
            scope: SCOPE,
        };
        let granted = ask(endpoint, question).await?;
        let token = granted
            .id_token
            .ok_or_else(|| refused("there is none in the issuer's answer"))?;
        let asked = Asked {
            authority: self.named(),
            client_id: &self.settings.client_id,
            nonce: &proof.nonce,
            now: ports.clock.now(),
        };
        let (claims, all) = proven(&token, &asked, &self.authorities, &*ports.http, &*ports.clock).await?;
        self.visitor(claims, &all).map_err(refused)
    }

    fn named(&self) -> Named<'_> {
        Named::Issuer(&self.settings.issuer)
    }

    fn visitor(&self, claims: Claims, all: &Map<String, Value>) -> Result<Visitor, &'static str> {
        let subject = match entra_tenant(&self.settings.issuer) {
            Some(tenant) if claims.tid.as_deref() != Some(tenant.as_str()) => {
                return Err("its tenant is not its issuer's (`tid`)");
            }
            Some(_) => claims.oid.unwrap_or_default(),
            None => claims.sub,
        };
        if subject.is_empty() {
            return Err("it does not say who signed in (`oid`, `sub`)");
        }
        let claim = &self.settings.claim;
        let values = values(all.get(claim));
        let left_out = all.get("_claim_names").is_some_and(|names| names.get(claim).is_some());
        let email = all.get("email").and_then(Value::as_str).map(str::to_owned);
        let who = shown(claims.preferred_username)
            .or_else(|| shown(email))
            .or_else(|| shown(claims.name));
        Ok(Visitor {
            scope: self.settings.scope_of(&subject, &values),
            who: who.unwrap_or_else(|| subject.clone()),
            subject,
            left_out: left_out && values.is_empty(),
        })
    }
}

fn incomplete() -> TokenError {
    TokenError::plain(
        TokenErrorKind::Settings,
        "the issuer does not say where people sign in (authorization_endpoint, token_endpoint): it is no OpenID provider for people",
    )
}

/// The tenant of an issuer of Entra ID, `https://HOST/TENANT-ID/v2.0`.
fn entra_tenant(issuer: &str) -> Option<String> {
    let url = Url::parse(issuer).ok()?;
    let tenant = tenant_of(&url)?;
    (url.path() == format!("/{tenant}/v2.0")).then(|| tenant.to_owned())
}

/// A claim's values: one text, or a list of texts.
fn values(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TENANT: &str = "3e2d1c0b-0000-4000-8000-000000000001";

    fn visitor(issuer: &str, claim: &str, claims: &Value) -> Result<Visitor, &'static str> {
        let entrance = Entrance::new(SignInSettings {
            issuer: issuer.to_owned(),
            client_id: "console".into(),
            claim: claim.into(),
            operators: vec!["ops".into()],
            viewers: vec!["readers".into()],
            first_admin: Some("first".into()),
        });
        let mut all = claims.as_object().unwrap().clone();
        for (name, value) in [
            ("iss", json!(issuer)),
            ("aud", json!("console")),
            ("exp", json!(1)),
            ("iat", json!(1)),
        ] {
            all.insert(name.to_owned(), value);
        }
        let typed = serde_json::from_value(Value::Object(all.clone())).unwrap();
        entrance.visitor(typed, &all)
    }

    #[test]
    fn at_entra_the_object_id_of_the_issuers_own_tenant_counts() {
        let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
        let claims =
            json!({"sub": "pairwise", "oid": "first", "tid": TENANT, "preferred_username": "ada@contoso.example"});
        let known = visitor(&issuer, "roles", &claims).unwrap();
        assert_eq!(
            (known.subject.as_str(), known.who.as_str(), known.scope),
            ("first", "ada@contoso.example", Some(Scope::Operator))
        );
        for bad in [
            json!({"sub": "first", "oid": "first"}),
            json!({"sub": "first", "oid": "first", "tid": "3e2d1c0b-0000-4000-8000-000000000002"}),
            json!({"sub": "first", "tid": TENANT}),
        ] {
            assert!(visitor(&issuer, "roles", &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn elsewhere_the_subject_counts_and_an_object_id_is_nothing() {
        let issuer = "https://issuer.example/realm";
        let scope = |claims| visitor(issuer, "groups", &claims).unwrap().scope;
        assert_eq!(scope(json!({"sub": "first"})), Some(Scope::Operator));
        assert_eq!(scope(json!({"sub": "x", "oid": "first", "tid": TENANT})), None);
        assert_eq!(
            scope(json!({"sub": "x", "email": "first", "preferred_username": "first"})),
            None
        );
        assert_eq!(
            scope(json!({"sub": "x", "groups": ["a", "readers"]})),
            Some(Scope::Viewer)
        );
        assert_eq!(scope(json!({"sub": "x", "groups": "ops"})), Some(Scope::Operator));
        assert_eq!(scope(json!({"sub": "x", "roles": ["ops"]})), None, "another claim");
        assert_eq!(scope(json!({"sub": "x", "groups": {"ops": true}})), None);
        assert_eq!(scope(json!({"sub": "x", "groups": [["ops"], 1]})), None);
    }

    #[test]
    fn groups_that_were_too_many_are_told() {
        let claims = json!({"sub": "x", "_claim_names": {"groups": "src1"}});
        assert!(visitor("https://issuer.example", "groups", &claims).unwrap().left_out);
        assert!(!visitor("https://issuer.example", "roles", &claims).unwrap().left_out);
    }
}
