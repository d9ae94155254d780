//! `postroom status`: one screen.

use serde_json::{Value, json};
use shared::{error::exit, manage::shown};

use super::{
    Desk,
    account::state,
    failure::Failure,
    output::{Answer, ago, count, span},
    table::Table,
};

pub(super) async fn run(desk: &Desk) -> Result<Answer, Failure> {
    let rows = desk.accounts.all().await?;
    let now = desk.now();
    let mut table = Table::new(
        &[
            "account",
            "state",
            "last success",
            "messages",
            "owed",
            "aside",
            "unsent",
        ],
        0,
    );
    let mut remarks = String::new();
    let mut silent = Vec::new();
    for row in &rows {
        let id = &row.account.id;
        table.row(&[
            id.to_string(),
            state(row),
            row.last_success.map_or_else(|| "never".into(), |at| ago(at, now)),
            row.recorded.to_string(),
            row.owed.to_string(),
            row.quarantined.to_string(),
            row.unsent().to_string(),
        ]);
        if let Some(silence) = row.silent_for(now) {
            silent.push(id.to_string());
            remarks.push_str(&format!(
                "{} account `{id}` had no success for {}; is `postroom serve` running? `postroom account check {id}` tells more\n",
                desk.output.bad("silent:"),
                span(silence)
            ));
        }
        if let Some(problem) = row.last_run.as_ref().and_then(|run| run.problem.as_ref()) {
            remarks.push_str(&format!("{id}: {}\n", super::output::clean(problem)));
        }
    }
    let (mut warnings, mut reach) = (Vec::new(), Vec::new());
    for row in desk.credentials.all().await? {
        if let Some(problem) = &row.problem {
            remarks.push_str(&format!(
                "credential `{}`: {}\n",
                row.credential.id,
                super::output::clean(problem)
            ));
        }
        if let Some(warning) = shared::reach::warning(&row) {
            remarks.push_str(&format!(
                "{} {}\n",
                desk.output.bad("warning:"),
                super::output::clean(&warning)
            ));
            reach.push(json!({"credential": row.credential.id, "text": warning}));
        }
        for warning in shared::warning::of(&row, now) {
            remarks.push_str(&format!(
                "{} {}\n",
                desk.output.bad("warning:"),
                super::output::clean(&warning.text)
            ));
            warnings.push(warning);
        }
    }
    let dir = desk.opened.data_dir.root().display().to_string();
    let key = desk.opened.vault.key_source()?.name();
    let served = serving(desk);
    let mut text = format!(
        "Postroom {}, data in {dir}, vault key from {key}, {}\n\n",
        env!("CARGO_PKG_VERSION"),
        if served {
            "`serve` is running"
        } else {
            "`serve` is not running"
        }
    );
    if table.is_empty() {
        text.push_str("No accounts yet. `postroom account add --help` shows how to add a mailbox.\n");
    } else {
        text.push_str(&table.text());
    }
    if !remarks.is_empty() {
        text.push_str(&format!("\n{remarks}"));
    }
    if silent.is_empty() && !rows.is_empty() {
        text.push_str(&format!("\n{} in order.\n", count(rows.len() as u64, "account")));
    }
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"), "data_dir": dir, "vault_key": key, "serving": served,
        "silent": silent, "warnings": warnings, "reach": reach, "accounts": rows.iter().map(shown::account).collect::<Vec<Value>>(),
    });
    Ok(Answer::new(value, text).exit(if silent.is_empty() { exit::OK } else { exit::FAILED }))
}

/// Whether another process serves this directory.
pub(super) fn serving(desk: &Desk) -> bool {
    matches!(
        desk.opened.data_dir.serve_lock(),
        Err(crate::adapters::OpenError::Serving { .. })
    )
}
