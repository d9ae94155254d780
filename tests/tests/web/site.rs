//! A site under test: the simulated Microsoft, the real router, a browser's jar of cookies.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use shared::{
    credential::{Credential, Identity, SignIn},
    import::{
        Importer,
        checks::{Checks, InProcess},
    },
    oauth::{TokenError, TokenService},
    origin::{Origin, TrustedOrigins},
    ports::{Redeemed, Redemption, SecretName, SecretVersion, TokenInfo, TokenNeed, Tokens},
    records::sessions::Purpose,
    secret::Secret,
    web::{Launches, WebOptions, router},
};
use simulator::{Options, User};
use tests::world::{ORIGIN, World};
use tower::ServiceExt as _;
use url::Url;

pub(crate) const ADA: &str = "ada@harbour-homes.example";
pub(crate) const BEN: &str = "ben@harbour-homes.example";
pub(crate) const PUBLIC: &str = "http://localhost:8400";

/// Counts what the pages ask of the token service.
pub(crate) struct Counting {
    inner: TokenService,
    pub(crate) redeemed: AtomicUsize,
    pub(crate) asked: AtomicUsize,
    /// Answers by itself, without Microsoft: for what happens a thousand times.
    pub(crate) hollow: AtomicBool,
    /// What was handed over: codes, verifiers, nonces.
    pub(crate) handed: Mutex<Vec<Secret>>,
}

#[async_trait]
impl Tokens for Counting {
    async fn access_token(&self, credential: &str, need: TokenNeed) -> Result<TokenInfo, TokenError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.inner.access_token(credential, need).await
    }
    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, TokenError> {
        self.redeemed.fetch_add(1, Ordering::SeqCst);
        let handed = [&redemption.code, &redemption.verifier, &redemption.nonce].map(Secret::clone);
        self.handed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(handed);
        if self.hollow.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            return Ok(hollow(&redemption));
        }
        self.inner.redeem(redemption).await
    }
}

fn hollow(redemption: &Redemption) -> Redeemed {
    let now = Timestamp::UNIX_EPOCH;
    Redeemed {
        sign_in: SignIn {
            identity: Identity {
                tenant: "t".into(),
                object: "o".into(),
            },
            name: None,
            address: Some(ADA.into()),
            at: now,
            asked: redemption.scope.clone(),
            granted: vec!["Mail.Read".into()],
            client: redemption.client.clone(),
            renewable: true,
        },
        extra: Vec::new(),
        missing: Vec::new(),
        warnings: Vec::new(),
        token: TokenInfo {
            name: SecretName("access/hollow".into()),
            version: SecretVersion("1".into()),
            expires_at: now,
            roles: Vec::new(),
            scopes: Vec::new(),
            tenant: None,
            fresh: true,
        },
    }
}

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) router: Router,
    pub(crate) tokens: Arc<Counting>,
    public: Url,
}

/// An answer, with what a browser looks at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// A browser: its cookies.
#[derive(Default, Clone)]
pub(crate) struct Browser(pub(crate) BTreeMap<String, String>);

impl Browser {
    pub(crate) fn line(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn take(&mut self, seen: &Seen) {
        for line in seen.headers.get_all("set-cookie") {
            let line = line.to_str().expect("text");
            assert!(
                line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Path=/"),
                "{line}"
            );
            assert!(!line.contains("Domain"), "{line}");
            let (name, value) = line
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .expect("a pair");
            if line.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        Self::at(seed, PUBLIC)
    }

    /// The same under another public URL.
    pub(crate) fn at(seed: u64, public: &str) -> Self {
        let public = Url::parse(public).expect("a URL");
        let world = World::with(
            seed,
            Options {
                redirect_uris: vec![shared::web::redirect_uri(&public).into()],
                users: vec![
                    User::new(ADA, "Ada Moor"),
                    User::new(BEN, "Ben Quay"),
                    User::new("boss@harbour-homes.example", "Root").as_admin(),
                ],
                ..Options::default()
            },
        );
        let tokens = Arc::new(Counting {
            inner: world.tokens(),
            redeemed: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            hollow: AtomicBool::new(false),
            handed: Mutex::default(),
        });
        let mut site = Self {
            router: Router::new(),
            world,
            tokens,
            public,
        };
        site.router = router(site.options());
        site
    }

    /// Checks in process, with the tokens that are counted.
    fn checks(&self) -> Arc<dyn Checks> {
        let tokens = Arc::clone(&self.tokens) as Arc<dyn Tokens>;
        let importer = Importer::new(self.world.ports(), tokens, self.world.archive());
        Arc::new(InProcess::new(Arc::new(importer), Duration::from_secs(10)))
    }

    /// What the site is made of, for one machine.
    pub(crate) fn options(&self) -> WebOptions {
        WebOptions {
            ports: self.world.ports(),
            tokens: Arc::clone(&self.tokens) as Arc<dyn Tokens>,
            checks: self.checks(),
            platform_tokens: false,
            archive: Some(self.world.archive()),
            sign_in: Ok(None),
            one_time_links: true,
            trusted: TrustedOrigins::with(vec![Origin::parse(ORIGIN).expect("an origin")]),
            public_url: self.public.clone(),
            other_hosts: ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec(),
        }
    }

    /// Scheme, host and port, as a browser names them.
    fn origin(&self) -> String {
        self.public.origin().ascii_serialization()
    }

    fn host(&self) -> String {
        let origin = self.origin();
        origin.rsplit('/').next().unwrap_or_default().to_owned()
    }

    pub(crate) async fn raw(&self, request: http::Request<Body>) -> Seen {
        let (parts, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer")
            .into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Seen {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(crate) async fn get(&self, browser: &mut Browser, path: &str) -> Seen {
        let request = http::Request::get(path)
            .header("host", self.host())
            .header("cookie", browser.line());
        let seen = self.raw(request.body(Body::empty()).expect("a request")).await;
        browser.take(&seen);
        seen
    }

    pub(crate) async fn post(&self, browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Seen {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = http::Request::post(path)
            .header("host", self.host())
            .header("origin", self.origin())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", browser.line());
        let seen = self.raw(request.body(Body::from(form)).expect("a request")).await;
        browser.take(&seen);
        seen
    }

    /// A browser with a session of the console, and its csrf token.
    pub(crate) async fn console(&self) -> (Browser, String) {
        let mut browser = Browser::default();
        let path = Launches::new(&self.world.ports())
            .make(&Purpose::Console)
            .await
            .expect("a link");
        let page = self.get(&mut browser, path.expose()).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let token = path.expose().rsplit('/').next().expect("a token");
        let seen = self.post(&mut browser, "/launch", &[("token", token)]).await;
        assert_eq!(
            (seen.status, seen.header("location")),
            (303, "/credentials"),
            "{}",
            seen.text
        );
        let csrf = self.csrf(&mut browser).await;
        (browser, csrf)
    }

    /// The token of a browser's forms, whatever its session may do: signing out is for everybody.
    pub(crate) async fn csrf(&self, browser: &mut Browser) -> String {
        let page = self.get(browser, "/health").await;
        let csrf = page.text.split("name=\"csrf\" value=\"").nth(1).expect("a form");
        csrf.split('"').next().expect("a token").to_owned()
    }

    /// The key is clicked: where the browser is sent.
    pub(crate) async fn key(&self, browser: &mut Browser, csrf: &str, credential: &Credential) -> Url {
        let path = format!("/credentials/{}/authorize", credential.id);
        let seen = self.post(browser, &path, &[("csrf", csrf)]).await;
        assert_eq!(seen.status, 303, "{}", seen.text);
        Url::parse(seen.header("location")).expect("a URL")
    }

    /// The whole way to the callback's address, which Microsoft would send the browser to.
    pub(crate) async fn back(
        &self,
        browser: &mut Browser,
        csrf: &str,
        credential: &Credential,
        address: &str,
    ) -> String {
        let to = self.key(browser, csrf, credential).await;
        let back = self.world.click_through(to.as_str(), address).await;
        back.strip_prefix(PUBLIC)
            .unwrap_or_else(|| panic!("sent elsewhere: {back}"))
            .to_owned()
    }

    pub(crate) fn redeemed(&self) -> usize {
        self.tokens.redeemed.load(Ordering::SeqCst)
    }
}
