//! The gate before every socket: URLs that lead inside, and names that change their mind, against real listeners that count.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::Request;
use shared::{
    config::Config,
    credential::{CredentialForm, GrantType},
    memory,
    network::{Side, side},
    oauth::Entrance,
    origin::TrustedOrigins,
    ports::{Http, HttpError},
    wire::{Gate, Names, ReqwestHttp},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use url::Url;

/// Trusts nobody: what is let through here speaks plain HTTP.
fn tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Where nothing may ever arrive, and where only what was let through may.
struct Traps {
    port: u16,
    inside: Arc<AtomicUsize>,
    good: Arc<AtomicUsize>,
}

/// The one address that is let through where a test says so.
const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

impl Traps {
    async fn set() -> Self {
        let first = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = first.local_addr().expect("an address").port();
        let (inside, good) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        count(first, inside.clone());
        // Not every machine has IPv6; what has none cannot be reached over it.
        if let Ok(v6) = TcpListener::bind(format!("[::1]:{port}")).await {
            count(v6, inside.clone());
        }
        count(
            TcpListener::bind((GOOD, port)).await.expect("the same port elsewhere"),
            good.clone(),
        );
        Self { port, inside, good }
    }

    fn caught(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }
}

/// Answers every connection once, counting them.
fn count(listener: TcpListener, counter: Arc<AtomicUsize>) {
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut text = [0; 4096];
                let _ = socket.read(&mut text).await;
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
}

/// Names that lead where the table says, and nowhere else: the system is not asked.
fn names(table: HashMap<String, Vec<IpAddr>>, asked: Arc<AtomicUsize>) -> Names {
    let table = Arc::new(table);
    Arc::new(move |name| {
        asked.fetch_add(1, Ordering::SeqCst);
        let found = table.get(&name).cloned();
        Box::pin(async move { found.ok_or_else(|| std::io::Error::other("no such name")) })
    })
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// Addresses that no name of an admin's may lead to.
const FORBIDDEN: [&str; 42] = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.79.129",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "168.63.129.16",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
];

/// What is written in a URL's place for the host, at the listeners' port; all of it is this machine, or a name that leads to it.
const WRITTEN: [&str; 50] = [
    "https://127.0.0.1:{p}/",
    "http://127.0.0.1:{p}/",
    "https://127.1:{p}/",
    "https://127.0.1:{p}/",
    "https://2130706433:{p}/",
    "https://0x7f000001:{p}/",
    "https://0x7f.1:{p}/",
    "https://0x7F.0x0.0x0.0x1:{p}/",
    "https://0177.0.0.1:{p}/",
    "https://017700000001:{p}/",
    "https://0177.0x0.0.01:{p}/",
    "https://00000177.0.0.1:{p}/",
    "https://127.0.0.1.:{p}/",
    "https://①②⑦.⓪.⓪.①:{p}/",
    "https://127。0。0。1:{p}/",
    "https://127．0．0．1:{p}/",
    "https://%31%32%37.0.0.1:{p}/",
    "https://0:{p}/",
    "https://0.0.0.0:{p}/",
    "https://[::]:{p}/",
    "https://[::1]:{p}/",
    "http://[::1]:{p}/",
    "https://[0:0:0:0:0:0:0:1]:{p}/",
    "https://[::ffff:127.0.0.1]:{p}/",
    "https://[::ffff:7f00:1]:{p}/",
    "https://[::127.0.0.1]:{p}/",
    "https://[64:ff9b::7f00:1]:{p}/",
    "https://localhost:{p}/",
    "http://localhost:{p}/",
    "https://LOCALHOST:{p}/",
    "https://localhost.:{p}/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/",
    "https://login.microsoftonline.com@127.0.0.1:{p}/",
    "https://login.microsoftonline.com:443@127.0.0.1:{p}/",
    "https://login.microsoftonline.com%2f@127.0.0.1:{p}/",
    "https://127.0.0.1:{p}\\@login.microsoftonline.com/",
    "https://graph.microsoft.com#@127.0.0.1:{p}/",
    "https://login.microsoftonline.com.inside.example:{p}/",
    "https://login.microsоftonline.com:{p}/",
    "https://inside.example:{p}/",
    "https://INSIDE。example:{p}/",
    "https://inside.example.:{p}/",
    "https://user:secret@inside.example:{p}/",
    "http://inside.example:{p}/",
    "https://graph.microsoft.com.:{p}/",
    "https://graph.microsoft.com:{p}/",
    "http://graph.microsoft.com:{p}/",
    "https://both.example:{p}/",
    "ftp://127.0.0.1:{p}/",
    "file:///etc/passwd",
];

/// On Lambda: whoever asks there is answered.
const SANDBOX: [&str; 8] = [
    "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
    "http://localhost:9001/2018-06-01/runtime/invocation/next",
    "http://localhost:2773/secretsmanager/get?secretId=x",
    "http://127.0.0.1:2773/systemsmanager/parameters/get",
    "http://169.254.79.129:2000/GetSamplingRules",
    "http://169.254.100.1:9001/2020-01-01/extension/register",
    "http://169.254.170.2/v2/credentials",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
];

/// All URLs, and where their names lead.
fn table(port: u16) -> (Vec<String>, HashMap<String, Vec<IpAddr>>) {
    let local = vec![address("127.0.0.1")];
    let mut names: HashMap<String, Vec<IpAddr>> = [
        "localhost",
        "localhost.",
        "inside.example",
        "inside.example.",
        "login.microsoftonline.com.inside.example",
        "login.xn--microsftonline-0zl.com",
        "graph.microsoft.com",
        "graph.microsoft.com.",
        "login.microsoftonline.com",
    ]
    .map(|name| (name.to_owned(), local.clone()))
    .into();
    // One of them alone would be fine; whoever takes the first that answers is lost.
    names.insert("both.example".into(), vec![GOOD, address("127.0.0.1")]);
    let mut urls: Vec<String> = WRITTEN
        .iter()
        .map(|url| url.replace("{p}", &port.to_string()))
        .collect();
    urls.extend(SANDBOX.map(str::to_owned));
    for (place, leads) in FORBIDDEN.iter().enumerate() {
        let name = format!("name-{place}.example");
        urls.push(format!("https://{name}:{port}/"));
        names.insert(name, vec![address(leads)]);
        let host = if leads.contains(':') {
            format!("[{leads}]")
        } else {
            (*leads).to_owned()
        };
        urls.push(format!("https://{host}:{port}/latest/meta-data/"));
    }
    (urls, names)
}

/// Everything that takes a URL from an admin, and the wire itself: nothing is connected to, and nothing needs a time-out
/// or a refusal on the other side to fail.
#[tokio::test(flavor = "multi_thread")]
async fn no_url_leads_inside() {
    let traps = Traps::set().await;
    let (urls, table) = table(traps.port);
    assert!(urls.len() >= 120, "{}", urls.len());
    let trusted = TrustedOrigins::parse("https://idp.example").expect("origins");
    let gate = Gate::new(trusted.clone(), names(table, Arc::default()));
    let http = ReqwestHttp::new(tls(), gate, None).expect("a client");
    let mut wrong = Vec::new();
    for url in &urls {
        if let Some(how) = typed(url, &trusted, &http).await {
            wrong.push(format!("{url}: {how}"));
        }
        // As every part of Postroom hands it on; what is no URL at all cannot be asked.
        let url = Url::parse(url).map_or_else(|_| url.clone(), String::from);
        match Request::get(url.as_str()).body(Bytes::new()) {
            Err(_) => {}
            Ok(request) => match http.call(request).await {
                Err(HttpError::Closed { .. }) => {}
                Err(HttpError::Connect { reason, .. }) if reason.contains("URL") || reason.contains("builder") => {}
                Err(error) => wrong.push(format!("{url}: the wire says {error}")),
                Ok(answer) => wrong.push(format!("{url}: the wire answers {}", answer.status())),
            },
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        urls.len(),
        wrong.join("\n")
    );
    assert_eq!((traps.caught(), traps.good.load(Ordering::SeqCst)), (0, 0));
}

/// What is wrong with how the forms and settings take a URL; nothing if none of them lets it through.
async fn typed(url: &str, trusted: &TrustedOrigins, http: &ReqwestHttp) -> Option<String> {
    let base = url.trim_end_matches('/');
    let form = |token: String, graph: Option<String>, authorization: Option<String>| CredentialForm {
        id: "desk".into(),
        description: String::new(),
        grant_type: Some(match authorization {
            None => GrantType::ClientCredentials,
            Some(_) => GrantType::AuthorizationCode,
        }),
        authorization_url: authorization,
        token_url: token,
        client_id: "11111111-2222-4333-8444-555555555555".into(),
        scope: "https://graph.microsoft.com/.default".into(),
        graph_url: graph,
    };
    let token = "https://login.microsoftonline.com/3e2d1c0b-0000-4000-8000-000000000001/oauth2/v2.0/token";
    for (field, form) in [
        (
            "access token URL",
            form(format!("{base}/t/oauth2/v2.0/token"), None, None),
        ),
        ("Graph URL", form(token.into(), Some(format!("{base}/v1.0")), None)),
        (
            "authorization URL",
            form(token.into(), None, Some(format!("{base}/t/oauth2/v2.0/authorize"))),
        ),
    ] {
        match form.check(trusted) {
            Err(error) if error.field == field => {}
            Err(error) => return Some(format!("as {field} it is refused for another reason: {error}")),
            Ok(_) => return Some(format!("it is taken as {field}")),
        }
    }
    // The console's issuer may be any host: its name is looked at when it is asked.
    let lookup = |name: &str| match name {
        "POSTROOM_SIGN_IN_ISSUER" => Some(base.to_owned()),
        "POSTROOM_SIGN_IN_CLIENT_ID" => Some("console".to_owned()),
        _ => None,
    };
    let config = Config::from_lookup(lookup).expect("settings");
    let settings = config.sign_in.ok()??;
    let ports = memory::ports(1, Arc::new(http.clone()));
    let back = Url::parse("https://post.contoso.example/sign-in/callback").expect("a URL");
    match Entrance::new(settings).begin(&ports, &back).await {
        Ok(_) => Some("people can be sent to it as an issuer".into()),
        Err(error) if error.what.contains("nothing was sent") => None,
        Err(error) => Some(format!("as an issuer it fails otherwise: {error}")),
    }
}

/// On Lambda an operator's own word does not open the sandbox's ports.
#[test]
fn nobody_can_trust_the_sandbox_itself() {
    for url in SANDBOX {
        let origin = Url::parse(url).expect("a URL").origin().ascii_serialization();
        let lookup = |name: &str| match name {
            "POSTROOM_TRUST_ENDPOINTS" => Some(origin.clone()),
            "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
            _ => None,
        };
        let error = Config::from_lookup(lookup).expect_err(url);
        assert_eq!(error.name, "POSTROOM_TRUST_ENDPOINTS", "{url}");
    }
}

/// A name that was let through and then leads elsewhere: fifty sequences of answers. Each connection asks once, and goes
/// where that answer said or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_change_their_mind_lead_nowhere() {
    let traps = Traps::set().await;
    let bad = [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "127.0.0.3",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "64:ff9b::7f00:1",
    ]
    .map(address);
    let mut connected = 0;
    for sequence in 0..50_usize {
        // Good at first, as at the check; then every mixture, with the good one before or behind.
        let evil = bad[sequence % bad.len()];
        let other = bad[(sequence / bad.len() + 3) % bad.len()];
        let turns = [
            vec![vec![GOOD], vec![evil], vec![GOOD]],
            vec![vec![GOOD], vec![GOOD, evil], vec![evil, GOOD]],
            vec![vec![evil], vec![GOOD], vec![evil, other], vec![GOOD]],
            vec![vec![GOOD, GOOD], vec![other, GOOD, evil], vec![]],
            vec![vec![GOOD], vec![GOOD], vec![GOOD, other], vec![evil]],
        ];
        let answers = turns[sequence % turns.len()].clone();
        let asked = Arc::new(AtomicUsize::new(0));
        let left = Arc::new(Mutex::new(answers.clone().into_iter()));
        let counted = Arc::clone(&asked);
        let names: Names = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let next = left.lock().expect("answers").next();
            Box::pin(async move { next.ok_or_else(|| std::io::Error::other("asked too often")) })
        });
        let trusted = TrustedOrigins::parse(&format!("http://rebind.example:{}={GOOD}/32", traps.port));
        let gate = Gate::new(trusted.expect("an origin"), names);
        let http = ReqwestHttp::new(tls(), gate, None).expect("a client");
        for (turn, answer) in answers.iter().enumerate() {
            let request = Request::get(format!("http://rebind.example:{}/", traps.port));
            let result = http.call(request.body(Bytes::new()).expect("a request")).await;
            let all_good = answer.iter().all(|address| *address == GOOD);
            match result {
                Ok(response) if all_good && !answer.is_empty() => {
                    let body: Vec<Bytes> = response.into_body().try_collect().await.expect("a body");
                    assert_eq!(body.concat(), b"{}");
                    connected += 1;
                }
                Err(HttpError::Closed { .. }) if !all_good => {}
                Err(HttpError::Connect { .. }) if answer.is_empty() => {}
                Err(error) => panic!("sequence {sequence}, turn {turn}, {answer:?}: {error}"),
                Ok(_) => panic!("sequence {sequence}, turn {turn}, {answer:?}: it was answered"),
            }
            assert_eq!(
                asked.load(Ordering::SeqCst),
                turn + 1,
                "sequence {sequence}: one look-up per connection"
            );
        }
    }
    assert_eq!((traps.caught(), traps.good.load(Ordering::SeqCst)), (0, connected));
    assert!(connected > 50);
}

/// An answer that never ends, and one that never comes: neither memory nor time is lost on it.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_never_ends_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let here: SocketAddr = listener.local_addr().expect("an address");
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut text = [0; 4096];
            let _ = socket.read(&mut text).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n\"").await;
            while socket.write_all(&[b'a'; 16 * 1024]).await.is_ok() {
                counter.fetch_add(16 * 1024, Ordering::SeqCst);
            }
        }
    });
    let lookup = |name: &str| match name {
        "POSTROOM_SIGN_IN_ISSUER" | "POSTROOM_TRUST_ENDPOINTS" => Some(format!("http://{here}")),
        "POSTROOM_SIGN_IN_CLIENT_ID" => Some("console".to_owned()),
        _ => None,
    };
    let config = Config::from_lookup(lookup).expect("settings");
    let gate = Gate::new(config.trusted, names(HashMap::new(), Arc::default()));
    let http = ReqwestHttp::new(tls(), gate, None).expect("a client");
    let ports = memory::ports(1, Arc::new(http));
    let entrance = Entrance::new(config.sign_in.expect("settings").expect("an issuer"));
    let back = Url::parse("https://post.contoso.example/sign-in/callback").expect("a URL");
    let begun = tokio::time::timeout(Duration::from_secs(60), entrance.begin(&ports, &back)).await;
    let error = begun.expect("it ends").err().expect("no issuer");
    assert!(error.what.contains("more than 65536 bytes"), "{error}");
    // What the sockets hold in between is the system's; it is not the gigabytes that a minute brings.
    assert!(sent.load(Ordering::SeqCst) < 64 * 1024 * 1024);
}

/// The tables above hold what they say.
#[test]
fn every_forbidden_address_is_forbidden() {
    for text in FORBIDDEN {
        assert_ne!(side(address(text)), Side::Global, "{text}");
    }
}
