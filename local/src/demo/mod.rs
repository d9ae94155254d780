//! `postroom demo`: a simulated tenant, two accounts, one import; then it goes on by itself until Ctrl-C.

mod stage;

use std::{io::IsTerminal as _, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use shared::{
    config::Config,
    error::exit,
    import::report::RunReport,
    records::{messages::Listed, sessions::Purpose},
};
use tokio::net::TcpListener;
use url::Url;

use crate::cli::{
    Desk, Lookup,
    arguments::DemoArguments,
    console,
    events::follow,
    failure::Failure,
    message,
    messages::{Merged, listed_text, mailboxes},
    output::{Answer, Output, clean, print, write},
    progress::Watched,
    report::report_text,
};
use stage::Stage;

/// Messages listed.
const SHOWN: usize = 8;
/// A new message comes to the simulated mailboxes this often.
const DRIP: Duration = Duration::from_secs(4);
/// The usual port of the status page; another free one if it is taken.
const USUAL: &str = "127.0.0.1:8400";

/// Shows it all.
pub(crate) async fn run(
    typed: &DemoArguments,
    config: Config,
    lookup: Lookup<'_>,
    output: &Output,
) -> Result<Answer, Failure> {
    let goes_on = !typed.once && !output.json && std::io::stdout().is_terminal();
    let place = Place::new(typed.keep.clone())?;
    let stage = Stage::set(typed).await?;
    let desk = stage.desk(place.path(), config, lookup, output)?;
    let stopped = crate::serve::stopped();
    let mut stopped = std::pin::pin!(stopped);
    let shown = tokio::select! {
        shown = show(&desk, &stage) => shown,
        () = &mut stopped => Ok(json!({"stopped": true})),
    };
    let ended = match shown {
        Ok(value) if goes_on && value.get("stopped").is_none() => go_on(&desk, &stage, stopped).await.map(|()| value),
        other => other,
    };
    drop(desk);
    stage.strike().await;
    let path = place.path().display().to_string();
    let kept = place.leave()?;
    let value = ended?;
    if kept {
        say(output, &format!("\nThe data stays in {path}."))?;
    } else if goes_on {
        say(output, "\nEverything is removed.")?;
    }
    let code = value
        .get("exit_code")
        .and_then(Value::as_u64)
        .and_then(|code| u8::try_from(code).ok());
    let answer = Answer::new(value, "").exit(code.unwrap_or(exit::OK));
    Ok(if output.json { answer } else { answer.quiet() })
}

/// What a person reads; with `--json` it goes to standard error.
fn say(output: &Output, text: &str) -> Result<(), Failure> {
    if output.json {
        Output::note(text);
        return Ok(());
    }
    print(&format!("{text}\n"))
}

/// Where the demo's data lies.
enum Place {
    /// Removed at the end.
    Passing(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = keep else {
            return tempfile::Builder::new()
                .prefix("postroom-demo-")
                .tempdir()
                .map(Self::Passing)
                .map_err(|error| Failure::operator(format!("no temporary directory can be made: {error}")));
        };
        match std::fs::read_dir(&path).map(Iterator::count) {
            Ok(1..) => Err(Failure::usage(format!(
                "--keep {}: the directory is not empty, and the demo must not mix with real data; name a new one",
                path.display()
            ))),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::usage(format!("--keep {}: {error}", path.display())))
            }
            _ => Ok(Self::Kept(path)),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Passing(directory) => directory.path().to_owned(),
            Self::Kept(path) => path.clone(),
        }
    }

    /// Cleans up; whether the data stays.
    fn leave(self) -> Result<bool, Failure> {
        match self {
            Self::Kept(_) => Ok(true),
            Self::Passing(directory) => {
                let path = directory.path().display().to_string();
                directory
                    .close()
                    .map(|()| false)
                    .map_err(|error| Failure::operator(format!("{path} could not be removed: {error}")))
            }
        }
    }
}

/// Credential, token, accounts, import, and what came of it.
async fn show(desk: &Desk, stage: &Stage) -> Result<Value, Failure> {
    let output = &desk.output;
    let step = |text: &str| say(output, &format!("\n{}", output.bold(text)));
    step("1. A simulated Microsoft 365 tenant")?;
    say(output, &stage.text())?;
    step("2. A credential: the app registration with which Postroom gets in")?;
    say(output, stage.make_credential(desk).await?.text.trim_end())?;
    step("3. Two accounts: the mailboxes to import")?;
    let accounts = stage.make_accounts(desk).await?;
    for row in &accounts {
        let account = &row.account;
        say(
            output,
            &format!(
                "  {:<8} {}  after import: {}",
                account.id.as_str(),
                account.mailbox.as_str(),
                account.after_import
            ),
        )?;
    }
    step("4. The import")?;
    let watched = Watched::new(desk);
    let runs = accounts
        .iter()
        .map(|row| watched.run(row.account.id.as_str(), "demo", true));
    let mut reports: Vec<RunReport> = Vec::new();
    for result in futures::future::join_all(runs).await {
        let report = result?;
        say(output, report_text(output, &report).trim_end())?;
        reports.push(report);
    }
    step("5. The messages, newest first")?;
    let newest = newest(desk).await?;
    say(output, listed_text(desk, newest.iter().take(SHOWN)).trim_end())?;
    if let Some(listed) = newest
        .iter()
        .find(|listed| listed.attachments.is_some_and(|number| number > 0))
        .or(newest.first())
    {
        step("6. One of them, with its story")?;
        let row = desk.accounts.get(&listed.account).await?;
        if let Some(found) = desk.messages.get(&row.mailbox, &listed.key).await? {
            say(output, message::show(desk, &found).await?.text.trim_end())?;
        }
    }
    let worst = reports.iter().map(RunReport::exit_code).max().unwrap_or(exit::OK);
    Ok(json!({
        "tenant": stage.json(),
        "data_dir": desk.opened.data_dir.root(),
        "accounts": accounts.iter().map(|row| &row.account.id).collect::<Vec<_>>(),
        "reports": reports,
        "exit_code": worst,
    }))
}

async fn newest(desk: &Desk) -> Result<Vec<Listed>, Failure> {
    let mut merged = Merged::new(desk, mailboxes(desk, None).await?, None);
    let mut found = Vec::new();
    while let Some((_, listed)) = merged.next().await? {
        found.push(listed);
        if found.len() >= 10 * SHOWN {
            break;
        }
    }
    Ok(found)
}

/// New mail drips in, the accounts run on their schedule, each event is a line; until `stop`.
async fn go_on(desk: &Desk, stage: &Stage, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let output = &desk.output;
    let _lock = desk.opened.data_dir.serve_lock()?;
    let listener = match TcpListener::bind(USUAL).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| Failure::refused(format!("no port of 127.0.0.1 can be listened on: {error}")))?,
    };
    let here = listener
        .local_addr()
        .map_err(|error| Failure::operator(format!("the listener has no address: {error}")))?;
    say(output, &format!("\n{}", output.bold("7. It goes on by itself")))?;
    let public = Url::parse(&format!("http://localhost:{}", here.port()))
        .map_err(|error| Failure::operator(format!("the listener has no address: {error}")))?;
    stage.register(&public)?;
    let link = console::link(desk, &public, &Purpose::Console).await?;
    say(output, &stage.try_text(desk, &public, &link))?;
    let drip = async {
        loop {
            desk.opened.ports.clock.sleep(DRIP).await;
            stage.deliver_one();
        }
    };
    // What was told above is not told again.
    let seen = desk.accounts.all().await?;
    let line = |event: &Value| {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or("-");
        let account = text("/account");
        let number = event.get("sequence").and_then(Value::as_u64).unwrap_or_default();
        let old = seen
            .iter()
            .any(|row| row.account.id.as_str() == account && number <= row.sent_sequence);
        if old {
            return Ok(());
        }
        let subject = shared::message::cut(text("/summary/subject"), 48);
        write(&format!("event {number:>4}  {account:<8} {}\n", clean(&subject)))
    };
    tokio::select! {
        served = crate::serve::until(desk, listener, public, stop) => served,
        () = drip => Ok(()),
        result = follow(desk, None, line) => result,
    }
}
