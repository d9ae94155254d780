//! How fast an import is: the real binary, a simulated tenant in this process, a table at the end.
//!
//! The lower bound is what Microsoft's limits leave: one request per message, four at a time, each as long as the
//! latency. Where there is no latency there is no such bound, and messages per second are what counts.

use std::time::{Duration, Instant};

use simulator::{Latency, Options};
use tests::binary::Desk;

const MAILBOX: &str = "bench@harbour-homes.example";
const MESSAGES: usize = 500;
/// Requests one app may have in flight at one mailbox (Microsoft Graph throttling limits, Outlook).
const IN_FLIGHT: f64 = 4.0;

#[tokio::main]
async fn main() {
    println!("{MESSAGES} messages, one mailbox\n");
    println!("latency     wall  messages/s  wall/bound  requests/message  peak RSS  429");
    for latency in [0, 40] {
        measure(Duration::from_millis(latency)).await;
    }
}

async fn measure(latency: Duration) {
    let desk = Desk::open(Options {
        latency: Latency {
            service: latency,
            network: Duration::ZERO,
        },
        ..Options::default()
    })
    .await;
    desk.add_account("bench", MAILBOX, &[]).await;
    if let Err(error) = desk.simulator.fill(MAILBOX, "inbox", MESSAGES, 30) {
        panic!("{error}");
    }
    let before = desk.simulator.stats().total;
    let began = Instant::now();
    let said = desk.run(&["--json", "import", "bench"]).await.exits(0);
    let wall = began.elapsed().as_secs_f64();
    let report = said.json();
    assert_eq!(report["imported"], MESSAGES, "{report:#}");
    let stats = desk.simulator.stats();
    let count = f64::from(u32::try_from(MESSAGES).unwrap_or(u32::MAX));
    let requests = f64::from(u32::try_from(stats.total - before).unwrap_or(u32::MAX));
    let bound = latency.as_secs_f64() * count / IN_FLIGHT;
    let ratio = if bound > 0.0 {
        format!("{:.2}", wall / bound)
    } else {
        "-".to_owned()
    };
    let throttled: u64 = stats.mailboxes.values().map(|mailbox| mailbox.throttled).sum();
    println!(
        "{:>4} ms  {wall:>6.2} s  {:>10.1}  {ratio:>10}  {:>16.3}  {:>5.1} MB  {throttled:>3}",
        latency.as_millis(),
        count / wall,
        requests / count,
        f64::from(u32::try_from(said.peak_kib).unwrap_or(u32::MAX)) / 1024.0,
    );
}
