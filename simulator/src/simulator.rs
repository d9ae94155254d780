//! The handle: one simulated Microsoft, shared by the router, the control and the test that holds it.

use crate::clock::SimClock;
use crate::entra::App;
use crate::entra::directory::Directory;
use crate::entra::key::SigningKey;
use crate::faults::board::FaultBoard;
use crate::gate::Gate;
use crate::mailbox::Mailbox;
use crate::mailbox::rounds::Round;
use crate::options::Options;
use crate::record::Record;
use crate::stats::Stats;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One simulated Microsoft. Clones are handles on the same one.
#[derive(Clone)]
pub struct Simulator {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    state: Mutex<State>,
    pub(crate) clock: SimClock,
    pub(crate) key: SigningKey,
}

/// Everything that changes. Locked for the time of one step, never across an await.
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) rng: SmallRng,
    pub(crate) apps: Vec<App>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) faults: FaultBoard,
    pub(crate) gate: Gate,
    pub(crate) stats: Stats,
    /// Delta state by link token.
    pub(crate) rounds: HashMap<String, Round>,
    /// Link tokens whose state was thrown away.
    pub(crate) evicted: HashSet<String>,
    /// Identifiers (`uti`) of revoked access tokens.
    pub(crate) revoked: HashSet<String>,
    /// Identifiers of the tokens given out, with their app.
    pub(crate) issued: Vec<(String, String)>,
    /// The people and how they sign in.
    pub(crate) directory: Directory,
    /// Number of the next generated message.
    pub(crate) next_mail: u64,
    /// Where answers of Graph are noted.
    pub(crate) record: Option<Record>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulator")
    }
}

impl Core {
    /// A panic in one test step must not hide what the next one would say.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator {
    /// A tenant with one registered app and the people of the options.
    pub fn new(options: Options) -> Self {
        let clock = options.clock.clone();
        let key = SigningKey::embedded(options.light_tokens);
        let mut app = App::new(&options.client_id, &options.client_secret, &options.roles);
        app.permissions.clone_from(&options.permissions);
        app.redirect_uris.clone_from(&options.redirect_uris);
        let mut directory = Directory::default();
        directory.grants.rotation = options.rotation;
        let users = options.users.clone();
        let state = State {
            rng: SmallRng::seed_from_u64(options.seed),
            options,
            apps: vec![app],
            mailboxes: Vec::new(),
            faults: FaultBoard::default(),
            gate: Gate::default(),
            stats: Stats::default(),
            rounds: HashMap::new(),
            evicted: HashSet::new(),
            revoked: HashSet::new(),
            issued: Vec::new(),
            directory,
            next_mail: 0,
            record: None,
        };
        let simulator = Self {
            core: Arc::new(Core {
                state: Mutex::new(state),
                clock,
                key,
            }),
        };
        for user in users {
            simulator.add_user(user);
        }
        simulator
    }

    /// Notes every answer of Graph from now on in a new file, a line of JSON each: `method`, `path`, `query`, `status`, `headers`,
    /// `size` in bytes and, if it is JSON, `body`.
    pub fn record_to(&self, path: &Path) -> io::Result<()> {
        self.lock().record = Some(Record::create(path)?);
        Ok(())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.core.lock()
    }

    /// The clock; clones move together.
    pub fn clock(&self) -> SimClock {
        self.core.clock.clone()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.core.clock.now_ms()
    }
}

impl State {
    /// The mailbox an address (any case) or a GUID names.
    pub(crate) fn mailbox_named(&self, name: &str) -> Option<usize> {
        self.mailboxes
            .iter()
            .position(|m| m.address.eq_ignore_ascii_case(name) || m.guid.eq_ignore_ascii_case(name))
    }
}
