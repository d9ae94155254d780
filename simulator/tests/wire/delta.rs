//! Delta: rounds, links, ids, resets, and the readings that bend them.

use crate::client::{DELTA, DESK, IMMUTABLE, desk, encode, ids, options};
use http::Method;
use simulator::readings::{CodeCase, MoveReason, MovedIn, OwnWrites, ResetAs, ReturnVisit};
use simulator::{Corruption, Options, Readings};
use std::collections::HashSet;

fn reading(readings: Readings) -> Options {
    Options { readings, ..options() }
}

#[tokio::test]
async fn a_first_round_shows_everything_once_and_the_next_only_what_changed() {
    let client = desk(options()).await;
    client.simulator.fill(DESK, "inbox", 57, 30).unwrap();
    let (items, link) = client
        .round(&format!("{DELTA}?$select=subject,receivedDateTime"), 10)
        .await;
    assert_eq!(ids(&items).into_iter().collect::<HashSet<_>>().len(), 57);
    assert!(
        items
            .iter()
            .all(|i| i["@odata.type"].is_string() && i["@odata.etag"].is_string())
    );
    let first = &items[0].as_object().unwrap();
    let names: HashSet<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        HashSet::from(["@odata.type", "@odata.etag", "id", "subject", "receivedDateTime"])
    );
    assert_eq!(client.round(&link, 10).await.0.len(), 0);
    let new = client.deliver("new");
    let (items, link) = client.round(&link, 10).await;
    assert_eq!(ids(&items), [new.clone()]);
    client.simulator.purge_message(DESK, &new).unwrap();
    let (items, _) = client.round(&link, 10).await;
    assert_eq!(items[0]["@removed"]["reason"], "deleted");
    assert_eq!(ids(&items), [new]);
}

#[tokio::test]
async fn the_default_page_is_ten_and_what_changes_during_a_round_comes_in_the_next() {
    let client = desk(options()).await;
    client.simulator.fill(DESK, "inbox", 15, 30).unwrap();
    let first = client.get(DELTA).await;
    assert_eq!(first.items().len(), 10);
    let during = client.deliver("during");
    let (rest, link) = client
        .round(first.json()["@odata.nextLink"].as_str().unwrap(), 10)
        .await;
    assert!(!ids(&rest).contains(&during) && rest.len() == 5);
    assert_eq!(ids(&client.round(&link, 10).await.0), [during]);
}

#[tokio::test]
async fn top_caps_the_result_and_a_filter_caps_at_five_thousand() {
    let client = desk(options()).await;
    client.simulator.fill(DESK, "inbox", 5_050, 30).unwrap();
    assert_eq!(client.round(&format!("{DELTA}?$top=2"), 10).await.0.len(), 2);
    let since = format!("{DELTA}?$select=id&$filter=receivedDateTime%20ge%202020-01-01T00:00:00Z");
    assert_eq!(client.round(&since, 500).await.0.len(), 5_000);
    assert_eq!(client.round(&format!("{DELTA}?$select=id"), 500).await.0.len(), 5_050);
}

#[tokio::test]
async fn options_delta_does_not_know_are_refused() {
    let client = desk(options()).await;
    for query in [
        "$search=%22x%22",
        "$skip=1",
        "$count=true",
        "$foo=1",
        "$orderby=subject",
        "$filter=isRead%20eq%20true",
        "$select=nothing",
        "changeType=x",
    ] {
        assert_eq!(client.get(&format!("{DELTA}?{query}")).await.status, 400, "{query}");
    }
    let expand = client.get(&format!("{DELTA}?$expand=attachments")).await;
    assert_eq!(expand.status, 500);
    assert!(
        expand.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Parameter name: type")
    );
    let whole = client.get("/messages/delta").await;
    assert_eq!(whole.status, 400);
    assert_eq!(
        whole.json()["error"]["message"],
        "Change tracking is not supported against 'microsoft.graph.message'."
    );
    client.deliver("x");
    assert_eq!(
        client.round(&format!("{DELTA}?$deltatoken=latest"), 10).await.0.len(),
        1,
        "latest gives everything"
    );
}

#[tokio::test]
async fn a_link_belongs_to_its_folder_and_query() {
    let client = desk(options()).await;
    client.deliver("x");
    let (_, link) = client.round(&format!("{DELTA}?$select=subject"), 10).await;
    let token = link.split_once("deltatoken=").unwrap().1;
    let other = client
        .get(&format!("/mailFolders/archive/messages/delta?$deltatoken={token}"))
        .await;
    assert_eq!((other.status, other.code().as_str()), (400, "SyncStateInvalid"));
    assert_eq!(client.get(&format!("{link}&$select=isRead")).await.status, 400);
    assert_eq!(client.get(&format!("{link}&$select=subject")).await.status, 200);
    assert_eq!(client.get(&format!("{DELTA}?$deltatoken=invented")).await.status, 400);
}

#[tokio::test]
async fn a_move_shows_as_removed_where_it_was() {
    for (move_reason, word) in [(MoveReason::Deleted, "deleted"), (MoveReason::Changed, "changed")] {
        let client = desk(reading(Readings {
            move_reason,
            moved_in: MovedIn::Twice,
            ..Readings::default()
        }))
        .await;
        let id = client.deliver("x");
        let (_, inbox) = client.round(DELTA, 10).await;
        let (_, archive) = client.round("/mailFolders/archive/messages/delta", 10).await;
        client.simulator.move_message(DESK, &id, "archive").unwrap();
        let (left, _) = client.round(&inbox, 10).await;
        assert_eq!(
            (left[0]["@removed"]["reason"].as_str(), left[0]["id"].as_str()),
            (Some(word), Some(id.as_str()))
        );
        assert_eq!(
            ids(&client.round(&archive, 10).await.0),
            [id.clone(), id],
            "moved in: twice in one round"
        );
    }
}

#[tokio::test]
async fn there_and_back_again_is_lost_under_immutable_ids_until_it_changes() {
    for (return_visit, lost) in [(ReturnVisit::Lost, true), (ReturnVisit::Reported, false)] {
        let client = desk(reading(Readings {
            return_visit,
            moved_in: MovedIn::Once,
            ..Readings::default()
        }))
        .await;
        let id = client.deliver("x");
        let (_, link) = client.round(DELTA, 10).await;
        client.simulator.move_message(DESK, &id, "archive").unwrap();
        client.simulator.move_message(DESK, &id, "inbox").unwrap();
        let (items, link) = client.round(&link, 10).await;
        assert_eq!((items.len(), items[0].get("@removed").is_some()), (1, lost));
        assert_eq!(client.round(&link, 10).await.0.len(), 0);
        client.simulator.mark(DESK, &id, true).unwrap();
        assert!(client.round(&link, 10).await.0[0].get("@removed").is_none());
    }
}

#[tokio::test]
async fn own_writes_echo_or_not() {
    for (own_writes, count) in [(OwnWrites::Echo, 1), (OwnWrites::OnlySelected, 0)] {
        let client = desk(reading(Readings {
            own_writes,
            ..Readings::default()
        }))
        .await;
        let id = client.deliver("x");
        let (_, link) = client.round(&format!("{DELTA}?$select=subject"), 10).await;
        let (_, reads) = client.round(&format!("{DELTA}?$select=isRead"), 10).await;
        let path = format!("/messages/{}", encode(&id));
        assert_eq!(
            client
                .graph(Method::PATCH, &path, &[], "{\"isRead\":true}")
                .await
                .status,
            200
        );
        assert_eq!(client.round(&link, 10).await.0.len(), count);
        assert_eq!(client.round(&reads, 10).await.0[0]["isRead"], true);
    }
}

#[tokio::test]
async fn lost_state_is_told_in_the_ways_there_are() {
    for (reset_as, code_case, status, code) in [
        (ResetAs::Gone, CodeCase::Pascal, 410, "ResyncRequired"),
        (ResetAs::BadRequest, CodeCase::Camel, 400, "syncStateNotFound"),
        (ResetAs::NotFound, CodeCase::Pascal, 404, "SyncStateNotFound"),
    ] {
        let client = desk(reading(Readings {
            reset_as,
            code_case,
            ..Readings::default()
        }))
        .await;
        client.deliver("x");
        let (_, link) = client.round(DELTA, 10).await;
        assert_eq!(client.simulator.evict_delta_state(DESK, "inbox").unwrap(), 1);
        let answer = client.get(&link).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        if status == 410 {
            assert_eq!(
                client.round(answer.header("location"), 10).await.0.len(),
                1,
                "Location begins anew"
            );
        }
    }
}

#[tokio::test]
async fn links_serve_both_id_formats_and_default_ids_change_with_a_move() {
    let client = desk(options()).await;
    let id = client.deliver("x");
    let first = client.graph(Method::GET, DELTA, &[], "").await;
    let default = first.items()[0]["id"].as_str().unwrap().to_owned();
    assert_ne!(default, id);
    assert_eq!(first.header("preference-applied"), "");
    assert_eq!(
        client.get(&format!("/messages/{}", encode(&default))).await.json()["id"],
        id.as_str()
    );
    let moved = client
        .graph(
            Method::POST,
            &format!("/messages/{}/move", encode(&default)),
            &[],
            "{\"destinationId\":\"archive\"}",
        )
        .await;
    assert_eq!(moved.status, 201);
    assert_ne!(moved.json()["id"], default.as_str());
    let gone = client
        .graph(Method::GET, &format!("/messages/{}", encode(&default)), &[], "")
        .await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "ErrorItemNotFound"));
    let link = first.json()["@odata.deltaLink"].as_str().unwrap().to_owned();
    assert_eq!(
        client.graph(Method::GET, &link, &[], "").await.items()[0]["id"],
        default.as_str()
    );
    let immutable = client.graph(Method::GET, &link, &[IMMUTABLE], "").await;
    assert_eq!(immutable.items()[0]["id"], id.as_str());
    assert_eq!(immutable.header("preference-applied"), "IdType=\"ImmutableId\"");
}

#[tokio::test]
async fn a_damaged_item_fails_pages_and_reads_but_can_be_listed() {
    for (how, alone) in [(Corruption::InCompany, 200), (Corruption::Always, 500)] {
        let client = desk(options()).await;
        for n in 0..5 {
            client.deliver(&format!("m{n}"));
        }
        let bad = client.simulator.truth(None)[2].immutable_id.clone();
        client.simulator.corrupt(DESK, &bad, Some(how)).unwrap();
        assert_eq!(client.get(DELTA).await.status, 500);
        let mut link = DELTA.to_owned();
        let mut seen = 0;
        let status = loop {
            let answer = client
                .graph(Method::GET, &link, &[("prefer", "odata.maxpagesize=1"), IMMUTABLE], "")
                .await;
            if answer.status != 200 || ids(&answer.items()) == [bad.clone()] {
                break answer.status;
            }
            seen += 1;
            assert!(seen < 5);
            link = answer.json()["@odata.nextLink"].as_str().unwrap().to_owned();
        };
        assert_eq!(status, alone);
        let path = format!("/messages/{}", encode(&bad));
        assert_eq!(client.get(&path).await.code(), "ErrorCorruptData");
        assert_eq!(client.get(&format!("{path}/$value")).await.code(), "ErrorCorruptData");
        assert_eq!(client.get("/mailFolders/inbox/messages").await.status, 500);
        let listed = client.get("/mailFolders/inbox/messages?$select=id&$top=1000").await;
        assert!(ids(&listed.items()).contains(&bad));
    }
}

#[tokio::test]
async fn a_deleted_folder_ends_its_links() {
    let client = desk(options()).await;
    let id = client.simulator.create_folder(DESK, "Inbox/Orders", false).unwrap();
    let path = format!("/mailFolders/{}/messages/delta", encode(&id));
    let (_, link) = client.round(&path, 10).await;
    client.simulator.delete_folder(DESK, "Inbox/Orders").unwrap();
    assert_eq!(client.get(&link).await.code(), "ErrorSyncFolderNotFound");
    assert_eq!(client.get(&path).await.code(), "ErrorItemNotFound");
}
