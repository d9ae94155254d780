//! Every fault, in process.

use crate::client::{Answer, Client, DELTA, DESK, desk, encode, ids, options};
use http::Method;
use simulator::{Cut, Fault, FaultSpec, RequestKind, RetryAfter, Wording};

async fn once(client: &Client, on: RequestKind, fault: Fault, path: &str) -> Answer {
    client.simulator.arm(FaultSpec::once(on, fault));
    client.get(path).await
}

#[tokio::test]
async fn retry_after_comes_in_all_forms() {
    let client = desk(options()).await;
    for (form, text) in [
        (RetryAfter::Seconds(7), "7"),
        (RetryAfter::Decimal(2.128), "2.128"),
        (RetryAfter::DateIn(30), "Tue, 03 Feb 2026 08:00:30 GMT"),
        (RetryAfter::Absent, ""),
        (RetryAfter::Absurd, "1000000000"),
        (RetryAfter::Negative, "-5"),
        (RetryAfter::Zero, "0"),
        (RetryAfter::Text("soon".to_owned()), "soon"),
    ] {
        let fault = Fault::TooManyRequests {
            retry_after: form.clone(),
            wording: Wording::Json,
        };
        let answer = once(&client, RequestKind::Folders, fault, "/mailFolders").await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, text));
        let fault = Fault::Unavailable {
            retry_after: form,
            wording: Wording::Empty,
        };
        let answer = once(&client, RequestKind::Folders, fault, "/mailFolders").await;
        assert_eq!(
            (answer.status, answer.header("retry-after"), answer.bytes.len()),
            (503, text, 0)
        );
    }
}

#[tokio::test]
async fn coming_back_before_retry_after_is_counted_in_both_forms() {
    for form in [RetryAfter::Decimal(2.5), RetryAfter::DateIn(3)] {
        let client = desk(options()).await;
        let fault = Fault::TooManyRequests {
            retry_after: form,
            wording: Wording::Json,
        };
        assert_eq!(
            once(&client, RequestKind::Folders, fault, "/mailFolders").await.status,
            429
        );
        client.simulator.advance(std::time::Duration::from_secs(2));
        client.get("/mailFolders").await;
        client.simulator.advance(std::time::Duration::from_secs(1));
        client.get("/mailFolders").await;
        assert_eq!(client.simulator.stats().mailboxes[DESK].early, 1);
    }
}

#[tokio::test]
async fn refusals_have_their_status_and_body() {
    let client = desk(options()).await;
    let item = format!("/messages/{}", encode(&client.deliver("x")));
    let value = format!("{item}/$value");
    let status = |status, code: Option<&str>| Fault::Status {
        status,
        code: code.map(str::to_owned),
        message: String::new(),
    };
    for (fault, path, wanted, code) in [
        (
            status(500, Some("ErrorInternalServerError")),
            &item,
            500,
            "ErrorInternalServerError",
        ),
        (status(502, None), &item, 502, ""),
        (status(504, Some("UnknownError")), &item, 504, "UnknownError"),
        (Fault::TokenExpired, &item, 401, "InvalidAuthenticationToken"),
        (Fault::AccessDenied, &item, 403, "ErrorAccessDenied"),
        (Fault::EmptyNotFound, &value, 404, ""),
        (Fault::MimeConversion, &value, 500, "ErrorMimeContentConversionFailed"),
        (Fault::CorruptData, &value, 500, "ErrorCorruptData"),
        (Fault::ErrorInside200, &item, 200, "ErrorInternalServerTransientError"),
    ] {
        let answer = once(&client, RequestKind::Any, fault, path).await;
        let got = if answer.bytes.is_empty() {
            String::new()
        } else {
            answer.code()
        };
        assert_eq!((answer.status, got.as_str()), (wanted, code));
        assert!(!answer.header("request-id").is_empty());
        assert_eq!(client.get(path).await.status, 200, "once is once");
    }
    let html = once(&client, RequestKind::Get, Fault::HtmlPage, &item).await;
    assert!(html.status == 200 && html.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn a_fault_can_be_for_one_message_by_either_id() {
    let client = desk(options()).await;
    let (a, b) = (client.deliver("a"), client.deliver("b"));
    let default = client.simulator.truth(None)[0].default_id.clone();
    client.simulator.arm(
        FaultSpec::once(RequestKind::Value, Fault::MimeConversion)
            .message(&default)
            .always(),
    );
    for _ in 0..3 {
        assert_eq!(
            client.get(&format!("/messages/{}/$value", encode(&a))).await.status,
            500
        );
        assert_eq!(
            client.get(&format!("/messages/{}/$value", encode(&b))).await.status,
            200
        );
    }
}

#[tokio::test]
async fn delta_state_is_lost_on_demand() {
    let client = desk(options()).await;
    client.deliver("x");
    let gone = once(&client, RequestKind::Delta, Fault::Gone { location: true }, DELTA).await;
    assert_eq!(gone.status, 410);
    assert_eq!(client.round(gone.header("location"), 10).await.0.len(), 1);
    let bare = once(&client, RequestKind::Delta, Fault::Gone { location: false }, DELTA).await;
    assert_eq!((bare.status, bare.header("location")), (410, ""));
    let lost = once(&client, RequestKind::Delta, Fault::SyncStateNotFound, DELTA).await;
    assert_eq!(
        (lost.status, lost.code().to_lowercase().as_str()),
        (400, "syncstatenotfound")
    );
}

#[tokio::test]
async fn bodies_are_cut_slowed_and_dirtied() {
    let client = desk(options()).await;
    let id = client.simulator.deliver_sized(DESK, 100_000).unwrap();
    let path = format!("/messages/{}/$value", encode(&id));
    let whole = client.simulator.canonical_mime(DESK, &id).unwrap();
    for (how, broken) in [(Cut::ShortLength, true), (Cut::Abort, true), (Cut::Clean, false)] {
        let answer = once(
            &client,
            RequestKind::Value,
            Fault::CutBody { after: 70_000, how },
            &path,
        )
        .await;
        assert_eq!(
            (answer.status, answer.bytes.len(), answer.broken),
            (200, 70_000, broken),
            "{how:?}"
        );
        let promised = if how == Cut::ShortLength {
            whole.len().to_string()
        } else {
            String::new()
        };
        assert_eq!(answer.header("content-length"), promised);
    }
    let slow = once(
        &client,
        RequestKind::Value,
        Fault::SlowBody {
            chunk: 30_000,
            delay_ms: 1,
        },
        &path,
    )
    .await;
    assert_eq!(slow.bytes, whole);
    client.deliver("x");
    let dirty = once(&client, RequestKind::Delta, Fault::ControlCharacters, DELTA).await;
    assert!(
        dirty.bytes.iter().any(|b| *b < 0x20) && serde_json::from_slice::<serde_json::Value>(&dirty.bytes).is_err()
    );
    let reset = once(&client, RequestKind::Value, Fault::Reset, &path).await;
    assert!(reset.broken && reset.bytes.is_empty());
    assert_eq!(
        client.simulator.stats().mailboxes[DESK].running,
        0,
        "every slot came back"
    );
}

#[tokio::test]
async fn pages_are_emptied_doubled_looped_and_led_astray() {
    let client = desk(options()).await;
    for n in 0..7 {
        client.deliver(&format!("m{n}"));
    }
    let (_, link) = client.round(DELTA, 3).await;
    client.deliver("new");
    for path in [DELTA, link.as_str()] {
        let (clean, _) = client.round(path, 3).await;
        client
            .simulator
            .arm(FaultSpec::once(RequestKind::Delta, Fault::EmptyPage));
        assert_eq!(
            client.round(path, 3).await.0.len(),
            clean.len(),
            "an empty page loses nothing"
        );
        let doubled = once(&client, RequestKind::Delta, Fault::Duplicates, path).await.items();
        assert_eq!(doubled.len() % 2, 0);
        assert_eq!(doubled[0]["id"], doubled[doubled.len() / 2]["id"]);
        let astray = once(
            &client,
            RequestKind::Delta,
            Fault::ForeignLink {
                url: "https://evil.test/x".to_owned(),
            },
            path,
        )
        .await;
        assert_eq!(astray.json()["@odata.nextLink"], "https://evil.test/x");
        assert!(astray.json().get("@odata.deltaLink").is_none());
    }
    for changing in [false, true] {
        client
            .simulator
            .arm(FaultSpec::once(RequestKind::Delta, Fault::LoopingLink { changing }).always());
        let mut links = vec![DELTA.to_owned()];
        let mut pages = Vec::new();
        for _ in 0..4 {
            let page = client.get(links.last().unwrap()).await;
            pages.push(ids(&page.items()));
            links.push(page.json()["@odata.nextLink"].as_str().unwrap().to_owned());
        }
        assert!(pages.iter().all(|p| *p == pages[0] && !p.is_empty()));
        assert_eq!(links[3] == links[4], !changing);
        client.simulator.clear_faults();
        assert_eq!(client.graph(Method::GET, &links[4], &[], "").await.status, 200);
    }
}
