//! `postroom serve`: runs the enabled accounts on their schedules and shows a status page on loopback.

mod listen;
mod runner;

use std::{future::Future, io::IsTerminal as _, sync::Arc, time::Duration};

use serde_json::json;
use shared::{
    import::checks::InProcess,
    oauth::Entrance,
    records::sessions::{Purpose, Serving, Sessions},
    web::{self, WebOptions},
};
use tokio::{net::TcpListener, sync::watch};
use tracing::info;
use url::Url;

use crate::cli::{
    Desk,
    arguments::ServeArguments,
    console,
    failure::Failure,
    output::{self, Answer, Output},
};
use runner::Runner;

pub(crate) use listen::{public_url, stopped};

/// A browser waits for a check: a long wait that Microsoft asks for is told, not taken.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// The redirect URI of a `serve` that was told nothing else.
pub(crate) const DEFAULT_REDIRECT_URI: &str = "http://localhost:8400/OAuth2Callback";

/// The console and the callback over this data directory.
pub(crate) fn router(desk: &Desk, public_url: Url) -> axum::Router {
    web::router(WebOptions {
        ports: desk.opened.ports.clone(),
        tokens: Arc::clone(&desk.tokens),
        checks: Arc::new(InProcess::new(Arc::clone(&desk.importer), CHECK_PATIENCE).over(desk.opened.wire.clone())),
        platform_tokens: false,
        archive: Some(desk.archive.clone()),
        sign_in: desk.config.sign_in.clone().map(|settings| settings.map(Entrance::new)),
        one_time_links: true,
        trusted: desk.config.trusted.clone(),
        public_url,
        other_hosts: ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec(),
    })
}

/// Serves until it is told to stop.
pub(crate) async fn run(desk: &Desk, typed: &ServeArguments) -> Result<Answer, Failure> {
    let address = listen::loopback(&typed.listen)?;
    let public = listen::public_url(&typed.public_url)?;
    desk.config.sign_in.clone()?;
    // Before anybody is told that we serve: who is told may tell us to stop.
    let stop = stopped();
    let _lock = desk.opened.data_dir.serve_lock()?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::refused(format!(
            "--listen {address}: {error}; stop what uses it, or take another port"
        ))
    })?;
    let here = listener
        .local_addr()
        .map_err(|error| Failure::operator(format!("--listen {address}: {error}")))?;
    if desk.output.json {
        output::print(&format!(
            "{}\n",
            json!({"listening": format!("http://{here}"), "pid": std::process::id()})
        ))?;
    } else {
        Output::note(&format!("Postroom serves at {public}; Ctrl-C stops it."));
        if std::io::stdout().is_terminal() {
            let link = console::link(desk, &public, &Purpose::Console).await?;
            Output::note(&format!("The console opens once with {}", link.expose()));
        } else {
            Output::note("`postroom console` prints a link that opens the console.");
        }
    }
    info!(address = %here, data_dir = %desk.opened.data_dir.root().display(), "serving");
    until(desk, listener, public, stop).await?;
    info!("stopped; everything is saved");
    Ok(Answer::new(json!(null), "").quiet())
}

/// Serves until `stop` completes; then runs are dropped where they stand, which every run is made for.
pub(crate) async fn until(
    desk: &Desk,
    listener: TcpListener,
    public: Url,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let here = Serving {
        public_url: public.clone(),
        since: desk.now(),
    };
    Sessions::new(Arc::clone(&desk.opened.ports.store))
        .serving(&here)
        .await?;
    let (stopping, stopped) = watch::channel(false);
    let runner = Arc::new(Runner::new(desk, stopped.clone()));
    runner.mend_schedules().await;
    let fire = {
        let runner = Arc::clone(&runner);
        Arc::new(move |account: String| -> futures::future::BoxFuture<'static, ()> {
            let runner = Arc::clone(&runner);
            Box::pin(async move { runner.fire(&account, "schedule").await })
        })
    };
    let pages = axum::serve(listener, router(desk, public)).with_graceful_shutdown(told(stopped.clone()));
    let pages = async {
        if let Err(error) = pages.await {
            tracing::error!(%error, "the status page ended; imports go on");
        }
    };
    let work = futures::future::join3(
        desk.opened.timers.run(fire, told(stopped.clone())),
        runner.watch(told(stopped)),
        pages,
    );
    let stop = async {
        stop.await;
        info!("stopping");
        let _ = stopping.send(true);
        // A browser that keeps its connection open must not keep us.
        desk.opened.ports.clock.sleep(std::time::Duration::from_secs(3)).await;
    };
    tokio::select! {
        _ = work => {}
        () = stop => {}
    }
    Ok(())
}

/// Completes when it is time to stop.
async fn told(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
