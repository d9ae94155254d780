//! The scenes: what lies in the mailbox, how slow Microsoft is, who imports.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, RootCertStore};
use simulator::{Latency, Options, Simulator};
use tests::binary::{Desk, peak_memory_kib};

use super::floor;
use super::measure::{Row, Watch, bytes_alone, cpu_of, float};
use super::strangers;

const MAILBOX: &str = "bench@harbour-homes.example";
const MESSAGES: u32 = 500;

const fn latency(service: u64, network: u64) -> Latency {
    Latency {
        service: Duration::from_millis(service),
        network: Duration::from_millis(network),
    }
}

/// How slow Microsoft is: its own time per request, and that of the network.
pub(crate) const LATENCIES: [(&str, Latency); 3] = [
    ("mix, 0 ms", latency(0, 0)),
    ("mix, 80 ms", latency(80, 0)),
    ("mix, 40 + 40 ms", latency(40, 40)),
];

fn options(latency: Latency) -> Options {
    Options {
        latency,
        ..Options::default()
    }
}

/// 70 % of 10-40 KB, 25 % of 100-500 KB, 5 % of 5-10 MB, spread evenly; always the same.
fn fill_with_the_mix(simulator: &Simulator, messages: u32) {
    for at in 0..messages as usize {
        let spread = at * 7919 % 1000;
        let size = match at * 37 % 100 {
            0..70 => 10_000 + spread * 30,
            70..95 => 100_000 + spread * 400,
            _ => 5_000_000 + spread * 5_000,
        };
        simulator
            .deliver_sized(MAILBOX, size)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

fn say(scene: &str, client: &str) {
    eprintln!("running: {scene}: {client}");
}

/// The mix, by every client there is.
pub(crate) async fn mix(scene: &str, latency: Latency, take: &mut impl FnMut(Row)) {
    say(scene, "postroom");
    let desk = Desk::open_tls(options(latency)).await;
    desk.add_account("bench", MAILBOX, &["--after-import", "mark-read"])
        .await;
    fill_with_the_mix(&desk.simulator, MESSAGES);
    let row = import(&desk, scene, MESSAGES, latency).await;
    let alone = bytes_alone(&desk.program.data_dir.join("archive"), MESSAGES);
    let mut note = format!("of the CPU, {alone:.2} ms for hashing and writing these bytes alone");
    if latency.service + latency.network > Duration::ZERO {
        let bare = bare_request(&desk).await.as_secs_f64() * 1000.0;
        let _ = write!(note, "; a bare request, alone, takes {bare:.1} ms");
    }
    take(row.note(note));
    let of_others = async || {
        let desk = Desk::open_tls(options(latency)).await;
        desk.simulator.add_mailbox(MAILBOX);
        fill_with_the_mix(&desk.simulator, MESSAGES);
        desk
    };
    say(scene, "the floor");
    let desk = of_others().await;
    take(floor::import(&desk, MAILBOX, scene, MESSAGES, latency).await);
    for stranger in strangers::all().into_iter().flatten() {
        say(scene, stranger.name);
        let desk = of_others().await;
        take(strangers::import(&stranger, &desk, MAILBOX, scene, MESSAGES, latency).await);
    }
}

/// What a request that brings nothing takes on this machine, at the median, with nothing else going on: timers and wake-ups add
/// to the latency that was asked for, and no client can do anything about that.
async fn bare_request(desk: &Desk) -> Duration {
    const ASKED: usize = 31;
    let client = bare_client(desk.program.ca_file.as_deref()).unwrap_or_else(|error| panic!("{error}"));
    let url = format!("{}/nobody/oauth2/v2.0/token", desk.program.trusted);
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        let answer = client.post(&url).body("grant_type=none").send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}")).bytes().await;
        took.push(began.elapsed());
        assert!(answer.is_ok(), "{answer:?}");
    }
    took.sort_unstable();
    took[ASKED / 2]
}

pub(crate) fn bare_client(authority: Option<&Path>) -> Result<reqwest::Client, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = authority {
        roots.add_parsable_certificates(shared::wire::authorities(&std::fs::read(path)?)?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()?)
}

/// Imports all there is in one mailbox.
async fn import(desk: &Desk, scene: &str, messages: u32, latency: Latency) -> Row {
    let watch = Watch::start(&desk.simulator);
    let said = desk.run(&["--json", "import", "bench"]).await.exits(0);
    let row = watch.stop(
        scene,
        "postroom",
        messages,
        latency.service + latency.network,
        said.peak_kib,
    );
    let report = said.json();
    assert_eq!(report["imported"], messages, "{report:#}");
    assert_eq!(report["actions_pending"], 0, "{report:#}");
    row
}

/// One mail of 150 MB, by every client there is.
pub(crate) async fn one_mail(take: &mut impl FnMut(Row)) {
    let scene = "one mail of 150 MB";
    say(scene, "postroom");
    let desk = Desk::open_tls(options(latency(0, 0))).await;
    desk.add_account("bench", MAILBOX, &["--after-import", "mark-read"])
        .await;
    let deliver = |desk: &Desk| {
        let delivered = desk.simulator.deliver_sized(MAILBOX, 150_000_000);
        delivered.unwrap_or_else(|error| panic!("{error}"));
    };
    deliver(&desk);
    take(import(&desk, scene, 1, latency(0, 0)).await);
    for stranger in strangers::all().into_iter().flatten() {
        say(scene, stranger.name);
        let desk = Desk::open_tls(options(latency(0, 0))).await;
        desk.simulator.add_mailbox(MAILBOX);
        deliver(&desk);
        take(strangers::import(&stranger, &desk, MAILBOX, scene, 1, latency(0, 0)).await);
    }
}

/// 10,000 mails of every kind. In two mailboxes: no more than 9,600 requests go to one in ten minutes, whatever the server
/// would allow.
pub(crate) async fn many() -> Row {
    const EACH: u32 = 5_000;
    let scene = "10,000 mails in 2 mailboxes";
    say(scene, "postroom");
    let desk = Desk::open_tls(options(latency(0, 0))).await;
    for account in ["one", "two"] {
        let mailbox = format!("{account}@harbour-homes.example");
        desk.add_account(account, &mailbox, &[]).await;
        desk.simulator
            .fill(&mailbox, "inbox", EACH as usize, 365)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let watch = Watch::start(&desk.simulator);
    let said = desk.run(&["--json", "import", "--all"]).await.exits(0);
    watch
        .stop(scene, "postroom", 2 * EACH, Duration::ZERO, said.peak_kib)
        .note("bytes only, nothing is marked")
}

/// One mailbox, then sixteen at once in one process.
pub(crate) async fn mailboxes(take: &mut impl FnMut(Row)) {
    const EACH: u32 = 100;
    let slow = latency(80, 0);
    let mut alone = 0.0;
    for count in [1, 16] {
        let scene = format!("{count} x {EACH} small mails, 80 ms");
        say(&scene, "postroom");
        let desk = Desk::open_tls(options(slow)).await;
        for at in 0..count {
            let mailbox = format!("bench{at}@harbour-homes.example");
            desk.add_account(&format!("bench{at}"), &mailbox, &["--after-import", "mark-read"])
                .await;
            desk.simulator
                .fill(&mailbox, "inbox", EACH as usize, 30)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let watch = Watch::start(&desk.simulator);
        let said = desk.run(&["--json", "import", "--all"]).await.exits(0);
        let mut row = watch.stop(&scene, "postroom", EACH * count, slow.service, said.peak_kib);
        // The bound is that of one mailbox: every mailbox has four slots of its own.
        row.wall_over_bound = row.wall_over_bound.map(|ratio| ratio * f64::from(count));
        if count == 1 {
            alone = row.wall_seconds;
            take(row);
        } else {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let note = format!(
                "{:.2} x the time of one; CPU on {cores} cores: client {:.1} s, simulator {:.1} s",
                row.wall_seconds / alone,
                row.cpu_ms_per_message * f64::from(row.messages) / 1000.0,
                row.simulator_cpu_seconds,
            );
            take(row.note(note));
        }
    }
}

/// 2,000 mailboxes in which nothing happens, polled every two minutes.
pub(crate) async fn idle() -> Row {
    const ACCOUNTS: u32 = 2_000;
    const EVERY: Duration = Duration::from_secs(120);
    let scene = "2,000 idle mailboxes, every 2 min";
    say(scene, "postroom serve");
    let desk = Desk::open_tls(Options::default()).await;
    desk.add_accounts(ACCOUNTS, "2m").await;
    let mut serve = desk.start(&["serve", "--listen", "127.0.0.1:0"]);
    let pid = serve.id().unwrap_or_default();
    let polled = |least: u64| {
        let stats = desk.simulator.stats();
        stats
            .mailboxes
            .values()
            .filter(|mailbox| mailbox.requests >= least)
            .count()
    };
    // The first walks are no polls: wait until every mailbox had one, and one interval more.
    let began = Instant::now();
    while polled(1) < ACCOUNTS as usize && began.elapsed() < EVERY * 3 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let first = began.elapsed();
    tokio::time::sleep(EVERY).await;
    let before = desk.simulator.stats();
    let (cpu, began) = (cpu_of(pid), Instant::now());
    // One interval and what the jitter of a tenth allows.
    tokio::time::sleep(EVERY + EVERY / 10).await;
    let wall = began.elapsed().as_secs_f64();
    let after = desk.simulator.stats();
    let cpu = (cpu_of(pid) - cpu).all().as_secs_f64();
    let requests: u64 = after.total - before.total;
    let missed = after
        .mailboxes
        .iter()
        .filter(|(address, now)| {
            before
                .mailboxes
                .get(*address)
                .is_some_and(|was| was.requests == now.requests)
        })
        .count();
    let polls = float(requests);
    let row = Row {
        scene: scene.to_owned(),
        client: "postroom".to_owned(),
        messages: 0,
        wall_seconds: wall,
        wall_over_bound: None,
        messages_per_second: 0.0,
        requests_per_message: 0.0,
        cpu_ms_per_message: 0.0,
        kernel_ms_per_message: 0.0,
        simulator_cpu_seconds: 0.0,
        peak_mb: float(peak_memory_kib(pid).unwrap_or_default()) / 1024.0,
        answers_429: 0,
        slots_in_use: 0.0,
        held_ms: 0.0,
        note: format!(
            "{polls} polls of one request, {missed} mailboxes missed their time; {:.2} ms CPU per poll, {:.0} % of a core; first round {:.0} s",
            cpu * 1000.0 / polls,
            cpu / wall * 100.0,
            first.as_secs_f64()
        ),
    };
    let _ = serve.kill().await;
    row
}
