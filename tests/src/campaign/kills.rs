//! The real binary, killed with SIGKILL at any moment and started again: nothing lost, nothing twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{Rng as _, rngs::SmallRng};
use serde_json::Value;
use simulator::{Latency, Options, RequestKind, Simulator};

use crate::binary::Desk;

const DESK: &str = "desk@harbour-homes.example";
const ORDERS: &str = "orders@harbour-homes.example";
/// Mail that waits before the first start.
const WAITING: usize = 150;
/// Mail that comes to each mailbox before every further start, so that there is something to be killed at.
const BEFORE_A_START: usize = 10;

/// How much slower than an idle machine a busy one may be.
const SLOWEST: u64 = 40;

/// Kills `postroom import` and `postroom serve` so often each while they work, and compares what there is with what there was.
pub async fn kill(random: &mut SmallRng, seed: u64, imports: usize, serves: usize) {
    let desk = Desk::open(Options {
        seed,
        vary_mime: true,
        // Slow enough that most moments lie in the middle of something.
        latency: Latency {
            service: Duration::from_millis(12),
            network: Duration::from_millis(8),
        },
        ..Options::default()
    })
    .await;
    let every = ["--every", "10s"];
    desk.add_account("desk", DESK, &[&every[..], &["--after-import", "mark-read"]].concat())
        .await;
    desk.add_account(
        "orders",
        ORDERS,
        &[&every[..], &["--after-import", "move:archive"]].concat(),
    )
    .await;
    for mailbox in [DESK, ORDERS] {
        desk.simulator.fill(mailbox, "inbox", WAITING, 30).expect("a mailbox");
    }
    let post = Post::begin(&desk.simulator);

    let import = Killer {
        desk: &desk,
        arguments: &["import", "--all"],
        kills: imports,
        within_ms: 700,
    };
    import.run(random).await;
    let serve = Killer {
        desk: &desk,
        arguments: &["serve", "--listen", "127.0.0.1:0"],
        kills: serves,
        within_ms: 1200,
    };
    serve.run(random).await;

    post.end().await;
    settle(&desk).await;
    let books = desk.books();
    for (account, mailbox) in [("desk", DESK), ("orders", ORDERS)] {
        let truth = desk.simulator.truth(Some(mailbox));
        let count = books.check(account, "inbox", &truth, false).await;
        println!("{account}: {count} messages");
        assert!(count > WAITING, "mail kept coming");
        for one in truth.iter().filter(|one| !one.draft) {
            match account {
                "desk" => assert!(one.read, "marked read: {}", one.subject),
                _ => assert_eq!(one.folder.as_deref(), Some("archive"), "moved: {}", one.subject),
            }
        }
    }
    drop(books);
    only_what_counts_is_left(&desk).await;
    assert_eq!(desk.simulator.complaints(), Vec::<String>::new());
}

/// Starts a command again and again and kills it at random moments.
struct Killer<'a> {
    desk: &'a Desk,
    arguments: &'a [&'a str],
    kills: usize,
    /// Milliseconds in which it is killed, on a machine that has nothing else to do.
    within_ms: u64,
}

impl Killer<'_> {
    async fn run(&self, random: &mut SmallRng) {
        let values = || self.desk.simulator.stats().count(RequestKind::Value);
        let (mut killed, mut at_work, mut starts) = (0, 0, 0);
        // A busy machine needs longer until there is something to be killed at: where most were killed too early, the next is
        // given more time; where one came to its end, less.
        let mut within_ms = self.within_ms;
        while killed < self.kills {
            starts += 1;
            assert!(
                starts <= self.kills * 3,
                "{:?} ended by itself too often to be killed",
                self.arguments
            );
            for mailbox in [DESK, ORDERS] {
                for _ in 0..BEFORE_A_START {
                    self.desk
                        .simulator
                        .deliver_generated(mailbox, "inbox")
                        .expect("a mailbox");
                }
            }
            let before = values();
            let mut child = self.desk.start(self.arguments);
            let moment = Duration::from_millis(random.random_range(1..=within_ms));
            match tokio::time::timeout(moment, child.wait()).await {
                // It ended by itself: well, or with something to do later; never in any other way.
                Ok(ended) => {
                    let code = ended.expect("it ended").code();
                    assert!(
                        matches!(code, Some(0 | 3)),
                        "{:?} ended with {code:?} by itself",
                        self.arguments
                    );
                    within_ms = (within_ms * 3 / 4).max(self.within_ms);
                }
                Err(_) => {
                    child.kill().await.expect("SIGKILL");
                    killed += 1;
                    if values() > before {
                        at_work += 1;
                    } else if at_work * 2 < killed {
                        within_ms = (within_ms * 5 / 4).min(self.within_ms * SLOWEST);
                    }
                }
            }
        }
        println!(
            "{:?}: {killed} kills in {starts} starts, {at_work} of them after it had begun to fetch",
            self.arguments
        );
        assert!(
            at_work * 4 >= self.kills,
            "too few kills hit it at work: {at_work} of {killed}"
        );
    }
}

/// Mail that keeps coming.
struct Post {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Post {
    fn begin(simulator: &Simulator) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (simulator, stopped) = (simulator.clone(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut pause = tokio::time::interval(Duration::from_millis(150));
            while !stopped.load(Ordering::SeqCst) {
                pause.tick().await;
                for mailbox in [DESK, ORDERS] {
                    simulator.deliver_generated(mailbox, "inbox").expect("a mailbox");
                }
            }
        });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("the post");
    }
}

/// Imports until nothing is left to do and nothing is set aside.
async fn settle(desk: &Desk) {
    let (mut said, mut struck) = (String::new(), 0);
    for _ in 0..10 {
        let reports = desk.run(&["--json", "import", "--all"]).await;
        let owed = retry_struck(desk).await;
        struck += owed;
        let at_rest = reports.code == Some(0)
            && owed == 0
            && reports
                .json()
                .as_array()
                .is_some_and(|all| all.iter().all(|report| report["actions_pending"] == 0));
        if at_rest {
            println!("{struck} innocent messages had been struck three times");
            return;
        }
        said = format!("{reports:#?}");
    }
    panic!("not at rest after ten runs: {said}");
}

/// A message at which the process died three times is set aside as the likely cause, its bytes kept, and tried again by
/// itself a quarter of an hour later. Here every one is innocent, and an admin does not wait. Answers how many there were.
async fn retry_struck(desk: &Desk) -> usize {
    let owed = desk.run(&["--json", "owed"]).await.exits(0).json();
    let owed = owed.as_array().expect("a list");
    for debt in owed {
        assert!(
            debt["reason"]
                .as_str()
                .is_some_and(|why| why.contains("the process died")),
            "set aside for another reason: {debt:#}"
        );
        assert!(
            debt["next_try"].is_string(),
            "it would not have come in by itself: {debt:#}"
        );
        let key = debt["key"].as_str().expect("a key");
        let _ = desk.run(&["owed", "retry", key, "--yes"]).await.exits(0);
    }
    owed.len()
}

/// After reconciliation the archive holds files of the attempts that the records name, and no others.
async fn only_what_counts_is_left(desk: &Desk) {
    let removed: Value = desk.run(&["--json", "reconcile"]).await.exits(0).json();
    println!("reconcile: {removed}");
    let books = desk.books();
    for account in ["desk", "orders"] {
        let messages = books.messages(account).await;
        let named: BTreeSet<&str> = messages
            .values()
            .filter_map(|message| Some(message.archived.as_ref()?.path.as_str()))
            .collect();
        let files = books.archived_files(account);
        let stray: Vec<&String> = files
            .iter()
            .filter(|file| {
                let attempt: Vec<&str> = file.splitn(4, '/').take(3).collect();
                !named.contains(attempt.join("/").as_str())
            })
            .collect();
        assert!(
            stray.is_empty(),
            "{account}: files of attempts that no record names: {stray:#?}"
        );
    }
}
