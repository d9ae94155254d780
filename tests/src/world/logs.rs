//! What was logged in this thread, at the finest level, and whether a secret's text stands in it.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use base64::Engine as _;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// How access tokens begin: `{"alg":` and `{"typ":` in base64. Less than that stands in a random link now and then.
pub(super) const TOKEN_BEGINS: [&str; 2] = ["eyJhbGciO", "eyJ0eXAiO"];

/// Captures the log of this thread until it is dropped.
pub struct Logs {
    text: Buffer,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Logs {
    /// From now on, in this thread.
    pub fn capture() -> Self {
        let text = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(text.clone())
            .with_ansi(false)
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// What was logged.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Forms of the secret, or of any access token, that stand in the log.
    pub fn leaks(&self, secret: &str) -> Vec<String> {
        let text = self.text();
        let tokens = TOKEN_BEGINS.map(|begin| ("access token", begin.to_owned()));
        forms_of(secret)
            .into_iter()
            .chain(tokens)
            .filter(|(_, form)| text.contains(form))
            .map(|(name, _)| format!("a secret stands in the log ({name})"))
            .collect()
    }
}

/// Every form in which a secret could stand in a text.
pub fn forms_of(secret: &str) -> [(&'static str, String); 5] {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let json = serde_json::to_string(secret).unwrap_or_default();
    [
        ("plain", secret.to_owned()),
        ("base64", STANDARD.encode(secret)),
        ("base64url", URL_SAFE_NO_PAD.encode(secret)),
        (
            "percent",
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        ),
        ("JSON", json.trim_matches('"').to_owned()),
    ]
}
