//! Codes explained, secrets rolled over, everything tried: on the command line.

use tests::cli::{Bench, DESK};

#[test]
fn a_code_is_explained_and_needs_no_data_directory() {
    let bench = Bench::new();
    let known = bench.json(&["explain", "aadsts7000222"]);
    assert_eq!((&known["known"], &known["class"]), (&true.into(), &"app".into()));
    assert!(known["screen"].as_str().unwrap().contains("Certificates & secrets"));
    let graph = bench.run(&["explain", "ErrorAccessDenied"]);
    assert!(graph.stdout.contains("an admin of the tenant"), "{}", graph.stdout);
    let unknown = bench.json(&["explain", "AADSTS1"]);
    assert_eq!(unknown["known"], false);
    assert_eq!(bench.run(&["explain"]).code, 2);
    assert!(!bench.data().exists(), "nothing was made");
}

#[test]
fn a_secret_rolls_over_warns_and_the_doctor_says_so() {
    let bench = Bench::new();
    bench.add_credential("sim");
    bench.add_account("desk", DESK, &[]);
    assert_eq!(bench.json(&["doctor"])["ok"], true);

    // A next secret that Entra does not know: said, and the old one goes on.
    let roll = [
        "credential",
        "roll",
        "sim",
        "--client-secret-stdin",
        "--secret-expires",
        "2020-01-31",
    ];
    let done = bench.run_with(&roll, "mistyped");
    assert!(
        done.code == 0 && done.stderr.contains("has expired already"),
        "{}",
        done.stderr
    );
    bench.json(&["credential", "authorize", "sim"]);
    let shown = bench.json(&["credential", "show", "sim"]);
    let refused = shown["next_secret"]["refused"]["what"].as_str().unwrap();
    assert!(refused.contains("AADSTS7000215"), "{refused}");

    // The one there is, given anew with a day that is past: status and doctor warn.
    let edit = [
        "credential",
        "edit",
        "sim",
        "--client-secret-stdin",
        "--secret-expires",
        "2020-01-31",
    ];
    assert_eq!(bench.run_with(&edit, &bench.secret()).code, 0);
    assert_eq!(bench.json(&["status"])["warnings"][0]["stage"], 0);
    let report = bench.run(&["doctor"]);
    assert!(report.stdout.contains("is over since 2020-01-31"), "{}", report.stdout);
    assert!(!report.stdout.contains(&bench.secret()));

    let wrong = bench.run(&["credential", "edit", "sim", "--secret-expires", "2030-01-31"]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("--client-secret-stdin"),
        "{}",
        wrong.stderr
    );
}
