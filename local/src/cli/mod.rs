//! The command line: reads what was typed, opens the data directory, lets one command answer, prints the answer.
#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "text for people is put together here; what is written reads better than how"
)]

mod account;
pub(crate) mod account_edit;
mod account_show;
pub(crate) mod arguments;
mod audit;
mod confirm;
pub(crate) mod console;
pub(crate) mod credential;
pub(crate) mod credential_edit;
mod credential_reach;
mod desk;
mod doctor;
pub(crate) mod events;
mod explain;
pub(crate) mod failure;
mod import;
mod logging;
pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod output;
mod owed;
pub(crate) mod progress;
mod reconcile;
pub(crate) mod report;
mod runs;
mod secret_input;
pub(crate) mod status;
pub(crate) mod table;
mod vault;

pub(crate) use desk::Desk;

use std::ffi::OsString;

use arguments::{Arguments, Command};
use clap::Parser as _;
use failure::Failure;
use output::{Answer, Output};
use serde_json::json;
use shared::{config::Config, error::exit};

/// How settings are looked up by name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Runs what was typed; the exit code (see [`shared::error::exit`]).
pub fn run(typed: Vec<OsString>, lookup: Lookup<'_>) -> u8 {
    let json = typed.iter().any(|word| word == "--json");
    let arguments = match Arguments::try_parse_from(typed) {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error, &Output::new(json, lookup)),
    };
    let output = Output::new(arguments.json, lookup);
    let result = prepare(&arguments, lookup, &output).and_then(|config| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // They wait for the disk, which more of them make no faster; each has memory of its own.
            .max_blocking_threads(12)
            .enable_all()
            .build()
            .map_err(|error| Failure::operator(format!("no threads can be started: {error}")))?;
        let result = runtime.block_on(answer(arguments, config, lookup, &output));
        // A prompt that still waits for a line must not keep a finished process.
        runtime.shutdown_background();
        result
    });
    output.finish(result)
}

fn prepare(arguments: &Arguments, lookup: Lookup<'_>, output: &Output) -> Result<Config, Failure> {
    let mut config = Config::from_lookup(lookup)?;
    if let Some(filter) = &arguments.log {
        config.log = Some(filter.clone());
    }
    let serves = matches!(arguments.command, Command::Serve(_));
    logging::start(&config, if serves { "info" } else { "error" }, output)?;
    Ok(config)
}

async fn answer(arguments: Arguments, config: Config, lookup: Lookup<'_>, output: &Output) -> Result<Answer, Failure> {
    #[cfg(feature = "demo")]
    if let Command::Demo(demo) = &arguments.command {
        return crate::demo::run(demo, config, lookup, output).await;
    }
    if let Command::Explain { code, markdown } = &arguments.command {
        return explain::run(code.as_deref(), *markdown);
    }
    let data_dir = arguments.data_dir.or_else(|| config.data_dir.as_ref().map(Into::into));
    let desk = Desk::open(data_dir, config, lookup, output.clone())?;
    match arguments.command {
        #[cfg(feature = "demo")]
        Command::Demo(_) => Err(Failure::usage("the demo has a data directory of its own")),
        Command::Explain { .. } => Err(Failure::usage("explain needs no data directory")),
        Command::Console { no_browser } => console::console(&desk, no_browser).await,
        Command::Serve(serve) => crate::serve::run(&desk, &serve).await,
        Command::Credential(command) => credential::run(&desk, command).await,
        Command::Account(command) => account::run(&desk, command).await,
        Command::Import(import) => import::run(&desk, &import).await,
        Command::Messages(messages) => messages::run(&desk, &messages).await,
        Command::Message { id } => message::run(&desk, &id).await,
        Command::Runs(list) => runs::run(&desk, &list).await,
        Command::Owed { account, verb } => owed::run(&desk, account.as_deref(), verb).await,
        Command::Events(events) => events::run(&desk, &events).await,
        Command::Audit { limit } => audit::run(&desk, limit).await,
        Command::Status => status::run(&desk).await,
        Command::Doctor { id } => doctor::run(&desk, id.as_deref()).await,
        Command::Vault(command) => vault::run(&desk, &command).await,
        Command::Reconcile { id } => reconcile::run(&desk, id.as_deref()).await,
    }
}

/// Help and version go to standard output with exit code 0, everything else is typed wrong.
fn not_understood(error: &clap::Error, output: &Output) -> u8 {
    if !error.use_stderr() {
        let text = if output.json {
            format!("{}\n", json!({"text": error.to_string()}))
        } else if output.colour {
            error.render().ansi().to_string()
        } else {
            error.to_string()
        };
        return output::print(&text).map_or_else(|failure| failure.exit, |()| exit::OK);
    }
    if output.json {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default();
        let failure = Failure::usage(what.strip_prefix("error: ").unwrap_or(what));
        let _ = output::print(&format!("{}\n", failure.json()));
    }
    // Clap colours it as the terminal allows; there is nobody to tell if standard error is closed.
    let _ = error.print();
    exit::USAGE
}
