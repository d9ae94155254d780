//! What a sandbox is made of: the HTTP clients, one SDK configuration, time, chance, a name. Made once, in its init.

use std::sync::Arc;

use aws_types::SdkConfig;
use reqwest::Client;
use shared::{
    config::ConfigError,
    import::checks::Checks,
    oauth::OutsideProofs,
    ports::{Clock, Http, Ports, Publisher, Rng, Scheduler, Store, Tokens, Vault},
    system::{SystemClock, SystemRng},
    wire::{self, Gate, ReqwestHttp, system_names},
};

use crate::{
    adapters::{CheckCalls, DynamoStore, EventBridgeScheduler, Firing, PlatformProofs, SecretsVault, TokenCalls, Wall},
    failure::Failure,
    logs,
    settings::Settings,
    tls,
};

/// A sandbox at work.
pub struct Sandbox {
    /// Its settings.
    pub settings: Settings,
    /// Its stack: the prefix of secrets, the dimension of metrics.
    pub stack: String,
    /// Its HTTP client for AWS, whose hosts nobody can choose.
    pub client: Client,
    /// The wire to everybody else.
    outside: ReqwestHttp,
    /// The SDK's configuration over that client.
    pub sdk: SdkConfig,
    /// Records.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

impl Sandbox {
    /// Sets a sandbox up, logging first. Opens no connection.
    pub fn start(settings: Settings) -> Result<Self, Failure> {
        logs::start(&settings.shared)?;
        let tls = tls::configuration(settings.shared.ca_file.as_deref())?;
        let failed = |reason| ConfigError {
            name: "POSTROOM_CA_FILE",
            reason: format!("the HTTP client cannot be set up: {reason}"),
        };
        let client = wire::client(tls.clone()).map_err(failed)?;
        let gate = Gate::new(settings.shared.trusted.clone(), system_names());
        let outside = ReqwestHttp::new(tls, gate, None).map_err(failed)?;
        let sdk = crate::sdk::config(&client, &settings.account);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let table = settings.required("POSTROOM_TABLE")?;
        let store = Arc::new(DynamoStore::new(&sdk, &table, Arc::clone(&clock), Arc::clone(&rng)));
        Ok(Self {
            stack: settings.required("POSTROOM_STACK")?,
            settings,
            client,
            outside,
            sdk,
            store,
            clock,
            rng,
        })
    }

    /// Ports with the right to nothing but records; a function adds what it may use.
    pub fn ports(&self) -> Ports {
        Ports {
            store: Arc::clone(&self.store),
            vault: Arc::new(Wall),
            scheduler: Arc::new(Wall),
            publisher: Arc::new(Wall),
            http: Arc::new(Wall),
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
            instance: self.rng.hex(8).into(),
            // Nobody knows whether another sandbox lives: its leases run out.
            dead: Arc::new(|_| false),
        }
    }

    /// The wire to Microsoft.
    pub fn http(&self) -> Arc<dyn Http> {
        Arc::new(self.outside.clone())
    }

    /// The same, for who makes others of its kind.
    pub fn wire(&self) -> ReqwestHttp {
        self.outside.clone()
    }

    /// The vault, for a function that makes secrets (with the stack's key) or only reads them.
    pub fn vault(&self, makes_secrets: bool) -> Result<Arc<dyn Vault>, Failure> {
        let key = makes_secrets.then(|| self.settings.required("POSTROOM_KMS_KEY"));
        let key = key.transpose()?;
        let (clock, rng) = (Arc::clone(&self.clock), Arc::clone(&self.rng));
        Ok(Arc::new(SecretsVault::new(
            &self.sdk,
            &self.stack,
            key.as_deref(),
            clock,
            rng,
        )))
    }

    /// Tokens by invoking token-refresh.
    pub fn tokens(&self) -> Result<Arc<dyn Tokens>, Failure> {
        let function = self.settings.required("POSTROOM_TOKEN_REFRESH")?;
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Ok(Arc::new(TokenCalls::new(&self.sdk, &function, store, clock)))
    }

    /// What proves an app without a secret: tokens that AWS makes for the function's role, and a key in KMS.
    pub fn outside_proofs(&self) -> Arc<dyn OutsideProofs> {
        let sts = self.settings.account.sts.as_ref();
        Arc::new(PlatformProofs::new(&self.sdk, sts))
    }

    /// Checks by invoking the importer.
    pub fn checks(&self) -> Result<Arc<dyn Checks>, Failure> {
        let function = self.settings.required("POSTROOM_IMPORTER")?;
        Ok(Arc::new(CheckCalls::new(&self.sdk, &function)))
    }

    /// The schedules.
    pub fn scheduler(&self) -> Result<Arc<dyn Scheduler>, Failure> {
        let firing = Firing {
            group: self.settings.required("POSTROOM_SCHEDULE_GROUP")?,
            role: self.settings.required("POSTROOM_SCHEDULE_ROLE")?,
            importer: self.settings.required("POSTROOM_IMPORTER")?,
            dead_letters: self.settings.required("POSTROOM_SCHEDULE_DLQ")?,
        };
        Ok(Arc::new(EventBridgeScheduler::new(&self.sdk, firing)))
    }

    /// The event bus.
    pub fn publisher(&self) -> Result<Arc<dyn Publisher>, Failure> {
        let bus = self.settings.required("POSTROOM_EVENT_BUS")?;
        Ok(Arc::new(crate::adapters::EventBus::new(&self.sdk, &bus)))
    }
}
