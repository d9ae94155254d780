//! The real binary as a child process: where it is, how it is started, what it said.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use serde_json::Value;
use tokio::process::{Child, Command};

/// An environment variable that steers the tests.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests are steered from outside; the program under test reads its settings itself"
)]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The binary `postroom`: the one `POSTROOM_BIN` names, else one built now with the profile of this test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = setting("POSTROOM_BIN") {
            return PathBuf::from(path);
        }
        // target/PROFILE/deps/binary-HASH
        let here = std::env::current_exe().expect("the path of this test");
        let target = here.ancestors().nth(2).expect("a target directory");
        let mut build = std::process::Command::new(setting("CARGO").unwrap_or_else(|| "cargo".into()));
        // The whole workspace, as `make test` builds it: another selection has other features and compiles twice.
        build.args(["build", "--workspace", "--bins", "--quiet", "--locked"]);
        if let Some(profile) = target.file_name().filter(|name| *name != "debug") {
            build.arg("--profile").arg(profile);
        }
        let status = build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binary could not be built");
        target.join("postroom")
    })
}

/// What a command answered.
#[derive(Debug, Clone)]
pub struct Said {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Most resident memory in KiB while it ran, sampled; 0 where it cannot be told.
    pub peak_kib: u64,
}

impl Said {
    /// The one JSON value on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// Insists on an exit code.
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code {code} expected: {self:#?}");
        self
    }
}

/// How the binary is started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its data directory.
    pub data_dir: PathBuf,
    /// The origin it may trust besides Microsoft's.
    pub trusted: String,
    /// PEM file of an authority it may trust besides the platform's.
    pub ca_file: Option<PathBuf>,
}

impl Program {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("POSTROOM_DATA_DIR", &self.data_dir)
            .env("POSTROOM_TRUST_ENDPOINTS", &self.trusted)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A test that fails leaves no process behind.
            .kill_on_drop(true);
        if let Some(ca_file) = &self.ca_file {
            command.env("POSTROOM_CA_FILE", ca_file);
        }
        command
    }

    /// Starts it; nobody reads what it says, so it says it into nothing.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary starts")
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        finish(self.command(arguments).spawn().expect("the binary starts")).await
    }

    /// Runs it to its end with something on its standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Said {
        use tokio::io::AsyncWriteExt as _;
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("its standard input");
        // It may end without having read: its exit code tells more than a broken pipe.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        finish(child).await
    }
}

/// Waits for a program's end and reads what it says; looks at its memory meanwhile.
pub async fn finish(child: Child) -> Said {
    let pid = child.id();
    let mut ended = std::pin::pin!(child.wait_with_output());
    let mut peak_kib = 0;
    let output = loop {
        tokio::select! {
            output = &mut ended => break output.expect("what it said"),
            // The kernel keeps the high-water mark, but only as long as the process lives: look now and then.
            () = tokio::time::sleep(std::time::Duration::from_millis(10)) => {
                peak_kib = pid.and_then(peak_memory_kib).unwrap_or(0).max(peak_kib);
            }
        }
    };
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        peak_kib,
    }
}

/// Most resident memory a living process ever had, in KiB (`VmHWM`, proc(5)); `None` where there is no such file.
pub fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
