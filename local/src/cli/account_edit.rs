//! `postroom account add` and `edit`.

use shared::{
    account::{Start, show_interval},
    credential::GrantType,
    manage::{AccountChanges, AccountForm, shown},
    records::accounts::AccountRow,
};

use super::{Desk, account_show::start, arguments::AccountFields, failure::Failure, output::Answer};

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
    Ok(Answer::new(shown::account(&row), text))
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

pub(super) async fn edit(desk: &Desk, id: &str, changes: Changes) -> Result<Answer, Failure> {
    let row = desk.accounts.get(id).await?;
    let Changes {
        mailbox,
        start: new_start,
        credential,
        fields,
        no_subfolders,
    } = changes;
    let changes = AccountChanges {
        mailbox,
        start: new_start,
        credential,
        description: fields.description,
        folders: (!fields.folders.is_empty()).then_some(fields.folders),
        subfolders: (fields.subfolders || no_subfolders).then_some(fields.subfolders),
        after_import: fields.after_import,
        every: fields.every,
        max_message: fields.max_message,
    };
    if !desk.manage().edit_account(&row, &changes).await? {
        return Ok(Answer::new(
            shown::account(&row),
            format!("Account `{id}` is as it was: nothing to change was given."),
        ));
    }
    let old_start = row.account.start;
    let row = desk.accounts.get(id).await?;
    let account = &row.account;
    let mut text = format!("Account `{id}` is changed.");
    if account.start != old_start {
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
    Ok(Answer::new(shown::account(&row), text))
}
