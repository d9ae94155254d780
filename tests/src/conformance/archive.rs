//! What Postroom asks of an object store: whole objects, streams in parts, creation only once, nothing half-written.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};

/// Opens the same archive once more.
pub type Reopen = Box<dyn Fn() -> Arc<dyn ObjectStore> + Send + Sync>;

fn at(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

async fn body(archive: &dyn ObjectStore, path: Path) -> Bytes {
    archive.get(&path).await.expect("get").bytes().await.expect("bytes")
}

/// Everything Postroom leans on.
pub async fn all(open: &Reopen) {
    let archive = open();
    assert!(matches!(
        archive.get(&at("a/m1/1-1/message.eml")).await,
        Err(Error::NotFound { .. })
    ));

    let once = PutOptions {
        mode: PutMode::Create,
        ..PutOptions::default()
    };
    archive
        .put_opts(&at("a/m1/1-1/message.json"), "{}".into(), once.clone())
        .await
        .expect("create");
    let again = archive.put_opts(&at("a/m1/1-1/message.json"), "[]".into(), once).await;
    assert!(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "no key is written twice: {again:?}"
    );
    assert_eq!(body(&*open(), at("a/m1/1-1/message.json")).await, "{}");

    parts(&*archive, open).await;
    listing(&*archive, open).await;
}

/// A message streamed in parts.
async fn parts(archive: &dyn ObjectStore, open: &Reopen) {
    // A stream in parts is there as a whole or not at all.
    let part = |letter: u8| Bytes::from(vec![letter; 5 * 1024 * 1024]);
    let mut upload = archive.put_multipart(&at("a/m1/1-1/message.eml")).await.expect("begin");
    upload.put_part(part(b'a').into()).await.expect("part");
    assert!(
        matches!(
            archive.get(&at("a/m1/1-1/message.eml")).await,
            Err(Error::NotFound { .. })
        ),
        "half an object is seen"
    );
    upload.put_part(part(b'b').into()).await.expect("part");
    upload.put_part("end".into()).await.expect("part");
    upload.complete().await.expect("complete");
    let mail = body(&*open(), at("a/m1/1-1/message.eml")).await;
    assert_eq!(mail.len(), 10 * 1024 * 1024 + 3);
    assert_eq!(
        archive
            .get_range(&at("a/m1/1-1/message.eml"), 5 * 1024 * 1024 - 1..5 * 1024 * 1024 + 1)
            .await
            .expect("range"),
        "ab"
    );
    assert_eq!(&mail[mail.len() - 3..], b"end");
    let mut upload = archive.put_multipart(&at("a/m1/1-2/message.eml")).await.expect("begin");
    upload.put_part("x".into()).await.expect("part");
    upload.abort().await.expect("abort");
}

/// What reconciliation leans on.
async fn listing(archive: &dyn ObjectStore, open: &Reopen) {
    archive
        .put(&at("a/m1/1-1/attachments/0-\u{e9} %2F"), "one".into())
        .await
        .expect("put");
    archive
        .put(&at("a/m10/1-1/message.json"), Bytes::new().into())
        .await
        .expect("an empty object");
    let listed: Vec<_> = open()
        .list(Some(&at("a/m1")))
        .try_collect::<Vec<_>>()
        .await
        .expect("list");
    let mut names: Vec<_> = listed
        .iter()
        .map(|meta| (meta.location.to_string(), meta.size))
        .collect();
    names.sort();
    let wanted = [
        ("a/m1/1-1/attachments/0-\u{e9} %2F", 3),
        ("a/m1/1-1/message.eml", 10 * 1024 * 1024 + 3),
        ("a/m1/1-1/message.json", 2),
    ];
    assert_eq!(
        names,
        wanted.map(|(name, size)| (name.to_owned(), size)),
        "a prefix ends at a slash; nothing aborted is left"
    );

    archive.delete(&at("a/m1/1-1/message.eml")).await.expect("delete");
    assert!(matches!(
        open().head(&at("a/m1/1-1/message.eml")).await,
        Err(Error::NotFound { .. })
    ));
}
