//! An issuer of tokens that an app may trust, and a certificate for an app: made here, with a key that guards nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{CertificateParams, KeyPair};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An RSA key that guards nothing; the crypto library makes none.
const KEY: &[u8] = include_bytes!("../../simulator/src/entra/simulator-signing-key.pkcs8.der");
/// What the tokens of an issuer are meant for, so that Entra takes them.
pub const AUDIENCE: &str = "api://AzureADTokenExchange";
/// Name of the issuer's only key.
pub const KEY_ID: &str = "k1";

/// A certificate that is good until the first of March of this year, as PEM: alone, and with its key.
pub fn certificate(year: i32) -> (String, String) {
    let key = KeyPair::try_from(KEY).expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.not_after = rcgen::date_time_ymd(year, 3, 1);
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let both = format!("{certificate}{}", key.serialize_pem());
    (certificate, both)
}

/// PEM texts with a certificate and its key each, as one PKCS#12 file.
pub fn pkcs12(pems: &[&str], password: &str) -> Vec<u8> {
    let mut store = KeyStore::new();
    for (at, pem) in pems.iter().enumerate() {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
        let key = PrivateKey::from_der(key.secret_der()).expect("a key");
        let id = vec![u8::try_from(at).expect("few")];
        let chain = PrivateKeyChain::new(id, key, [certificate_of(pem)]);
        store.add_entry(&format!("key {at}"), KeyStoreEntry::PrivateKeyChain(chain));
    }
    store
        .writer(password)
        .encryption_iterations(1000)
        .write()
        .expect("a file")
}

/// The certificate of a PEM text without its key, as a PKCS#12 file.
pub fn certificates_alone(pem: &str, password: &str) -> Vec<u8> {
    let mut store = KeyStore::new();
    store.add_entry("alone", KeyStoreEntry::Certificate(certificate_of(pem)));
    store
        .writer(password)
        .encryption_iterations(1000)
        .write()
        .expect("a file")
}

fn certificate_of(pem: &str) -> Certificate {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    Certificate::from_der(&der).expect("a certificate")
}

/// The signature over a text by the key of [`certificate`], as PS256 wants it: what a key service answers.
pub fn ps256(text: &str) -> Vec<u8> {
    let key = RsaKeyPair::from_pkcs8(KEY).expect("a key");
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PSS_SHA256, &random, text.as_bytes(), &mut signature)
        .expect("signed");
    signature
}

/// A token of the issuer, RS256.
pub fn signed(claims: &Value, key_id: &str) -> String {
    let key = RsaKeyPair::from_pkcs8(KEY).expect("a key");
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({"alg": "RS256", "kid": key_id})), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .expect("signed");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An issuer on a socket, for as long as the runtime lives: its discovery document and its keys. Its address.
pub async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let origin = url.clone();
    tokio::spawn(async move {
        let key = RsaKeyPair::from_pkcs8(KEY).expect("a key");
        let parts: PublicKeyComponents<Vec<u8>> = key.public().into();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"keys": [{"kty": "RSA", "kid": KEY_ID, "n": number(&parts.n), "e": number(&parts.e)}]});
        let document = json!({"issuer": origin, "jwks_uri": format!("{origin}/keys")});
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 2048];
            let read = stream.read(&mut buffer).await.unwrap_or_default();
            let asked = buffer.get(..read).unwrap_or_default();
            let body = if asked.starts_with(b"GET /keys ") {
                &keys
            } else {
                &document
            };
            let _ = stream
                .write_all(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes())
                .await;
        }
    });
    url
}
