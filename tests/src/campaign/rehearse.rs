//! One scene with one plan, from its past to its rest: what went wrong, what it took to recover, whether all holds.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use shared::import::{RunOptions, reconcile, report::Outcome};

use super::scenario::{Scenario, Set};
use crate::world::{Backend, Bend, Op};

/// Which steps are bent, and how.
pub type Plan = Vec<(usize, Bend)>;

/// Runs that a scene may need after the last fault, so long apart: an account runs every five minutes, and a mail that is
/// owed waits for its time.
const RUNS: usize = 12;
const APART: Duration = Duration::from_secs(301);
/// A holder that is frozen loses its lease to whoever comes after this long.
const RIVAL_AFTER: Duration = Duration::from_secs(150);

/// How a rehearsal went.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// The steps of the act, as far as it came.
    pub trace: Vec<Op>,
    /// The bends that happened.
    pub met: Vec<(usize, Op, Bend)>,
    /// Runs after the last fault until everything was at rest.
    pub runs: usize,
    /// Requests in all.
    pub requests: u64,
    /// How the runs of the act ended.
    pub ends: Vec<Option<Outcome>>,
}

/// A rehearsal in a runtime of its own; what did not hold, if something did not.
///
/// The first plan is for the act; each further one for a life after it, in which the accounts are run as the schedule does.
pub fn rehearse(scenario: Scenario, backend: Backend, lives: &[Plan]) -> Result<Rehearsed, String> {
    let whole = AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(play(scenario, backend, lives))
    });
    super::quietly(|| catch_unwind(whole))
}

async fn play(scenario: Scenario, backend: Backend, lives: &[Plan]) -> Rehearsed {
    let none = Plan::new();
    let (plan, later) = lives.split_first().unwrap_or((&none, &[]));
    let set = Box::pin(scenario.set(backend)).await;
    let world = &set.world;
    world.forgive_haste();
    world.crash.plan(plan.iter().copied());
    // Whoever is frozen for longer than a lease lasts finds that another one has taken it.
    let frozen = plan.iter().any(|(_, bend)| *bend == Bend::Delay);
    let rival = async {
        if frozen {
            tokio::time::sleep(RIVAL_AFTER).await;
            let rival = world.process("rival", std::sync::Arc::new(world.clock.clone()));
            let _ = rival.importer.run("desk", &RunOptions::new("test")).await;
        }
    };
    let act = Box::pin(async { tokio::join!(set.act(), rival) });
    let mut died = world.crash.or(act).await.is_none();
    let ends = set.ends();
    set.in_order().await;
    let trace = world.crash.trace();
    // Half of the deaths are known to the next life; the leases of the others have to run out.
    let known = |plan: &Plan| plan.first().is_some_and(|(step, _)| step.is_multiple_of(2));
    // And half of them, others, are cuts of the power.
    let cut = |plan: &Plan| plan.first().is_some_and(|(step, _)| step.div_ceil(2).is_multiple_of(2));
    if died && cut(plan) {
        world.power_cut();
    }
    world.reborn(!died || known(plan));
    for plan in later {
        tokio::time::sleep(APART).await;
        world.crash.plan(plan.iter().copied());
        let importer = world.importer();
        let runs = async {
            for (account, _) in scenario.accounts() {
                let _ = importer.run(account, &RunOptions::new("test")).await;
            }
        };
        if world.crash.or(runs).await.is_none() {
            died = true;
            if cut(plan) {
                world.power_cut();
            }
        }
        world.reborn(known(plan));
    }
    let met = world.crash.met();
    world.simulator.clear_faults();
    tokio::time::sleep(APART).await;
    set.recover().await;
    let runs = settle(&set, scenario).await;
    hold(&set, scenario, died || frozen).await;
    Rehearsed {
        trace,
        met,
        runs,
        requests: world.simulator.stats().total,
        ends,
    }
}

async fn settle(set: &Set, scenario: Scenario) -> usize {
    for round in 1..=RUNS {
        let mut quiet = true;
        for (account, _) in scenario.accounts() {
            let report = set.world.run(account).await;
            quiet &= report.outcome == Outcome::Done && report.owed == 0 && report.actions_pending == 0;
        }
        if quiet {
            return round;
        }
        tokio::time::sleep(APART).await;
    }
    let mut said = String::new();
    for (account, _) in scenario.accounts() {
        said += &format!("{:#?}\n", set.world.run(account).await);
    }
    panic!("INV-10: not at rest after {RUNS} runs: {said}");
}

/// All that must hold at rest.
async fn hold(set: &Set, scenario: Scenario, overlapped: bool) {
    let world = &set.world;
    set.check().await;
    for (account, mailbox) in scenario.accounts() {
        let audit = world.audit().of(account, mailbox);
        if scenario.imports_all() {
            audit.all_imported().await;
        } else {
            audit.consistent().await;
        }
        world
            .audit()
            .of(account, mailbox)
            .accounted(scenario.before_start())
            .await;
        let row = world.row(account).await;
        reconcile::orphans(&world.ports(), &world.archive(), &row)
            .await
            .expect("reconciled");
        world.audit().of(account, mailbox).archive_is_named().await;
    }
    world.in_order();
    for (host, path) in world.wire.asked() {
        assert_eq!(host, "simulator.test", "asked {path} of a stranger");
    }
    let stats = world.simulator.stats();
    for (address, stats) in &stats.mailboxes {
        let most = if overlapped { 8 } else { 4 };
        assert!(
            stats.max_concurrent <= most,
            "INV-11: {} requests at once at {address}",
            stats.max_concurrent
        );
    }
    // What is at rest stays at rest: one run more records, sends and asks for nothing.
    for (account, _) in scenario.accounts() {
        let (before, sent) = (
            world.messages(account).await,
            world.memory.publisher.delivered(account).len(),
        );
        let report = world.run(account).await;
        assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
        assert_eq!(
            world.messages(account).await,
            before,
            "a run over nothing changed records"
        );
        let now = world.memory.publisher.delivered(account).len();
        assert_eq!(now, sent, "a run over nothing sent events");
        assert!(report.requests_total <= 3, "INV-9: idle, and yet {report:#?}");
    }
}
