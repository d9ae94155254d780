//! Folders, lists, messages, MIME and attachments.

use crate::client::{DESK, IMMUTABLE, START_MS, desk, encode, ids, options};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use simulator::readings::{FolderValue, NestedFolders, ValueType};
use simulator::{Delivery, Options, Readings};
use std::collections::HashSet;

#[tokio::test]
async fn folders_are_listed_in_pages_hidden_ones_on_request() {
    let client = desk(options()).await;
    let answer = client.get("/mailFolders?$top=4").await;
    let next = client.get(answer.json()["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!((answer.items().len(), next.items().len()), (4, 4));
    let all = client
        .get("/mailFolders?includeHiddenFolders=true&$top=100")
        .await
        .items();
    assert!(all.len() > 8 && all.iter().any(|f| f["isHidden"] == true));
    assert!(
        all.iter()
            .any(|f| f["@odata.type"] == "#microsoft.graph.mailSearchFolder")
    );
    let inbox = client.get("/mailFolders/Inbox?$select=displayName").await.json();
    assert_eq!(
        (inbox["displayName"].as_str(), inbox.get("totalItemCount")),
        (Some("Inbox"), None)
    );
    assert_eq!(client.get("/mailFolders('inbox')").await.json()["id"], inbox["id"]);
    assert_eq!(
        client.get("/mailFolders/nowhere").await.code(),
        "ErrorInvalidIdMalformed"
    );
    // Neither is a property of v1.0.
    for name in ["wellKnownName", "sizeInBytes"] {
        assert_eq!(client.get(&format!("/mailFolders?$select={name}")).await.status, 400);
        assert_eq!(all[0].get(name), None);
    }
}

#[tokio::test]
async fn nested_folders_are_children_and_in_the_list_only_by_reading() {
    for (nested_folders, listed) in [(NestedFolders::Absent, false), (NestedFolders::Present, true)] {
        let client = desk(Options {
            readings: Readings {
                nested_folders,
                ..Readings::default()
            },
            ..options()
        })
        .await;
        let id = client.simulator.create_folder(DESK, "Inbox/Orders", false).unwrap();
        let children = client.get("/mailFolders/inbox/childFolders").await.items();
        assert_eq!(ids(&children), [id.clone()]);
        assert_eq!(client.get("/mailFolders/inbox").await.json()["childFolderCount"], 1);
        assert_eq!(
            ids(&client.get("/mailFolders?$top=100").await.items()).contains(&id),
            listed
        );
        let (folders, link) = client.round("/mailFolders/delta", 3).await;
        assert!(ids(&folders).contains(&id));
        client.simulator.delete_folder(DESK, "Inbox/Orders").unwrap();
        let (changed, _) = client.round(&link, 3).await;
        assert_eq!(
            (changed.len(), changed[0]["@removed"]["reason"].as_str()),
            (1, Some("deleted"))
        );
    }
}

#[tokio::test]
async fn lists_page_by_skip_filter_and_count() {
    let client = desk(options()).await;
    client.simulator.fill(DESK, "inbox", 23, 23).unwrap();
    let mut link = "/mailFolders/inbox/messages?$select=id,receivedDateTime&$count=true".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = client.get(&link).await;
        assert_eq!(page.json()["@odata.count"], 23);
        seen.extend(page.items());
        let Some(next) = page.json()["@odata.nextLink"].as_str().map(str::to_owned) else {
            break;
        };
        link = next;
    }
    assert_eq!(ids(&seen).into_iter().collect::<HashSet<_>>().len(), 23);
    let times: Vec<&str> = seen.iter().map(|m| m["receivedDateTime"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first");
    let since = client
        .get(&format!(
            "/messages?$filter=receivedDateTime%20ge%20{}&$top=1000",
            times[4]
        ))
        .await;
    assert_eq!(since.items().len(), 5);
    assert_eq!(client.get("/messages?$top=1001").await.status, 400);
    assert_eq!(
        client
            .get("/messages?$filter=isRead%20eq%20false&$orderby=receivedDateTime")
            .await
            .code(),
        "InefficientFilter"
    );
    let id = client.deliver("needle");
    let found = client
        .get("/messages?$filter=internetMessageId%20eq%20'%3Cneedle@x.test%3E'")
        .await;
    assert_eq!(ids(&found.items()), [id]);
}

#[tokio::test]
async fn a_message_shows_what_is_selected() {
    let client = desk(options()).await;
    let path = format!("/messages/{}", encode(&client.deliver("x")));
    let usual = client.get(&path).await;
    let json = usual.json();
    let index = STANDARD.decode(json["conversationIndex"].as_str().unwrap()).unwrap();
    assert_eq!((index.len(), index[0]), (22, 1), "bytes, in base64 that decoders take");
    assert!(json.get("internetMessageHeaders").is_none() && json.get("uniqueBody").is_none());
    assert_eq!(json["body"]["contentType"], "html");
    assert_eq!(json["receivedDateTime"], "2026-02-03T08:00:00Z");
    assert_eq!(
        json["@odata.etag"],
        format!("W/\"{}\"", json["changeKey"].as_str().unwrap())
    );
    let headers = client
        .get(&format!("{path}?$select=internetMessageHeaders"))
        .await
        .json();
    assert_eq!(headers["internetMessageHeaders"][2]["name"], "Subject");
    let text = client
        .graph(
            Method::GET,
            &path,
            &[("prefer", "outlook.body-content-type=\"text\"")],
            "",
        )
        .await;
    assert_eq!(
        (
            text.json()["body"]["contentType"].as_str(),
            text.header("preference-applied")
        ),
        (Some("text"), "outlook.body-content-type=\"text\"")
    );
    for name in ["request-id", "client-request-id", "x-ms-ags-diagnostic"] {
        assert!(!usual.header(name).is_empty(), "{name}");
    }
    assert_eq!(usual.header("date"), "Tue, 03 Feb 2026 08:00:00 GMT");
    let named = client
        .graph(Method::GET, &path, &[("client-request-id", "0b3e")], "")
        .await;
    assert_eq!(named.header("client-request-id"), "0b3e");
    assert_eq!(client.get("/messages/short").await.code(), "ErrorInvalidIdMalformed");
    assert_eq!(
        client.get("/messages/AAMkAGQ4nowherenowherenowhere=").await.code(),
        "ErrorItemNotFound"
    );
}

#[tokio::test]
async fn mime_comes_whole_without_length_and_as_the_readings_say() {
    for (value_type, word) in [
        (ValueType::TextPlain, "text/plain"),
        (ValueType::OctetStream, "application/octet-stream"),
    ] {
        let client = desk(Options {
            readings: Readings {
                value_type,
                ..Readings::default()
            },
            ..options()
        })
        .await;
        let id = client.simulator.deliver_sized(DESK, 200_000).unwrap();
        let answer = client.get(&format!("/messages/{}/$value", encode(&id))).await;
        assert_eq!(
            (answer.header("content-type"), answer.headers.get("content-length")),
            (word, None)
        );
        assert_eq!(answer.bytes, client.simulator.canonical_mime(DESK, &id).unwrap());
        let below = format!("/mailFolders/inbox/messages/{}/$value", encode(&id));
        assert_eq!(client.get(&below).await.status, 405);
        client.simulator.set_readings(Readings {
            folder_value: FolderValue::Served,
            ..Readings::default()
        });
        assert_eq!(client.get(&below).await.status, 200);
    }
}

#[tokio::test]
async fn varied_mime_differs_on_every_call() {
    let client = desk(Options {
        vary_mime: true,
        ..options()
    })
    .await;
    let id = client.simulator.deliver_sized(DESK, 3_000).unwrap();
    let path = format!("/messages/{}/$value", encode(&id));
    let (a, b) = (client.get(&path).await.bytes, client.get(&path).await.bytes);
    assert_ne!(a, b);
    assert_ne!(a, client.simulator.canonical_mime(DESK, &id).unwrap());
}

#[tokio::test]
async fn attachments_are_of_three_kinds() {
    let client = desk(options()).await;
    let mail = |kind| simulator::mail::generate::message(1, kind, START_MS);
    let deliver = |kind| client.simulator.deliver(DESK, Delivery::inbox(mail(kind))).unwrap();
    let (files, inline, nested) = (deliver(2), deliver(3), deliver(6));
    client
        .simulator
        .add_reference(DESK, &nested, "plan.docx", "https://files.example/plan")
        .unwrap();
    let path = |id: &str| format!("/messages/{}", encode(id));
    assert_eq!(client.get(&path(&files)).await.json()["hasAttachments"], true);
    assert_eq!(client.get(&path(&inline)).await.json()["hasAttachments"], false);
    let listed = client
        .get(&format!("{}/attachments?$select=id,name,size", path(&files)))
        .await
        .items();
    assert!(listed.iter().all(|a| a.get("contentBytes").is_none()) && listed[1]["name"] == "hours.csv");
    let one = format!(
        "{}/attachments/{}",
        path(&files),
        encode(listed[1]["id"].as_str().unwrap())
    );
    assert_eq!(
        client.get(&one).await.json()["@odata.type"],
        "#microsoft.graph.fileAttachment"
    );
    let value = client.get(&format!("{one}/$value")).await;
    assert!(value.bytes.starts_with(b"item,hours,amount") && value.header("content-type") == "text/csv");
    let picture = client.get(&format!("{}/attachments", path(&inline))).await.items();
    assert!(picture[0]["isInline"] == true && picture[0]["contentId"].as_str().unwrap().starts_with("plan-"));
    let both = client.get(&format!("{}/attachments", path(&nested))).await.items();
    assert_eq!(both[0]["@odata.type"], "#microsoft.graph.itemAttachment");
    assert!(both[0].get("contentBytes").is_none());
    let at = |n: usize| {
        format!(
            "{}/attachments/{}/$value",
            path(&nested),
            encode(both[n]["id"].as_str().unwrap())
        )
    };
    assert!(client.get(&at(0)).await.bytes.starts_with(b"From: \"Caretaker\""));
    assert_eq!(client.get(&at(1)).await.status, 405);
}

#[tokio::test]
async fn meeting_messages_and_drafts_are_told_apart() {
    let client = desk(options()).await;
    let invite = simulator::mail::generate::message(1, 14, START_MS);
    let id = client.simulator.deliver(DESK, Delivery::inbox(invite)).unwrap();
    let json = client.get(&format!("/messages/{}", encode(&id))).await.json();
    assert_eq!(
        (json["@odata.type"].as_str(), json["meetingMessageType"].as_str()),
        (Some("#microsoft.graph.eventMessageRequest"), Some("meetingRequest"))
    );
    let draft = Delivery {
        draft: true,
        ..Delivery::inbox("Subject: later\r\n\r\nx").folder("drafts")
    };
    let id = client.simulator.deliver(DESK, draft).unwrap();
    let path = format!("/messages/{}", encode(&id));
    assert_eq!(client.get(&path).await.json()["isDraft"], true);
    let edited = client.graph(Method::PATCH, &path, &[], r#"{"subject":"now"}"#).await;
    assert_eq!(edited.json()["subject"], "now");
    client.simulator.send_draft(DESK, &id).unwrap();
    let sent = client.simulator.truth(None).pop().unwrap();
    assert_eq!((sent.draft, sent.folder.as_deref()), (false, Some("sentitems")));
}

#[tokio::test]
async fn json_is_compressed_for_those_who_accept_it_and_mime_is_not() {
    use std::io::Read as _;

    let client = desk(options()).await;
    client.simulator.fill(DESK, "inbox", 20, 5).unwrap();
    let path = "/messages?$top=20&$select=id,subject";
    let plain = client.get(path).await;
    assert_eq!(plain.header("content-encoding"), "");
    for (accept, coded) in [
        ("gzip", true),
        ("br;q=1.0, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("br", false),
    ] {
        let answer = client
            .graph(Method::GET, path, &[IMMUTABLE, ("accept-encoding", accept)], "")
            .await;
        assert_eq!(answer.header("content-encoding") == "gzip", coded, "{accept}");
        let mut bytes = Vec::new();
        if coded {
            flate2::read::GzDecoder::new(&*answer.bytes)
                .read_to_end(&mut bytes)
                .unwrap();
            assert!(answer.bytes.len() < plain.bytes.len() / 2, "it is smaller");
        } else {
            bytes.extend_from_slice(&answer.bytes);
        }
        assert_eq!(bytes, plain.bytes, "{accept}");
    }
    let id = encode(plain.items()[0]["id"].as_str().unwrap());
    let mime = client
        .graph(
            Method::GET,
            &format!("/messages/{id}/$value"),
            &[IMMUTABLE, ("accept-encoding", "gzip")],
            "",
        )
        .await;
    assert_eq!(mime.status, 200);
    assert_eq!(mime.header("content-encoding"), "");
}
