//! The objects of a process that a plan can bend: every put, part, read and removal a step.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, UploadPart, path::Path,
};
use shared::archive::Settle;

use super::{
    crash::{Bend, Crash, Op},
    ledger::Ledger,
};

/// Objects, every call a step.
#[derive(Debug)]
pub(super) struct BentObjects {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) crash: Crash,
    pub(super) ledger: Ledger,
}

impl fmt::Display for BentObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects that a plan can bend")
    }
}

fn planned(_: Bend) -> object_store::Error {
    object_store::Error::Generic {
        store: "bent",
        source: "planned".into(),
    }
}

#[async_trait]
impl ObjectStore for BentObjects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let apply = |_| {
            let (payload, options) = (payload.clone(), options.clone());
            async move {
                let result = self.store.put_opts(location, payload, options).await?;
                self.ledger.put(location.as_ref());
                Ok(result)
            }
            .boxed()
        };
        self.crash.through(Op::ObjectPut, apply, planned).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let apply = |_| self.store.put_multipart_opts(location, options.clone());
        let upload = self.crash.through(Op::UploadBegin, apply, planned).await?;
        self.ledger.put(location.as_ref());
        Ok(Box::new(BentUpload {
            upload,
            crash: self.crash.clone(),
        }))
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let apply = |_| self.store.get_opts(location, options.clone());
        self.crash.through(Op::ObjectGet, apply, planned).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (store, crash) = (Arc::clone(&self.store), self.crash.clone());
        locations
            .then(move |location| {
                let (store, crash) = (Arc::clone(&store), crash.clone());
                async move {
                    let location = location?;
                    let apply = |_| {
                        let one = futures::stream::iter([Ok(location.clone())]).boxed();
                        let mut deleted = store.delete_stream(one);
                        let location = location.clone();
                        async move { deleted.next().await.unwrap_or(Ok(location)) }.boxed()
                    };
                    crash.through(Op::ObjectRemove, apply, planned).await
                }
            })
            .boxed()
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (listed, crash) = (self.store.list(prefix), self.crash.clone());
        futures::stream::once(async move {
            let step = crash.begin(Op::ObjectList).await;
            if step.bend() == Some(Bend::Error) {
                return futures::stream::iter([Err(planned(Bend::Error))]).boxed();
            }
            crash.end(&step).await;
            listed
        })
        .flatten()
        .boxed()
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// What makes objects durable, every call a step.
pub(super) struct BentSettle {
    pub(super) settle: Arc<dyn Settle>,
    pub(super) crash: Crash,
    pub(super) ledger: Ledger,
}

#[async_trait]
impl Settle for BentSettle {
    async fn settle(&self, paths: &[String]) -> object_store::Result<()> {
        let apply = |_| {
            async move {
                self.settle.settle(paths).await?;
                self.ledger.settle(paths);
                Ok(())
            }
            .boxed()
        };
        self.crash.through(Op::Settle, apply, planned).await
    }
}

/// An upload in parts, every part a step.
#[derive(Debug)]
struct BentUpload {
    upload: Box<dyn MultipartUpload>,
    crash: Crash,
}

#[async_trait]
impl MultipartUpload for BentUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, crash) = (self.upload.put_part(data), self.crash.clone());
        async move {
            let step = crash.begin(Op::UploadPart).await;
            if step.bend() == Some(Bend::Error) {
                return Err(planned(Bend::Error));
            }
            part.await?;
            crash.end(&step).await;
            if step.bend() == Some(Bend::Lost) {
                return Err(planned(Bend::Lost));
            }
            Ok(())
        }
        .boxed()
    }
    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let step = self.crash.begin(Op::UploadEnd).await;
        if step.bend() == Some(Bend::Error) {
            return Err(planned(Bend::Error));
        }
        let result = self.upload.complete().await;
        self.crash.end(&step).await;
        match step.bend() {
            Some(Bend::Lost) => Err(planned(Bend::Lost)),
            _ => result,
        }
    }
    async fn abort(&mut self) -> object_store::Result<()> {
        self.upload.abort().await
    }
}
