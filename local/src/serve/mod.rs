//! `postroom serve`: runs the enabled accounts on their schedules and shows a status page on loopback.

mod listen;
mod pages;
mod runner;

use std::{future::Future, sync::Arc};

use serde_json::json;
use tokio::{net::TcpListener, sync::watch};
use tracing::info;

use crate::cli::{
    Desk,
    arguments::ServeArguments,
    failure::Failure,
    output::{self, Answer, Output},
};
use runner::Runner;

pub(crate) use listen::stopped;

/// Serves until it is told to stop.
pub(crate) async fn run(desk: &Desk, typed: &ServeArguments) -> Result<Answer, Failure> {
    let address = listen::loopback(&typed.listen)?;
    let public = listen::public_url(&typed.public_url)?;
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
        Output::note(&format!(
            "Postroom serves; its status page is http://{here}/. Ctrl-C stops it."
        ));
    }
    info!(address = %here, data_dir = %desk.opened.data_dir.root().display(), "serving");
    until(desk, listener, public.host_str().unwrap_or_default(), stop).await;
    info!("stopped; everything is saved");
    Ok(Answer::new(json!(null), "").quiet())
}

/// Serves until `stop` completes; then runs are dropped where they stand, which every run is made for.
pub(crate) async fn until(desk: &Desk, listener: TcpListener, public_host: &str, stop: impl Future<Output = ()>) {
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
    let pages = axum::serve(listener, pages::router(desk, public_host)).with_graceful_shutdown(told(stopped.clone()));
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
}

/// Completes when it is time to stop.
async fn told(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
