//! Things tried against Microsoft because an admin asked, for those who may not try them themselves.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{error::Next, oauth::TokenError, ports::TokenNeed, reach::Reach, records::RecordError, wire::ReqwestHttp};

use super::{check::Step, reach::ReachError, redirect, run::Importer};

/// Why nothing was tried. It travels where things are tried in another function.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckError {
    /// There is no such account or credential.
    #[error("{0}")]
    Missing(String),
    /// It makes no sense as things stand.
    #[error("{0}")]
    Refused(String),
    /// There is no token to try with.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Store or function failed.
    #[error("{0}")]
    Trouble(String),
}

impl CheckError {
    /// What next?
    pub fn next(&self) -> Next {
        match self {
            Self::Missing(_) | Self::Refused(_) => Next::FixAccount,
            Self::Token(error) => error.next(),
            Self::Trouble(_) => Next::Retry { after: None },
        }
    }
}

impl From<RecordError> for CheckError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Missing { what, id, .. } => Self::Missing(format!("there is no {what} `{id}`")),
            other => Self::Trouble(other.to_string()),
        }
    }
}

impl From<ReachError> for CheckError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Record(error) => error.into(),
            ReachError::Token(error) => error.into(),
            ReachError::Refused(why) => Self::Refused(why),
        }
    }
}

/// Tries things against Microsoft. One machine: in process. AWS: the console invokes the importer, which may read access
/// tokens and call Graph. Imports nothing and changes no mailbox.
#[async_trait]
pub trait Checks: Send + Sync {
    /// The steps of `account check`.
    async fn account(&self, account: &str) -> Result<Vec<Step>, CheckError>;
    /// What a credential's app reaches, with a token of this moment; the outcome is on record afterwards.
    async fn reach(&self, credential: &str) -> Result<Reach, CheckError>;
    /// Whether Microsoft would take this redirect URI of ours, and whether Postroom is reached there.
    async fn redirect(&self, redirect_uri: &Url) -> Result<Step, CheckError>;
}

/// In this process.
pub struct InProcess {
    importer: Arc<Importer>,
    patience: Duration,
    wire: Option<ReqwestHttp>,
}

impl InProcess {
    /// With this importer; `patience` is the longest wait that Microsoft may ask for.
    pub fn new(importer: Arc<Importer>, patience: Duration) -> Self {
        Self {
            importer,
            patience,
            wire: None,
        }
    }

    /// The same, over real sockets, of which one may lead to Postroom itself.
    #[must_use]
    pub fn over(mut self, wire: ReqwestHttp) -> Self {
        self.wire = Some(wire);
        self
    }
}

#[async_trait]
impl Checks for InProcess {
    async fn account(&self, account: &str) -> Result<Vec<Step>, CheckError> {
        Ok(self.importer.check(account, self.patience).await?)
    }

    async fn reach(&self, credential: &str) -> Result<Reach, CheckError> {
        Ok(self.importer.reach(credential, TokenNeed::New, self.patience).await?)
    }

    async fn redirect(&self, redirect_uri: &Url) -> Result<Step, CheckError> {
        let Some(wire) = &self.wire else {
            return Ok(redirect::check(&*self.importer.ports.http, redirect_uri).await);
        };
        let wire = wire.reaching(redirect_uri).map_err(CheckError::Trouble)?;
        Ok(redirect::check(&wire, redirect_uri).await)
    }
}
