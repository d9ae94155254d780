//! MIME to archive: streamed, split as it streams by, and never under a key that was used before.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tracing::debug;

use crate::{
    archive::{Archive, ArchiveError, Attempt, Room, Writer},
    content::{Limits, ParsedMessage, Piece, Splitter},
    field::Id,
    graph::{GraphClient, GraphError, GraphErrorKind},
    message::{Archived, Fidelity, ImmutableId, MessageKey},
    ports::{Clock, HttpError},
};

/// From this many bytes on a mail is large: it waits for room in memory before it goes on.
const LARGE: u64 = 256 * 1024;
/// How often a mail whose bytes broke off is fetched in one run.
const TRIES: u64 = 3;

/// What came of fetching.
#[derive(Debug)]
pub enum Fetched {
    /// Bytes durable, parsed.
    Archived(Box<Copy>),
    /// It is not in the mailbox any more.
    Gone,
    /// It has more bytes than the account takes; nothing of it was kept.
    TooLarge,
    /// It could not be had.
    Failed(GraphError),
}

/// A durable copy of a mail.
#[derive(Debug)]
pub struct Copy {
    /// Where the bytes lie.
    pub archived: Archived,
    /// How faithful they are.
    pub fidelity: Fidelity,
    /// What they say; nothing if they were not to be parsed.
    pub parsed: Option<ParsedMessage>,
    /// What to know of it.
    pub notes: Vec<String>,
}

/// What is fetched, and where it goes.
pub struct Target<'a> {
    /// Whose archive.
    pub account: &'a Id,
    /// The message.
    pub key: &'a MessageKey,
    /// Graph's id.
    pub id: &'a ImmutableId,
    /// The run's fence.
    pub fence: i64,
    /// The first attempt's number; the next ones follow it.
    pub counter: u64,
    /// Bytes only.
    pub raw_only: bool,
    /// The most bytes.
    pub most: u64,
}

/// Attempts that one fetch may use up.
pub const COUNTERS: u64 = TRIES + 1;

/// Why one attempt ended early.
enum Early {
    Graph(GraphError),
    Broken(HttpError),
    Archive(ArchiveError),
    TooLarge,
}

impl From<ArchiveError> for Early {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// Fetches one message. An error of the archive concerns the whole run; everything else only this message.
pub async fn fetch(
    client: &GraphClient,
    archive: &Archive,
    clock: &dyn Clock,
    target: &Target<'_>,
) -> Result<Fetched, ArchiveError> {
    let mut incomplete: Option<Copy> = None;
    let mut failed = None;
    for number in 0..TRIES {
        let attempt = Archive::attempt(target.account, target.key, target.fence, target.counter + number);
        match once(client, archive, &attempt, target).await {
            // A multipart without its end may have been cut on the way: asked once more, then believed.
            Ok(copy) if copy.fidelity == Fidelity::Incomplete && incomplete.is_none() => incomplete = Some(copy),
            Ok(copy) => return Ok(Fetched::Archived(Box::new(copy))),
            Err(Early::Archive(error)) => return Err(error),
            Err(Early::TooLarge) => return Ok(Fetched::TooLarge),
            Err(Early::Graph(error)) => match error.kind {
                GraphErrorKind::NotFound => return Ok(Fetched::Gone),
                GraphErrorKind::NoMime => return reconstruct(client, archive, target, error).await,
                _ => return Ok(incomplete.map_or(Fetched::Failed(error), |copy| Fetched::Archived(Box::new(copy)))),
            },
            Err(Early::Broken(error)) => {
                debug!(message = %target.key, %error, number, "the mail broke off");
                failed = Some(GraphError::from(&error));
                clock.sleep(Duration::from_millis(250 << number)).await;
            }
        }
    }
    match (incomplete, failed) {
        (Some(copy), _) => Ok(Fetched::Archived(Box::new(copy))),
        (None, Some(error)) => Ok(Fetched::Failed(error)),
        (None, None) => Ok(Fetched::Gone),
    }
}

async fn once(client: &GraphClient, archive: &Archive, attempt: &Attempt, target: &Target<'_>) -> Result<Copy, Early> {
    let mut stream = client.mime(target.id).await.map_err(Early::Graph)?;
    if stream.length.is_some_and(|length| length > target.most) {
        return Err(Early::TooLarge);
    }
    let mut sink = Sink::new(archive, attempt, target.raw_only);
    loop {
        match stream.bytes.try_next().await {
            Ok(Some(chunk)) => {
                if sink.size + chunk.len() as u64 > target.most {
                    sink.abort().await;
                    return Err(Early::TooLarge);
                }
                if let Err(error) = sink.take(&chunk).await {
                    sink.abort().await;
                    return Err(error.into());
                }
            }
            Ok(None) => break,
            Err(error) => {
                sink.abort().await;
                return Err(Early::Broken(error));
            }
        }
    }
    if let Some(length) = stream.length
        && length != sink.size
    {
        let reason = format!("{} of {length} bytes came", sink.size);
        sink.abort().await;
        return Err(Early::Broken(HttpError::Broken {
            host: "Graph".into(),
            reason,
        }));
    }
    if sink.size == 0 {
        sink.abort().await;
        return Err(Early::Broken(HttpError::Broken {
            host: "Graph".into(),
            reason: "an empty mail came".into(),
        }));
    }
    drop(stream);
    Ok(sink.finish(Fidelity::Mime, Vec::new()).await?)
}

/// The next best: MIME of our own making, labelled so.
async fn reconstruct(
    client: &GraphClient,
    archive: &Archive,
    target: &Target<'_>,
    cause: GraphError,
) -> Result<Fetched, ArchiveError> {
    let (mime, mut notes) = match client.reconstruct(target.id).await {
        Ok(made) => made,
        Err(error) if matches!(error.kind, GraphErrorKind::NotFound) => return Ok(Fetched::Gone),
        Err(error) if error.stops_the_run() => return Ok(Fetched::Failed(error)),
        Err(error) => {
            let what = format!("{cause}; and it could not be put together from its parts: {error}");
            return Ok(Fetched::Failed(GraphError { what, ..cause }));
        }
    };
    notes.insert(
        0,
        "put together from its JSON and attachments, because Exchange could not make MIME of it".into(),
    );
    if mime.len() as u64 > target.most {
        return Ok(Fetched::TooLarge);
    }
    let attempt = Archive::attempt(target.account, target.key, target.fence, target.counter + TRIES);
    let mut sink = Sink::new(archive, &attempt, target.raw_only);
    if let Err(error) = sink.take(&mime).await {
        sink.abort().await;
        return Err(error);
    }
    Ok(Fetched::Archived(Box::new(
        sink.finish(Fidelity::Reconstructed, notes).await?,
    )))
}

/// Where one mail's bytes go while they stream by.
struct Sink<'a> {
    archive: &'a Archive,
    attempt: &'a Attempt,
    raw: Writer,
    hash: Sha256,
    size: u64,
    splitter: Option<Splitter>,
    pieces: Vec<Piece>,
    open: Option<(u32, Writer)>,
    attachments: u32,
    room: Option<Room>,
}

impl<'a> Sink<'a> {
    fn new(archive: &'a Archive, attempt: &'a Attempt, raw_only: bool) -> Self {
        Self {
            archive,
            attempt,
            raw: archive.writer(attempt, "message.eml"),
            hash: Sha256::new(),
            size: 0,
            splitter: (!raw_only).then(|| Splitter::new(Limits::default())),
            pieces: Vec::new(),
            open: None,
            attachments: 0,
            room: None,
        }
    }

    async fn take(&mut self, chunk: &[u8]) -> Result<(), ArchiveError> {
        self.size += chunk.len() as u64;
        if self.room.is_none() && self.size > LARGE {
            self.room = Some(self.archive.room().await);
        }
        self.hash.update(chunk);
        self.raw.write(chunk).await?;
        if let Some(splitter) = &mut self.splitter {
            // In steps, so that what is decoded is written before more of it is made.
            for step in chunk.chunks(64 * 1024) {
                splitter.push(step, &mut self.pieces);
                let names: Vec<_> = self.pieces.iter().map(|piece| name_of(splitter, piece)).collect();
                let pieces = std::mem::take(&mut self.pieces);
                for (piece, name) in pieces.into_iter().zip(names) {
                    Self::write(
                        self.archive,
                        self.attempt,
                        &mut self.open,
                        &mut self.attachments,
                        piece,
                        name,
                    )
                    .await?;
                }
            }
        }
        Ok(())
    }

    async fn write(
        archive: &Archive,
        attempt: &Attempt,
        open: &mut Option<(u32, Writer)>,
        count: &mut u32,
        piece: Piece,
        name: Option<String>,
    ) -> Result<(), ArchiveError> {
        match piece {
            Piece::AttachmentStart { index } => {
                let name = name.unwrap_or_else(|| format!("{:03}", index + 1));
                *open = Some((index, archive.writer(attempt, &format!("attachments/{name}"))));
                *count += 1;
            }
            Piece::AttachmentBytes { index, bytes } => {
                if let Some((at, writer)) = open
                    && *at == index
                {
                    writer.write(&bytes).await?;
                }
            }
            Piece::AttachmentEnd { .. } => {
                if let Some((_, writer)) = open.take() {
                    writer.finish().await?;
                }
            }
        }
        Ok(())
    }

    async fn abort(self) {
        self.raw.abort().await;
        if let Some((_, writer)) = self.open {
            writer.abort().await;
        }
    }

    async fn finish(mut self, fidelity: Fidelity, mut notes: Vec<String>) -> Result<Copy, ArchiveError> {
        let mut parsed = None;
        if let Some(splitter) = self.splitter.take() {
            let mut pieces = Vec::new();
            let message = splitter.finish(&mut pieces);
            for piece in pieces {
                let name = match &piece {
                    Piece::AttachmentStart { index } => message
                        .attachments
                        .get(*index as usize)
                        .map(|attachment| attachment.file_name.clone()),
                    _ => None,
                };
                Self::write(
                    self.archive,
                    self.attempt,
                    &mut self.open,
                    &mut self.attachments,
                    piece,
                    name,
                )
                .await?;
            }
            let json = serde_json::to_vec_pretty(&message).unwrap_or_default();
            self.archive
                .put(self.attempt, "message.json", Bytes::from(json))
                .await?;
            parsed = Some(message);
        }
        self.raw.finish().await?;
        let fidelity = match &parsed {
            Some(message) if !message.complete && fidelity == Fidelity::Mime => {
                notes.push("its last part has no end; it may have been cut before it reached Exchange".into());
                Fidelity::Incomplete
            }
            _ => fidelity,
        };
        Ok(Copy {
            archived: Archived {
                attempt: self.attempt.name.clone(),
                path: self.attempt.path().to_owned(),
                size: self.size,
                sha256: hex(&self.hash.finalize()),
                attachments: self.attachments,
            },
            fidelity,
            parsed,
            notes,
        })
    }
}

fn name_of(splitter: &Splitter, piece: &Piece) -> Option<String> {
    match piece {
        Piece::AttachmentStart { index } => splitter
            .attachment(*index)
            .map(|attachment| attachment.file_name.clone()),
        _ => None,
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
