//! Every call of a port is a numbered step, and a plan says what becomes of which: a crash, a lost answer, a wait.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use shared::ports::Clock;
use tokio::sync::Notify;

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before the step has any effect.
    Before(usize),
    /// After its effect, before anybody learns of it.
    After(usize),
}

/// What a step is: one kind of call of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the call it is named after")]
pub enum Op {
    StoreGet,
    StoreGetMany,
    StoreQuery,
    StoreUpdate,
    StoreTransact,
    VaultRead,
    VaultVersion,
    VaultPut,
    VaultStage,
    VaultPromote,
    VaultRemove,
    Request,
    Chunk,
    ObjectPut,
    UploadBegin,
    UploadPart,
    UploadEnd,
    Settle,
    ObjectGet,
    ObjectList,
    ObjectRemove,
    Publish,
    SchedulePut,
    ScheduleRemove,
    ScheduleList,
}

impl Op {
    /// All of them, as tables show them.
    pub const ALL: [Self; 25] = [
        Self::StoreGet,
        Self::StoreGetMany,
        Self::StoreQuery,
        Self::StoreUpdate,
        Self::StoreTransact,
        Self::VaultRead,
        Self::VaultVersion,
        Self::VaultPut,
        Self::VaultStage,
        Self::VaultPromote,
        Self::VaultRemove,
        Self::Request,
        Self::Chunk,
        Self::ObjectPut,
        Self::UploadBegin,
        Self::UploadPart,
        Self::UploadEnd,
        Self::Settle,
        Self::ObjectGet,
        Self::ObjectList,
        Self::ObjectRemove,
        Self::Publish,
        Self::SchedulePut,
        Self::ScheduleRemove,
        Self::ScheduleList,
    ];

    /// Whether such a bend means anything for such a call. A stale read of records is a slip of the store, not of its
    /// contract; one of secrets is what Secrets Manager does.
    pub fn takes(self, bend: Bend) -> bool {
        use Bend::{After, Before, Conflict, Delay, Error, Jump, Lost, Short, Stale, Twice};
        let write = matches!(
            self,
            Self::StoreUpdate
                | Self::StoreTransact
                | Self::VaultPut
                | Self::VaultStage
                | Self::VaultPromote
                | Self::VaultRemove
                | Self::ObjectPut
                | Self::UploadPart
                | Self::UploadEnd
                | Self::ObjectRemove
                | Self::Publish
                | Self::SchedulePut
                | Self::ScheduleRemove
        );
        match bend {
            Before | After | Delay | Jump => true,
            Error => self != Self::Chunk,
            Lost => write || matches!(self, Self::Request | Self::UploadBegin | Self::Settle),
            Twice => (write && !matches!(self, Self::UploadPart | Self::UploadEnd)) || self == Self::Request,
            Conflict => matches!(
                self,
                Self::StoreUpdate | Self::StoreTransact | Self::VaultPut | Self::VaultStage | Self::VaultPromote
            ),
            Stale => matches!(
                self,
                Self::StoreGet | Self::StoreGetMany | Self::StoreQuery | Self::VaultRead
            ),
            Short => matches!(self, Self::StoreQuery | Self::Chunk | Self::Publish),
        }
    }
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bend {
    /// The process dies before it.
    Before,
    /// The process dies after it.
    After,
    /// It has its effect, and the answer is an error.
    Lost,
    /// It has no effect, and the answer is an error that passes.
    Error,
    /// It has no effect: somebody else was in the way.
    Conflict,
    /// It takes longer than a lease lasts (on the wire: almost as long as the deadlines there allow).
    Delay,
    /// It happens twice, and the second answer counts.
    Twice,
    /// What is read is what stood there before the last write.
    Stale,
    /// It gives only a part: of a page, a body, a batch.
    Short,
    /// The clock of the process jumps eleven minutes, ahead at even steps and back at odd ones.
    Jump,
}

impl Bend {
    /// All of them, as tables show them.
    pub const ALL: [Self; 10] = [
        Self::Before,
        Self::After,
        Self::Lost,
        Self::Error,
        Self::Conflict,
        Self::Delay,
        Self::Twice,
        Self::Stale,
        Self::Short,
        Self::Jump,
    ];
}

const JUMP_MS: i64 = 11 * 60 * 1000;

/// Counts steps and bends those that the plan names.
#[derive(Clone, Default)]
pub struct Crash {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    plan: Mutex<BTreeMap<usize, Bend>>,
    trace: Mutex<Vec<Op>>,
    met: Mutex<Vec<(usize, Op, Bend)>>,
    steps: AtomicUsize,
    skew: AtomicI64,
    happened: AtomicBool,
    now: Notify,
    thaw: Notify,
    thawed: AtomicBool,
}

/// A step that began.
pub struct Step {
    bend: Option<Bend>,
}

impl Step {
    /// What becomes of it, where that is the adapter's to do.
    pub fn bend(&self) -> Option<Bend> {
        self.bend
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crash {
    /// From now on steps are counted from 0, and the process dies at this one.
    pub fn arm(&self, point: Point) {
        self.plan([match point {
            Point::Before(step) => (step, Bend::Before),
            Point::After(step) => (step, Bend::After),
        }]);
    }

    /// From now on steps are counted from 0, and these are bent.
    pub fn plan(&self, plan: impl IntoIterator<Item = (usize, Bend)>) {
        self.inner.steps.store(0, Ordering::SeqCst);
        lock(&self.inner.trace).clear();
        *lock(&self.inner.plan) = plan.into_iter().collect();
    }

    /// No bend any more, and a clock that is right; what happened stays known.
    pub fn disarm(&self) {
        lock(&self.inner.plan).clear();
        self.inner.skew.store(0, Ordering::SeqCst);
    }

    /// Steps counted so far.
    pub fn steps(&self) -> usize {
        self.inner.steps.load(Ordering::SeqCst)
    }

    /// What the steps were, from the last plan on.
    pub fn trace(&self) -> Vec<Op> {
        lock(&self.inner.trace).clone()
    }

    /// The bends that happened, ever.
    pub fn met(&self) -> Vec<(usize, Op, Bend)> {
        lock(&self.inner.met).clone()
    }

    /// Whether a crash ever happened in this world.
    pub fn happened(&self) -> bool {
        self.inner.happened.load(Ordering::SeqCst)
    }

    /// Runs until it ends (`Some`) or until the process dies (`None`).
    pub async fn or<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.inner.now.notified() => None,
            result = run => Some(result),
        }
    }

    /// Whoever was frozen goes on.
    pub fn thaw(&self) {
        self.inner.thawed.store(true, Ordering::SeqCst);
        self.inner.thaw.notify_waiters();
    }

    /// The process stands still here, until it is thawed.
    pub async fn die(&self) {
        self.inner.happened.store(true, Ordering::SeqCst);
        self.inner.now.notify_one();
        let thawed = self.inner.thaw.notified();
        if !self.inner.thawed.load(Ordering::SeqCst) {
            thawed.await;
        }
    }

    /// A step begins.
    pub async fn begin(&self, op: Op) -> Step {
        let step = self.inner.steps.fetch_add(1, Ordering::SeqCst);
        lock(&self.inner.trace).push(op);
        let bend = lock(&self.inner.plan).remove(&step).filter(|bend| op.takes(*bend));
        if let Some(bend) = bend {
            lock(&self.inner.met).push((step, op, bend));
        }
        match bend {
            Some(Bend::Before) => self.die().await,
            Some(Bend::Delay) => {
                let seconds = match op {
                    Op::Request => 45,
                    Op::Chunk => 25,
                    _ => 200,
                };
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            Some(Bend::Jump) => {
                let by = if step.is_multiple_of(2) { JUMP_MS } else { -JUMP_MS };
                self.inner.skew.fetch_add(by, Ordering::SeqCst);
            }
            _ => {}
        }
        Step { bend }
    }

    /// A step had its effect.
    pub async fn end(&self, step: &Step) {
        if step.bend == Some(Bend::After) {
            self.die().await;
        }
    }

    /// A step from its beginning to its end. `refuse` is the error for a lost answer, an error, a conflict.
    pub(super) async fn through<'a, T, E>(
        &self,
        op: Op,
        apply: impl Fn(Option<Bend>) -> BoxFuture<'a, Result<T, E>> + Send,
        refuse: impl Fn(Bend) -> E + Send,
    ) -> Result<T, E>
    where
        T: Send,
        E: Send,
    {
        let step = self.begin(op).await;
        match step.bend {
            Some(bend @ (Bend::Error | Bend::Conflict)) => return Err(refuse(bend)),
            Some(Bend::Twice) => drop(apply(None).await),
            _ => {}
        }
        let result = apply(step.bend).await;
        self.end(&step).await;
        match step.bend {
            // A call that is refused on its merits says so.
            Some(Bend::Lost) if result.is_ok() => Err(refuse(Bend::Lost)),
            _ => result,
        }
    }

    /// The process's own view of this clock.
    pub fn clock(&self, clock: Arc<dyn Clock>) -> Arc<dyn Clock> {
        Arc::new(Jumping(clock, self.clone()))
    }
}

impl fmt::Debug for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crash")
    }
}

/// A clock that a plan makes jump.
struct Jumping(Arc<dyn Clock>, Crash);

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let now = self.0.now();
        let skew = self.1.inner.skew.load(Ordering::SeqCst);
        Timestamp::from_millisecond(now.as_millisecond() + skew).unwrap_or(now)
    }
    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}
