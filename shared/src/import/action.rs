//! What is done to the mail in the mailbox after import: from its own list, with its own tries, holding nothing.

use std::time::Duration;

use jiff::Timestamp;
use tracing::debug;

use crate::{
    account::AfterImport,
    graph::{GraphClient, GraphError, GraphErrorKind},
    records::debts::PendingAction,
    time::plus,
};

use super::{
    open::{self, OpenError},
    run::Stop,
};

/// How often an action is tried before it is given up: about two days.
const TRIES: u32 = 10;
/// Actions of one run at most; more wait for the next (P69).
pub(super) const ACTIONS_OF_A_RUN: u64 = 2_000;

/// What came of one action.
#[derive(Debug)]
pub(super) enum Acted {
    /// It is done, and was seen to be done.
    Done,
    /// The mail left the mailbox before.
    Gone,
    /// It is tried again at the instant in the action.
    Again(PendingAction),
    /// It is given up.
    Failed(PendingAction),
    /// The run must stop: the action was not at fault.
    Stop(GraphError),
}

/// Where mail is moved to, once it was looked up.
pub(super) enum Destination {
    /// Nothing is moved.
    None,
    /// The folder's id.
    Folder(String),
    /// It could not be looked up in this run, and why. Import goes on.
    Unknown(String),
}

/// Looks up where mail is moved to. Trouble with this one folder makes its actions wait; only trouble of the whole
/// mailbox or app stops the run.
pub(super) async fn look_up(client: &GraphClient, wanted: &str, now: Timestamp) -> Result<Destination, Stop> {
    let Ok(AfterImport::Move(folder)) = AfterImport::parse(wanted) else {
        return Ok(Destination::None);
    };
    match open::named(client, &folder).await {
        Ok(folder) => Ok(Destination::Folder(folder.id)),
        Err(OpenError::Account(_)) => Ok(Destination::None),
        Err(OpenError::Graph(error)) if error.stops_the_run() && !matches!(error.kind, GraphErrorKind::Forbidden) => {
            Err(Stop::graph(&error, now))
        }
        Err(OpenError::Graph(error)) => Ok(Destination::Unknown(error.what)),
        Err(OpenError::Record(error)) => Err(Stop::record(&error)),
    }
}

/// Marks several messages with one request; one that was not done that way is done by itself, with tries of its own.
pub(super) async fn mark_together(
    client: &GraphClient,
    marks: Vec<PendingAction>,
    now: Timestamp,
) -> Vec<(PendingAction, Acted)> {
    let ids: Vec<_> = marks.iter().map(|mark| mark.immutable_id.clone()).collect();
    let done = match client.mark_read_together(&ids).await {
        Ok(done) => done,
        Err(error) => {
            debug!(%error, request_id = error.request_id, "marks are sent one by one");
            vec![false; marks.len()]
        }
    };
    let mut all = Vec::with_capacity(marks.len());
    for (mark, done) in marks.into_iter().zip(done) {
        let acted = if done {
            Acted::Done
        } else {
            act(client, mark.clone(), &Destination::None, true, now).await
        };
        let stop = matches!(acted, Acted::Stop(_));
        all.push((mark, acted));
        if stop {
            // What is left stands on the list, for the next run.
            break;
        }
    }
    all
}

/// Performs one action.
///
/// A move looks where the mail is first: the page of this run said it (`seen_here`), or it is asked. Afterwards the
/// answer says where the mail is; if it was lost, the next try looks.
pub(super) async fn act(
    client: &GraphClient,
    mut action: PendingAction,
    destination: &Destination,
    seen_here: bool,
    now: Timestamp,
) -> Acted {
    let wanted = AfterImport::parse(&action.wanted).unwrap_or(AfterImport::Nothing);
    let result = match (&wanted, destination) {
        (AfterImport::Nothing, _) => Ok(true),
        (AfterImport::MarkRead, _) => client.mark_read(&action.immutable_id).await.map(|()| true),
        (AfterImport::Delete, _) => delete(client, &action, seen_here).await.map(|()| true),
        (AfterImport::Move(_), Destination::Folder(folder)) => relocate(client, &action, folder, seen_here).await,
        (AfterImport::Move(folder), Destination::None | Destination::Unknown(_)) => {
            action.problem = Some(match destination {
                Destination::Unknown(what) => format!("the folder `{folder}` to move to cannot be looked up: {what}"),
                _ => format!("the folder `{folder}` to move to is not in the mailbox"),
            });
            action.attempts += 1;
            action.next_try = later(now, action.attempts);
            return Acted::Again(action);
        }
    };
    match result {
        Ok(true) => Acted::Done,
        Ok(false) => Acted::Gone,
        Err(error) => match error.kind {
            GraphErrorKind::NotFound => Acted::Gone,
            GraphErrorKind::Throttled { .. }
            | GraphErrorKind::Token(_)
            | GraphErrorKind::Unauthorized
            | GraphErrorKind::NoMailbox
            | GraphErrorKind::Closed
            | GraphErrorKind::Challenged { .. } => Acted::Stop(error),
            _ => {
                action.attempts += 1;
                action.next_try = later(now, action.attempts);
                action.problem = Some(error.what);
                if action.attempts >= TRIES {
                    Acted::Failed(action)
                } else {
                    Acted::Again(action)
                }
            }
        },
    }
}

/// A mail that is no longer where it was seen has been deleted by a try whose answer was lost, or moved by a person:
/// deleting what lies in Deleted Items might destroy it, so it is left alone.
async fn delete(client: &GraphClient, action: &PendingAction, seen_here: bool) -> Result<(), GraphError> {
    if !seen_here && let Some(seen_in) = &action.seen_in {
        match client.look(&action.immutable_id).await? {
            Some(envelope) if envelope.folder.as_ref() == Some(seen_in) => {}
            _ => return Ok(()),
        }
    }
    client.delete(&action.immutable_id).await
}

/// `false`: the mail is nowhere.
async fn relocate(
    client: &GraphClient,
    action: &PendingAction,
    folder: &str,
    seen_here: bool,
) -> Result<bool, GraphError> {
    if !seen_here {
        match client.look(&action.immutable_id).await? {
            None => return Ok(false),
            Some(envelope) if envelope.folder.as_deref() == Some(folder) => return Ok(true),
            Some(_) => {}
        }
    }
    let now_in = client.move_to(&action.immutable_id, folder).await?;
    if now_in.as_deref() == Some(folder) {
        return Ok(true);
    }
    // The answer did not say so: ask.
    let seen = client.look(&action.immutable_id).await?;
    match seen {
        None => Ok(false),
        Some(envelope) if envelope.folder.as_deref() == Some(folder) => Ok(true),
        Some(_) => Err(GraphError {
            kind: GraphErrorKind::Unavailable,
            what: "Microsoft said that the mail was moved, but it is not in the folder".into(),
            status: None,
            code: None,
            request_id: None,
            kept_out: false,
        }),
    }
}

fn later(now: Timestamp, attempts: u32) -> Timestamp {
    let minutes = 1_u64 << attempts.min(9);
    plus(now, Duration::from_secs(60 * minutes))
}
