//! What is typed wrong is refused: a sentence that names the field, exit code 2, nothing stored.

use tests::cli::{Bench, DESK};

const TENANT: &str = "https://login.microsoftonline.com/5e5ec2a4-7c1d-4f0e-9d3b-0a6f6f2c1a10/oauth2/v2.0";
const CLIENT: &str = "b7b1f6d2-3a54-4c8e-8f21-6d1e0c9a4b77";
const DEFAULT: &str = "https://graph.microsoft.com/.default";

/// `credential add` with one option replaced, added (`+--option`) or left out (an empty value).
fn credential(option: &str, value: &str) -> Vec<String> {
    let token_url = format!("{TENANT}/token");
    let mut all = vec![
        ("--id", "good"),
        ("--grant", "client-credentials"),
        ("--token-url", &token_url),
        ("--client-id", CLIENT),
        ("--scope", DEFAULT),
    ];
    match option.strip_prefix('+') {
        Some(added) => all.push((added, value)),
        None => all
            .iter_mut()
            .filter(|(name, _)| *name == option)
            .for_each(|pair| pair.1 = value),
    }
    let mut words = vec!["credential".to_owned(), "add".into(), "--client-secret-stdin".into()];
    for (name, value) in all {
        words.extend([name.to_owned(), value.to_owned()]);
    }
    words
}

#[test]
fn every_wrong_field_of_a_credential_is_named() {
    let bench = Bench::new();
    let v1 = TENANT.replace("/v2.0", "/token");
    let common = "https://login.microsoftonline.com/common/oauth2/v2.0/token";
    let authorize = format!("{TENANT}/authorize");
    for (option, value, says) in [
        ("--id", "Not Good", "id:"),
        ("--grant", "password", "--grant"),
        ("--token-url", "", "access token URL"),
        ("--token-url", "not a url", "access token URL"),
        ("--token-url", &v1, "v2.0"),
        ("--token-url", common, "AADSTS9001023"),
        (
            "--token-url",
            "https://evil.example/t/oauth2/v2.0/token",
            "access token URL",
        ),
        (
            "--token-url",
            "http://127.0.0.1:1/t/oauth2/v2.0/token",
            "access token URL",
        ),
        ("--client-id", "", "client id"),
        ("--client-id", "my app", "client id"),
        ("--scope", "", "scope"),
        ("--scope", "Mail.ReadWrite", "scope"),
        ("+--authorization-url", &authorize, "authorization URL"),
        ("+--graph-url", "https://graph.microsoft.com", "Graph URL"),
        ("+--graph-url", "https://evil.example/v1.0", "Graph URL"),
        ("+--description", "two\nlines", "description"),
    ] {
        let words = credential(option, value);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = bench.run_with(&words, "a~secret").expect(2);
        assert!(done.stderr.contains(says), "{option} {value}: {}", done.stderr);
        assert!(done.stdout.is_empty());
    }
    for secret in ["", "\n", "two words"] {
        let words = credential("--id", "good");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = bench.run_with(&words, secret).expect(2);
        assert!(done.stderr.contains("client secret"), "{}", done.stderr);
    }
    assert_eq!(
        bench.json(&["credential", "list"]),
        serde_json::json!([]),
        "nothing was stored"
    );
}

#[test]
fn a_secret_is_never_an_argument() {
    let bench = Bench::new();
    let words = credential("+--client-secret", "abc");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let _ = bench.run(&words).expect(2);
    let help = bench.run(&["credential", "add", "--help"]).expect(0).stdout;
    assert!(
        help.contains("--client-secret-file") && !help.contains("--client-secret <"),
        "{help}"
    );
}

#[test]
fn every_wrong_field_of_an_account_is_named() {
    let bench = Bench::new();
    bench.add_credential("sim");
    bench.add_account("taken", DESK, &[]);
    for (words, code, says) in [
        ("--id x --mailbox new@a.example --credential sim", 2, "--start"),
        (
            "--id x --mailbox new@a.example --credential sim --start tomorrow",
            2,
            "start",
        ),
        (
            "--id x --mailbox new@a.example --credential sim --start 2999-01-01",
            2,
            "future",
        ),
        ("--id X! --mailbox new@a.example --credential sim --start now", 2, "id"),
        ("--id x --mailbox nobody --credential sim --start now", 2, "mailbox"),
        ("--id x --mailbox me --credential sim --start now", 2, "nobody signs in"),
        (
            "--id x --mailbox new@a.example --credential other --start now",
            1,
            "postroom credential list",
        ),
        (
            "--id x --mailbox new@a.example --credential sim --start now --folder a//b",
            2,
            "folder",
        ),
        (
            "--id x --mailbox new@a.example --credential sim --start now --folder inbox --folder Inbox",
            2,
            "twice",
        ),
        (
            "--id x --mailbox new@a.example --credential sim --start now --every 1s",
            2,
            "every",
        ),
        (
            "--id x --mailbox new@a.example --credential sim --start now --after-import burn",
            2,
            "after import",
        ),
        (
            "--id x --mailbox new@a.example --credential sim --start now --after-import move:inbox",
            2,
            "after import",
        ),
        (
            "--id taken --mailbox new@a.example --credential sim --start now",
            1,
            "already",
        ),
        (
            "--id x --mailbox desk@harbour-homes.example --credential sim --start now",
            2,
            "taken",
        ),
    ] {
        let mut all = vec!["--json", "account", "add"];
        all.extend(words.split(' '));
        let done = bench.run(&all).expect(code);
        assert!(done.stderr.contains(says), "{words}: {}", done.stderr);
        assert!(done.json()["error"]["what"].is_string(), "{}", done.stdout);
    }
    assert_eq!(
        bench.json(&["account", "list"]).as_array().map(Vec::len),
        Some(1),
        "nothing was stored"
    );
    bench.add_account("more", DESK, &["--folder", "sentitems"]);
    let moved = bench
        .run(&["account", "edit", "more", "--mailbox", "new@a.example"])
        .expect(2);
    assert!(moved.stderr.contains("cannot be changed"), "{}", moved.stderr);
}

#[test]
fn what_is_not_there_is_said_with_where_to_look() {
    let bench = Bench::new();
    for (words, says) in [
        ("credential show x", "postroom credential list"),
        ("credential authorize x", "postroom credential list"),
        ("credential edit x --scope y", "postroom credential list"),
        ("credential remove x --yes", "postroom credential list"),
        ("account show x", "postroom account list"),
        ("account check x", "postroom account list"),
        ("account enable x", "postroom account list"),
        ("account remove x --yes", "postroom account list"),
        ("import x", "postroom account list"),
        ("messages --account x", "postroom account list"),
        ("runs --account x", "postroom account list"),
        ("events --account x", "postroom account list"),
        ("owed --account x", "postroom account list"),
        ("owed retry abc", "postroom owed"),
        ("message abc", "postroom messages"),
        ("message a@b", "postroom messages"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let done = bench.run(&words).expect(1);
        assert!(done.stderr.contains(says), "{words:?}: {}", done.stderr);
    }
    for words in [
        &["frob"][..],
        &["import"],
        &["messages", "--limit", "0"],
        &["messages", "--after", "x"],
        &["--log", "=,=", "status"],
    ] {
        let mut all = vec!["--json"];
        all.extend(words);
        assert!(
            bench.run(&all).expect(2).json()["error"]["kind"].is_string(),
            "{words:?}"
        );
    }
    assert!(bench.run(&["--version"]).expect(0).stdout.starts_with("postroom "));
}

#[test]
fn somebody_signs_in_through_the_console_and_nowhere_else() {
    let bench = Bench::new();
    let registration = bench.simulator.registration();
    let login = format!("{}/{}/oauth2/v2.0", bench.origin(), registration.tenant_id);
    let (token_url, graph_url) = (format!("{login}/token"), format!("{}/v1.0", bench.origin()));
    let authorization_url = format!("{login}/authorize?prompt=select_account");
    let words = [
        "credential",
        "add",
        "--id",
        "person",
        "--grant",
        "authorization-code",
        "--authorization-url",
        &authorization_url,
        "--token-url",
        &token_url,
        "--client-id",
        CLIENT,
        "--scope",
        "Mail.ReadWrite offline_access",
        "--graph-url",
        &graph_url,
        "--client-secret-stdin",
    ];
    let _ = bench.run_with(&words, &bench.secret()).expect(0);
    let done = bench.run(&["credential", "authorize", "person", "--no-wait"]).expect(1);
    assert!(
        done.stderr.contains("`postroom serve` is not running"),
        "{}",
        done.stderr
    );
    let done = bench.run(&["console"]).expect(1);
    assert!(
        done.stderr.contains("`postroom serve` is not running"),
        "{}",
        done.stderr
    );
    let shown = bench.json(&["credential", "show", "person"]);
    assert_eq!(shown["authorization_url"], authorization_url, "the query stays");
    let _ = bench
        .run(&[
            "account",
            "add",
            "--id",
            "mine",
            "--mailbox",
            "me",
            "--credential",
            "person",
            "--start",
            "now",
        ])
        .expect(0);
    let words = [
        "credential",
        "edit",
        "person",
        "--grant",
        "client-credentials",
        "--scope",
        DEFAULT,
    ];
    let refused = bench.run(&words).expect(1);
    assert!(refused.stderr.contains("mine"), "{}", refused.stderr);
    let _ = bench.run(&["account", "remove", "mine", "--yes"]).expect(0);
    let _ = bench.run(&words).expect(0);
    let shown = bench.json(&["credential", "show", "person"]);
    assert_eq!(
        (&shown["grant_type"], &shown["authorization_url"]),
        (&"client_credentials".into(), &serde_json::Value::Null)
    );
    let _ = bench.run(&["credential", "authorize", "person"]).expect(0);
}
