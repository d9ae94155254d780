//! A bench for the real binary: a data directory of its own, a simulated tenant on a socket, one call per command.
#![expect(
    clippy::expect_used,
    reason = "only tests use it: what cannot be set up fails the test"
)]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use simulator::{Options, Running, Simulator};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::binary::binary;

/// Addresses of the two mailboxes of a bench.
pub const DESK: &str = "desk@harbour-homes.example";
/// The other one.
pub const SALES: &str = "sales@harbour-homes.example";

/// A data directory and a tenant.
pub struct Bench {
    /// The tenant.
    pub simulator: Simulator,
    running: Option<Running>,
    runtime: Runtime,
    directory: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Done {
    /// Of a finished process.
    pub fn of(output: &Output) -> Self {
        let done = Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        done
    }

    /// Checks the exit code and hands itself on.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The one JSON value on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not one JSON value ({error}): {}", self.stdout))
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// With `DESK` and `SALES`, both empty.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let simulator = Simulator::new(Options::default());
        simulator.add_mailbox(DESK);
        simulator.add_mailbox(SALES);
        let running = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            simulator.serve(listener, None).expect("the tenant is served")
        });
        Self {
            simulator,
            running: Some(running),
            runtime,
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Scheme, host and port of the tenant.
    pub fn origin(&self) -> &str {
        self.running.as_ref().expect("still served").origin()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A path beside the data directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An issuer of tokens on a socket, until the bench goes. Its address.
    pub fn issuer(&self) -> String {
        self.runtime.block_on(crate::issuer::serve())
    }

    /// Stops the tenant: nobody answers any more.
    pub fn stop_tenant(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop()).expect("the tenant stops");
        }
    }

    /// A command of the binary with a clean environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("POSTROOM_DATA_DIR", self.data())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        if let Some(running) = &self.running {
            command.env("POSTROOM_TRUST_ENDPOINTS", running.origin());
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs a command with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        self.run(&all).expect(0).json()
    }

    /// Runs a command with this text on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        // A command that refuses before it reads closes the pipe: that is no failure of the test.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        Done::of(&child.wait_with_output().expect("the binary ends"))
    }

    /// Starts a command and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary runs")
    }

    /// The arguments of `credential add` for the tenant, without a secret.
    pub fn credential_arguments(&self, id: &str) -> Vec<String> {
        let registration = self.simulator.registration();
        let origin = self.origin();
        let token_url = format!("{origin}/{}/oauth2/v2.0/token", registration.tenant_id);
        let graph_url = format!("{origin}/v1.0");
        let words = [
            "credential",
            "add",
            "--id",
            id,
            "--grant",
            "client-credentials",
            "--token-url",
            &token_url,
            "--client-id",
            &registration.client_id,
            "--scope",
            "https://graph.microsoft.com/.default",
            "--graph-url",
            &graph_url,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// The secret of the tenant's app.
    pub fn secret(&self) -> String {
        self.simulator.registration().client_secret
    }

    /// Makes a credential.
    pub fn add_credential(&self, id: &str) {
        let mut arguments = self.credential_arguments(id);
        arguments.push("--client-secret-stdin".into());
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let _ = self.run_with(&words, &self.secret()).expect(0);
    }

    /// Makes an account that imports everything.
    pub fn add_account(&self, id: &str, mailbox: &str, more: &[&str]) {
        let mut words = vec![
            "account",
            "add",
            "--id",
            id,
            "--mailbox",
            mailbox,
            "--credential",
            "sim",
            "--start",
            "everything",
        ];
        words.extend(more);
        let _ = self.run(&words).expect(0);
    }
}
