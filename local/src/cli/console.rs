//! `postroom console`, and `credential authorize` where somebody must sign in: one-time links into the running `serve`,
//! or into a listener of our own.

use std::{io::IsTerminal as _, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;
use shared::{
    error::exit,
    records::{
        authorizations::{Authorizations, Ending},
        sessions::{Purpose, Sessions},
    },
    secret::Secret,
    time::{between, plus},
    web::Launches,
};
use tokio::net::TcpListener;
use url::Url;

use super::{
    Desk,
    arguments::AuthorizeArguments,
    credential::fields_text,
    failure::Failure,
    output::{Answer, Output},
    status::serving,
};

/// How long somebody may take: as long as the link is good, and the sign-in after it.
const PATIENCE: Duration = Duration::from_mins(20);
/// How often it is looked whether they are done.
const LOOK: Duration = Duration::from_millis(500);

/// A link that opens the console once.
pub(super) async fn console(desk: &Desk, no_browser: bool) -> Result<Answer, Failure> {
    let Some(public) = running(desk).await? else {
        return Err(Failure::refused(
            "`postroom serve` is not running on this data directory; the console is a part of it",
        ));
    };
    let link = link(desk, &public, &Purpose::Console).await?;
    open(desk, &link, no_browser);
    Ok(Answer::new(
        json!({"url": link.expose(), "minutes": 10}),
        format!(
            "{}\n\nOpens the console once, within ten minutes. Give it to nobody.",
            link.expose()
        ),
    ))
}

/// Where the running `serve` of this data directory is, if one runs.
async fn running(desk: &Desk) -> Result<Option<Url>, Failure> {
    if !serving(desk) {
        return Ok(None);
    }
    let sessions = Sessions::new(Arc::clone(&desk.opened.ports.store));
    Ok(sessions.served().await?.map(|here| here.public_url))
}

/// A new one-time link.
pub(crate) async fn link(desk: &Desk, public: &Url, purpose: &Purpose) -> Result<Secret, Failure> {
    let path = Launches::new(&desk.opened.ports).make(purpose).await?;
    Ok(Secret::new(format!(
        "{}{}",
        public.as_str().trim_end_matches('/'),
        path.expose()
    )))
}

/// Shows a link to the person at the terminal, in their browser if that can be done.
fn open(desk: &Desk, link: &Secret, no_browser: bool) {
    let here = std::io::stdout().is_terminal() && !desk.output.json;
    if here && !no_browser && open::that_detached(link.expose()).is_err() {
        Output::note("No browser could be opened; open the link yourself.");
    }
}

/// Somebody signs in for a credential, with their browser.
pub(super) async fn authorize(desk: &Desk, typed: &AuthorizeArguments) -> Result<Answer, Failure> {
    let purpose = Purpose::Authorize {
        credential: typed.id.clone(),
        rebind: typed.another_person,
    };
    if let Some(public) = running(desk).await? {
        let link = link(desk, &public, &purpose).await?;
        return wait(desk, typed, &link).await;
    }
    if typed.no_wait {
        return Err(Failure::refused(
            "--no-wait leaves the sign-in to `serve`, and `postroom serve` is not running on this data directory",
        ));
    }
    let public = crate::serve::public_url(&typed.public_url)?;
    let port = public.port_or_known_default().unwrap_or(8400);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
        .await
        .map_err(|error| {
            Failure::refused(format!(
                "127.0.0.1:{port}: {error}; `postroom serve` is not running, so the sign-in is taken here, and this port is in the redirect URI"
            ))
        })?;
    let link = link(desk, &public, &purpose).await?;
    let pages = axum::serve(listener, crate::serve::router(desk, public)).into_future();
    tokio::select! {
        ended = pages => Err(Failure::operator(format!("the page of the sign-in ended: {ended:?}"))),
        answer = wait_a_little_longer(desk, typed, &link) => answer,
    }
}

/// The browser still fetches the result page when the sign-in is over.
async fn wait_a_little_longer(desk: &Desk, typed: &AuthorizeArguments, link: &Secret) -> Result<Answer, Failure> {
    let answer = wait(desk, typed, link).await;
    desk.opened.ports.clock.sleep(Duration::from_secs(3)).await;
    answer
}

async fn wait(desk: &Desk, typed: &AuthorizeArguments, link: &Secret) -> Result<Answer, Failure> {
    let id = &typed.id;
    if typed.no_wait {
        return Ok(Answer::new(
            json!({"credential": id, "url": link.expose(), "minutes": 10}),
            format!(
                "{}\n\nWhoever is to sign in opens this link, once, within ten minutes.",
                link.expose()
            ),
        ));
    }
    if desk.output.json {
        super::output::print(&format!("{}\n", json!({"credential": id, "url": link.expose()})))?;
    } else {
        Output::note(&format!(
            "Open this link and sign in with Microsoft:\n\n  {}\n\nWaiting; Ctrl-C ends it.",
            link.expose()
        ));
    }
    open(desk, link, typed.no_browser);
    let token = Secret::new(link.expose().rsplit('/').next().unwrap_or_default());
    let clock = &desk.opened.ports.clock;
    let begun = clock.now();
    let deadline = plus(begun, PATIENCE);
    let sessions = Sessions::new(Arc::clone(&desk.opened.ports.store));
    let shelf = Authorizations::new(Arc::clone(&desk.opened.ports.store));
    while clock.now() < deadline {
        match sessions.flow_of(&token).await? {
            Some(flow) => {
                if let Some(ending) = shelf.get(&flow).await?.and_then(|row| row.ending) {
                    return told(desk, id, ending).await;
                }
            }
            None if between(begun, clock.now()) > Duration::from_secs(620) => break,
            None => {}
        }
        clock.sleep(LOOK).await;
    }
    Err(Failure::new(
        "sign_in",
        format!(
            "nobody signed in for credential `{id}` in time; `postroom credential authorize {id}` makes a new link"
        ),
        exit::ADMIN,
    ))
}

async fn told(desk: &Desk, id: &str, ending: Ending) -> Result<Answer, Failure> {
    desk.note(&format!("authorized credential `{id}`: {}", ending.what))
        .await?;
    if !ending.ok {
        let trace = ending.trace.map(|trace| format!(" [{trace}]")).unwrap_or_default();
        return Err(Failure::new("sign_in", format!("{}{trace}", ending.what), exit::ADMIN));
    }
    for warning in &ending.warnings {
        desk.output.complain("warning", warning);
    }
    let row = desk.credential(id).await?;
    let mut text = format!("{} {}.\n", desk.output.good("OK"), ending.what);
    let mut lines = vec![("  Granted", ending.granted.join(", "))];
    if !ending.extra.is_empty() {
        lines.push(("  Not asked for", ending.extra.join(", ")));
    }
    if let Some(token) = &row.token {
        lines.push((
            "  Good until",
            format!("{}; renewed by itself", desk.output.exact_time(token.expires_at)),
        ));
    }
    text.push_str(&fields_text(&lines));
    let value = json!({
        "credential": id, "signed_in": ending.who, "granted": ending.granted, "extra": ending.extra,
        "warnings": ending.warnings, "expires_at": row.token.map(|token| token.expires_at),
    });
    Ok(Answer::new(value, text))
}
