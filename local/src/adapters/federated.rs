//! Federated tokens on one machine: files that somebody else writes and renews (Kubernetes, a CI runner, SPIFFE).

use async_trait::async_trait;
use shared::{oauth::FederatedTokens, secret::Secret};
use tokio::io::AsyncReadExt as _;

/// The most bytes of a token.
const MOST: u64 = 16 * 1024;

/// Reads token files.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenFiles;

#[async_trait]
impl FederatedTokens for TokenFiles {
    async fn in_file(&self, path: &str) -> Result<Secret, String> {
        let trouble = |error: std::io::Error| {
            format!(
                "the federated token file {path} cannot be read ({}). Whoever makes it must run, and Postroom's user must be able to read it",
                error.kind()
            )
        };
        let file = tokio::fs::File::open(path).await.map_err(trouble)?;
        if !file.metadata().await.map_err(trouble)?.is_file() {
            return Err(format!("the federated token file {path} is no file"));
        }
        let mut text = zeroize::Zeroizing::new(String::new());
        file.take(MOST + 1).read_to_string(&mut text).await.map_err(trouble)?;
        if text.len() as u64 > MOST {
            return Err(format!(
                "the federated token file {path} is larger than 16 KiB, so it is no token"
            ));
        }
        match text.trim() {
            "" => Err(format!("the federated token file {path} is empty")),
            token => Ok(Secret::new(token)),
        }
    }
}
