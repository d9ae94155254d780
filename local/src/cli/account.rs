//! `postroom account`: list, check, enable, disable, remove.

use serde_json::{Value, json};
use shared::{error::exit, manage::shown, records::accounts::AccountRow};

use super::{
    Desk, account_edit, account_show,
    arguments::AccountCommand,
    confirm::confirm,
    failure::Failure,
    output::{Answer, ago, clean, count},
    table::Table,
};

pub(super) async fn run(desk: &Desk, command: AccountCommand) -> Result<Answer, Failure> {
    match command {
        AccountCommand::Add {
            id,
            mailbox,
            start,
            credential,
            fields,
            disabled,
        } => {
            let typed = account_edit::Typed {
                id,
                mailbox,
                start,
                credential,
                fields,
                enabled: !disabled,
            };
            account_edit::add(desk, typed).await
        }
        AccountCommand::Edit {
            id,
            mailbox,
            start,
            credential,
            fields,
            no_subfolders,
        } => {
            let changes = account_edit::Changes {
                mailbox,
                start,
                credential,
                fields,
                no_subfolders,
            };
            account_edit::edit(desk, &id, changes).await
        }
        AccountCommand::List => list(desk).await,
        AccountCommand::Show { id } => account_show::show(desk, &id).await,
        AccountCommand::Check { id } => check(desk, &id).await,
        AccountCommand::Enable { id } => switch(desk, &id, true).await,
        AccountCommand::Disable { id } => switch(desk, &id, false).await,
        AccountCommand::Remove { id, yes } => remove(desk, &id, yes).await,
    }
}

async fn list(desk: &Desk) -> Result<Answer, Failure> {
    let rows = desk.accounts.all().await?;
    let mut table = Table::new(
        &["id", "mailbox", "folders", "every", "state", "last success", "messages"],
        1,
    );
    for row in &rows {
        table.row(&[
            row.account.id.to_string(),
            row.account.mailbox.as_str().to_owned(),
            folders(row),
            shared::account::show_interval(row.account.every),
            state(row),
            row.last_success
                .map_or_else(|| "never".into(), |at| ago(at, desk.now())),
            row.recorded.to_string(),
        ]);
    }
    let text = if table.is_empty() {
        "No accounts yet. `postroom account add --help` shows how to add a mailbox.".to_owned()
    } else {
        table.text()
    };
    let all = rows.iter().map(shown::account).collect();
    Ok(Answer::new(Value::Array(all), text))
}

fn folders(row: &AccountRow) -> String {
    let first = row.account.folders.first().map(ToString::to_string).unwrap_or_default();
    match row.account.folders.len() {
        1 => first,
        more => format!("{first} +{}", more - 1),
    }
}

/// How an account is, in a word or two.
pub(super) fn state(row: &AccountRow) -> String {
    use shared::error::AccountState::{Healthy, NeedsAdmin, NeedsOperator, NeedsSignIn, Waiting};
    if !row.account.enabled {
        return "disabled".into();
    }
    match row.last_run.as_ref().map(|run| run.state) {
        None => "never ran",
        Some(Healthy) => "healthy",
        Some(Waiting) => "waiting",
        Some(NeedsSignIn) => "needs sign-in",
        Some(NeedsAdmin) => "needs admin",
        Some(NeedsOperator) => "needs operator",
    }
    .into()
}

async fn check(desk: &Desk, id: &str) -> Result<Answer, Failure> {
    let steps = desk.importer.check(id, desk.config.patience).await?;
    let good = steps.iter().all(|step| step.ok);
    let mut text = String::new();
    for step in &steps {
        let mark = if step.ok {
            desk.output.good("ok    ")
        } else {
            desk.output.bad("FAILED")
        };
        text.push_str(&format!("{mark}  {}: {}\n", clean(&step.what), clean(&step.detail)));
        if let Some(fix) = &step.fix {
            text.push_str(&format!("        mend it: {}\n", clean(fix)));
        }
        if let Some(ids) = &step.ids {
            text.push_str(&format!("        for Microsoft's support: {}\n", clean(ids)));
        }
    }
    text.push_str(if good {
        "Everything works."
    } else {
        "Mend the step that failed, then check again."
    });
    let answer = Answer::new(json!({"account": id, "ok": good, "steps": steps}), text);
    Ok(answer.exit(if good { exit::OK } else { exit::ADMIN }))
}

async fn switch(desk: &Desk, id: &str, enabled: bool) -> Result<Answer, Failure> {
    let row = desk.accounts.get(id).await?;
    let word = if enabled { "enabled" } else { "disabled" };
    if row.account.enabled == enabled {
        // The schedule is put all the same: it may have been lost between the two writes of an earlier call.
        desk.schedule(&row.account).await?;
        let text = format!("Account `{id}` was {word} already.");
        return Ok(Answer::new(shown::account(&row), text));
    }
    desk.manage().switch_account(&row, enabled).await?;
    let text = if enabled {
        format!(
            "Account `{id}` is enabled: `postroom serve` runs it every {}.",
            shared::account::show_interval(row.account.every)
        )
    } else {
        format!("Account `{id}` is disabled: it runs no more on schedule. `postroom import {id}` still works.")
    };
    let row = desk.accounts.get(id).await?;
    Ok(Answer::new(shown::account(&row), text))
}

async fn remove(desk: &Desk, id: &str, yes: bool) -> Result<Answer, Failure> {
    let row = desk.accounts.get(id).await?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
    let mut lost = Vec::new();
    if row.owed > 0 {
        lost.push(format!("{} owed", count(unsigned(row.owed), "message")));
    }
    if row.quarantined > 0 {
        lost.push(format!("{} set aside", count(unsigned(row.quarantined), "message")));
    }
    if row.unsent() > 0 {
        lost.push(format!("{} not delivered", count(row.unsent(), "event")));
    }
    if row.actions > 0 {
        lost.push(format!(
            "{} still wanted in the mailbox",
            count(unsigned(row.actions), "action")
        ));
    }
    let open = if lost.is_empty() {
        String::new()
    } else {
        format!(" Still open: {}.", lost.join(", "))
    };
    confirm(
        &format!(
            "Remove account `{id}` ({})?{open} Its records, archive and events stay.",
            row.account.mailbox.as_str()
        ),
        yes,
    )?;
    desk.manage().remove_account(&row, open.trim_end_matches('.')).await?;
    let text = format!(
        "Account `{id}` is removed: settings, progress and schedule.{open} Its {} in the records, the archive and the events stay.",
        count(unsigned(row.recorded), "message")
    );
    let value = json!({
        "removed": id, "recorded": row.recorded, "owed": row.owed, "quarantined": row.quarantined,
        "undelivered": row.unsent(), "actions": row.actions,
    });
    Ok(Answer::new(value, text))
}
