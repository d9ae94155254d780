//! The way of an admin: credential, token, accounts, import, looking at it, what is owed, the end.

use std::path::Path;

use serde_json::Value;
use simulator::{Delivery, Fault, FaultSpec, RequestKind, Times};
use tests::cli::{Bench, DESK, SALES};

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no array: {value}"))
}

fn filled() -> Bench {
    let bench = Bench::new();
    bench.simulator.fill(DESK, "inbox", 30, 20).unwrap();
    bench.simulator.fill(SALES, "inbox", 5, 20).unwrap();
    bench.add_credential("sim");
    bench
}

#[test]
fn from_the_credential_to_the_story() {
    let bench = filled();
    let token = bench.json(&["credential", "authorize", "sim"]);
    assert_eq!(token["roles"][0], "Mail.ReadWrite");
    assert!(token["expires_at"].is_string() && token["tenant"].is_string());
    bench.add_account("desk", DESK, &["--after-import", "mark-read"]);
    bench.add_account("sales", SALES, &[]);
    assert_eq!(bench.json(&["account", "check", "desk"])["ok"], true);
    let report = bench.json(&["import", "desk"]);
    assert_eq!(
        (&report["imported"], &report["acted"], &report["delivered"]),
        (&30.into(), &30.into(), &30.into())
    );
    let reports = bench.json(&["import", "--all"]);
    assert_eq!(array(&reports).len(), 2);
    assert_eq!(
        array(&reports)[0]["imported"],
        0,
        "what is on record is not imported again"
    );
    assert!(bench.simulator.truth(Some(DESK)).iter().all(|message| message.read));

    // Two pages over both mailboxes hold every message once, newest first.
    let first = bench.json(&["messages", "--limit", "20"]);
    let second = bench.json(&["messages", "--limit", "20", "--after", first["next"].as_str().unwrap()]);
    let all: Vec<&Value> = array(&first["messages"])
        .iter()
        .chain(array(&second["messages"]))
        .collect();
    assert_eq!(all.len(), 35);
    assert!(second["next"].is_null());
    let times: Vec<&str> = all
        .iter()
        .map(|message| message["envelope"]["received"].as_str().unwrap())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");
    let mut keys: Vec<&str> = all.iter().map(|message| message["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 35);

    // A message by the beginning of its key, and by its Message-ID; its files are where it says.
    for listed in &all {
        let key = listed["key"].as_str().unwrap();
        let message = bench.json(&["message", &key[..10]]);
        assert_eq!(message["key"], key);
        for file in array(&message["files"]) {
            assert!(Path::new(file["path"].as_str().unwrap()).is_file(), "{file}");
        }
        let attachments = usize::try_from(message["archived"]["attachments"].as_u64().unwrap()).unwrap();
        assert_eq!(array(&message["files"]).len(), 2 + attachments);
        if let Some(id) = listed["envelope"]["internet_message_id"].as_str() {
            let same = bench.json(&["message", &format!("<{id}>")]);
            assert_eq!(same["envelope"]["internet_message_id"], id);
        }
    }
    let found = bench.json(&["messages", "--search", "WORK ORDER", "--account", "desk"]);
    let expected = bench
        .simulator
        .truth(Some(DESK))
        .iter()
        .filter(|message| message.subject.to_lowercase().contains("work order"))
        .count();
    assert_eq!(array(&found["messages"]).len(), expected);
    assert!(expected > 0 && found["looked_through"] == 30);

    assert_eq!(array(&bench.json(&["events", "--account", "desk"])).len(), 30);
    assert_eq!(array(&bench.json(&["runs"])).len(), 2);
    assert_eq!(array(&bench.json(&["owed"])).len(), 0);
    assert!(array(&bench.json(&["audit"])).len() >= 4);
    assert_eq!(bench.json(&["reconcile"])[0]["account"], "desk");
    assert_eq!(bench.json(&["status"])["accounts"][0]["recorded"], 30);
    for arguments in [
        &["messages"][..],
        &["runs"],
        &["events"],
        &["status"],
        &["account", "list"],
        &["credential", "list"],
    ] {
        let text = bench.run(arguments).expect(0).stdout;
        for line in text.lines().filter(|line| !line.starts_with("Postroom ")) {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }
}

#[test]
fn the_secret_is_nowhere_in_the_open() {
    let bench = filled();
    let secret = bench.secret();
    for arguments in [
        &["credential", "show", "sim"][..],
        &["credential", "list"],
        &["--json", "credential", "show", "sim"],
        &["--log", "trace", "credential", "authorize", "sim"],
    ] {
        let done = bench.run(arguments).expect(0);
        assert!(
            !done.stdout.contains(&secret) && !done.stderr.contains(&secret),
            "{arguments:?}"
        );
    }
    let mut looked_at = 0;
    for entry in std::fs::read_dir(bench.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{}",
                path.display()
            );
            looked_at += 1;
        }
    }
    assert!(looked_at >= 3, "database, sealed file, key");
}

#[test]
fn now_means_the_moment_the_account_was_made() {
    let bench = filled();
    let made = bench.json(&[
        "account",
        "add",
        "--id",
        "desk",
        "--mailbox",
        DESK,
        "--credential",
        "sim",
        "--start",
        "now",
    ]);
    assert!(made["start_at"].is_string(), "{made}");
    // What comes between making the account and its first run is not lost. The server counts in whole seconds.
    let later = bench.simulator.clock().now_ms() + 2_000;
    let delivery = Delivery::inbox("Subject: in between\r\n\r\nhello").received(later);
    bench.simulator.deliver(DESK, delivery).unwrap();
    let report = bench.json(&["import", "desk"]);
    assert_eq!((&report["imported"], &report["before_start"]), (&1.into(), &30.into()));
}

#[test]
fn nobody_answers_and_now_is_the_first_contact() {
    let mut bench = filled();
    let trusted = bench.origin().to_owned();
    bench.stop_tenant();
    let arguments = [
        "account",
        "add",
        "--id",
        "desk",
        "--mailbox",
        DESK,
        "--credential",
        "sim",
        "--start",
        "now",
    ];
    let output = bench
        .command(&arguments)
        .env("POSTROOM_TRUST_ENDPOINTS", trusted)
        .output()
        .unwrap();
    let done = tests::cli::Done::of(&output).expect(0);
    assert!(done.stderr.contains("first contact"), "{}", done.stderr);
    assert!(done.stdout.contains("first contact"), "{}", done.stdout);
}

#[test]
fn what_is_owed_can_be_retried_and_dismissed() {
    let bench = filled();
    let bad = bench.simulator.truth(Some(DESK))[3].immutable_id.clone();
    let mut spec = FaultSpec::once(
        RequestKind::Value,
        Fault::Status {
            status: 500,
            code: Some("ErrorInternalServerError".into()),
            message: String::new(),
        },
    );
    spec.message = Some(bad);
    spec.times = Times::Always;
    bench.simulator.arm(spec);
    bench.add_account("desk", DESK, &[]);
    let report = bench.run(&["--json", "import", "desk"]).expect(3).json();
    assert_eq!(
        (&report["imported"], &report["owed"]),
        (&29.into(), &1.into()),
        "{report}"
    );
    let owed = bench.json(&["owed"]);
    let key = array(&owed)[0]["key"].as_str().unwrap().to_owned();
    assert!(array(&owed)[0]["reason"].is_string());
    assert!(bench.run(&["message", &key]).expect(0).stdout.contains("Owed"));
    let _ = bench.run(&["owed", "retry", &key[..8]]).expect(0);
    bench.simulator.clear_faults();
    let report = bench.json(&["import", "desk"]);
    assert_eq!(
        (&report["imported"], &report["owed"]),
        (&1.into(), &0.into()),
        "{report}"
    );
    let gone = bench.run(&["owed", "dismiss", &key]).expect(1);
    assert!(gone.stderr.contains("postroom owed"), "{}", gone.stderr);
}

#[test]
fn accounts_and_credentials_are_changed_and_removed() {
    let bench = filled();
    bench.add_account("desk", DESK, &[]);
    let refused = bench.run(&["credential", "remove", "sim", "--yes"]).expect(1);
    assert!(refused.stderr.contains("desk"));
    let edited = bench.json(&[
        "account",
        "edit",
        "desk",
        "--every",
        "2m",
        "--folder",
        "Inbox",
        "--folder",
        "sentitems",
    ]);
    assert_eq!(
        (&edited["every"], &edited["folders"][1]),
        (&"2m".into(), &"sentitems".into())
    );
    assert_eq!(bench.json(&["account", "disable", "desk"])["enabled"], false);
    assert_eq!(array(&bench.json(&["import", "--all"])).len(), 0);
    assert_eq!(bench.json(&["account", "enable", "desk"])["enabled"], true);
    bench.add_credential("other");
    let _ = bench.run(&["credential", "apply", "other", "desk"]).expect(0);
    assert_eq!(bench.json(&["account", "show", "desk"])["credential"], "other");
    let _ = bench.run(&["credential", "remove", "sim", "--yes"]).expect(0);

    // A wrong secret is the app's trouble; the right one mends it.
    let _ = bench
        .run_with(
            &["credential", "edit", "other", "--client-secret-stdin"],
            "wrong~secret",
        )
        .expect(0);
    let refused = bench.run(&["credential", "authorize", "other"]).expect(4);
    assert!(refused.stderr.contains("AADSTS7000215"), "{}", refused.stderr);
    let _ = bench.run(&["import", "desk"]).expect(4);
    let _ = bench
        .run_with(
            &["credential", "edit", "other", "--client-secret-stdin"],
            &bench.secret(),
        )
        .expect(0);
    assert_eq!(bench.json(&["import", "desk"])["imported"], 30);
    let _ = bench.run(&["account", "remove", "desk"]).expect(1);
    assert_eq!(bench.json(&["account", "remove", "desk", "--yes"])["recorded"], 30);
    assert_eq!(
        array(&bench.json(&["messages", "--limit", "100"])["messages"]).len(),
        30,
        "records stay"
    );
    assert_eq!(array(&bench.json(&["account", "list"])).len(), 0);
}

#[test]
fn the_demo_ends_by_itself_and_leaves_nothing() {
    let bench = Bench::new();
    let temporary = bench.beside("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let run = |arguments: &[&str]| {
        let output = bench.command(arguments).env("TMPDIR", &temporary).output().unwrap();
        tests::cli::Done::of(&output).expect(0)
    };
    let text = run(&["demo", "--messages", "6"]).stdout;
    assert!(
        text.contains("imported     6 messages") && text.contains("Story"),
        "{text}"
    );
    let value = run(&["--json", "demo", "--once", "--messages", "2"]).json();
    assert_eq!(value["reports"][1]["imported"], 2);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!bench.data().exists(), "the demo must not touch real data");
    let kept = bench.beside("kept");
    let _ = run(&["demo", "--once", "--messages", "1", "--keep", kept.to_str().unwrap()]);
    assert!(kept.join("postroom.db").is_file());
    let again = bench
        .run(&["demo", "--once", "--keep", kept.to_str().unwrap()])
        .expect(2);
    assert!(again.stderr.contains("not empty"));
}
