//! A tenant on a socket and a fresh data directory with a credential for it.

use std::path::PathBuf;

use simulator::{Options, Running, Simulator};
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
        Self::open_in(options, None).await
    }

    /// The same, with the data directory somewhere else than in a temporary directory.
    pub async fn open_in(options: Options, data_dir: Option<PathBuf>) -> Self {
        let simulator = Simulator::new(options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let running = simulator.serve(listener, None).expect("a server");
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let program = Program {
            data_dir: data_dir.unwrap_or_else(|| scratch.path().join("data")),
            trusted: running.origin().to_owned(),
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
