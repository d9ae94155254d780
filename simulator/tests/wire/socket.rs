//! What only a connection can show: cut bodies, resets, TLS with the simulator's own authority.

use crate::client::{DESK, desk, encode, options};
use simulator::{Cut, Fault, FaultSpec, RequestKind, Running, Tls};
use std::sync::Arc;

async fn listener() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A client that trusts nobody but this authority (nobody at all without one).
fn client(tls: Option<&Tls>) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(tls) = tls {
        use rustls::pki_types::pem::PemObject as _;
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(tls.ca_pem().as_bytes()).unwrap())
            .unwrap();
    }
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .use_preconfigured_tls(config)
        .no_proxy()
        .build()
        .unwrap()
}

async fn value(http: &reqwest::Client, running: &Running, token: &str, id: &str) -> Result<usize, String> {
    let url = format!("{}/v1.0/users/{DESK}/messages/{}/$value", running.origin(), encode(id));
    let answer = http
        .get(url)
        .bearer_auth(token)
        .send()
        .await
        .map_err(|e| format!("send: {e}"))?;
    answer.bytes().await.map(|b| b.len()).map_err(|e| format!("body: {e}"))
}

#[tokio::test]
async fn cut_bodies_and_resets_are_seen_on_the_wire() {
    let desk = desk(options()).await;
    let id = desk.simulator.deliver_sized(DESK, 200_000).unwrap();
    let whole = desk.simulator.canonical_mime(DESK, &id).unwrap().len();
    let running = desk.simulator.serve(listener().await, None).unwrap();
    let http = client(None);
    assert_eq!(value(&http, &running, &desk.token, &id).await, Ok(whole));
    for (how, clean) in [(Cut::ShortLength, false), (Cut::Abort, false), (Cut::Clean, true)] {
        desk.simulator.arm(FaultSpec::once(
            RequestKind::Value,
            Fault::CutBody { after: 100_000, how },
        ));
        let got = value(&http, &running, &desk.token, &id).await;
        if clean {
            assert_eq!(got, Ok(100_000));
        } else {
            assert!(got.as_ref().is_err_and(|e| e.starts_with("body")), "{how:?}: {got:?}");
        }
    }
    desk.simulator.arm(FaultSpec::once(RequestKind::Value, Fault::Reset));
    let got = value(&http, &running, &desk.token, &id).await;
    assert!(got.as_ref().is_err_and(|e| e.starts_with("send")), "{got:?}");
    assert_eq!(value(&http, &running, &desk.token, &id).await, Ok(whole));
    running.stop().await.unwrap();
    assert_eq!(desk.simulator.stats().mailboxes[DESK].running, 0);
}

#[tokio::test]
async fn tls_is_trusted_by_its_authority_only_and_links_say_https() {
    let desk = desk(options()).await;
    desk.simulator.fill(DESK, "inbox", 20, 2).unwrap();
    let tls = Tls::generate().unwrap();
    let running = desk.simulator.serve(listener().await, Some(tls.clone())).unwrap();
    let url = format!(
        "{}/v1.0/users/{DESK}/mailFolders/inbox/messages/delta",
        running.origin()
    );
    assert!(client(None).get(&url).send().await.is_err());
    let text = client(Some(&tls))
        .get(&url)
        .bearer_auth(&desk.token)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let next = json["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with("https://127.0.0.1:"), "{next}");
    let again = client(Some(&tls))
        .get(next)
        .bearer_auth(&desk.token)
        .send()
        .await
        .unwrap();
    assert_eq!((again.status().as_u16(), again.version()), (200, http::Version::HTTP_2));
    // On HTTP/2 a reset ends the one stream; no head of an answer may be seen.
    desk.simulator.arm(FaultSpec::once(RequestKind::Delta, Fault::Reset));
    let reset = client(Some(&tls)).get(next).bearer_auth(&desk.token).send().await;
    assert!(reset.is_err(), "{reset:?}");
    running.stop().await.unwrap();
}
