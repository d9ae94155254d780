//! Codes explained, secrets rolled over, an app that proves itself without a secret, everything tried: on the command line.

use serde_json::{Value, json};
use simulator::FederatedCredential;
use tests::{
    cli::{Bench, DESK, Done},
    issuer::{self, AUDIENCE, KEY_ID, signed},
};

/// Longer than anybody will run this.
const YEAR: i32 = 2099;

/// `credential add` with these further words.
fn add(bench: &Bench, more: &[&str]) -> Done {
    let arguments = bench.credential_arguments("sim");
    let mut words = vec!["--json"];
    words.extend(arguments.iter().map(String::as_str));
    words.extend(more);
    bench.run(&words)
}

/// Of the steps of a check, the one of this name.
fn step<'r>(steps: &'r Value, what: &str) -> &'r Value {
    let steps = steps.as_array().unwrap();
    steps.iter().find(|step| step["what"] == what).unwrap()
}

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

#[test]
fn a_certificate_proves_the_app() {
    let bench = Bench::new();
    let (public, both) = issuer::certificate(YEAR);
    let file = bench.beside("both.pem");
    std::fs::write(&file, &both).unwrap();
    let made = add(&bench, &["--certificate", file.to_str().unwrap()]).expect(0);
    let shown = made.json();
    assert!(
        shown["secret_expires_at"].as_str().unwrap().starts_with("2099-03-01"),
        "{shown}"
    );
    assert!(
        shown["authentication"]["thumbprint"].is_string() && !made.stdout.contains("PRIVATE KEY"),
        "{shown}"
    );
    bench.simulator.fill(DESK, "inbox", 2, 1).unwrap();
    bench.add_account("desk", DESK, &[]);

    // Entra does not know it yet: the check stops at the token and says where to mend it.
    let checked = bench.run(&["--json", "account", "check", "desk"]).expect(4).json();
    let token = step(&checked["steps"], "access token");
    assert!(
        token["ok"] == false && token["detail"].as_str().unwrap().contains("AADSTS700027"),
        "{token}"
    );
    assert!(token["fix"].is_string() && token["ids"].is_string(), "{token}");

    let client_id = bench.simulator.registration().client_id;
    bench.simulator.add_certificate(&client_id, &public).unwrap();
    assert_eq!(bench.json(&["account", "check", "desk"])["ok"], true);
    assert_eq!(bench.json(&["import", "desk"])["imported"], 2);

    let none = bench
        .run(&["credential", "edit", "sim", "--certificate", "/nowhere.pem"])
        .expect(2);
    assert!(none.stderr.contains("/nowhere.pem"), "{}", none.stderr);
}

#[test]
fn a_federated_token_is_read_from_its_file_at_each_use_and_no_secret_is_kept() {
    let bench = Bench::new();
    let issuer = bench.issuer();
    let client_id = bench.simulator.registration().client_id;
    let trusted = FederatedCredential {
        issuer: issuer.clone(),
        subject: "system:serviceaccount:mail:postroom".into(),
        audience: AUDIENCE.into(),
    };
    bench.simulator.add_federated(&client_id, trusted.clone()).unwrap();
    let file = bench.beside("token");
    let shown = add(&bench, &["--federated-token-file", file.to_str().unwrap()])
        .expect(0)
        .json();
    assert_eq!(shown["authentication"]["path"], file.to_str().unwrap());
    let kept = bench.json(&["credential", "show", "sim"]);
    assert_eq!(kept["client_secret"]["set"], false, "{kept}");

    // The file is not there yet, then holds a token for somebody else, then the right one.
    let refused = bench.run(&["credential", "authorize", "sim"]).expect(4);
    assert!(refused.stderr.contains("cannot be read"), "{}", refused.stderr);
    let token = |subject: &str| {
        let now = bench.simulator.clock().now_ms() / 1000;
        let claims = json!({"iss": issuer, "sub": subject, "aud": AUDIENCE, "nbf": now, "exp": now + 600});
        std::fs::write(&file, signed(&claims, KEY_ID)).unwrap();
    };
    token("system:serviceaccount:mail:another");
    let refused = bench.run(&["credential", "authorize", "sim"]).expect(4);
    assert!(refused.stderr.contains("AADSTS700213"), "{}", refused.stderr);
    token(&trusted.subject);
    assert_eq!(
        bench.json(&["credential", "authorize", "sim"])["roles"][0],
        "Mail.ReadWrite"
    );
    bench.simulator.fill(DESK, "inbox", 2, 1).unwrap();
    bench.add_account("desk", DESK, &[]);
    assert_eq!(bench.json(&["import", "desk"])["imported"], 2);
}

#[test]
fn what_an_app_reaches_is_tried_and_the_way_to_limit_it_is_printed() {
    const CEO: &str = "ceo@harbour-homes.example";
    let bench = Bench::new();
    bench.add_credential("sim");
    bench.simulator.add_mailbox(CEO);
    let bare = bench.run(&["credential", "reach", "sim"]).expect(4);
    assert!(
        bare.stdout.contains("presumably reads every mailbox"),
        "{}",
        bare.stdout
    );

    let named = [
        "credential",
        "reach",
        "sim",
        "--must-read",
        DESK,
        "--must-not-read",
        CEO,
    ];
    let wide = bench.run(&named).expect(4);
    assert!(
        wide.stdout.contains("reads 1 of 1 allowed, 1 of 1 forbidden"),
        "{}",
        wide.stdout
    );
    for needed in [
        "New-ManagementRoleAssignment",
        "'Application Mail.ReadWrite'",
        CEO,
        "Grants add up",
        "30 minutes to 2 hours",
    ] {
        assert!(wide.stdout.contains(needed), "{needed}: {}", wide.stdout);
    }
    let doctor = bench.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("every mailbox of the tenant"),
        "{}",
        doctor.stdout
    );
    assert_eq!(bench.json(&["status"])["reach"][0]["credential"], "sim");

    let app = bench.simulator.registration().client_id;
    bench.simulator.set_roles(&app, &[]).unwrap();
    let now = std::time::Duration::ZERO;
    bench
        .simulator
        .set_exchange_roles(&app, &["Mail.ReadWrite"], &[DESK], now)
        .unwrap();
    let good = bench.json(&["credential", "reach", "sim"]);
    assert_eq!(
        (&good["ok"], &good["reach"]["found"]["commands"]),
        (&true.into(), &Value::Null),
        "{good}"
    );
    assert_eq!(bench.json(&["status"])["reach"], json!([]));

    let wrong = bench
        .run(&["credential", "reach", "sim", "--must-read", "me"])
        .expect(2);
    assert!(wrong.stderr.contains("must read"), "{}", wrong.stderr);
    bench.json(&["credential", "reach", "sim", "--forget"]);
    assert_eq!(bench.json(&["credential", "show", "sim"])["reach"], Value::Null);
}

#[test]
fn a_pkcs12_file_opens_with_its_password_which_is_no_argument() {
    let bench = Bench::new();
    let (public, both) = issuer::certificate(YEAR);
    let file = bench.beside("both.pfx");
    std::fs::write(&file, issuer::pkcs12(&[&both], "open sesame")).unwrap();
    let path = file.to_str().unwrap();
    let add = |password: &str| {
        let mut words = vec!["--json".to_owned()];
        words.extend(bench.credential_arguments("sim"));
        words.extend(["--certificate", path, "--certificate-password-stdin"].map(str::to_owned));
        bench.run_with(&words.iter().map(String::as_str).collect::<Vec<_>>(), password)
    };
    let wrong = add("open says me").expect(2);
    assert!(wrong.stderr.contains("password is wrong"), "{}", wrong.stderr);
    let made = add("open sesame\n").expect(0);
    assert!(
        made.json()["secret_expires_at"]
            .as_str()
            .unwrap()
            .starts_with("2099-03-01")
    );
    assert!(!made.stdout.contains("open sesame") && !made.stdout.contains("PRIVATE KEY"));

    let client_id = bench.simulator.registration().client_id;
    bench.simulator.add_certificate(&client_id, &public).unwrap();
    bench.json(&["credential", "authorize", "sim"]);
    let asked = bench
        .run(&["credential", "edit", "sim", "--certificate", path])
        .expect(2);
    assert!(
        asked.stderr.contains("--certificate-password-stdin"),
        "{}",
        asked.stderr
    );
    let argument = bench.run(&[
        "credential",
        "edit",
        "sim",
        "--certificate",
        path,
        "--certificate-password",
        "x",
    ]);
    assert!(
        argument.code == 2 && argument.stderr.contains("unexpected argument"),
        "never an argument: {}",
        argument.stderr
    );
    // From a file, and not where it is for nothing.
    let password = bench.beside("password");
    std::fs::write(&password, "open sesame\n").unwrap();
    let from_file = |certificate: &str| {
        let file = password.to_str().unwrap();
        bench.run(&[
            "credential",
            "edit",
            "sim",
            "--certificate",
            certificate,
            "--certificate-password-file",
            file,
        ])
    };
    let _ = from_file(path).expect(0);
    let pem = bench.beside("both.pem");
    std::fs::write(&pem, &both).unwrap();
    let for_nothing = from_file(pem.to_str().unwrap()).expect(2);
    assert!(
        for_nothing.stderr.contains("goes with a PKCS#12 file"),
        "{}",
        for_nothing.stderr
    );
    let neither = bench.beside("certificate.der");
    std::fs::write(&neither, [0x30, 0x82, 0xff, 0xfe, 0x30]).unwrap();
    let refused = bench
        .run(&["credential", "edit", "sim", "--certificate", neither.to_str().unwrap()])
        .expect(2);
    assert!(
        refused.stderr.contains("neither PEM text nor a PKCS#12 file"),
        "{}",
        refused.stderr
    );
}
