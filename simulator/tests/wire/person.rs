//! A person with a browser for the tests: follows pages by their forms, keeps the cookie, redeems codes.

use crate::client::{Answer, Client, DESK, form, options};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use simulator::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_REDIRECT_URI, DEFAULT_TENANT_ID, Options, Simulator, User,
};
use std::cell::RefCell;

pub(crate) const ADA: &str = "ada.moor@harbour-homes.example";
pub(crate) const BEN: &str = "ben.quay@harbour-homes.example";
pub(crate) const BOSS: &str = "root@harbour-homes.example";
pub(crate) const SCOPE: &str = "openid profile email offline_access User.Read Mail.ReadWrite";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub(crate) type Change<'a> = &'a [(&'a str, Option<&'a str>)];

/// A browser at one tenant.
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) cookie: RefCell<String>,
}

pub(crate) fn tenant() -> Simulator {
    Simulator::new(Options {
        users: vec![
            User::new(ADA, "Ada Moor").with_shared(DESK),
            User::new(BEN, "Ben Quay"),
            User::new(BOSS, "Root").as_admin(),
            User::new(DESK, "Desk"),
        ],
        ..options()
    })
}

pub(crate) fn browser(simulator: &Simulator) -> Browser {
    let client = Client {
        simulator: simulator.clone(),
        token: String::new(),
    };
    Browser {
        client,
        cookie: RefCell::default(),
    }
}

/// The value of a parameter of the URL an answer leads to.
pub(crate) fn returned(answer: &Answer, name: &str) -> Option<String> {
    let location = answer.header("location");
    let (_, query) = location.split_once(['?', '#'])?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.bytes).into_owned()
}

/// The claims of a token.
pub(crate) fn claims(token: &Value) -> Value {
    let middle = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

fn changed<'a>(mut base: Vec<(&'a str, &'a str)>, change: Change<'a>) -> Vec<(&'a str, &'a str)> {
    for (name, value) in change {
        base.retain(|(n, _)| n != name);
        base.extend(value.map(|v| (*name, v)));
    }
    base.retain(|(n, _)| *n != "tenant");
    base
}

fn tenant_in(change: Change<'_>) -> &str {
    let named = change.iter().find(|(n, _)| *n == "tenant").and_then(|(_, v)| *v);
    named.unwrap_or(DEFAULT_TENANT_ID)
}

impl Browser {
    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        let cookie = self.cookie.borrow().clone();
        let headers = [
            ("cookie", cookie.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let answer = self.client.send(method, path, &headers, body).await;
        if let Some((pair, _)) = answer.header("set-cookie").split_once(';') {
            *self.cookie.borrow_mut() = format!("other=1; {pair}");
        }
        answer
    }

    /// An authorization request with PKCE, changed as told.
    pub(crate) async fn authorize(&self, change: Change<'_>) -> Answer {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let base = vec![
            ("client_id", DEFAULT_CLIENT_ID),
            ("response_type", "code"),
            ("redirect_uri", DEFAULT_REDIRECT_URI),
            ("scope", SCOPE),
            ("state", "a b&c"),
            ("nonce", "n-1"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let query = form(&changed(base, change));
        let path = format!("/{}/oauth2/v2.0/authorize?{query}", tenant_in(change));
        self.send(Method::GET, &path, "").await
    }

    /// Clicks the button of this act on a page; `more` are other fields of its form.
    pub(crate) async fn click(&self, page: &Answer, act: &str, more: &[(&str, &str)]) -> Answer {
        let html = text(page);
        let after = html
            .split("name=\"flow\" value=\"")
            .nth(1)
            .unwrap_or_else(|| panic!("no form: {html}"));
        let flow = after.split('"').next().unwrap();
        assert!(html.contains(&format!("value=\"{act}\"")), "no {act}: {html}");
        let mut fields = vec![("flow", flow), ("act", act)];
        fields.extend_from_slice(more);
        self.send(Method::POST, &format!("/{DEFAULT_TENANT_ID}/login"), &form(&fields))
            .await
    }

    pub(crate) async fn choose(&self, page: &Answer, address: &str) -> Answer {
        let users = self.client.simulator.users();
        let user = users.iter().find(|u| u.address == address).unwrap();
        self.click(page, "account", &[("account", &user.oid)]).await
    }

    /// Signs in and accepts; answers the code.
    pub(crate) async fn code(&self, address: &str, change: Change<'_>) -> String {
        let mut page = self.authorize(change).await;
        if text(&page).contains("id=\"accounts\"") {
            page = self.choose(&page, address).await;
        }
        if text(&page).contains("id=\"approve\"") {
            page = self.click(&page, "approve", &[]).await;
        }
        if text(&page).contains("id=\"accept\"") {
            page = self.click(&page, "accept", &[]).await;
        }
        returned(&page, "code").unwrap_or_else(|| panic!("no code: {} {}", page.header("location"), text(&page)))
    }

    pub(crate) async fn redeem(&self, code: &str, change: Change<'_>) -> Answer {
        let base = vec![
            ("grant_type", "authorization_code"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", DEFAULT_CLIENT_SECRET),
            ("code", code),
            ("redirect_uri", DEFAULT_REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        let body = form(&changed(base, change));
        self.client.token_request(tenant_in(change), &body).await
    }

    pub(crate) async fn refresh(&self, token: &str, change: Change<'_>) -> Answer {
        let base = vec![
            ("grant_type", "refresh_token"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", DEFAULT_CLIENT_SECRET),
            ("refresh_token", token),
        ];
        let body = form(&changed(base, change));
        self.client.token_request(tenant_in(change), &body).await
    }

    /// The whole way: the token answer for this person and scope.
    pub(crate) async fn tokens(&self, address: &str, scope: &str) -> Value {
        let code = self
            .code(address, &[("scope", Some(scope)), ("prompt", Some("select_account"))])
            .await;
        let answer = self.redeem(&code, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }
}

/// `error`, AADSTS number and `suberror` of a refusal of the token endpoint.
pub(crate) fn refusal(answer: &Answer) -> (u16, String, u64, String) {
    let json = answer.json();
    let word = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    (
        answer.status,
        word("error"),
        json["error_codes"][0].as_u64().unwrap_or(0),
        word("suberror"),
    )
}
