//! Real processes on one data directory: eight at once, and some that are killed.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use local::adapters::{DataDir, OpenOptions, Opened, open};
use serde_json::Value;
use shared::{
    ports::{Attributes, Change, Key, SecretName, Stage, Write},
    secret::Secret,
};

use super::embedded::directory;

const DIRECTORY: &str = "POSTROOM_TEST_DIRECTORY";
const TASK: &str = "POSTROOM_TEST_TASK";

/// Another process at work; killed when dropped, so that a failed test leaves none behind.
struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
    instance: String,
}

impl Worker {
    /// Starts this test program once more, and waits until it has everything open.
    fn start(data_dir: &DataDir, task: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "processes::work", "--ignored", "--nocapture"]);
        command.env(DIRECTORY, data_dir.root()).env(TASK, task);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a worker");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut worker = Self {
            child,
            output,
            instance: String::new(),
        };
        loop {
            let line = worker.line().expect("the worker ended early");
            if let Some((_, instance)) = line.split_once("ready ") {
                instance.clone_into(&mut worker.instance);
                return worker;
            }
        }
    }

    /// Its next line; nothing at its end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.output.read_line(&mut line).expect("a line");
        (bytes > 0).then(|| line.trim().to_owned())
    }

    /// Kill -9.
    fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("its end");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn reopened(data_dir: &DataDir) -> Opened {
    open(data_dir.clone(), &OpenOptions::default()).expect("open")
}

fn one_more() -> Write {
    let change = Change::Update {
        set: Attributes::new(),
        add: BTreeMap::from([("n".to_owned(), 1)]),
    };
    Write {
        key: Key::new("work", "counter"),
        change,
        when: Vec::new(),
    }
}

/// Not a test of its own: what a worker does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the tests of this module"]
#[expect(
    clippy::disallowed_methods,
    reason = "a worker is told what to do by its environment"
)]
async fn work() {
    let (Ok(directory), Ok(task)) = (std::env::var(DIRECTORY), std::env::var(TASK)) else {
        return;
    };
    let opened = reopened(&DataDir::open(directory.as_ref()).expect("a data directory"));
    let ports = &opened.ports;
    println!("ready {}", ports.instance);
    if task == "forever" {
        for at in 0_u64.. {
            // Two rows in one transaction and an event: whoever comes after must find both or neither, and whole lines.
            let pair = |name: &str| Write::put(Key::new("pairs", name), [("n".to_owned(), at.into())].into());
            ports
                .store
                .transact(vec![one_more(), pair("left"), pair("right")])
                .await
                .expect("transact");
            ports
                .publisher
                .publish("a", &tests::conformance::publisher::events([at + 1]))
                .await
                .expect("publish");
            println!("done {at}");
        }
    }
    for at in 0..25 {
        ports.store.update(one_more()).await.expect("update");
        let name = SecretName(format!("grant/{task}-{at}"));
        let first = ports
            .vault
            .put(&name, &Secret::new(format!("{task}-{at}")), None)
            .await
            .expect("put");
        ports
            .vault
            .put(&name, &Secret::new(format!("{task}-{at}-2")), Some(&first))
            .await
            .expect("put again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_at_once_lose_nothing() {
    let (_kept, data_dir) = directory();
    // All start on an empty directory: making database and key is part of the race.
    let workers: Vec<_> = std::thread::scope(|scope| {
        let start = |at: i32| {
            let data_dir = &data_dir;
            scope.spawn(move || Worker::start(data_dir, &format!("w{at}")))
        };
        let starting: Vec<_> = (0..8).map(start).collect();
        starting
            .into_iter()
            .map(|worker| worker.join().expect("a worker"))
            .collect()
    });
    for mut worker in workers {
        while worker.line().is_some() {}
        assert!(worker.child.wait().expect("its end").success());
    }
    let opened = reopened(&data_dir);
    let counter = opened
        .ports
        .store
        .get(&Key::new("work", "counter"))
        .await
        .expect("get")
        .expect("an item");
    assert_eq!(counter.attributes["n"], 8 * 25);
    for worker in 0..8 {
        for at in 0..25 {
            let name = SecretName(format!("grant/w{worker}-{at}"));
            let entry = opened
                .ports
                .vault
                .read(&name, Stage::Current)
                .await
                .expect("read")
                .expect("an entry");
            assert_eq!(entry.value.expose(), format!("w{worker}-{at}-2"));
        }
    }
}

/// Kill -9 in the middle of work, ten times: what was acknowledged is there, whole, and the dead are known to be dead.
#[tokio::test(flavor = "multi_thread")]
async fn the_killed_leave_everything_whole() {
    let (_kept, data_dir) = directory();
    let here = reopened(&data_dir);
    for round in 0..10 {
        let mut worker = Worker::start(&data_dir, "forever");
        assert!(!(here.ports.dead)(&worker.instance), "it lives");
        let mut done = None;
        for _ in 0..=round {
            let line = worker.line().expect("it goes on");
            done = line
                .strip_prefix("done ")
                .map(|number| number.parse::<u64>().expect("a number"))
                .or(done);
        }
        worker.kill();
        assert!((here.ports.dead)(&worker.instance), "it is known to be dead");
        let rows = here
            .ports
            .store
            .get_many(&[Key::new("pairs", "left"), Key::new("pairs", "right")])
            .await
            .expect("get_many");
        let numbers: Vec<_> = rows.iter().map(|item| item.attributes["n"].as_u64()).collect();
        assert!(
            numbers.len() == 2 && numbers[0] == numbers[1],
            "both rows or neither: {numbers:?}"
        );
        assert!(
            numbers[0] >= done,
            "what was acknowledged is there: {numbers:?}, {done:?}"
        );
        let mut tail = here.events.tail("a").expect("a tail");
        let events = tail.poll().expect("poll");
        let sequences: Vec<_> = events
            .iter()
            .filter_map(|event| event.get("sequence").and_then(Value::as_u64))
            .collect();
        assert!(
            sequences.iter().copied().eq(1..=sequences.len() as u64),
            "each event once and in order: {sequences:?}"
        );
        assert!(done.is_none_or(|done| sequences.len() as u64 > done));
    }
    // Alone again, after unclean ends: the check on opening passes, and the traces of the dead are swept away.
    drop(here);
    let here = reopened(&data_dir);
    let locks = std::fs::read_dir(data_dir.locks()).expect("the locks").count();
    assert_eq!(locks, 2, "the database's lock and this instance's");
    drop(here);
}
