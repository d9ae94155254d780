//! `postroom doctor`: everything that can be tried from here, step by step, as a report that may be sent on.

use serde_json::json;
use shared::{
    error::exit,
    import::{check::report, redirect},
    records::sessions::Sessions,
    web::redirect_uri,
};

use super::{
    Desk,
    failure::Failure,
    output::{Answer, clean},
    status,
};

pub(super) async fn run(desk: &Desk, id: Option<&str>) -> Result<Answer, Failure> {
    let ports = &desk.opened.ports;
    let now = desk.now();
    let mut text = format!("Postroom {}, {now:.0}\n\n", env!("CARGO_PKG_VERSION"));
    let mut good = true;
    let mut console = None;
    if status::serving(desk)
        && let Some(serving) = Sessions::new(std::sync::Arc::clone(&ports.store)).served().await?
    {
        let wire = desk.opened.wire.reaching(&serving.public_url);
        let wire = wire.map_err(Failure::operator)?;
        let step = redirect::check(&wire, &redirect_uri(&serving.public_url)).await;
        good &= step.ok;
        text.push_str(&report("Console", std::slice::from_ref(&step)));
        console = Some(step);
    } else {
        text.push_str("Console: `postroom serve` is not running, so the redirect URI cannot be tried\n");
    }
    let (mut warnings, mut reach) = (Vec::new(), Vec::new());
    for row in desk.credentials.all().await? {
        if let Some(warning) = shared::reach::warning(&row) {
            text.push_str(&format!("\nReach: {warning}\n"));
            reach.push(json!({"credential": row.credential.id, "text": warning}));
        }
        warnings.extend(shared::warning::of(&row, now));
    }
    for warning in &warnings {
        text.push_str(&format!("\nSoon: {}\n", warning.text));
    }
    let mut accounts = Vec::new();
    for row in desk.accounts_of(id).await? {
        let id = row.account.id.as_str();
        let steps = desk.importer.check(id, desk.config.patience).await?;
        let works = steps.iter().all(|step| step.ok);
        let silent = row.silent_for(now);
        good &= works && silent.is_none();
        text.push_str(&format!("\n{}", report(&format!("Account {id}"), &steps)));
        if let Some(silence) = silent {
            let span = super::output::span(silence);
            text.push_str(&format!(
                "FAILED  last success: none for {span}; is `postroom serve` running?\n"
            ));
        }
        accounts.push(json!({"account": id, "ok": works, "silent": silent.is_some(), "steps": steps}));
    }
    let text = text.lines().map(clean).collect::<Vec<_>>().join("\n");
    let value = json!({"ok": good, "console": console, "warnings": warnings, "reach": reach, "accounts": accounts, "report": text});
    Ok(Answer::new(value, text).exit(if good { exit::OK } else { exit::ADMIN }))
}
