//! What the demo plays on: the simulated tenant, its mailboxes, and the credential and accounts for them.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use shared::{
    config::Config,
    credential::{CredentialForm, GrantType},
    origin::{Origin, TrustedOrigins},
    records::accounts::AccountRow,
    secret::Secret,
};
use simulator::{Delivery, Latency, Options, Running, Simulator};
use tokio::net::TcpListener;
use url::Url;

use crate::cli::{
    Desk, Lookup, account_edit,
    arguments::{AccountFields, DemoArguments},
    credential,
    failure::Failure,
    output::{Answer, Output},
};

const CREDENTIAL: &str = "demo";
/// Account, mailbox, what to do after import.
const ACCOUNTS: [(&str, &str, &str); 2] = [
    ("desk", "desk@harbour-homes.example", "mark-read"),
    ("claims", "claims@harbour-homes.example", "move:Inbox/Imported"),
];
const MESSAGES: usize = 40;
/// Days over which generated mail was received.
const DAYS: u32 = 30;

/// The simulated tenant, served.
pub(super) struct Stage {
    simulator: Simulator,
    running: Running,
    delivered: AtomicU64,
}

impl Stage {
    /// Serves a tenant with mail in two mailboxes on a free loopback port.
    pub(super) async fn set(typed: &DemoArguments) -> Result<Self, Failure> {
        let simulator = Simulator::new(Options {
            // As far away as a data centre nearby, so that there is something to see.
            latency: Latency {
                service: Duration::from_millis(8),
                network: Duration::from_millis(4),
            },
            ..Options::default()
        });
        fill(&simulator, typed)?;
        let failed = |error: &dyn std::fmt::Display| {
            Failure::refused(format!("the simulated tenant cannot listen on 127.0.0.1: {error}"))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
        let running = simulator.serve(listener, None).map_err(|error| failed(&error))?;
        Ok(Self {
            simulator,
            running,
            delivered: AtomicU64::new(0),
        })
    }

    /// A desk in this directory that trusts the simulated tenant and nothing beside it but Microsoft.
    pub(super) fn desk(
        &self,
        path: PathBuf,
        mut config: Config,
        lookup: Lookup<'_>,
        output: &Output,
    ) -> Result<Desk, Failure> {
        let origin = Origin::parse(self.running.origin()).map_err(Failure::refused)?;
        config.trusted = TrustedOrigins::with(vec![origin]);
        Desk::open(Some(path), config, lookup, output.clone())
    }

    fn token_url(&self) -> String {
        let tenant = self.simulator.registration().tenant_id;
        format!("{}/{tenant}/oauth2/v2.0/token", self.running.origin())
    }

    fn graph_url(&self) -> String {
        format!("{}/v1.0", self.running.origin())
    }

    /// The app may send people back to this console.
    pub(super) fn register(&self, public: &Url) -> Result<(), Failure> {
        let id = self.simulator.registration().client_id;
        let redirect = shared::web::redirect_uri(public);
        let registered = self.simulator.register_redirect_uri(&id, redirect.as_str());
        registered.map_err(|error| Failure::refused(error.to_string()))
    }

    /// What it is, for people.
    pub(super) fn text(&self) -> String {
        let origin = self.running.origin();
        format!(
            "  access token URL  {}\n  Graph URL         {}\n  what it holds     {origin}/\n  its counts        {origin}/_control/stats",
            self.token_url(),
            self.graph_url()
        )
    }

    /// What it is, for scripts.
    pub(super) fn json(&self) -> Value {
        json!({"origin": self.running.origin(), "token_url": self.token_url(), "graph_url": self.graph_url()})
    }

    /// Makes the credential and gets a token, as `credential add` and `credential authorize` do.
    pub(super) async fn make_credential(&self, desk: &Desk) -> Result<Answer, Failure> {
        let registration = self.simulator.registration();
        let form = CredentialForm {
            id: CREDENTIAL.into(),
            description: "The simulated tenant".into(),
            grant_type: Some(GrantType::ClientCredentials),
            token_url: self.token_url(),
            client_id: registration.client_id,
            scope: "https://graph.microsoft.com/.default".into(),
            graph_url: Some(self.graph_url()),
            ..CredentialForm::default()
        };
        let secret = Secret::new(registration.client_secret);
        desk.manage().add_credential(&form, &secret).await?;
        credential::request(desk, CREDENTIAL).await
    }

    /// Makes the accounts, as `account add` does.
    pub(super) async fn make_accounts(&self, desk: &Desk) -> Result<Vec<AccountRow>, Failure> {
        let mut rows = Vec::new();
        for (id, mailbox, after_import) in ACCOUNTS {
            let typed = account_edit::Typed {
                id: id.into(),
                mailbox: mailbox.into(),
                start: "everything".into(),
                credential: CREDENTIAL.into(),
                fields: AccountFields {
                    description: None,
                    folders: Vec::new(),
                    subfolders: false,
                    after_import: Some(after_import.into()),
                    every: Some("10s".into()),
                    max_message: None,
                },
                enabled: true,
            };
            rows.push(account_edit::make(desk, typed).await?);
        }
        Ok(rows)
    }

    /// What to look at and to type while it goes on.
    pub(super) fn try_text(&self, desk: &Desk, console: &Url, link: &Secret) -> String {
        let data = desk.opened.data_dir.root().display();
        let program = std::env::current_exe().map_or_else(|_| "postroom".into(), |path| path.display().to_string());
        format!(
            "A new message comes every few seconds and is imported within ten.\n\n  console       {}\n                (opens once; `postroom console` prints another link)\n  for monitors  {console}healthz\n  \
             tenant        {}/\n  data          {data}\n\nTo see somebody sign in: in the console make a credential with the grant type authorization code, authorization URL\n  {}\nand the other values of `postroom credential show {CREDENTIAL}`, client secret {}, scope Mail.ReadWrite offline_access; then click its key.\n\nTry in a second terminal:\n\n  \
             export POSTROOM_DATA_DIR={data} POSTROOM_TRUST_ENDPOINTS={}\n  alias postroom={program}\n  postroom status\n  postroom messages --search order\n  \
             postroom message <id from that list>\n  postroom runs\n  postroom events --follow\n  postroom account add --id sales \
             --mailbox {} --credential {CREDENTIAL} --folder drafts --start everything\n\nCtrl-C ends it and cleans up. Events as they are delivered:\n",
            link.expose(),
            self.running.origin(),
            self.token_url().replace("/token", "/authorize"),
            self.simulator.registration().client_secret,
            self.running.origin(),
            ACCOUNTS[0].1
        )
    }

    /// A new message for the next mailbox.
    pub(super) fn deliver_one(&self) {
        let at = usize::try_from(self.delivered.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
        if let Some((_, mailbox, _)) = ACCOUNTS.get(at % ACCOUNTS.len())
            && let Err(error) = self.simulator.deliver_generated(mailbox, "inbox")
        {
            tracing::warn!(%error, "the simulated tenant took no new message");
        }
    }

    /// Stops serving.
    pub(super) async fn strike(self) {
        if let Err(error) = self.running.stop().await {
            tracing::warn!(%error, "the simulated tenant did not stop cleanly");
        }
    }
}

fn fill(simulator: &Simulator, typed: &DemoArguments) -> Result<(), Failure> {
    let refused = |error: simulator::ControlError| Failure::refused(format!("the simulated tenant: {error}"));
    for (_, mailbox, after) in ACCOUNTS {
        simulator.add_mailbox(mailbox);
        if let Some(folder) = after.strip_prefix("move:") {
            simulator.create_folder(mailbox, folder, false).map_err(refused)?;
        }
    }
    if let Some(directory) = &typed.mail {
        let mail = simulator::mail::load::load(directory)
            .map_err(|error| Failure::usage(format!("--mail {}: {error}", directory.display())))?;
        let now = simulator.clock().now_ms();
        let count = i64::try_from(mail.len()).unwrap_or(i64::MAX);
        for (at, bytes) in mail.into_iter().enumerate() {
            // A minute apart, the last one just now: files say nothing trustworthy about when they came.
            let received = now - (count - i64::try_from(at).unwrap_or_default()) * 60_000;
            let (_, mailbox, _) = ACCOUNTS[at % ACCOUNTS.len()];
            let delivery = Delivery::inbox(simulator::mail::Mime::Bytes(bytes)).received(received);
            simulator.deliver(mailbox, delivery).map_err(refused)?;
        }
    }
    let generated = typed
        .messages
        .unwrap_or(if typed.mail.is_some() { 0 } else { MESSAGES });
    for (_, mailbox, _) in ACCOUNTS {
        simulator.fill(mailbox, "inbox", generated, DAYS).map_err(refused)?;
    }
    Ok(())
}
