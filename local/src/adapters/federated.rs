//! Federated tokens on one machine: files that somebody else writes and renews (Kubernetes, a CI runner, SPIFFE).

use async_trait::async_trait;
use shared::{
    oauth::{NoProof, OutsideProofs},
    secret::Secret,
};
use tokio::io::AsyncReadExt as _;

/// The most bytes of a token.
const MOST: u64 = 16 * 1024;

/// Reads token files.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenFiles;

#[async_trait]
impl OutsideProofs for TokenFiles {
    async fn in_file(&self, path: &str) -> Result<Secret, NoProof> {
        let trouble = |error: std::io::Error| {
            NoProof::Mend(format!(
                "the federated token file {path} cannot be read ({}). Whoever makes it must run, and Postroom's user must be able to read it",
                error.kind()
            ))
        };
        let wrong = |how: &str| Err(NoProof::Mend(format!("the federated token file {path} {how}")));
        let file = tokio::fs::File::open(path).await.map_err(trouble)?;
        if !file.metadata().await.map_err(trouble)?.is_file() {
            return wrong("is no file");
        }
        let mut text = zeroize::Zeroizing::new(String::new());
        file.take(MOST + 1).read_to_string(&mut text).await.map_err(trouble)?;
        if text.len() as u64 > MOST {
            return wrong("is larger than 16 KiB, so it is no token");
        }
        match text.trim() {
            "" => wrong("is empty"),
            token => Ok(Secret::new(token)),
        }
    }

    async fn of_platform(&self, _audience: &str) -> Result<Secret, NoProof> {
        let what =
            "AWS makes federated tokens only for Postroom on AWS; here, give the credential a federated token file";
        Err(NoProof::Mend(what.into()))
    }

    async fn by_kms_key(&self, _key: &str, _text: &str) -> Result<Vec<u8>, NoProof> {
        let what =
            "a key in AWS KMS signs only for Postroom on AWS; here, give the credential a certificate with its key";
        Err(NoProof::Mend(what.into()))
    }
}
