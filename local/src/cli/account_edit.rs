//! `postroom account add` and `edit`.

use shared::{
    account::{AfterImport, FolderName, Mailbox, Start, parse_interval, parse_size, show_interval},
    credential::GrantType,
    field::{FieldError, Id, one_line},
    manage::{AccountForm, needs_sign_in, not_in_the_future, same_cloud},
    records::accounts::AccountRow,
};

use super::{
    Desk,
    account_show::{account_json, start},
    arguments::AccountFields,
    failure::Failure,
    output::Answer,
};

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
    let form = AccountForm {
        id: typed.id,
        description: fields.description.unwrap_or_default(),
        mailbox: typed.mailbox,
        credential: typed.credential,
        folders: fields.folders,
        subfolders: fields.subfolders,
        start: typed.start,
        after_import: fields.after_import,
        every: fields.every,
        max_message: fields.max_message,
        enabled: typed.enabled,
    };
    let row = desk.manage().add_account(&form).await?;
    let id = row.account.id.as_str();
    let credential = desk.credential(row.account.credential.as_str()).await?;
    let ready = credential.credential.grant_type == GrantType::ClientCredentials || credential.sign_in.is_some();
    if row.account.start == Start::Now && ready {
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
        account.start = not_in_the_future(Start::parse(&text)?, desk.now())?;
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
    if let Some(text) = fields.max_message {
        account.max_message = parse_size(&text)?;
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
