//! People in a test: a credential somebody signs in for, and the sign-in without a browser.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use shared::{
    credential::{Credential, CredentialForm, GrantType},
    oauth::TokenError,
    ports::{Http as _, Redeemed, Redemption, Tokens},
    secret::Secret,
};
use url::Url;

use super::{ORIGIN, World};

/// Where Microsoft sends browsers in tests.
pub const REDIRECT_URI: &str = simulator::DEFAULT_REDIRECT_URI;
const VERIFIER: &str = "a-verifier-of-the-tests-with-more-than-43-characters";
const NONCE: &str = "a-nonce-of-the-tests";

impl World {
    /// Adds an authorization code credential for the simulator's app.
    pub async fn add_delegated(&self, id: &str, scope: &str) -> Credential {
        let registration = self.simulator.registration();
        let tenant = &registration.tenant_id;
        self.store_credential(CredentialForm {
            id: id.to_owned(),
            description: "test".to_owned(),
            grant_type: Some(GrantType::AuthorizationCode),
            authorization_url: Some(format!("{ORIGIN}/{tenant}/oauth2/v2.0/authorize?prompt=select_account")),
            token_url: format!("{ORIGIN}/{tenant}/oauth2/v2.0/token"),
            client_id: registration.client_id,
            scope: scope.to_owned(),
            graph_url: Some(format!("{ORIGIN}/v1.0")),
        })
        .await
    }

    /// One request of a browser to the simulator: status, `Location`, cookie, page.
    pub async fn browse(&self, method: &str, url: &str, cookie: &str, form: &str) -> (u16, String, String, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("cookie", cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form.to_owned()))
            .expect("a request");
        let (parts, body) = self.wire.call(request).await.expect("an answer").into_parts();
        let header = |name: &str| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let cookie = header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let chunks: Vec<Bytes> = body.try_collect().await.expect("a body");
        let page = String::from_utf8_lossy(&chunks.concat()).into_owned();
        (parts.status.as_u16(), header("location"), cookie, page)
    }

    /// Somebody opens an authorization URL, picks their account, accepts: where Microsoft sends the browser.
    pub async fn click_through(&self, url: &str, address: &str) -> String {
        let tenant = self.simulator.registration().tenant_id;
        let users = self.simulator.users();
        let user = users.iter().find(|user| user.address == address);
        let oid = user.unwrap_or_else(|| panic!("nobody is called {address}")).oid.clone();
        let (mut status, mut location, cookie, mut page) = self.browse("GET", url, "", "").await;
        for _ in 0..5 {
            if !location.is_empty() {
                return location;
            }
            let flow = page.split("name=\"flow\" value=\"").nth(1);
            let flow = flow.unwrap_or_else(|| panic!("no form in {status} {page}"));
            let flow = flow.split('"').next().expect("a flow").to_owned();
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("flow", &flow);
            if page.contains("id=\"accounts\"") {
                form.append_pair("act", "account").append_pair("account", &oid);
            } else if page.contains("id=\"approve\"") {
                form.append_pair("act", "approve");
            } else {
                form.append_pair("act", "accept");
            }
            let login = format!("{ORIGIN}/{tenant}/login");
            (status, location, _, page) = self.browse("POST", &login, &cookie, &form.finish()).await;
        }
        panic!("the sign-in never ends: {status} {page}");
    }

    /// Somebody signs in for a credential, as far as the code; what the callback would hand over.
    pub async fn redemption(&self, credential: &Credential, address: &str) -> Redemption {
        let mut url = credential.authorization_url.clone().expect("an authorization URL");
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        url.query_pairs_mut()
            .append_pair("client_id", &credential.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", &credential.asked_scope())
            .append_pair("state", "test")
            .append_pair("nonce", NONCE)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let back = Url::parse(&self.click_through(url.as_str(), address).await).expect("a URL");
        let code = back.query_pairs().find(|(name, _)| name == "code");
        let (_, code) = code.unwrap_or_else(|| panic!("no code: {back}"));
        Redemption {
            credential: credential.id.to_string(),
            code: Secret::new(code.into_owned()),
            verifier: Secret::new(VERIFIER),
            nonce: Secret::new(NONCE),
            redirect_uri: Url::parse(REDIRECT_URI).expect("a URL"),
            scope: credential.asked_scope(),
            client: credential.client(),
            issuer: None,
            rebind: false,
        }
    }

    /// Somebody signs in for a credential.
    pub async fn sign_in(&self, credential: &Credential, address: &str) -> Result<Redeemed, TokenError> {
        let redemption = self.redemption(credential, address).await;
        self.tokens().redeem(redemption).await
    }

    /// Tokens as a new process has them.
    pub fn tokens(&self) -> shared::oauth::TokenService {
        shared::oauth::TokenService::new(self.ports())
    }
}
