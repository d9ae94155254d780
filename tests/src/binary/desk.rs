//! A tenant on a socket and a fresh data directory with a credential for it.

use std::path::PathBuf;

use local::adapters::{DataDir, OpenOptions, open};
use shared::{
    manage::{AccountForm, Manage},
    origin::{Origin, TrustedOrigins},
};
use simulator::{Options, Running, Simulator, Tls};
use tempfile::TempDir;
use tokio::process::Child;

use super::{Books, Program, Said};

/// Where a test of the real binary takes place.
pub struct Desk {
    /// Microsoft, simulated in this process and served on a socket.
    pub simulator: Simulator,
    /// The binary, with its data directory.
    pub program: Program,
    _running: Running,
    _scratch: TempDir,
}

impl Desk {
    /// A tenant with these options, a new data directory, and the credential `tenant` in it.
    pub async fn open(options: Options) -> Self {
        Self::open_with(options, None, None).await
    }

    /// The same over TLS, from an authority that only this program trusts.
    pub async fn open_tls(options: Options) -> Self {
        Self::open_with(options, None, Some(Tls::generate().expect("certificates"))).await
    }

    /// The same, with the data directory somewhere else than in a temporary directory.
    pub async fn open_in(options: Options, data_dir: PathBuf) -> Self {
        Self::open_with(options, Some(data_dir), None).await
    }

    async fn open_with(options: Options, data_dir: Option<PathBuf>, tls: Option<Tls>) -> Self {
        let simulator = Simulator::new(options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let ca_file = tls.as_ref().map(|tls| {
            let path = scratch.path().join("ca.pem");
            std::fs::write(&path, tls.ca_pem()).expect("the authority's certificate");
            path
        });
        let running = simulator.serve(listener, tls).expect("a server");
        let program = Program {
            data_dir: data_dir.unwrap_or_else(|| scratch.path().join("data")),
            trusted: running.origin().to_owned(),
            ca_file,
        };
        let desk = Self {
            simulator,
            program,
            _running: running,
            _scratch: scratch,
        };
        desk.add_credential().await;
        desk
    }

    async fn add_credential(&self) {
        let app = self.simulator.registration();
        let origin = &self.program.trusted;
        let token_url = format!("{origin}/{}/oauth2/v2.0/token", app.tenant_id);
        let graph_url = format!("{origin}/v1.0");
        let arguments = [
            "credential",
            "add",
            "--id",
            "tenant",
            "--description",
            "The simulated tenant",
            "--grant",
            "client-credentials",
            "--token-url",
            &token_url,
            "--client-id",
            &app.client_id,
            "--client-secret-stdin",
            "--scope",
            "https://graph.microsoft.com/.default",
            "--graph-url",
            &graph_url,
        ];
        let _ = self
            .program
            .run_with_input(&arguments, &app.client_secret)
            .await
            .exits(0);
    }

    /// Adds a mailbox to the tenant and an account on it that imports everything.
    pub async fn add_account(&self, id: &str, mailbox: &str, more: &[&str]) {
        self.simulator.add_mailbox(mailbox);
        let mut arguments = vec!["account", "add", "--id", id, "--mailbox", mailbox];
        arguments.extend(["--credential", "tenant", "--start", "everything"]);
        arguments.extend(more);
        let _ = self.program.run(&arguments).await.exits(0);
    }

    /// Many mailboxes `m0`, `m1`.. with an account on each, made without starting the program for each.
    pub async fn add_accounts(&self, count: u32, every: &str) {
        let directory = DataDir::open(&self.program.data_dir).expect("a data directory");
        let opened = open(directory, &OpenOptions::default()).expect("books that open");
        let trusted = TrustedOrigins::with(vec![Origin::parse(&self.program.trusted).expect("an origin")]);
        let manage = Manage::new(&opened.ports, &trusted, "test");
        for at in 0..count {
            let mailbox = format!("m{at}@harbour-homes.example");
            self.simulator.add_mailbox(&mailbox);
            let form = AccountForm {
                id: format!("m{at}"),
                mailbox,
                credential: "tenant".into(),
                start: "now".into(),
                every: Some(every.to_owned()),
                enabled: true,
                ..AccountForm::default()
            };
            manage.add_account(&form).await.expect("an account");
        }
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.program.run(arguments).await
    }

    /// Starts a command.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.program.start(arguments)
    }

    /// The books as they lie on disk now.
    pub fn books(&self) -> Books {
        Books::open(&self.program.data_dir)
    }
}
