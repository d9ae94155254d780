//! The engine over the AWS adapters: records in DynamoDB, bytes in S3, tokens in Secrets Manager, events over EventBridge;
//! with every kind of answer that an emulator never gives by itself.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use functions::adapters::{DynamoStore, EventBus, SecretsVault, Wall, archive};
use shared::{
    archive::Archive,
    credential::{CredentialForm, GrantType},
    import::{Importer, RunOptions, report::Outcome},
    manage::{AccountForm, Manage},
    memory::{MemoryScheduler, StoreCall, StoreFault},
    message::Disposition,
    oauth::TokenService,
    origin::{Origin, TrustedOrigins},
    ports::{Clock as _, Ports, Store},
    records::{accounts::Accounts, messages::Messages},
    secret::Secret,
    system::SystemRng,
};
use simulator::{Options, SimClock, Simulator};
use tests::{
    aws::{Aws, MovedClock, Queue},
    faulty_store::FaultyStore,
    world::{Crash, DESK, InProcess, ORIGIN},
};

const MAILS: usize = 8;

/// A tenant and an importer on AWS.
struct Scene {
    simulator: Simulator,
    clock: MovedClock,
    store: Arc<FaultyStore>,
    ports: Ports,
    archive: Archive,
    queue: Queue,
}

impl Scene {
    async fn new(aws: &Aws) -> Self {
        let clock = MovedClock::default();
        let given = clock.clone();
        let simulator = Simulator::new(Options {
            clock: SimClock::given(Arc::new(move || given.now().as_millisecond())),
            seed: 5,
            origin: Some(ORIGIN.to_owned()),
            ..Options::default()
        });
        simulator.add_mailbox(DESK);
        simulator.fill(DESK, "inbox", MAILS, 30).expect("a mailbox");
        let (sdk, shared_clock, rng) = (aws.sdk(), Arc::new(clock.clone()), Arc::new(SystemRng));
        let (table, bucket, key) = (aws.table().await, aws.bucket().await, aws.key().await);
        let (bus, queue) = aws.bus().await;
        let dynamo = DynamoStore::new(&sdk, &table, shared_clock.clone(), rng.clone());
        let store = Arc::new(FaultyStore::new(Arc::new(dynamo)));
        let vault = SecretsVault::new(&sdk, &aws.prefix, Some(&key), shared_clock.clone(), rng.clone());
        let ports = Ports {
            store: Arc::clone(&store) as Arc<dyn Store>,
            vault: Arc::new(vault),
            scheduler: Arc::new(MemoryScheduler::default()),
            publisher: Arc::new(EventBus::new(&sdk, &bus)),
            http: Arc::new(InProcess::new(simulator.clone(), Crash::default())),
            clock: shared_clock,
            rng,
            instance: "one".into(),
            dead: Arc::new(|_| false),
        };
        let scene = Self {
            archive: archive(&aws.client, &aws.account, &bucket).expect("a bucket"),
            simulator,
            clock,
            store,
            ports,
            queue,
        };
        scene.set_up().await;
        scene
    }

    async fn set_up(&self) {
        let registration = self.simulator.registration();
        let trusted = TrustedOrigins::with(vec![Origin::parse(ORIGIN).expect("an origin")]);
        let manage = Manage::new(&self.ports, &trusted, "test");
        let form = CredentialForm {
            id: "app".into(),
            grant_type: Some(GrantType::ClientCredentials),
            token_url: format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id),
            client_id: registration.client_id.clone(),
            scope: "https://graph.microsoft.com/.default".into(),
            graph_url: Some(format!("{ORIGIN}/v1.0")),
            ..CredentialForm::default()
        };
        let secret = Secret::new(registration.client_secret.clone());
        manage.add_credential(&form, &secret).await.expect("a credential");
        let form = AccountForm {
            id: "desk".into(),
            mailbox: DESK.into(),
            credential: "app".into(),
            start: "everything".into(),
            enabled: true,
            ..AccountForm::default()
        };
        manage.add_account(&form).await.expect("an account");
    }

    /// As a new sandbox has it.
    fn importer(&self) -> Importer {
        let tokens = Arc::new(TokenService::new(self.ports.clone()));
        // What an importer on AWS has no right to, it does without.
        let ports = Ports {
            scheduler: Arc::new(Wall),
            ..self.ports.clone()
        };
        Importer::new(ports, tokens, self.archive.clone())
    }

    async fn settle(&self) {
        for _ in 0..4 {
            self.clock.advance(Duration::from_mins(10));
            let report = self
                .importer()
                .run("desk", &RunOptions::new("test"))
                .await
                .expect("a run");
            if report.outcome == Outcome::Done && report.owed == 0 {
                return;
            }
        }
        panic!("not settled after four runs");
    }

    /// Every mail is on record once, with the server's bytes in the bucket, and one event of it came over the bus.
    async fn audit(&self) {
        let row = Accounts::new(Arc::clone(&self.ports.store))
            .get("desk")
            .await
            .expect("the account");
        let messages = Messages::new(Arc::clone(&self.ports.store));
        let listed = messages.page(&row.mailbox, 200, None).await.expect("a page").records;
        assert_eq!(listed.len(), MAILS, "one line a mail");
        let mut shas = BTreeSet::new();
        for line in listed {
            assert_eq!(line.disposition, Disposition::Imported);
            let message = messages
                .get(&row.mailbox, &line.key)
                .await
                .expect("get")
                .expect("a record");
            let archived = message.archived.expect("bytes");
            let bytes = self
                .archive
                .read(&archived.path, "message.eml")
                .await
                .expect("an object");
            assert_eq!(bytes.len() as u64, archived.size);
            shas.insert(archived.sha256);
        }
        let truth = self.simulator.truth(Some(DESK));
        let wanted: BTreeSet<String> = truth.iter().map(|mail| mail.sha256.clone()).collect();
        assert_eq!(shas, wanted, "the server's bytes");
        let events = self.queue.clone().in_effect("desk".to_owned()).await;
        let numbers: Vec<_> = events.iter().map(|event| event["sequence"].as_u64()).collect();
        let all: Vec<_> = (1..=MAILS as u64).map(Some).collect();
        assert_eq!(numbers, all, "events in order, without a gap");
        assert_eq!((row.unsent(), row.recorded), (0, 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_through_the_services() {
    let Some(aws) = Aws::here("mail_goes_through_the_services") else {
        return;
    };
    let scene = Scene::new(&aws).await;
    scene.settle().await;
    scene.audit().await;
    scene.settle().await;
    assert_eq!(
        scene.queue.events("desk").await.len(),
        MAILS,
        "an idle run sends nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_the_emulator_never_gives() {
    let Some(aws) = Aws::here("answers_that_the_emulator_never_gives") else {
        return;
    };
    for fault in [StoreFault::Conflict, StoreFault::AcknowledgementLost, StoreFault::Stale] {
        let calls = if fault == StoreFault::Stale {
            [StoreCall::Get, StoreCall::GetMany]
        } else {
            [StoreCall::Update, StoreCall::Transact]
        };
        for call in calls {
            for skip in 0..3 {
                let aws = Aws::here("another").expect("the emulator is there");
                let scene = Scene::new(&aws).await;
                scene.store.faults().arm_after(call, fault, skip, 1);
                let first = scene.importer().run("desk", &RunOptions::new("test")).await;
                scene.store.faults().clear();
                println!("{fault:?} {call:?} {skip}: {:?}", first.map(|report| report.outcome));
                scene.settle().await;
                scene.audit().await;
            }
        }
    }
    drop(aws);
}
