//! The error catalogue as a page: what a code means, who must act, on which screen.

use std::collections::HashMap;

use axum::{Router, extract::Query, http::StatusCode, response::Response, routing::get};
use maud::{Markup, html};

use crate::{
    catalogue::{self, Row},
    web::{
        Web,
        page::{self, Place, words},
        session::Session,
    },
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/errors", get(errors))
}

async fn errors(_session: Session, Query(query): Query<HashMap<String, String>>) -> Response {
    // Nothing of an address comes back but what a code can be made of.
    let typed: String = query
        .get("code")
        .map(String::as_str)
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(80)
        .collect();
    let body = html! {
        form method="get" action="/errors" {
            div.field {
                label for="code" { "Code" }
                p.hint id="code-hint" { "As Microsoft wrote it, such as AADSTS7000222 or ErrorAccessDenied" }
                input id="code" name="code" type="text" value=(typed) autocomplete="off" spellcheck="false" aria-describedby="code-hint";
            }
            button type="submit" { "Explain" }
        }
        @if !typed.is_empty() { (one(&typed)) }
        h2 { "Entra: numbers" }
        (table(&mut catalogue::entra_numbers()))
        h2 { "Entra: errors, where the number is not known" }
        (table(&mut catalogue::entra_errors()))
        h2 { "Graph" }
        (table(&mut catalogue::graph_codes()))
    };
    page::console(StatusCode::OK, Place::Health, "Error catalogue", &body)
}

fn one(typed: &str) -> Markup {
    let found = catalogue::explain(typed);
    html! {
        p role="status" {
            @if found.unknown { "This code is not in the catalogue; what holds for codes nobody foresaw: " }
            (words(&found.row.sentence())) ". Who acts: " (found.row.who.words()) ". Again: " (found.row.again.words()) "."
        }
    }
}

fn table(rows: &mut dyn Iterator<Item = &'static Row>) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Code" } th { "Cause" } th { "Who acts" } th { "Where, what" } th { "Again" } } }
            tbody {
                @for row in rows {
                    tr {
                        td data-name="Code" { (row.names().join(", ")) }
                        td data-name="Cause" { (words(row.cause)) }
                        td data-name="Who acts" { (row.who.words()) }
                        td data-name="Where, what" {
                            (row.screen.path()) @if !row.fix.is_empty() { @if !row.screen.path().is_empty() { ": " } (words(row.fix)) }
                        }
                        td data-name="Again" { (row.again.words()) }
                    }
                }
            }
        }
    }
}
