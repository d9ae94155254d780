//! The scheduler's suite: what is kept, replaced, refused. When it fires is each adapter's own matter.

use std::{sync::Arc, time::Duration};

use shared::ports::{Schedule, Scheduler};

/// Opens the same schedules once more.
pub type Reopen = Box<dyn Fn() -> Arc<dyn Scheduler> + Send + Sync>;

/// More than any service lists on one page.
pub const MANY: usize = 250;

/// Everything the scheduler's contract says, with so many schedules at once.
pub async fn all(open: &Reopen, count: usize) {
    let scheduler = open();
    assert!(scheduler.list().await.expect("list").is_empty());
    let schedule = |account: &str, minutes| Schedule {
        account: account.into(),
        every: Duration::from_mins(minutes),
        window: Duration::from_millis(1500),
        enabled: true,
    };
    for account in ["b", "a-2", "a", "a-10"] {
        scheduler.put(&schedule(account, 5)).await.expect("put");
    }
    let changed = Schedule {
        enabled: false,
        window: Duration::ZERO,
        ..schedule("b", 60)
    };
    scheduler.put(&changed).await.expect("replace");
    let wanted = vec![schedule("a", 5), schedule("a-10", 5), schedule("a-2", 5), changed];
    assert_eq!(
        scheduler.list().await.expect("list"),
        wanted,
        "kept exactly, in the order of the ids"
    );
    assert_eq!(
        open().list().await.expect("list"),
        wanted,
        "another instance sees the same"
    );
    scheduler.remove("a-10").await.expect("remove");
    scheduler.remove("a-10").await.expect("removing an absent one is fine");
    assert_eq!(open().list().await.expect("list").len(), 3);

    let long = "a".repeat(65);
    for account in ["", "A", "a b", "a/b", "..", "é", &long] {
        assert!(
            scheduler.put(&schedule(account, 5)).await.is_err(),
            "the account id {account:?} is taken"
        );
    }
    assert!(
        scheduler
            .put(&Schedule {
                every: Duration::ZERO,
                window: Duration::ZERO,
                ..schedule("z", 1)
            })
            .await
            .is_err(),
        "an interval of zero"
    );
    assert!(
        scheduler
            .put(&Schedule {
                window: Duration::from_mins(2),
                ..schedule("z", 1)
            })
            .await
            .is_err(),
        "a window over the interval"
    );
    assert_eq!(
        scheduler.list().await.expect("list").len(),
        3,
        "a refused one is not kept"
    );

    for at in 0..count {
        scheduler
            .put(&schedule(&format!("many-{at:03}"), 5))
            .await
            .expect("put");
    }
    let many = scheduler.list().await.expect("list");
    assert_eq!(many.len(), count + 3, "all pages are listed");
    assert!(many.is_sorted_by(|a, b| a.account < b.account));
}
