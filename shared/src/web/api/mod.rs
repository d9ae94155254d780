//! `/api/v1`: the console's rooms for programs. JSON in and out; errors are problem documents (RFC 9457); a key in
//! `Authorization: Bearer` says who calls. Cookies are not looked at, so that no page can make a browser call.

mod accounts;
mod caller;
mod credentials;
mod messages;
mod problem;
mod redirect;
mod warnings;

use axum::{
    Json, Router,
    extract::State,
    http::Method,
    routing::{any, get},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ports::PageMark;

use super::{Web, health};
use caller::Caller;
use problem::Problem;

/// Lines of a page if nobody says how many, and at most.
const LINES: usize = 50;
const MOST_LINES: usize = 200;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/health", get(look))
        .merge(credentials::routes())
        .merge(accounts::routes())
        .merge(messages::routes())
        .merge(warnings::routes())
        .merge(redirect::routes())
        .route("/api/v1/{*path}", any(nothing))
        .method_not_allowed_fallback(not_so)
}

async fn look(State(web): State<Web>, _caller: Caller) -> Result<Json<Value>, Problem> {
    let (_, told) = health::told(&web).await?;
    Ok(Json(told))
}

async fn nothing(_caller: Caller) -> Problem {
    Problem::new(404, "Not found", "there is no such address in this API")
}

async fn not_so(method: Method) -> Problem {
    Problem::new(405, "Not like this", format!("{method} means nothing here"))
}

/// Which page of a list is asked for.
#[derive(Debug, Default, Deserialize)]
struct Paging {
    limit: Option<usize>,
    after: Option<String>,
}

impl Paging {
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(LINES) {
            limit @ 1..=MOST_LINES => Ok(limit),
            _ => Err(Problem::field("limit", format!("it must be from 1 to {MOST_LINES}"))),
        }
    }

    fn after(&self) -> Option<PageMark> {
        self.after.clone().filter(|mark| !mark.is_empty()).map(PageMark)
    }
}

/// A page of a list; `next` goes into `after`.
fn listed(items: &[Value], next: Option<&PageMark>) -> Json<Value> {
    Json(json!({"items": items, "next": next}))
}
