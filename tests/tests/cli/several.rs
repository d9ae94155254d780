//! Several processes on one data directory: two that want to serve, eight that work, one whose reader goes away.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use tests::{
    binary::binary,
    cli::{Bench, DESK, Done, SALES},
};

/// Starts `serve` on a free port; the process and the address of its page.
fn serve(bench: &Bench) -> (Child, String) {
    let mut child = bench.start(&["--json", "serve", "--listen", "127.0.0.1:0"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no address: {line}"));
    (child, value["listening"].as_str().unwrap().to_owned())
}

fn terminate(child: Child) -> Done {
    let status = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    Done::of(&child.wait_with_output().unwrap())
}

fn get(runtime: &tokio::runtime::Runtime, url: &str, host: Option<&str>) -> (u16, String, reqwest::header::HeaderMap) {
    let provider = rustls::crypto::ring::default_provider();
    let tls = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap();
    runtime
        .block_on(async {
            let mut request = client.get(url);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let answer = request.send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.headers().clone(),
                answer.text().await.unwrap(),
            )
        })
        .into_parts()
}

/// Puts the parts in the order that reads best.
trait IntoParts {
    fn into_parts(self) -> (u16, String, reqwest::header::HeaderMap);
}

impl IntoParts for (u16, reqwest::header::HeaderMap, String) {
    fn into_parts(self) -> (u16, String, reqwest::header::HeaderMap) {
        (self.0, self.2, self.1)
    }
}

#[test]
fn a_sign_in_that_cannot_be_used_is_named_and_hinders_nothing_else() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env("POSTROOM_SIGN_IN_CLIENT_ID", "console");
        command.env(
            "POSTROOM_SIGN_IN_ISSUER",
            "https://login.microsoftonline.com/common/v2.0",
        );
        Done::of(&command.output().unwrap())
    };
    let refused = run(&["serve", "--listen", "127.0.0.1:0"]).expect(2);
    for word in ["POSTROOM_SIGN_IN_ISSUER", "many tenants"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    assert_eq!(run(&["credential", "list"]).code, 0);
}

#[test]
fn one_serves_and_ends_when_told() {
    let bench = Bench::new();
    bench.add_credential("sim");
    let (child, origin) = serve(&bench);
    let refused = bench.run(&["serve", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(refused.stderr.contains(&child.id().to_string()), "{}", refused.stderr);
    let remote = bench.run(&["serve", "--listen", "0.0.0.0:0"]).expect(2);
    assert!(remote.stderr.contains("loopback"), "{}", remote.stderr);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (status, body, headers) = get(&runtime, &format!("{origin}/healthz"), None);
    assert_eq!((status, body.as_str()), (200, r#"{"accounts":[],"ok":true}"#));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let here = Some("localhost:8400");
    let (status, body, _) = get(
        &runtime,
        &format!("{origin}/OAuth2Callback?code=abc&state=%3Cscript%3E"),
        here,
    );
    assert!(
        status == 400 && body.contains("Nothing to finish") && !body.contains("script"),
        "{status} {body}"
    );
    let (status, body, _) = get(&runtime, &format!("{origin}/oauth2callback"), here);
    assert!(
        status == 404 && body.contains("http://localhost:8400/OAuth2Callback"),
        "the path is case-sensitive: {status} {body}"
    );
    assert_eq!(get(&runtime, &format!("{origin}/credentials"), here).0, 401);
    assert_eq!(get(&runtime, &origin, Some("evil.example")).0, 421);

    // An account that another process adds is picked up; its event tells.
    bench.simulator.fill(DESK, "inbox", 2, 1).unwrap();
    let mut follow = bench.start(&["events", "--follow"]);
    bench.add_account("desk", DESK, &["--every", "10s"]);
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    for sequence in 1..=2 {
        let event: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(
            (&event["account"], &event["sequence"]),
            (&"desk".into(), &sequence.into())
        );
    }
    drop(lines);
    follow.kill().unwrap();
    follow.wait().unwrap();
    let _ = terminate(child).expect(0);
    let (child, _) = serve(&bench);
    let _ = terminate(child).expect(0);
}

#[test]
fn eight_work_side_by_side() {
    let bench = Bench::new();
    bench.simulator.fill(DESK, "inbox", 20, 5).unwrap();
    bench.simulator.fill(SALES, "inbox", 20, 5).unwrap();
    bench.add_credential("sim");
    bench.add_account("desk", DESK, &[]);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                let id = format!("worker-{worker}");
                let mailbox = format!("{id}@harbour-homes.example");
                bench.simulator.add_mailbox(&mailbox);
                bench.simulator.fill(&mailbox, "inbox", 5, 5).unwrap();
                bench.add_credential(&id);
                bench.add_account(&id, &mailbox, &[]);
                assert_eq!(bench.json(&["import", &id])["imported"], 5);
                // All eight want the same mailbox: each waits for its turn.
                assert_eq!(bench.json(&["import", "desk"])["owed"], 0);
                let _ = bench.run(&["messages", "--limit", "5"]).expect(0);
                let _ = bench.run(&["credential", "authorize", "sim"]).expect(0);
            });
        }
    });
    let accounts = bench.json(&["account", "list"]);
    let recorded: i64 = accounts
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["recorded"].as_i64())
        .sum();
    assert_eq!(recorded, 20 + 8 * 5);
    assert_eq!(bench.json(&["events", "--limit", "1000"]).as_array().unwrap().len(), 60);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let bench = Bench::new();
    bench.simulator.fill(DESK, "inbox", 60, 5).unwrap();
    bench.add_credential("sim");
    bench.add_account("desk", DESK, &[]);
    let _ = bench.run(&["import", "desk"]).expect(0);
    for arguments in ["--json events --limit 60", "--json messages", "events --follow"] {
        let mut shell = Command::new("sh");
        let line = format!("{} {arguments} | head -c 10", binary().display());
        shell
            .args(["-c", &line])
            .env_clear()
            .env("POSTROOM_DATA_DIR", bench.data())
            .env("PATH", "/usr/bin:/bin");
        // `--follow` notices with the next event.
        if arguments.contains("follow") {
            shell.stdin(Stdio::null());
        }
        let done = Done::of(&shell.output().unwrap()).expect(0);
        assert_eq!(done.stdout.len(), 10, "{arguments}");
        assert!(done.stderr.is_empty(), "{arguments}: {}", done.stderr);
    }
}
