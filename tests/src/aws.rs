//! A stand-in for AWS: where it is, and what the tests make in it. `POSTROOM_TEST_AWS` names it; without it the tests over
//! AWS adapters say that they did not run.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use async_trait::async_trait;
use functions::{settings::Account, tls};
use jiff::Timestamp;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::{ports::Clock, secret::Secret, system::SystemClock, wire};
use url::Url;

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";

/// The emulator.
#[derive(Clone)]
pub struct Aws {
    /// The one client of a sandbox.
    pub client: Client,
    /// The account, with the emulator's root key.
    pub account: Account,
    endpoint: Url,
    /// What this test's resources begin with.
    pub prefix: String,
}

impl Aws {
    /// The emulator, if there is one. In CI there must be.
    pub fn here(test: &str) -> Option<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        #[expect(
            clippy::disallowed_methods,
            reason = "a test is told by its environment where the emulator is"
        )]
        let Ok(endpoint) = std::env::var("POSTROOM_TEST_AWS") else {
            println!(
                "NOT RUN: {test} needs an AWS emulator; start one and set POSTROOM_TEST_AWS=http://127.0.0.1:PORT"
            );
            return None;
        };
        let endpoint = Url::parse(&endpoint).expect("POSTROOM_TEST_AWS is a URL");
        let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
        let stamp = SystemClock.now().as_millisecond();
        Some(Self {
            client: wire::client(tls::configuration(None).expect("TLS")).expect("a client"),
            account: Account {
                region: REGION.to_owned(),
                access_key: "test".to_owned(),
                secret_key: Secret::new("test"),
                session_token: None,
                endpoint: Some(endpoint.clone()),
                sts: None,
            },
            endpoint,
            prefix: format!("t{stamp}-{}-{counter}", std::process::id()),
        })
    }

    /// The SDK's configuration.
    pub fn sdk(&self) -> functions::sdk::Sdk {
        functions::sdk::config(&self.client, &self.account)
    }

    async fn call(
        &self,
        method: Method,
        service: &str,
        path: &str,
        target: Option<(&str, &str)>,
        body: &Value,
    ) -> Value {
        let url = self.endpoint.join(path).expect("a path");
        let key = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
        );
        let mut request = self.client.request(method, url).header("authorization", key);
        request = match target {
            Some((target, version)) => request
                .header("x-amz-target", target)
                .header("content-type", format!("application/x-amz-json-{version}")),
            None => request.header("content-type", "application/json"),
        };
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("the emulator answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{service} {path} {target:?}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The table of this test.
    pub async fn table(&self) -> String {
        let name = format!("{}-table", self.prefix);
        let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
        let text = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let table = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [key("partition", "HASH"), key("sort", "RANGE")],
            "AttributeDefinitions": [text("partition"), text("sort")],
        });
        self.call(
            Method::POST,
            "dynamodb",
            "/",
            Some(("DynamoDB_20120810.CreateTable", "1.0")),
            &table,
        )
        .await;
        name
    }

    /// The bucket of this test.
    pub async fn bucket(&self) -> String {
        let name = format!("{}-bucket", self.prefix);
        self.call(Method::PUT, "s3", &format!("/{name}"), None, &Value::Null)
            .await;
        name
    }

    /// The KMS key of this test.
    pub async fn key(&self) -> String {
        let made = self
            .call(
                Method::POST,
                "kms",
                "/",
                Some(("TrentService.CreateKey", "1.1")),
                &json!({}),
            )
            .await;
        made["KeyMetadata"]["Arn"].as_str().expect("an ARN").to_owned()
    }

    /// The schedule group of this test, and what its schedules fire.
    pub async fn firing(&self) -> functions::adapters::Firing {
        let group = format!("{}-group", self.prefix);
        self.call(
            Method::POST,
            "scheduler",
            &format!("/schedule-groups/{group}"),
            None,
            &json!({}),
        )
        .await;
        functions::adapters::Firing {
            group,
            role: format!("arn:aws:iam::{ACCOUNT}:role/scheduler"),
            importer: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:importer"),
            dead_letters: format!("arn:aws:sqs:{REGION}:{ACCOUNT}:dead"),
        }
    }

    /// An event bus with a rule that puts everything into a queue.
    pub async fn bus(&self) -> (String, Queue) {
        let name = format!("{}-bus", self.prefix);
        let events = |action: &str| format!("AWSEvents.{action}");
        let sqs = Some(("AmazonSQS.CreateQueue", "1.0"));
        let queue = self
            .call(
                Method::POST,
                "sqs",
                "/",
                sqs,
                &json!({"QueueName": format!("{name}-queue")}),
            )
            .await;
        let url = queue["QueueUrl"].as_str().expect("a queue").to_owned();
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-queue");
        for (action, body) in [
            ("CreateEventBus", json!({"Name": name})),
            (
                "PutRule",
                json!({"Name": "all", "EventBusName": name, "State": "ENABLED", "EventPattern": json!({"source": [functions::adapters::SOURCE]}).to_string()}),
            ),
            (
                "PutTargets",
                json!({"Rule": "all", "EventBusName": name, "Targets": [{"Id": "q", "Arn": arn}]}),
            ),
        ] {
            let target = events(action);
            self.call(Method::POST, "events", "/", Some((&target, "1.1")), &body)
                .await;
        }
        let queue = Queue {
            aws: self.clone(),
            url,
            seen: Arc::default(),
        };
        (name, queue)
    }
}

/// A queue, read to its end.
#[derive(Clone)]
pub struct Queue {
    aws: Aws,
    url: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Queue {
    /// The events of an account so far, in the order they came, repetitions included.
    pub async fn events(&self, account: &str) -> Vec<Value> {
        self.drain().await;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of = seen.iter().filter(|(one, _)| one == account);
        of.map(|(_, event)| event.clone()).collect()
    }

    /// What a receiver makes of them that heeds the sequence numbers: every event once.
    pub async fn in_effect(self, account: String) -> Vec<Value> {
        let mut last = None;
        let mut events = self.events(&account).await;
        events.retain(|event| {
            let sequence = event["sequence"].as_u64();
            let fresh = sequence > last;
            last = last.max(sequence);
            fresh
        });
        events
    }

    async fn drain(&self) {
        let mut silent = 0;
        while silent < 3 {
            let ask = json!({"QueueUrl": self.url, "MaxNumberOfMessages": 10});
            let target = Some(("AmazonSQS.ReceiveMessage", "1.0"));
            let got = self.aws.call(Method::POST, "sqs", "/", target, &ask).await;
            let messages = got["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                silent += 1;
                SystemClock.sleep(Duration::from_millis(50)).await;
                continue;
            }
            silent = 0;
            for message in messages {
                let body: Value = serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON");
                let mut detail = body["detail"].clone();
                if let Value::String(text) = &detail {
                    detail = serde_json::from_str(text).expect("a detail");
                }
                let account = body["resources"][0].as_str().unwrap_or_default().to_owned();
                self.seen
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((account, detail));
                let ask = json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
                let target = Some(("AmazonSQS.DeleteMessage", "1.0"));
                self.aws.call(Method::POST, "sqs", "/", target, &ask).await;
            }
        }
    }
}

/// The system's clock, moved by a test: services date things by their own.
#[derive(Clone, Default)]
pub struct MovedClock(Arc<Mutex<Duration>>);

impl MovedClock {
    /// Moves it ahead.
    pub fn advance(&self, duration: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += duration;
    }
}

#[async_trait]
impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let ahead = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared::time::plus(SystemClock.now(), ahead)
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}
