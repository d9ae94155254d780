//! From what is known of a message to what is written of it: the record, the debt, the event, the wanted action.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    account::{Account, AfterImport, MailboxKey, show_size},
    graph::{GraphError, GraphErrorKind},
    message::{ActionRecord, Debt, Disposition, Envelope, Event, ImmutableId, Message, MessageKey, cut},
    ports::Write,
    records::{
        debts::{Debts, PendingAction},
        messages::Messages,
    },
    time::plus,
};

use super::{
    debt::{STRIKES, STRUCK_PAUSE, TRIES_UNAVAILABLE, TRIES_UNREADABLE, next_try},
    fetch::{Copy, Fetched},
    rules,
};

/// A message in the hands of a run.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) key: MessageKey,
    pub(super) id: ImmutableId,
    pub(super) envelope: Envelope,
    /// The admin's name of its folder.
    pub(super) folder: String,
    /// Graph's id of that folder, if this run saw it there.
    pub(super) seen_in: Option<String>,
    pub(super) record: Option<Box<Message>>,
    pub(super) debt: Option<Box<Debt>>,
    /// How often it was admitted, this time included.
    pub(super) strikes: u32,
    /// Where it is has to be asked first.
    pub(super) left: bool,
    /// Its folder was on its first walk: what is from before the start stays out.
    pub(super) first_walk: bool,
}

impl Candidate {
    /// A debt whose time has come.
    pub(super) fn of_debt(debt: Debt, record: Option<Message>) -> Self {
        Self {
            key: debt.key.clone(),
            id: debt.immutable_id.clone(),
            envelope: debt.envelope.clone(),
            folder: debt.folder.clone(),
            seen_in: None,
            record: record.map(Box::new),
            debt: Some(Box::new(debt)),
            strikes: 1,
            left: false,
            first_walk: false,
        }
    }

    /// It stopped the process too often: bytes only.
    pub(super) fn raw_only(&self) -> bool {
        self.strikes > STRIKES
    }
}

/// What is to be written of one message.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) message: Message,
    /// What became of it before.
    pub(super) previous: Option<Disposition>,
    /// The debt it was, if it was one.
    pub(super) was_debt: Option<Box<Debt>>,
    /// The debt it is, if it is one.
    pub(super) debt: Option<Debt>,
    /// What its event says of its content; nothing: no event.
    pub(super) summary: Option<Value>,
    pub(super) action: Option<PendingAction>,
    /// The page of this run showed the mail in its folder.
    pub(super) seen_here: bool,
}

/// Who decides, for which run.
pub(super) struct Judge<'a> {
    pub(super) account: &'a Account,
    pub(super) mailbox: &'a MailboxKey,
    pub(super) run: &'a str,
    pub(super) now: Timestamp,
}

impl Judge<'_> {
    fn message(&self, candidate: &Candidate, disposition: Disposition, reason: Option<String>) -> Message {
        match &candidate.record {
            Some(record) => {
                let mut message = (**record).clone();
                message.disposition = disposition;
                message.reason = reason;
                self.run.clone_into(&mut message.run);
                // What another account of the mailbox kept out or lost is this one's now, with event and counters.
                if message.account != self.account.id.as_str() {
                    message.account = self.account.id.to_string();
                    message.folder.clone_from(&candidate.folder);
                    message.tell(
                        self.now,
                        format!("seen in folder {} by account {}", candidate.folder, self.account.id),
                    );
                }
                if !candidate.left && candidate.envelope != Envelope::default() {
                    message.envelope = candidate.envelope.clone();
                }
                message
            }
            None => {
                let mut message = Message {
                    key: candidate.key.clone(),
                    immutable_id: candidate.id.clone(),
                    account: self.account.id.to_string(),
                    disposition,
                    reason,
                    folder: candidate.folder.clone(),
                    envelope: candidate.envelope.clone(),
                    archived: None,
                    fidelity: None,
                    limited: None,
                    sequence: None,
                    action: None,
                    run: self.run.to_owned(),
                    seen_at: self.now,
                    listed: Messages::list_key(&candidate.envelope, self.now, &candidate.key),
                    story: Vec::new(),
                };
                message.tell(self.now, format!("seen in folder {}", candidate.folder));
                message
            }
        }
    }

    fn plain(&self, candidate: Candidate, disposition: Disposition, reason: &str) -> Decision {
        let mut message = self.message(&candidate, disposition, Some(reason.to_owned()));
        message.tell(self.now, format!("{disposition}: {reason}"));
        Decision {
            previous: candidate.record.as_ref().map(|record| record.disposition),
            was_debt: candidate.debt,
            message,
            debt: None,
            summary: None,
            action: None,
            seen_here: false,
        }
    }

    /// A rule keeps it out.
    pub(super) fn filtered(&self, candidate: Candidate, reason: &str) -> Decision {
        self.plain(candidate, Disposition::Filtered, reason)
    }

    /// It was asked where the mail is that a page said had left.
    pub(super) fn looked(
        &self,
        candidate: Candidate,
        seen: Option<Envelope>,
        start: Option<Timestamp>,
        folders: &[(String, String)],
    ) -> Result<Candidate, Box<Decision>> {
        let Some(envelope) = seen else {
            return Err(Box::new(self.gone(candidate, "it left the mailbox before it was seen")));
        };
        let ours = folders.iter().find(|(id, _)| envelope.folder.as_deref() == Some(id));
        let Some((id, name)) = ours else {
            return Err(Box::new(self.gone(
                candidate,
                "it left its folder before it was seen; where it is now is not imported",
            )));
        };
        let old = start.is_some_and(|start| envelope.received.is_some_and(|received| received < start));
        let candidate = Candidate {
            seen_in: Some(id.clone()),
            folder: name.clone(),
            envelope,
            left: false,
            ..candidate
        };
        if candidate.first_walk && old {
            return Err(Box::new(self.filtered(candidate, "from before the start")));
        }
        // What it is was not known before it was asked: the rules have their word now.
        if let Some(reason) = rules::keeps_out(&candidate.envelope) {
            return Err(Box::new(self.filtered(candidate, reason)));
        }
        Ok(candidate)
    }

    /// It is not in the mailbox, or not in a folder of ours, any more.
    pub(super) fn gone(&self, candidate: Candidate, reason: &str) -> Decision {
        self.plain(candidate, Disposition::Gone, reason)
    }

    /// What fetching came to. `Err`: the run must stop, nothing is decided.
    pub(super) fn fetched(&self, candidate: Candidate, fetched: Fetched) -> Result<Decision, GraphError> {
        match fetched {
            Fetched::Archived(copy) if candidate.raw_only() => Ok(self.set_aside_raw(candidate, *copy)),
            Fetched::Archived(copy) => Ok(self.imported(candidate, *copy)),
            Fetched::Gone => Ok(self.gone(candidate, "it left the mailbox before it could be imported")),
            Fetched::TooLarge => Ok(self.too_large(candidate)),
            // Refused for one mail is this mail's trouble until it shows that every mail is refused.
            Fetched::Failed(error) if error.stops_the_run() && !matches!(error.kind, GraphErrorKind::Forbidden) => {
                Err(error)
            }
            Fetched::Failed(error) => Ok(self.owed(candidate, &error)),
        }
    }

    fn imported(&self, candidate: Candidate, copy: Copy) -> Decision {
        let mut message = self.message(&candidate, Disposition::Imported, None);
        let Copy {
            archived,
            fidelity,
            parsed,
            notes,
        } = copy;
        message.tell(
            self.now,
            format!(
                "imported: {} bytes, {} attachments, archived as {}",
                archived.size, archived.attachments, archived.path
            ),
        );
        for note in notes {
            message.tell(self.now, note);
        }
        if let Some(parsed) = &parsed {
            message.limited.clone_from(&parsed.limited);
            if message.envelope.subject.is_none() {
                message.envelope.subject = parsed.subject.as_deref().map(|subject| cut(subject, 500));
            }
            if message.envelope.internet_message_id.is_none() {
                message.envelope.internet_message_id = parsed.message_id.as_deref().map(|id| cut(id, 998));
            }
            if let (None, Some(from)) = (&message.envelope.from, parsed.from.first()) {
                message.envelope.from = from.address.as_deref().map(|address| cut(address, 320));
                message.envelope.from_name = from.name.as_deref().map(|name| cut(name, 200));
            }
        }
        if let Some(limited) = &message.limited {
            let line = format!("parsed only in part: {limited}");
            message.tell(self.now, line);
        }
        message.archived = Some(archived);
        message.fidelity = Some(fidelity);
        let action = (self.account.after_import != AfterImport::Nothing).then(|| PendingAction {
            key: candidate.key.clone(),
            immutable_id: candidate.id.clone(),
            wanted: self.account.after_import.to_string(),
            seen_in: candidate.seen_in.clone(),
            attempts: 0,
            next_try: self.now,
            problem: None,
        });
        message.action = action.as_ref().map(|action| ActionRecord {
            wanted: action.wanted.clone(),
            state: "pending".into(),
            at: self.now,
            attempts: 0,
            note: None,
        });
        Decision {
            previous: candidate.record.as_ref().map(|record| record.disposition),
            seen_here: candidate.seen_in.is_some(),
            was_debt: candidate.debt,
            message,
            debt: None,
            summary: Some(parsed.map_or(Value::Null, |parsed| crate::records::json(&parsed.summary()))),
            action,
        }
    }

    /// The third strike: the bytes are kept, nothing was parsed. A process that is killed from outside looks the same,
    /// so the first time it is tried again by itself after a while; the second time an admin decides.
    fn set_aside_raw(&self, candidate: Candidate, copy: Copy) -> Decision {
        let struck = candidate.debt.as_ref().map_or(0, |debt| debt.struck) + 1;
        let next = (struck == 1).then(|| plus(self.now, STRUCK_PAUSE));
        let mut reason =
            format!("the process died {STRIKES} times while it was read; its bytes are kept, nothing of it was parsed");
        let disposition = match next {
            Some(_) => Disposition::Owed,
            None => {
                reason.push_str(". That happened twice");
                Disposition::Quarantined
            }
        };
        let mut debt = self.debt(&candidate, reason.clone(), STRIKES, next);
        debt.struck = struck;
        let mut decision = self.plain(candidate, disposition, &reason);
        decision.message.fidelity = Some(copy.fidelity);
        decision.message.archived = Some(copy.archived);
        decision.debt = Some(debt);
        decision
    }

    /// An admin decides: until then it is not fetched again.
    fn too_large(&self, candidate: Candidate) -> Decision {
        let (account, key) = (&self.account.id, &candidate.key);
        let reason = format!(
            "it is larger than the {} that account `{account}` takes; raise that with `postroom account edit {account} --max-message SIZE` and then `postroom owed retry {key}`",
            show_size(self.account.max_message)
        );
        let attempts = candidate.debt.as_ref().map_or(0, |debt| debt.attempts) + 1;
        let debt = self.debt(&candidate, reason.clone(), attempts, None);
        let mut decision = self.plain(candidate, Disposition::Quarantined, &reason);
        decision.debt = Some(debt);
        decision
    }

    fn owed(&self, candidate: Candidate, error: &GraphError) -> Decision {
        let attempts = candidate.debt.as_ref().map_or(0, |debt| debt.attempts) + 1;
        let tries = match error.kind {
            // Corrupt data stays corrupt: at once, with its reason.
            GraphErrorKind::Corrupt => 1,
            GraphErrorKind::NoMime | GraphErrorKind::Refused => TRIES_UNREADABLE,
            _ => TRIES_UNAVAILABLE,
        };
        let reason = match &error.request_id {
            Some(request_id) => format!("{} [request-id {request_id}]", error.what),
            None => error.what.clone(),
        };
        let aside = attempts >= tries;
        let next = (!aside).then(|| next_try(self.now, attempts));
        let debt = self.debt(&candidate, reason.clone(), attempts, next);
        let disposition = if aside {
            Disposition::Quarantined
        } else {
            Disposition::Owed
        };
        let mut decision = self.plain(candidate, disposition, &reason);
        decision.debt = Some(debt);
        decision
    }

    fn debt(&self, candidate: &Candidate, reason: String, attempts: u32, next_try: Option<Timestamp>) -> Debt {
        let old = candidate.debt.as_ref();
        Debt {
            key: candidate.key.clone(),
            immutable_id: candidate.id.clone(),
            reason,
            attempts,
            next_try,
            quarantined: next_try.is_none(),
            folder: candidate.folder.clone(),
            envelope: candidate
                .record
                .as_ref()
                .filter(|_| candidate.left)
                .map_or_else(|| candidate.envelope.clone(), |record| record.envelope.clone()),
            since: old.map_or(self.now, |debt| debt.since),
            struck: old.map_or(0, |debt| debt.struck),
        }
    }
}

impl Decision {
    /// The writes of this decision; `sequence` is its event's number if it has one.
    pub(super) fn writes(&mut self, judge: &Judge<'_>, sequence: u64) -> (Vec<Write>, Option<Event>) {
        let account = judge.account.id.as_str();
        let event = self.summary.clone().map(|summary| {
            self.message.sequence = Some(sequence);
            event(judge, &self.message, sequence, &summary)
        });
        let mut writes = Vec::with_capacity(5);
        writes.extend(Messages::writes(judge.mailbox, &self.message, self.previous));
        if let Some(event) = &event {
            writes.push(crate::records::events::Events::write(account, sequence, event));
        }
        match (&self.debt, &self.was_debt) {
            (Some(debt), _) => writes.push(Debts::write(account, debt)),
            (None, Some(was)) => writes.push(Debts::clear(account, &was.key)),
            (None, None) => {}
        }
        if let Some(action) = &self.action {
            writes.push(Debts::write_action(account, action));
        }
        (writes, event)
    }
}

/// The event of an imported message.
fn event(judge: &Judge<'_>, message: &Message, sequence: u64, summary: &Value) -> Event {
    json!({
        "schema": "postroom.event/1",
        "id": crate::account::digest(&["event", judge.account.id.as_str(), &message.key.0]),
        "type": "message.imported",
        "account": judge.account.id,
        "sequence": sequence,
        "message": message.key,
        "mailbox": judge.account.mailbox,
        "folder": message.folder,
        "immutable_id": message.immutable_id,
        "received": message.envelope.received,
        "meeting": message.envelope.meeting,
        "archive": message.archived,
        "fidelity": message.fidelity,
        "limited": message.limited,
        "summary": summary,
        "recorded_at": judge.now,
        "run": judge.run,
    })
}
