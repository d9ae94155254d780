//! When the timers fire: under tokio's paused time, over the memory store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use local::adapters::{Fire, TimerScheduler};
use shared::{
    memory::{ManualClock, MemoryStore, PausedClock, StoreCall, StoreFault},
    ports::{Clock, Schedule, Scheduler},
};
use tokio::sync::oneshot;

fn schedule(account: &str, every: u64, window: u64) -> Schedule {
    Schedule {
        account: account.into(),
        every: Duration::from_secs(every),
        window: Duration::from_secs(window),
        enabled: true,
    }
}

/// When each account fired.
type Firings = Arc<Mutex<BTreeMap<String, Vec<Timestamp>>>>;

/// Keeps firings; each takes this long.
fn recorder(clock: Arc<dyn Clock>, takes: Duration) -> (Fire, Firings) {
    let fired = Arc::new(Mutex::new(BTreeMap::<String, Vec<Timestamp>>::new()));
    let kept = fired.clone();
    let fire: Fire = Arc::new(move |account| {
        kept.lock().expect("lock").entry(account).or_default().push(clock.now());
        let clock = clock.clone();
        Box::pin(async move { clock.sleep(takes).await })
    });
    (fire, fired)
}

#[tokio::test(start_paused = true)]
async fn each_account_fires_once_an_interval_at_its_own_place_in_the_window() {
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::default());
    let timers = TimerScheduler::new(Arc::new(MemoryStore::default()), clock.clone());
    for at in 0..20 {
        timers.put(&schedule(&format!("a{at}"), 300, 60)).await.expect("put");
    }
    timers
        .put(&Schedule {
            enabled: false,
            ..schedule("off", 300, 0)
        })
        .await
        .expect("put");
    let (fire, fired) = recorder(clock.clone(), Duration::from_secs(1));
    timers.run(fire, clock.sleep(Duration::from_hours(1))).await;
    let fired = fired.lock().expect("lock").clone();
    assert_eq!(fired.len(), 20, "all but the disabled one");
    let mut places = std::collections::BTreeSet::new();
    for (account, times) in &fired {
        assert!(
            (12..=14).contains(&times.len()),
            "{account} fired {} times in an hour",
            times.len()
        );
        let steady = &times[1..];
        assert!(
            steady
                .windows(2)
                .all(|pair| pair[1].duration_since(pair[0]).as_secs() == 300),
            "{account}: {times:?}"
        );
        let place = steady[0].as_second().rem_euclid(300);
        assert!((0..=60).contains(&place), "{account} fires {place} s after the moment");
        places.insert(place);
    }
    assert!(places.len() > 10, "accounts are spread over the window: {places:?}");
}

#[tokio::test(start_paused = true)]
async fn firings_of_one_account_never_overlap_and_hold_no_other() {
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::default());
    let timers = TimerScheduler::new(Arc::new(MemoryStore::default()), clock.clone());
    timers.put(&schedule("slow", 10, 0)).await.expect("put");
    timers.put(&schedule("quick", 10, 0)).await.expect("put");
    let running = Arc::new(Mutex::new(BTreeMap::<String, (u32, u32)>::new()));
    let (seen, slept) = (running.clone(), clock.clone());
    let fire: Fire = Arc::new(move |account: String| {
        let (seen, slept) = (seen.clone(), slept.clone());
        Box::pin(async move {
            {
                let mut seen = seen.lock().expect("lock");
                let (now, all) = seen.entry(account.clone()).or_default();
                *now += 1;
                *all += 1;
                assert_eq!(*now, 1, "{account} runs twice at once");
            }
            slept
                .sleep(Duration::from_secs(if account == "slow" { 25 } else { 1 }))
                .await;
            seen.lock().expect("lock").get_mut(&account).expect("it runs").0 -= 1;
        })
    });
    timers.run(fire, clock.sleep(Duration::from_secs(100))).await;
    let running = running.lock().expect("lock").clone();
    assert!((3..=5).contains(&running["slow"].1), "{running:?}");
    assert!((10..=12).contains(&running["quick"].1), "{running:?}");
    assert!(
        running.values().all(|(now, _)| *now == 0),
        "what ran when it stopped was waited for: {running:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_by_others_take_effect_and_a_busy_store_stops_nothing() {
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::default());
    let store = MemoryStore::default();
    let timers = TimerScheduler::new(Arc::new(store.clone()), clock.clone());
    timers.put(&schedule("a", 60, 0)).await.expect("put");
    let (fire, fired) = recorder(clock.clone(), Duration::ZERO);
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = {
        let timers = timers.clone();
        tokio::spawn(async move {
            timers
                .run(fire, async move {
                    let _ = stopped.await;
                })
                .await;
        })
    };
    let count = |account: &str| fired.lock().expect("lock").get(account).map_or(0, Vec::len);
    clock.sleep(Duration::from_secs(130)).await;
    let before = count("a");
    assert!(before >= 3, "{before}");
    store.faults().arm(StoreCall::Query, StoreFault::Unavailable, 1000);
    clock.sleep(Duration::from_mins(2)).await;
    assert_eq!(count("a"), before + 2, "the schedules as last read go on");
    store.faults().clear();
    let other = TimerScheduler::new(Arc::new(store.clone()), clock.clone());
    other.remove("a").await.expect("remove");
    other.put(&schedule("b", 60, 0)).await.expect("put");
    clock.sleep(Duration::from_secs(6)).await;
    let (a, b) = (count("a"), count("b"));
    assert_eq!(b, 1, "a new account fires soon");
    clock.sleep(Duration::from_mins(2)).await;
    assert_eq!((count("a"), count("b")), (a, b + 2));
    stop.send(()).expect("it listens");
    serve.await.expect("serve ends");
}

/// The machine sleeps for a day: what was missed is made up once, not 288 times.
#[tokio::test]
async fn a_long_sleep_is_made_up_once() {
    let clock = ManualClock::default();
    let timers = TimerScheduler::new(Arc::new(MemoryStore::default()), Arc::new(clock.clone()));
    timers.put(&schedule("a", 300, 0)).await.expect("put");
    let (fire, fired) = recorder(Arc::new(clock.clone()), Duration::ZERO);
    let serve = tokio::spawn(async move { timers.run(fire, std::future::pending()).await });
    let count = || fired.lock().expect("lock").get("a").map_or(0, Vec::len);
    let settle = || async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    assert_eq!(count(), 1);
    clock.advance(Duration::from_hours(24) + Duration::from_secs(7));
    settle().await;
    clock.advance(Duration::from_secs(5));
    settle().await;
    assert_eq!(count(), 2);
    for _ in 0..60 {
        clock.advance(Duration::from_secs(5));
        settle().await;
    }
    assert_eq!(count(), 3, "and then as before");
    serve.abort();
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_run_stops_neither_timers_nor_account() {
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::default());
    let timers = TimerScheduler::new(Arc::new(MemoryStore::default()), clock.clone());
    timers.put(&schedule("a", 60, 0)).await.expect("put");
    let fired = Arc::new(Mutex::new(0));
    let counter = fired.clone();
    let fire: Fire = Arc::new(move |_| {
        let counter = counter.clone();
        Box::pin(async move {
            *counter.lock().expect("lock") += 1;
            panic!("a defect in a run");
        })
    });
    timers.run(fire, clock.sleep(Duration::from_secs(200))).await;
    assert!(*fired.lock().expect("lock") >= 4);
}
