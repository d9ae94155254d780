//! `postroom owed`: what was seen and is not imported; retry it or dismiss it.

use serde_json::{Value, json};
use shared::{
    import::debt::{Verb, admin},
    message::Debt,
};

use super::{
    Desk,
    arguments::{OwedCommand, OwedSelection},
    confirm::confirm,
    failure::Failure,
    output::{Answer, clean, count},
};

/// Debts read at once.
const PORTION: usize = 200;

pub(super) async fn run(desk: &Desk, account: Option<&str>, verb: Option<OwedCommand>) -> Result<Answer, Failure> {
    match verb {
        None => list(desk, account).await,
        Some(OwedCommand::Retry(selection)) => act(desk, &selection, Verb::Retry).await,
        Some(OwedCommand::Dismiss(selection)) => act(desk, &selection, Verb::Dismiss).await,
    }
}

/// All debts of these accounts, each with its account.
async fn debts(desk: &Desk, account: Option<&str>) -> Result<Vec<(String, Debt)>, Failure> {
    let mut all = Vec::new();
    for row in desk.accounts_of(account).await? {
        let id = row.account.id.to_string();
        let mut after = None;
        loop {
            let shelf = desk.debts.page(&id, PORTION, after).await?;
            all.extend(shelf.records.into_iter().map(|debt| (id.clone(), debt)));
            after = shelf.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(all)
}

fn debt_json(account: &str, debt: &Debt) -> Value {
    let mut value = shared::records::json(debt);
    if let Value::Object(fields) = &mut value {
        fields.insert("account".into(), account.into());
    }
    value
}

async fn list(desk: &Desk, account: Option<&str>) -> Result<Answer, Failure> {
    let all = debts(desk, account).await?;
    let value = all.iter().map(|(account, debt)| debt_json(account, debt)).collect();
    if all.is_empty() {
        return Ok(Answer::new(value, "Nothing is owed."));
    }
    let mut text = String::new();
    for (account, debt) in &all {
        let when = match debt.next_try {
            Some(at) if !debt.quarantined => format!("next try {}", desk.output.time(at)),
            _ => "set aside".into(),
        };
        let subject = debt.envelope.subject.as_deref().unwrap_or("(no subject)");
        let key: String = debt.key.0.chars().take(8).collect();
        text.push_str(&format!(
            "{key}  {account}  {}  {when}, {}\n          {}\n",
            clean(&shared::message::cut(subject, 40)),
            count(debt.attempts.into(), "attempt"),
            clean(&debt.reason)
        ));
    }
    let aside = all.iter().filter(|(_, debt)| debt.quarantined).count();
    text.push_str(&format!(
        "{} owed, {aside} set aside. `postroom owed retry ID` tries again, `owed dismiss ID` gives up.\n",
        all.len() - aside
    ));
    Ok(Answer::new(value, text))
}

async fn act(desk: &Desk, selection: &OwedSelection, verb: Verb) -> Result<Answer, Failure> {
    let all = debts(desk, selection.account.as_deref()).await?;
    let chosen: Vec<&(String, Debt)> = if selection.all {
        all.iter().collect()
    } else {
        choose(&all, &selection.ids)?
    };
    let (word, done) = match verb {
        Verb::Retry => ("Retry", "tried again with the next run"),
        Verb::Dismiss => ("Dismiss", "never imported; its record says so"),
    };
    if selection.all && !chosen.is_empty() {
        let owner = selection.account.as_deref().unwrap_or_default();
        let question = format!("{word} {} of account `{owner}`?", count(chosen.len() as u64, "message"));
        confirm(&question, selection.yes)?;
    }
    let mut values = Vec::new();
    let mut text = String::new();
    for (account, debt) in chosen {
        let after = admin(&desk.opened.ports, account, &debt.key, verb).await?;
        desk.note(&format!("{} of account `{account}`: {}", word.to_lowercase(), debt.key))
            .await?;
        values.push(json!({"account": account, "key": after.key, "done": word.to_lowercase()}));
        text.push_str(&format!("{}  {done}\n", debt.key));
    }
    if text.is_empty() {
        text.push_str("Nothing is owed.\n");
    }
    Ok(Answer::new(Value::Array(values), text))
}

fn choose<'a>(all: &'a [(String, Debt)], ids: &[String]) -> Result<Vec<&'a (String, Debt)>, Failure> {
    let mut chosen: Vec<&(String, Debt)> = Vec::new();
    for id in ids {
        let mut fits = all
            .iter()
            .filter(|(_, debt)| !id.is_empty() && debt.key.0.starts_with(id.as_str()));
        match (fits.next(), fits.next()) {
            (Some(one), None) => {
                if !chosen.iter().any(|(_, debt)| debt.key == one.1.key) {
                    chosen.push(one);
                }
            }
            (None, _) => {
                return Err(Failure::missing(format!(
                    "nothing that is owed has an id beginning with `{}`; `postroom owed` lists all",
                    clean(id)
                )));
            }
            (Some(_), Some(_)) => {
                return Err(Failure::usage(format!(
                    "`{}` fits several; type more of the id",
                    clean(id)
                )));
            }
        }
    }
    Ok(chosen)
}
