//! The embedded adapters: the suites.

use std::{sync::Arc, time::Duration};

use local::adapters::{
    DataDir, EventLog, HttpOptions, KeySource, OpenOptions, SealedVault, SqliteStore, SystemClock, SystemRng,
    TimerScheduler, open, open_archive, wire,
};
use shared::{
    memory::ManualClock,
    origin::TrustedOrigins,
    ports::{Condition, Http, HttpError, Key, Publisher, Scheduler, Store, Vault, Write},
    secret::Secret,
};
use tempfile::TempDir;
use tests::conformance::{archive, clock_rng, http, publisher, scheduler, store, vault};

pub(crate) fn directory() -> (TempDir, DataDir) {
    let temporary = tempfile::tempdir().expect("a directory");
    let data_dir = DataDir::open(&temporary.path().join("data")).expect("a data directory");
    (temporary, data_dir)
}

pub(crate) fn sqlite(data_dir: &DataDir) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&data_dir.database(), &data_dir.database_lock()).expect("a store"))
}

pub(crate) fn sealed(data_dir: &DataDir, clock: &ManualClock) -> SealedVault {
    SealedVault::open(
        data_dir.secrets(),
        None,
        None,
        Arc::new(clock.clone()),
        Arc::new(SystemRng),
    )
    .expect("a vault")
}

#[tokio::test(flavor = "multi_thread")]
async fn store_suite() {
    let (_kept, data_dir) = directory();
    let reopen: store::Reopen = Box::new(move || sqlite(&data_dir));
    store::all(&reopen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_suite_with_a_key_file() {
    let (_kept, data_dir) = directory();
    let clock = ManualClock::default();
    let moved = clock.clone();
    let reopen: vault::Reopen = Box::new(move || Arc::new(sealed(&data_dir, &clock)) as Arc<dyn Vault>);
    vault::all(&reopen, &|duration| moved.advance(duration), vault::Strain::default()).await;
    let back = |duration| moved.turn_back(duration);
    vault::wrong_clock(&*reopen(), &|duration| moved.advance(duration), &back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_suite_with_a_passphrase() {
    let (_kept, data_dir) = directory();
    let clock = ManualClock::default();
    let moved = clock.clone();
    let passphrase: local::adapters::Passphrase = Arc::new(|| Ok(Secret::new("correct horse")));
    let reopen: vault::Reopen = Box::new(move || {
        let rng = Arc::new(SystemRng);
        let vault = SealedVault::open(
            data_dir.secrets(),
            Some(KeySource::Passphrase),
            Some(passphrase.clone()),
            Arc::new(clock.clone()),
            rng,
        );
        Arc::new(vault.expect("a vault")) as Arc<dyn Vault>
    });
    vault::all(&reopen, &|duration| moved.advance(duration), vault::Strain::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduler_suite() {
    let (_kept, data_dir) = directory();
    let reopen: scheduler::Reopen =
        Box::new(move || Arc::new(TimerScheduler::new(sqlite(&data_dir), Arc::new(SystemClock))) as Arc<dyn Scheduler>);
    scheduler::all(&reopen, scheduler::MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publisher_suite() {
    let (_kept, data_dir) = directory();
    let log = EventLog::new(data_dir.events());
    let read = log.clone();
    let reopen: publisher::Reopen = Box::new(move || Arc::new(log.clone()) as Arc<dyn Publisher>);
    let in_effect: publisher::InEffect = Box::new(move |account| {
        let mut tail = read.tail(account).expect("a safe name");
        let mut events = Vec::new();
        loop {
            let more = tail.poll().expect("poll");
            if more.is_empty() {
                return Box::pin(async move { events });
            }
            events.extend(more);
        }
    });
    publisher::all(&reopen, &in_effect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_suite() {
    let (_kept, data_dir) = directory();
    let reopen: archive::Reopen = Box::new(move || open_archive(&data_dir.archive()).expect("an archive"));
    archive::all(&reopen).await;
}

/// A wire that lets these origins through.
fn letting(trusted: &str) -> HttpOptions {
    HttpOptions {
        trusted: TrustedOrigins::parse(trusted).expect("origins"),
        ..HttpOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_suite() {
    let open = |trusted: &str| {
        let adapter = wire(&letting(trusted)).expect("a client");
        let hasty = adapter
            .clone()
            .with_deadlines(Duration::from_millis(300), Duration::from_millis(300));
        (Arc::new(adapter) as Arc<dyn Http>, Arc::new(hasty) as Arc<dyn Http>)
    };
    http::all(&open).await;
}

/// The proxy is the one that was named, and hosts that are excepted are called without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_proxy_is_used() {
    let server = http::Server::start().await;
    let proxy = Some(format!("http://{}", server.address));
    let call = |no_proxy: Option<&str>| {
        let options = HttpOptions {
            proxy: proxy.clone(),
            no_proxy: no_proxy.map(Into::into),
            ..letting("http://no-such-host.invalid=127.0.0.0/8")
        };
        let http = wire(&options)
            .expect("a client")
            .with_deadlines(Duration::from_millis(300), Duration::from_millis(300));
        let request = ::http::Request::get("http://no-such-host.invalid/")
            .body(bytes::Bytes::new())
            .expect("a request");
        async move { http.call(request).await.map(|answer| answer.status()) }
    };
    assert!(
        matches!(call(None).await, Err(HttpError::Timeout { .. })),
        "this server never answers an absolute path"
    );
    assert_eq!(server.count(), 1);
    assert!(matches!(
        call(Some("no-such-host.invalid")).await,
        Err(HttpError::Connect { .. } | HttpError::Timeout { .. })
    ));
    assert_eq!(server.count(), 1);
    let options = HttpOptions {
        proxy: Some("http://user:canary@[bad".into()),
        ..HttpOptions::default()
    };
    let error = wire(&options).err().expect("refused").to_string();
    assert!(error.contains("HTTPS_PROXY") && !error.contains("canary"), "{error}");
}

/// Writers of two instances wait for one another; they are not sent away with *conflict* or *unavailable*.
#[tokio::test(flavor = "multi_thread")]
async fn writers_wait_their_turn() {
    let (_kept, data_dir) = directory();
    let stores = [sqlite(&data_dir), sqlite(&data_dir)];
    let tasks: Vec<_> = (0..64)
        .map(|task: usize| {
            let store = stores[task % 2].clone();
            tokio::spawn(async move {
                let write = Write::put(
                    Key::new("turns", format!("{task}")),
                    [("v".to_owned(), task.into())].into(),
                );
                store.update(write.when(Condition::Absent)).await.map(drop)
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task").expect("a write");
    }
}

#[tokio::test]
async fn clock_and_rng_suites() {
    clock_rng::clock(&SystemClock).await;
    clock_rng::rng(&SystemRng);
}

/// A certificate authority of our own is trusted when it is named, and only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_named_certificate_authority_is_trusted() {
    let (kept, _data_dir) = directory();
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    let ca_file = kept.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).expect("write");
    let server_key = rcgen::KeyPair::generate().expect("a key");
    let issuer = rcgen::Issuer::from_params(&params, &key);
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .expect("parameters")
        .signed_by(&server_key, &issuer)
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(server_key.serialize_der().into()),
        )
        .expect("a server configuration");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.set_nonblocking(true).expect("nonblocking");
    let address = listener.local_addr().expect("an address");
    let app = axum::Router::new().route(
        "/",
        axum::routing::get(|request: axum::extract::Request| async move { format!("{:?}", request.version()) }),
    );
    let server = axum_server::from_tcp_rustls(
        listener,
        axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config)),
    )
    .expect("a server");
    let server = tokio::spawn(server.serve(app.into_make_service()));

    let get = |ca_file| {
        let http = wire(&HttpOptions {
            ca_file,
            ..letting(&format!("https://localhost:{}", address.port()))
        })
        .expect("a client");
        let request = ::http::Request::get(format!("https://localhost:{}/", address.port()))
            .body(bytes::Bytes::new())
            .expect("a request");
        async move { http.call(request).await }
    };
    let answer = get(Some(ca_file)).await.expect("a call");
    assert_eq!(
        answer.version(),
        ::http::Version::HTTP_11,
        "a connection per request in flight"
    );
    match get(None).await {
        Err(HttpError::Connect { reason, .. }) => {
            assert!(reason.contains("certificate"), "{reason}");
        }
        other => panic!(
            "an unknown authority answered {:?}",
            other.map(|answer| answer.status())
        ),
    }
    server.abort();
}

#[test]
fn a_bad_certificate_authority_file_is_named() {
    let (kept, _data_dir) = directory();
    let path = kept.path().join("ca.pem");
    for text in [
        "",
        "not PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!",
    ] {
        std::fs::write(&path, text).expect("write");
        let error = wire(&HttpOptions {
            ca_file: Some(path.clone()),
            ..HttpOptions::default()
        })
        .err()
        .expect("refused")
        .to_string();
        assert!(
            error.contains("ca.pem") && error.contains("POSTROOM_CA_FILE"),
            "{error}"
        );
    }
    std::fs::remove_file(&path).expect("remove");
    let error = wire(&HttpOptions {
        ca_file: Some(path),
        ..HttpOptions::default()
    })
    .err()
    .expect("refused")
    .to_string();
    assert!(error.contains("ca.pem"), "{error}");
}

/// Everything together, twice at once: as `serve` and a command beside it.
#[tokio::test(flavor = "multi_thread")]
async fn everything_opens_twice() {
    let (_kept, data_dir) = directory();
    let one = open(data_dir.clone(), &OpenOptions::default()).expect("open");
    let two = open(data_dir, &OpenOptions::default()).expect("open again");
    assert_ne!(one.ports.instance, two.ports.instance);
    assert!(!(one.ports.dead)(&two.ports.instance) && !(one.ports.dead)(&one.ports.instance));
    assert_eq!(one.vault.key_source().expect("a source"), KeySource::KeyFile);
    let name = two.ports.instance.clone();
    drop(two);
    assert!((one.ports.dead)(&name), "a dropped instance is dead");
    assert!(!(one.ports.dead)("elsewhere-1"), "others are not ours to judge");
    assert!(!(one.ports.dead)("local-../../secrets"), "an instance is no path");
}
