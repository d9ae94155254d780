//! `postroom messages`: the list over all mailboxes, by time; and the search.

use std::collections::VecDeque;

use serde_json::{Value, json};
use shared::{account::MailboxKey, records::messages::Listed};

use super::{
    Desk,
    arguments::MessagesArguments,
    failure::Failure,
    output::{Answer, count},
    table::Table,
};

/// Lines read at once per mailbox.
const PORTION: usize = 200;

/// Lines of several mailboxes merged by time, newest first.
pub(crate) struct Merged<'a> {
    desk: &'a Desk,
    lists: Vec<List>,
}

struct List {
    mailbox: MailboxKey,
    /// Read and not handed out yet.
    read: VecDeque<(String, Listed)>,
    /// Where the next portion begins.
    before: Option<String>,
    /// There is nothing more.
    ended: bool,
}

impl<'a> Merged<'a> {
    /// Of these mailboxes, before this sort key.
    pub(crate) fn new(desk: &'a Desk, mailboxes: Vec<MailboxKey>, before: Option<&str>) -> Self {
        let list = |mailbox| List {
            mailbox,
            read: VecDeque::new(),
            before: before.map(str::to_owned),
            ended: false,
        };
        Self {
            desk,
            lists: mailboxes.into_iter().map(list).collect(),
        }
    }

    /// The next line and its sort key.
    pub(crate) async fn next(&mut self) -> Result<Option<(String, Listed)>, Failure> {
        for list in self.lists.iter_mut().filter(|list| list.read.is_empty() && !list.ended) {
            let lines = self
                .desk
                .messages
                .newest(&list.mailbox, list.before.as_deref(), PORTION)
                .await?;
            list.ended = lines.len() < PORTION;
            list.before = lines.last().map(|(sort, _)| sort.clone());
            list.read = lines.into();
        }
        let newest = self.lists.iter_mut().max_by(|one, other| {
            one.read
                .front()
                .map(|(sort, _)| sort)
                .cmp(&other.read.front().map(|(sort, _)| sort))
        });
        Ok(newest.and_then(|list| list.read.pop_front()))
    }
}

/// The mailboxes of one account, or all that ever had one.
pub(crate) async fn mailboxes(desk: &Desk, account: Option<&str>) -> Result<Vec<MailboxKey>, Failure> {
    Ok(match account {
        Some(id) => vec![desk.accounts.get(id).await?.mailbox],
        None => desk
            .accounts
            .mailboxes()
            .await?
            .into_iter()
            .map(|row| row.key)
            .collect(),
    })
}

pub(super) async fn run(desk: &Desk, typed: &MessagesArguments) -> Result<Answer, Failure> {
    let before = typed.after.as_deref().map(from_mark).transpose()?;
    let mailboxes = mailboxes(desk, typed.account.as_deref()).await?;
    let mut merged = Merged::new(desk, mailboxes, before.as_deref());
    let needle = typed.search.as_ref().map(|text| text.trim().to_lowercase());
    let mut found: Vec<Listed> = Vec::new();
    let mut looked_through = 0_u64;
    let mut mark = None;
    let mut next = None;
    while let Some((sort, listed)) = merged.next().await? {
        looked_through += 1;
        let wanted = typed.account.as_ref().is_none_or(|account| listed.account == *account)
            && needle.as_ref().is_none_or(|needle| listed.matches(needle));
        if !wanted {
            continue;
        }
        if found.len() == typed.limit {
            next = mark;
            break;
        }
        mark = Some(sort.replace('#', "-"));
        found.push(listed);
    }
    let text = text(desk, typed, &found, looked_through, next.as_deref());
    let value = json!({
        "messages": found.iter().map(listed_json).collect::<Vec<_>>(),
        "looked_through": looked_through,
        "next": next,
    });
    Ok(Answer::new(value, text))
}

/// A mark as printed is a sort key that needs no quoting.
fn from_mark(mark: &str) -> Result<String, Failure> {
    let good = mark
        .split_once('-')
        .is_some_and(|(time, key)| time.len() == 16 && time.bytes().all(|b| b.is_ascii_digit()) && !key.is_empty());
    if good {
        Ok(mark.replacen('-', "#", 1))
    } else {
        Err(Failure::usage(format!(
            "--after `{}` is no mark; take the one printed below the page before",
            mark.escape_debug()
        )))
    }
}

fn listed_json(listed: &Listed) -> Value {
    shared::records::json(listed)
}

/// The list as a table.
pub(crate) fn listed_text<'a>(desk: &Desk, found: impl Iterator<Item = &'a Listed>) -> String {
    let mut table = Table::new(&["id", "received", "account", "from", "subject", "files"], 4);
    for listed in found {
        let envelope = &listed.envelope;
        let subject = envelope
            .subject
            .clone()
            .filter(|subject| !subject.trim().is_empty())
            .unwrap_or_else(|| "(no subject)".into());
        let subject = match listed.disposition {
            shared::message::Disposition::Imported => subject,
            other => format!("[{other}] {subject}"),
        };
        table.row(&[
            listed.key.0.chars().take(8).collect(),
            envelope
                .received
                .map_or_else(|| "-".into(), |at| desk.output.short_time(at, desk.now())),
            shared::message::cut(&listed.account, 9),
            shared::message::cut(envelope.from.as_deref().unwrap_or("-"), 15),
            subject,
            listed
                .attachments
                .filter(|number| *number > 0)
                .map(|number| number.to_string())
                .unwrap_or_default(),
        ]);
    }
    table.text()
}

fn text(desk: &Desk, typed: &MessagesArguments, found: &[Listed], looked_through: u64, next: Option<&str>) -> String {
    let searched = typed
        .search
        .as_ref()
        .map(|text| format!(" with `{}`", super::output::clean(text)))
        .unwrap_or_default();
    if found.is_empty() {
        return match (&typed.after, looked_through) {
            (Some(_), _) => "No more messages.".into(),
            (None, 0) => "No messages yet. `postroom import --all` imports now.".into(),
            (None, number) => format!("No message{searched} among {}.", count(number, "message")),
        };
    }
    let mut text = listed_text(desk, found.iter());
    let shown = count(found.len() as u64, "message");
    text.push_str(&if typed.search.is_some() {
        format!("{shown}{searched}; {looked_through} looked through.\n")
    } else {
        format!("{shown}. `postroom message ID` shows one (the beginning of the id will do).\n")
    });
    if let Some(mark) = next {
        text.push_str(&format!("More: add --after {mark}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::from_mark;

    #[test]
    fn marks_are_checked() {
        assert_eq!(from_mark("0001700000000000-abc").unwrap(), "0001700000000000#abc");
        for bad in ["", "abc", "1-a", "000170000000000x-abc", "0001700000000000-"] {
            assert!(from_mark(bad).is_err(), "{bad}");
        }
    }
}
