//! What every command works with: the opened data directory, the shelves, the importer, the output.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use shared::{
    archive::Archive,
    config::Config,
    import::Importer,
    manage::Manage,
    oauth::TokenService,
    ports::Tokens,
    records::{
        accounts::{AccountRow, Accounts},
        audit::Audit,
        credentials::{CredentialRow, Credentials},
        debts::Debts,
        events::Events,
        messages::Messages,
        runs::Runs,
    },
};

use super::{Lookup, failure::Failure, output::Output, secret_input};
use crate::adapters::{DataDir, HttpOptions, OpenOptions, Opened, TokenFiles, open};

/// Bytes of a part of an upload to a directory: any will do, small ones keep memory low.
const PART: usize = 256 * 1024;
/// Never through a proxy: this machine.
const LOOPBACK: &str = "localhost,127.0.0.1,::1";

/// What every command works with.
pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) output: Output,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) importer: Arc<Importer>,
    pub(crate) archive: Archive,
    pub(crate) accounts: Accounts,
    pub(crate) credentials: Credentials,
    pub(crate) messages: Messages,
    pub(crate) debts: Debts,
    pub(crate) events: Events,
    pub(crate) runs: Runs,
    audit: Audit,
    /// Last: what it keeps must outlive the rest.
    pub(crate) opened: Opened,
}

impl Desk {
    /// Opens the data directory, making what is missing.
    pub(crate) fn open(
        data_dir: Option<PathBuf>,
        config: Config,
        lookup: Lookup<'_>,
        output: Output,
    ) -> Result<Self, Failure> {
        let path = match data_dir {
            Some(path) => path,
            None => DataDir::default_path(lookup)?,
        };
        let either = |name: &str| {
            lookup(name)
                .or_else(|| lookup(&name.to_lowercase()))
                .filter(|text| !text.is_empty())
        };
        let no_proxy = either("NO_PROXY").map_or_else(|| LOOPBACK.to_owned(), |hosts| format!("{hosts},{LOOPBACK}"));
        let options = OpenOptions {
            key_source: None,
            passphrase: Some(secret_input::passphrase(config.passphrase_file.clone())),
            http: HttpOptions {
                ca_file: config.ca_file.as_ref().map(PathBuf::from),
                proxy: either("HTTPS_PROXY"),
                no_proxy: Some(no_proxy),
                trusted: config.trusted.clone(),
            },
        };
        let opened = open(DataDir::open(&path)?, &options)?;
        Ok(Self::over(opened, config, output))
    }

    fn over(opened: Opened, config: Config, output: Output) -> Self {
        let ports = opened.ports.clone();
        let tokens: Arc<dyn Tokens> = Arc::new(TokenService::new(ports.clone()).with_outside(Arc::new(TokenFiles)));
        let archive = Archive::new(Arc::clone(&opened.archive), PART).settling(Arc::clone(&opened.settle));
        let store = &ports.store;
        Self {
            importer: Arc::new(Importer::new(ports.clone(), Arc::clone(&tokens), archive.clone())),
            accounts: Accounts::new(Arc::clone(store)),
            credentials: Credentials::new(Arc::clone(store)),
            messages: Messages::new(Arc::clone(store)),
            debts: Debts::new(Arc::clone(store)),
            events: Events::new(Arc::clone(store)),
            runs: Runs::new(Arc::clone(store)),
            audit: Audit::new(Arc::clone(store), Arc::clone(&ports.rng)),
            config,
            output,
            tokens,
            archive,
            opened,
        }
    }

    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        self.opened.ports.clock.now()
    }

    /// An admin at the command line.
    pub(crate) fn manage(&self) -> Manage {
        Manage::new(&self.opened.ports, &self.config.trusted, "command line")
    }

    /// Notes what an admin did.
    pub(crate) async fn note(&self, what: &str) -> Result<(), Failure> {
        Ok(self.audit.note(self.now(), "command line", what).await?)
    }

    /// What admins did.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// One account, or all by id.
    pub(crate) async fn accounts_of(&self, id: Option<&str>) -> Result<Vec<AccountRow>, Failure> {
        Ok(match id {
            Some(id) => vec![self.accounts.get(id).await?],
            None => self.accounts.all().await?,
        })
    }

    /// The credential applied on an account.
    pub(crate) async fn credential(&self, id: &str) -> Result<CredentialRow, Failure> {
        Ok(self.credentials.get(id).await?)
    }

    /// Puts the account's schedule as its settings say.
    pub(crate) async fn schedule(&self, account: &shared::account::Account) -> Result<(), Failure> {
        self.opened
            .ports
            .scheduler
            .put(&shared::manage::schedule_of(account))
            .await?;
        Ok(())
    }
}
