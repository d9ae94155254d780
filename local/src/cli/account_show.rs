//! An account as it is shown: its settings, how far it is, what is open.

use shared::{
    account::{show_interval, show_size},
    import::folder::{FolderProgress, Walk},
    manage::shown,
    records::accounts::AccountRow,
};

use super::{
    Desk,
    account::state,
    credential::fields_text,
    failure::Failure,
    output::{Answer, ago},
};

pub(super) async fn show(desk: &Desk, id: &str) -> Result<Answer, Failure> {
    let row = desk.accounts.get(id).await?;
    let account = &row.account;
    let (output, now) = (&desk.output, desk.now());
    let folders: Vec<String> = account.folders.iter().map(ToString::to_string).collect();
    let below = if account.subfolders { ", with subfolders" } else { "" };
    let mut lines = vec![
        ("Account", account.id.to_string()),
        ("Description", account.description.clone()),
        ("Mailbox", account.mailbox.as_str().to_owned()),
        ("Credential", account.credential.to_string()),
        ("Folders", format!("{}{below}", folders.join(", "))),
        ("Start", start(desk, &row)),
        ("After import", account.after_import.to_string()),
        ("Runs every", show_interval(account.every)),
        ("Largest mail", show_size(account.max_message)),
        ("State", state(&row)),
        (
            "Last success",
            row.last_success.map_or_else(
                || "never".into(),
                |at| format!("{} ({})", ago(at, now), output.exact_time(at)),
            ),
        ),
        ("Messages", row.recorded.to_string()),
        ("Owed", row.owed.to_string()),
        ("Set aside", row.quarantined.to_string()),
        ("Actions open", row.actions.to_string()),
        ("Undelivered", row.unsent().to_string()),
    ];
    if let Some(problem) = row.last_run.as_ref().and_then(|run| run.problem.as_ref()) {
        lines.push(("Problem", problem.clone()));
    }
    if let Some(until) = row.paused_until.filter(|until| *until > now) {
        lines.push((
            "Waits until",
            format!("{}, because Microsoft asked for it", output.exact_time(until)),
        ));
    }
    for folder in row.folders.values() {
        lines.push(("Folder", progress(desk, folder)));
    }
    Ok(Answer::new(shown::account(&row), fields_text(&lines)))
}

/// Where an account starts.
pub(super) fn start(desk: &Desk, row: &AccountRow) -> String {
    match row.start_at.or_else(|| row.account.start.instant()) {
        None => "now: the moment of the first contact with the mailbox".into(),
        Some(None) => "everything".into(),
        Some(Some(at)) => format!("mail received since {}", desk.output.exact_time(at)),
    }
}

fn progress(desk: &Desk, folder: &FolderProgress) -> String {
    let walk = match folder.walk {
        Walk::First => "is being read for the first time".to_owned(),
        Walk::Following => format!(
            "followed; last read from its beginning {}",
            folder
                .walked_at
                .map_or_else(|| "never".into(), |at| desk.output.time(at))
        ),
        Walk::Again => "is being read anew; nothing is emitted twice".to_owned(),
    };
    let mut text = format!("{}: {walk}", folder.name);
    if folder.before > 0 {
        text.push_str(&format!("; {} from before the start", folder.before));
    }
    if let Some(why) = &folder.listing {
        text.push_str(&format!("; fed by listing ({why})"));
    }
    if let Some(problem) = &folder.problem {
        text.push_str(&format!("; {problem}"));
    }
    text
}
