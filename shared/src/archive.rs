//! The layout of the bytes: account / message key / attempt, over the `object_store` crate.
//!
//! `attempt` is `fence-counter`: no key is ever written twice, so a run that lost its lease harms nobody and Exchange
//! may make MIME anew as it likes. The record names the attempt that counts and its SHA-256; other attempts are
//! orphans that reconciliation removes.

use std::{sync::Arc, task::Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UploadPart, path::Path,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{field::Id, message::MessageKey};

/// Why bytes were not kept or found.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive refused or failed.
    #[error("the archive could not {act} {path}: {source}")]
    Store {
        /// `write`, `read`, `list`, `remove` or `settle`.
        act: &'static str,
        /// The object.
        path: String,
        /// Why.
        source: object_store::Error,
    },
}

impl ArchiveError {
    fn new(act: &'static str, path: &Path, source: object_store::Error) -> Self {
        Self::Store {
            act,
            path: path.to_string(),
            source,
        }
    }
}

/// Makes objects durable many at a time, for a store that acknowledges a write before it is: files in a directory. Each
/// wait for a disk costs milliseconds, whether for one file or for a hundred.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Returns when everything that was written below these paths, and the paths themselves, survives a power cut. After
    /// an error nothing is known of any of it, and asking again proves nothing.
    async fn settle(&self, paths: &[String]) -> object_store::Result<()>;
}

/// Where bytes live.
#[derive(Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    settle: Option<Arc<dyn Settle>>,
    part: usize,
    room: Arc<Semaphore>,
}

/// The most bytes that large messages may hold together while they are written. With parts of 5 MiB two of them are
/// written at a time, and a process stays below 64 MB.
const ROOM: usize = 24 * 1024 * 1024;
/// Room is given out by this many bytes.
const GRAIN: usize = 1024;

/// Parts up to this size are written while the next one fills. Larger ones are waited for: each is memory that `Room` counts.
const SMALL_PART: usize = 1024 * 1024;

/// Room for one large message; given back when it is dropped.
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

/// One attempt at archiving one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// `fence-counter`.
    pub name: String,
    root: Path,
}

impl Attempt {
    /// The folder of the attempt.
    pub fn path(&self) -> &str {
        self.root.as_ref()
    }

    fn object(&self, name: &str) -> Path {
        below(&self.root, name)
    }
}

/// `name` may name folders: `attachments/001-report.pdf`. Joined as one part, its slash would be escaped.
fn below(root: &Path, name: &str) -> Path {
    name.split('/').fold(root.clone(), Path::join)
}

impl Archive {
    /// Over a store that takes uploads in parts of `part` bytes (S3: at least 5 MiB; a directory: any).
    pub fn new(store: Arc<dyn ObjectStore>, part: usize) -> Self {
        Self {
            store,
            settle: None,
            part,
            room: Arc::new(Semaphore::new(ROOM / GRAIN)),
        }
    }

    /// Over a store whose writes are durable only once they are settled.
    #[must_use]
    pub fn settling(self, settle: Arc<dyn Settle>) -> Self {
        Self {
            settle: Some(settle),
            ..self
        }
    }

    /// Makes everything written in these attempts (by their paths) durable: what a record must wait for that names them.
    pub async fn settle(&self, attempts: &[String]) -> Result<(), ArchiveError> {
        match &self.settle {
            Some(settle) if !attempts.is_empty() => settle
                .settle(attempts)
                .await
                .map_err(|error| ArchiveError::new("settle", &Path::from(attempts[0].as_str()), error)),
            _ => Ok(()),
        }
    }

    /// Room for a large message, once there is some. Two objects of a message are written side by side, the raw bytes and
    /// an attachment, and of each a part is held: both at once are asked for, so that two messages never wait for each
    /// other.
    pub async fn room(&self) -> Room {
        let grains = u32::try_from((2 * self.part).min(ROOM) / GRAIN).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room).acquire_many_owned(grains).await;
        // The semaphore is never closed.
        Room { _permit: permit.ok() }
    }

    /// The place of an attempt.
    pub fn attempt(account: &Id, key: &MessageKey, fence: i64, counter: u64) -> Attempt {
        let name = format!("{fence}-{counter}");
        Attempt {
            root: Path::from_iter([account.as_str(), &key.0, &name]),
            name,
        }
    }

    /// Opens an object of an attempt for writing as it streams by.
    pub fn writer(&self, attempt: &Attempt, name: &str) -> Writer {
        Writer {
            store: Arc::clone(&self.store),
            path: attempt.object(name),
            part: self.part,
            buffer: BytesMut::new(),
            upload: None,
            writing: None,
        }
    }

    /// Writes a small object of an attempt whole.
    pub async fn put(&self, attempt: &Attempt, name: &str, bytes: Bytes) -> Result<(), ArchiveError> {
        put(&*self.store, &attempt.object(name), bytes).await
    }

    /// Reads an object by the path of its attempt and its name.
    pub async fn read(&self, attempt_path: &str, name: &str) -> Result<Bytes, ArchiveError> {
        let path = below(&Path::from(attempt_path), name);
        let read = async { self.store.get(&path).await?.bytes().await };
        read.await.map_err(|error| ArchiveError::new("read", &path, error))
    }

    /// Paths of all objects of an account, for reconciliation; in no order, as they are found.
    pub fn objects(&self, account: &Id) -> BoxStream<'static, Result<String, ArchiveError>> {
        let root = Path::from(account.as_str());
        let list = self.store.list(Some(&root));
        list.map_ok(|object| object.location.to_string())
            .map_err(move |error| ArchiveError::new("list", &root, error))
            .boxed()
    }

    /// Removes one object.
    pub async fn remove(&self, path: &str) -> Result<(), ArchiveError> {
        let path = Path::from(path);
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(ArchiveError::new("remove", &path, error)),
        }
    }
}

async fn put(store: &dyn ObjectStore, path: &Path, bytes: Bytes) -> Result<(), ArchiveError> {
    let options = PutOptions::from(PutMode::Create);
    store
        .put_opts(path, PutPayload::from_bytes(bytes), options)
        .await
        .map(drop)
        .map_err(|error| ArchiveError::new("write", path, error))
}

/// An object being written: one put if it is small, parts one at a time if it is not. Nothing is visible under its key
/// before [`Writer::finish`].
pub struct Writer {
    store: Arc<dyn ObjectStore>,
    path: Path,
    part: usize,
    buffer: BytesMut,
    upload: Option<Box<dyn MultipartUpload>>,
    /// A small part on its way.
    writing: Option<UploadPart>,
}

impl Writer {
    /// Takes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= self.part {
            let part = self.buffer.split_to(self.part).freeze();
            self.put_part(part).await?;
        }
        Ok(())
    }

    async fn put_part(&mut self, part: Bytes) -> Result<(), ArchiveError> {
        let failed = |path: &Path, error| ArchiveError::new("write", path, error);
        self.written().await?;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let upload = self
                    .store
                    .put_multipart(&self.path)
                    .await
                    .map_err(|error| failed(&self.path, error))?;
                none.insert(upload)
            }
        };
        let mut writing = upload.put_part(PutPayload::from_bytes(part));
        // The first look begins it; a disk then goes on by itself.
        match futures::poll!(&mut writing) {
            Poll::Ready(written) => written.map_err(|error| failed(&self.path, error)),
            Poll::Pending if self.part <= SMALL_PART => {
                self.writing = Some(writing);
                Ok(())
            }
            Poll::Pending => writing.await.map_err(|error| failed(&self.path, error)),
        }
    }

    /// Waits for the part that is on its way.
    async fn written(&mut self) -> Result<(), ArchiveError> {
        match self.writing.take() {
            Some(writing) => writing
                .await
                .map_err(|error| ArchiveError::new("write", &self.path, error)),
            None => Ok(()),
        }
    }

    /// Makes the object visible, whole; durable once it is settled ([`Archive::settle`]).
    pub async fn finish(mut self) -> Result<(), ArchiveError> {
        let rest = self.buffer.split().freeze();
        if self.upload.is_none() {
            return put(&*self.store, &self.path, rest).await;
        }
        if !rest.is_empty() {
            self.put_part(rest).await?;
        }
        self.written().await?;
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        upload
            .complete()
            .await
            .map(drop)
            .map_err(|error| ArchiveError::new("write", &self.path, error))
    }

    /// Gives up; what was uploaded goes away.
    pub async fn abort(mut self) {
        // Nothing may be written behind the removal; whether it failed does not matter any more.
        let _ = self.written().await;
        if let Some(mut upload) = self.upload.take()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(path = %self.path, %error, "an upload that was given up could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn two_large_messages_at_a_time_whose_parts_are_of_five_mebibytes() {
        let archive = Archive::new(Arc::new(InMemory::new()), 5 * 1024 * 1024);
        let first = archive.room().await;
        let _second = archive.room().await;
        let mut third = std::pin::pin!(archive.room());
        assert!(futures::poll!(&mut third).is_pending());
        drop(first);
        assert!(futures::poll!(&mut third).is_ready());
    }

    #[tokio::test]
    async fn a_part_beyond_all_room_is_written_alone() {
        let archive = Archive::new(Arc::new(InMemory::new()), 100 * 1024 * 1024);
        let _only = archive.room().await;
        let mut next = std::pin::pin!(archive.room());
        assert!(futures::poll!(&mut next).is_pending());
    }

    /// Takes parts that need a second look to be written; the part of this number (from 0) fails.
    #[derive(Debug, Default)]
    struct Slow {
        written: Arc<std::sync::Mutex<Vec<usize>>>,
        begun: usize,
        failing: Option<usize>,
    }

    #[async_trait]
    impl MultipartUpload for Slow {
        fn put_part(&mut self, data: PutPayload) -> UploadPart {
            let (number, failing) = (self.begun, self.failing);
            self.begun += 1;
            let written = Arc::clone(&self.written);
            Box::pin(async move {
                tokio::task::yield_now().await;
                if failing == Some(number) {
                    return Err(object_store::Error::NotImplemented {
                        operation: "this part".into(),
                        implementer: "the test".into(),
                    });
                }
                written.lock().unwrap().push(data.content_length());
                Ok(())
            })
        }

        async fn complete(&mut self) -> object_store::Result<object_store::PutResult> {
            Ok(object_store::PutResult {
                e_tag: None,
                version: None,
                extensions: object_store::Extensions::default(),
            })
        }

        async fn abort(&mut self) -> object_store::Result<()> {
            Ok(())
        }
    }

    fn slow_writer(part: usize, failing: Option<usize>) -> (Writer, Arc<std::sync::Mutex<Vec<usize>>>) {
        let upload = Slow {
            failing,
            ..Slow::default()
        };
        let written = Arc::clone(&upload.written);
        let writer = Writer {
            store: Arc::new(InMemory::new()),
            path: Path::from("a"),
            part,
            buffer: BytesMut::new(),
            upload: Some(Box::new(upload)),
            writing: None,
        };
        (writer, written)
    }

    #[tokio::test]
    async fn a_small_part_is_written_while_the_next_one_fills_and_none_is_forgotten() {
        let (mut writer, written) = slow_writer(4, None);
        writer.write(b"1234").await.unwrap();
        assert!(written.lock().unwrap().is_empty(), "on its way");
        writer.write(b"56789").await.unwrap();
        assert_eq!(*written.lock().unwrap(), [4]);
        writer.finish().await.unwrap();
        assert_eq!(*written.lock().unwrap(), [4, 4, 1]);
        let (mut large, written) = slow_writer(SMALL_PART + 1, None);
        large.write(&vec![0; SMALL_PART + 1]).await.unwrap();
        assert_eq!(*written.lock().unwrap(), [SMALL_PART + 1], "waited for");
    }

    #[tokio::test]
    async fn a_part_that_fails_on_its_way_fails_the_object() {
        for failing in 0..3 {
            let (mut writer, _) = slow_writer(4, Some(failing));
            let written = async {
                writer.write(b"1234").await?;
                writer.write(b"5678").await?;
                writer.write(b"9").await?;
                writer.finish().await
            };
            assert!(written.await.is_err(), "part {failing}");
        }
    }
}
