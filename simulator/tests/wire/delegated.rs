//! Graph with a person's token: `/me`, own and shared mailboxes, and what each scope opens.

use crate::client::{Client, DELTA, DESK, encode};
use crate::person::{ADA, BEN, browser, tenant, text};
use http::Method;
use serde_json::Value;
use simulator::{Delivery, Fault, FaultSpec, RequestKind, Simulator, User};

/// A client with a token of this person for this scope.
async fn as_person(simulator: &Simulator, address: &str, scope: &str) -> Client {
    let answer = browser(simulator).tokens(address, scope).await;
    Client {
        simulator: simulator.clone(),
        token: answer["access_token"].as_str().unwrap().to_owned(),
    }
}

fn letter(simulator: &Simulator, to: &str) -> String {
    encode(
        &simulator
            .deliver(to, Delivery::inbox("Subject: hello\r\n\r\nsecret text"))
            .unwrap(),
    )
}

async fn status(client: &Client, path: &str) -> (u16, String) {
    let answer = client.get(&format!("/v1.0{path}")).await;
    let code = serde_json::from_slice::<Value>(&answer.bytes).map_or(Value::Null, |j| j["error"]["code"].clone());
    (answer.status, code.as_str().unwrap_or_default().to_owned())
}

const DENIED: &str = "ErrorAccessDenied";

#[tokio::test]
async fn me_needs_user_read_and_shows_what_is_selected() {
    let simulator = tenant();
    let mail_only = as_person(&simulator, ADA, "Mail.ReadWrite").await;
    assert_eq!(
        status(&mail_only, "/me").await,
        (403, "Authorization_RequestDenied".to_owned())
    );
    assert_eq!(status(&mail_only, "/me/mailFolders").await.0, 200);
    let ada = as_person(&simulator, ADA, "User.Read").await;
    let me = ada.get("/v1.0/me").await.json();
    assert_eq!(
        (&me["mail"], &me["displayName"], &me["surname"]),
        (&ADA.into(), &"Ada Moor".into(), &"Moor".into())
    );
    assert_eq!(me["id"], simulator.users()[0].oid);
    let few = ada.get("/v1.0/me?$select=id,userPrincipalName").await.json();
    assert_eq!(few.as_object().unwrap().len(), 3, "{few}");
    assert_eq!(few["userPrincipalName"], ADA);
    assert_eq!(status(&ada, "/me?$select=shoeSize").await.0, 400);
    assert_eq!(status(&ada, &format!("/users/{ADA}")).await.0, 200);
    assert_eq!(status(&ada, &format!("/users/{BEN}")).await.0, 403);
    assert_eq!(ada.graph(Method::PATCH, "/v1.0/me", &[], "{}").await.status, 405);
    simulator.arm(FaultSpec::once(RequestKind::Other, Fault::EmptyNotFound).mailbox(ADA));
    assert_eq!(status(&ada, "/me").await.0, 404);
    let mut app = Client {
        simulator,
        token: String::new(),
    };
    app.sign_in().await;
    assert_eq!(status(&app, "/me").await, (400, "BadRequest".to_owned()));
    assert_eq!(status(&app, "/me/messages").await, (400, "BadRequest".to_owned()));
}

#[tokio::test]
async fn scopes_open_the_own_mailbox_step_by_step() {
    let simulator = tenant();
    let id = letter(&simulator, ADA);
    let patch = async |client: &Client| {
        client
            .graph(
                Method::PATCH,
                &format!("/v1.0/me/messages/{id}"),
                &[],
                "{\"isRead\":true}",
            )
            .await
            .status
    };
    let none = as_person(&simulator, ADA, "openid User.Read").await;
    assert_eq!(status(&none, "/me/messages").await, (403, DENIED.to_owned()));
    let basic = as_person(&simulator, ADA, "Mail.ReadBasic").await;
    let message = basic.get(&format!("/v1.0/me/messages/{id}")).await.json();
    assert_eq!(message["subject"], "hello");
    assert!(message.get("body").is_none() && message.get("bodyPreview").is_none());
    let list = text(&basic.get("/v1.0/me/mailFolders/inbox/messages").await);
    assert!(list.contains("hello") && !list.contains("secret"));
    assert_eq!(status(&basic, &format!("/me/messages/{id}/$value")).await.0, 403);
    assert_eq!(status(&basic, &format!("/me/messages/{id}/attachments")).await.0, 403);
    let read = as_person(&simulator, ADA, "Mail.Read").await;
    assert_eq!(status(&read, &format!("/me/messages/{id}/$value")).await.0, 200);
    assert!(text(&read.get(&format!("/v1.0/me/messages/{id}")).await).contains("secret"));
    assert_eq!(patch(&read).await, 403);
    let write = as_person(&simulator, ADA, "Mail.ReadWrite").await;
    assert_eq!(patch(&write).await, 200);
    assert_eq!(read.round(&format!("/v1.0/me{DELTA}"), 10).await.0.len(), 1);
    assert_eq!(
        status(&read, &format!("/users/{}/messages", simulator.users()[0].oid))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn another_mailbox_needs_a_shared_scope_and_access() {
    let simulator = tenant();
    let id = letter(&simulator, DESK);
    let desk = format!("/users/{DESK}/messages/{id}");
    let bens = format!("/users/{BEN}/messages");
    let own = as_person(&simulator, ADA, "Mail.ReadWrite").await;
    assert_eq!(status(&own, &desk).await, (403, DENIED.to_owned()), "no .Shared scope");
    let shared = as_person(&simulator, ADA, "Mail.Read.Shared").await;
    assert_eq!(status(&shared, &desk).await.0, 200);
    assert_eq!(
        status(&shared, &bens).await,
        (403, DENIED.to_owned()),
        "not shared with Ada"
    );
    assert_eq!(
        status(&shared, "/me/messages").await.0,
        200,
        "a .Shared scope covers the own mailbox"
    );
    let path = format!("/v1.0{desk}");
    assert_eq!(
        shared
            .graph(Method::PATCH, &path, &[], "{\"isRead\":true}")
            .await
            .status,
        403
    );
    let write = as_person(&simulator, ADA, "Mail.ReadWrite.Shared").await;
    assert_eq!(
        write.graph(Method::PATCH, &path, &[], "{\"isRead\":true}").await.status,
        200
    );
    simulator.share(DESK, ADA, false).unwrap();
    assert_eq!(status(&write, &desk).await, (403, DENIED.to_owned()));
    simulator.share(BEN, ADA, true).unwrap();
    assert_eq!(status(&shared, &bens).await.0, 200);
    assert_eq!(
        status(&shared, "/users/nobody@x.example/messages").await,
        (404, "ErrorInvalidUser".to_owned())
    );
    // The policy for apps says nothing about people.
    simulator.set_in_policy(ADA, false).unwrap();
    assert_eq!(status(&shared, "/me/messages").await.0, 200);
}

#[tokio::test]
async fn a_person_without_a_mailbox_and_the_parts_of_a_batch() {
    let simulator = tenant();
    let user = User {
        mailbox: false,
        ..User::new("visitor@harbour-homes.example", "Visitor")
    };
    simulator.add_user(user);
    let visitor = as_person(&simulator, "visitor@harbour-homes.example", "User.Read Mail.Read").await;
    assert_eq!(
        status(&visitor, "/me/messages").await,
        (404, "MailboxNotEnabledForRESTAPI".to_owned())
    );
    assert_eq!(visitor.get("/v1.0/me").await.json()["mail"], Value::Null);
    let ada = as_person(&simulator, ADA, "User.Read Mail.Read").await;
    let body = serde_json::json!({"requests": [
        {"id": "1", "method": "GET", "url": "/me"}, {"id": "2", "method": "GET", "url": "/me/mailFolders"},
    ]});
    let batch = ada
        .graph(Method::POST, "/v1.0/$batch", &[], &body.to_string())
        .await
        .json();
    assert!(
        batch["responses"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["status"] == 200),
        "{batch}"
    );
    // Whoever was given a mailbox can sign in, without more ado.
    simulator.add_mailbox("new.desk@harbour-homes.example");
    let desk = as_person(&simulator, "new.desk@harbour-homes.example", "User.Read").await;
    assert_eq!(desk.get("/v1.0/me").await.json()["displayName"], "New Desk");
}

#[tokio::test]
async fn an_id_token_opens_nothing_and_revoked_grants_leave_access_tokens() {
    let simulator = tenant();
    let person = browser(&simulator);
    let answer = person.tokens(ADA, "openid offline_access User.Read").await;
    let client = |token: &Value| Client {
        simulator: simulator.clone(),
        token: token.as_str().unwrap().to_owned(),
    };
    assert_eq!(status(&client(&answer["id_token"]), "/me").await.0, 401);
    simulator.revoke_grants(None).unwrap();
    assert_eq!(status(&client(&answer["access_token"]), "/me").await.0, 200);
    simulator.revoke_tokens();
    assert_eq!(status(&client(&answer["access_token"]), "/me").await.0, 401);
}
