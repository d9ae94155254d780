//! A client for the tests: calls the router in process and reads what comes.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use simulator::{Options, SimClock, Simulator};
use tower::ServiceExt as _;

pub(crate) const DESK: &str = "desk@harbour-homes.example";
pub(crate) const START_MS: i64 = 1_770_105_600_000;
pub(crate) const IMMUTABLE: (&str, &str) = ("prefer", "IdType=\"ImmutableId\"");

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    /// The body ended with an error.
    pub(crate) broken: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn items(&self) -> Vec<Value> {
        self.json()["value"]
            .as_array()
            .unwrap_or_else(|| panic!("no value: {}", self.json()))
            .clone()
    }
}

pub(crate) struct Client {
    pub(crate) simulator: Simulator,
    pub(crate) token: String,
}

pub(crate) fn options() -> Options {
    Options {
        clock: SimClock::manual(START_MS),
        ..Options::default()
    }
}

/// A tenant with the desk's mailbox and a client that is signed in.
pub(crate) async fn desk(options: Options) -> Client {
    let simulator = Simulator::new(options);
    simulator.add_mailbox(DESK);
    let mut client = Client {
        simulator,
        token: String::new(),
    };
    client.sign_in().await;
    client
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

pub(crate) fn encode(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

impl Client {
    pub(crate) async fn sign_in(&mut self) {
        let r = self.simulator.registration();
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &r.client_id),
            ("client_secret", &r.client_secret),
            ("scope", "https://graph.microsoft.com/.default"),
        ]);
        let answer = self.token_request(&r.tenant_id, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        self.token = answer.json()["access_token"].as_str().unwrap().to_owned();
    }

    pub(crate) async fn token_request(&self, tenant: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, &format!("/{tenant}/oauth2/v2.0/token"), &headers, body)
            .await
    }

    /// Any request; a path is completed with the origin, a link is used as it is.
    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let uri = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("https://sim.test{path}")
        };
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, mut body) = self.simulator.router().oneshot(request).await.unwrap().into_parts();
        let (mut bytes, mut broken) = (Vec::new(), false);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                broken = true;
                break;
            };
            bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        }
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: bytes.into(),
            broken,
        }
    }

    /// A Graph request with the token; paths are below the desk's mailbox unless they begin with `/v1.0` or are links.
    pub(crate) async fn graph(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let path = if path.starts_with("http") || path.starts_with("/v1.0") {
            path.to_owned()
        } else {
            format!("/v1.0/users/{DESK}{path}")
        };
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        if !body.is_empty() {
            all.push(("content-type", "application/json"));
        }
        self.send(method, &path, &all, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.graph(Method::GET, path, &[IMMUTABLE], "").await
    }

    /// A whole delta round with immutable ids from a link or a path: all items and the deltaLink.
    pub(crate) async fn round(&self, from: &str, page: usize) -> (Vec<Value>, String) {
        let prefer = format!("IdType=\"ImmutableId\", odata.maxpagesize={page}");
        let (mut items, mut link) = (Vec::new(), from.to_owned());
        for _ in 0..1000 {
            let answer = self.graph(Method::GET, &link, &[("prefer", &prefer)], "").await;
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
            let json = answer.json();
            items.extend(answer.items());
            assert!(answer.items().len() <= page);
            if let Some(end) = json["@odata.deltaLink"].as_str() {
                assert!(json.get("@odata.nextLink").is_none(), "a page never has both links");
                return (items, end.to_owned());
            }
            link = json["@odata.nextLink"].as_str().unwrap().to_owned();
        }
        panic!("no deltaLink after 1000 pages");
    }

    pub(crate) fn deliver(&self, subject: &str) -> String {
        let mime = format!(
            "From: a@example.com\r\nTo: {DESK}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n\r\nText of {subject}.\r\n"
        );
        self.simulator
            .deliver(DESK, simulator::Delivery::inbox(mime.as_str()))
            .unwrap()
    }
}

pub(crate) const DELTA: &str = "/mailFolders/inbox/messages/delta";

pub(crate) fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}
