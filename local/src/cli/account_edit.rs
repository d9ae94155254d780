//! `postroom account add` and `edit`.

use shared::{
    account::{Account, AfterImport, FolderName, Mailbox, Start, parse_interval, show_interval},
    credential::GrantType,
    field::{FieldError, Id, one_line},
    records::accounts::AccountRow,
};

use super::{
    Desk,
    account_show::{account_json, start},
    arguments::AccountFields,
    credential::same_cloud,
    failure::{Failure, needs_sign_in},
    output::Answer,
};

/// How often an account runs if nobody says so (design: default schedule).
const EVERY: std::time::Duration = std::time::Duration::from_mins(5);

/// A new account as typed.
pub(crate) struct Typed {
    pub(crate) id: String,
    pub(crate) mailbox: String,
    pub(crate) start: String,
    pub(crate) credential: String,
    pub(crate) fields: AccountFields,
    pub(crate) enabled: bool,
}

/// What is to change.
pub(super) struct Changes {
    pub(super) mailbox: Option<String>,
    pub(super) start: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) fields: AccountFields,
    pub(super) no_subfolders: bool,
}

pub(super) async fn add(desk: &Desk, typed: Typed) -> Result<Answer, Failure> {
    let row = make(desk, typed).await?;
    let account = &row.account;
    let id = account.id.as_str();
    let mut text = format!("Account `{id}` is added: {}.\n", account.mailbox.as_str());
    text.push_str(&format!("Start: {}.\n", start(desk, &row)));
    text.push_str(&if account.enabled {
        format!(
            "`postroom import {id}` imports now; `postroom serve` does every {}.",
            show_interval(account.every)
        )
    } else {
        format!("It is disabled; `postroom import {id}` imports now.")
    });
    Ok(Answer::new(account_json(&row), text))
}

/// Checks, stores, schedules; fixes the instant that `now` stands for.
pub(crate) async fn make(desk: &Desk, typed: Typed) -> Result<AccountRow, Failure> {
    let fields = typed.fields;
    let folders = if fields.folders.is_empty() {
        vec![FolderName::WellKnown("inbox".into())]
    } else {
        folders(&fields.folders)?
    };
    let account = Account {
        id: Id::parse("id", &typed.id)?,
        description: one_line("description", fields.description.as_deref().unwrap_or_default(), 200)?,
        mailbox: Mailbox::parse(&typed.mailbox)?,
        credential: Id::parse("credential", &typed.credential)?,
        folders,
        subfolders: fields.subfolders,
        start: not_in_the_future(desk, Start::parse(&typed.start)?)?,
        after_import: fields
            .after_import
            .as_deref()
            .map_or(Ok(AfterImport::Nothing), AfterImport::parse)?,
        every: fields.every.as_deref().map_or(Ok(EVERY), parse_interval)?,
        enabled: typed.enabled,
    };
    account.check()?;
    let credential = desk.credential(account.credential.as_str()).await?.credential;
    needs_sign_in(&account, &credential)?;
    let key = account.mailbox_key(&credential.graph_url);
    desk.accounts.add(&account, &key, desk.now()).await?;
    desk.schedule(&account).await?;
    let id = account.id.as_str();
    desk.note(&format!("added account `{id}`")).await?;
    if account.start == Start::Now && credential.grant_type == GrantType::ClientCredentials {
        begin(desk, id).await;
    }
    Ok(desk.accounts.get(id).await?)
}

/// "From now on" should not wait for the first run. If Microsoft cannot be asked, the first contact fixes it.
async fn begin(desk: &Desk, id: &str) {
    if let Err(error) = desk.importer.begin(id, std::time::Duration::from_secs(5)).await {
        desk.output.complain(
            "warning",
            &format!("Microsoft could not be asked for its time ({error}), so `now` will be the moment of the first contact; `postroom account check {id}` tells what is wrong"),
        );
    }
}

fn folders(typed: &[String]) -> Result<Vec<FolderName>, FieldError> {
    typed.iter().map(|folder| FolderName::parse(folder)).collect()
}

fn not_in_the_future(desk: &Desk, start: Start) -> Result<Start, FieldError> {
    if let Start::Date(day) = &start
        && start.instant().flatten().is_none_or(|at| at > desk.now())
    {
        return Err(FieldError::new(
            "start",
            format!("{day} is in the future; give `now`, `everything` or a day that has begun (UTC)"),
        ));
    }
    Ok(start)
}

pub(super) async fn edit(desk: &Desk, id: &str, changes: Changes) -> Result<Answer, Failure> {
    let row = desk.accounts.get(id).await?;
    let mut account = row.account.clone();
    let Changes {
        mailbox,
        start: new_start,
        credential,
        fields,
        no_subfolders,
    } = changes;
    if let Some(mailbox) = mailbox {
        account.mailbox = Mailbox::parse(&mailbox)?;
    }
    if let Some(text) = new_start {
        account.start = not_in_the_future(desk, Start::parse(&text)?)?;
    }
    if let Some(credential) = credential {
        account.credential = Id::parse("credential", &credential)?;
    }
    if let Some(text) = fields.description {
        account.description = one_line("description", &text, 200)?;
    }
    if !fields.folders.is_empty() {
        account.folders = folders(&fields.folders)?;
    }
    if fields.subfolders || no_subfolders {
        account.subfolders = fields.subfolders;
    }
    if let Some(text) = fields.after_import {
        account.after_import = AfterImport::parse(&text)?;
    }
    if let Some(text) = fields.every {
        account.every = parse_interval(&text)?;
    }
    if account == row.account {
        return Ok(Answer::new(
            account_json(&row),
            format!("Account `{id}` is as it was: nothing to change was given."),
        ));
    }
    let used = desk.credential(account.credential.as_str()).await?.credential;
    needs_sign_in(&account, &used)?;
    if account.mailbox == row.account.mailbox {
        same_cloud(&row, &account, &used)?;
    }
    desk.accounts.edit(&account, &row).await?;
    desk.schedule(&account).await?;
    desk.note(&format!("changed account `{id}`")).await?;
    let mut text = format!("Account `{id}` is changed.");
    if account.start != row.account.start {
        if account.start == Start::Now {
            begin(desk, id).await;
        }
        let row = desk.accounts.get(id).await?;
        text.push_str(&format!(
            "\nStart: {}. Every folder is walked anew; what is on record is not emitted again.",
            start(desk, &row)
        ));
    }
    let row = desk.accounts.get(id).await?;
    Ok(Answer::new(account_json(&row), text))
}
