//! The failure table: what comes over the wire, who must act, whether it goes on by itself, and what is flagged. One test
//! through the engine, which names every row that is wrong.

use std::time::Duration;

use shared::{
    account::Mailbox,
    error::AccountState,
    import::report::{Outcome, RunReport},
    records::{apps::Apps, credentials::Credentials},
};
use simulator::{Fault, FaultSpec, Options, RequestKind, RetryAfter, User, Wording};
use tests::world::World;

const ADA: &str = "ada@harbour-homes.example";

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Nobody: nothing was in the way, or it goes on by itself.
    Nobody,
    Admin,
    Person,
    Operator,
}

/// What carries the failure for others to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// Nothing: it is the wire's trouble, or this mailbox's.
    None,
    Credential,
    App,
    SignIn,
}

struct Row {
    says: &'static str,
    on: RequestKind,
    fault: Fault,
    who: Who,
    flag: Flag,
    /// A person signed in; else the app asks for itself.
    person: bool,
}

fn row(says: &'static str, on: RequestKind, fault: Fault, who: Who, flag: Flag) -> Row {
    Row {
        says,
        on,
        fault,
        who,
        flag,
        person: false,
    }
}

fn entra(status: u16, error: &str, code: u32) -> Fault {
    Fault::Entra {
        status,
        error: error.into(),
        code,
        message: "Something.".into(),
    }
}

fn graph(status: u16, code: &str) -> Fault {
    Fault::Status {
        status,
        code: (!code.is_empty()).then(|| code.to_owned()),
        message: "Something.".into(),
    }
}

fn busy(retry_after: RetryAfter) -> Fault {
    Fault::TooManyRequests {
        retry_after,
        wording: Wording::BareText,
    }
}

/// What the token endpoint says to the app itself.
#[expect(clippy::too_many_lines, reason = "a table")]
fn of_the_app() -> Vec<Row> {
    use RequestKind::Token;
    let token = |says, fault, who, flag| row(says, Token, fault, who, flag);
    vec![
        token(
            "429, Retry-After 60",
            busy(RetryAfter::Seconds(60)),
            Who::Nobody,
            Flag::None,
        ),
        token(
            "429, Retry-After absurd",
            busy(RetryAfter::Absurd),
            Who::Nobody,
            Flag::None,
        ),
        token("500", graph(500, ""), Who::Nobody, Flag::None),
        token("502", graph(502, ""), Who::Nobody, Flag::None),
        token("503", graph(503, ""), Who::Nobody, Flag::None),
        token("504", graph(504, ""), Who::Nobody, Flag::None),
        token("the connection breaks", Fault::Reset, Who::Nobody, Flag::None),
        token(
            "90012",
            entra(400, "temporarily_unavailable", 90012),
            Who::Nobody,
            Flag::None,
        ),
        token("server_error", entra(400, "server_error", 1), Who::Nobody, Flag::None),
        token(
            "50196, a loop",
            entra(400, "invalid_grant", 50196),
            Who::Nobody,
            Flag::None,
        ),
        token("90055", entra(400, "invalid_grant", 90055), Who::Nobody, Flag::None),
        token(
            "90033 as the app's fault",
            entra(400, "invalid_client", 90033),
            Who::Nobody,
            Flag::None,
        ),
        token(
            "503 with an old verdict",
            entra(503, "invalid_client", 7_000_222),
            Who::Nobody,
            Flag::None,
        ),
        token(
            "7000215, wrong secret",
            entra(401, "invalid_client", 7_000_215),
            Who::Admin,
            Flag::App,
        ),
        token(
            "7000222, expired secret",
            entra(401, "invalid_client", 7_000_222),
            Who::Admin,
            Flag::App,
        ),
        token(
            "700027, unknown certificate",
            entra(401, "invalid_client", 700_027),
            Who::Admin,
            Flag::App,
        ),
        token(
            "700213, federated subject",
            entra(401, "invalid_client", 700_213),
            Who::Admin,
            Flag::App,
        ),
        token(
            "700016, app not there",
            entra(400, "unauthorized_client", 700_016),
            Who::Admin,
            Flag::App,
        ),
        token(
            "7000112, app disabled",
            entra(400, "unauthorized_client", 7_000_112),
            Who::Admin,
            Flag::App,
        ),
        token(
            "90002, tenant",
            entra(400, "invalid_request", 90002),
            Who::Admin,
            Flag::Credential,
        ),
        token(
            "70011, scope",
            entra(400, "invalid_scope", 70011),
            Who::Admin,
            Flag::Credential,
        ),
        token(
            "500011, resource",
            entra(400, "invalid_resource", 500_011),
            Who::Admin,
            Flag::Credential,
        ),
        token(
            "53003 for an app",
            entra(400, "access_denied", 53003),
            Who::Admin,
            Flag::Credential,
        ),
        token(
            "a page instead of an answer",
            Fault::HtmlPage,
            Who::Operator,
            Flag::Credential,
        ),
        token(
            "an error of tomorrow",
            entra(400, "error_of_tomorrow", 1),
            Who::Operator,
            Flag::Credential,
        ),
    ]
}

/// What it says to somebody who signed in.
fn of_the_person() -> Vec<Row> {
    let token = |says, fault, who, flag| Row {
        person: true,
        ..row(says, RequestKind::Token, fault, who, flag)
    };
    vec![
        token("person: 503", graph(503, ""), Who::Nobody, Flag::None),
        token(
            "person: 50196",
            entra(400, "invalid_grant", 50196),
            Who::Nobody,
            Flag::None,
        ),
        token(
            "person: expired secret",
            entra(401, "invalid_client", 7_000_222),
            Who::Admin,
            Flag::App,
        ),
        token(
            "person: 50173, revoked",
            entra(400, "invalid_grant", 50173),
            Who::Person,
            Flag::SignIn,
        ),
        token(
            "person: 700082, unused",
            entra(400, "invalid_grant", 700_082),
            Who::Person,
            Flag::SignIn,
        ),
        token(
            "person: 50053, locked",
            entra(400, "unauthorized_client", 50053),
            Who::Person,
            Flag::SignIn,
        ),
        token(
            "person: 50076, second factor",
            entra(400, "interaction_required", 50076),
            Who::Person,
            Flag::SignIn,
        ),
        token(
            "person: 65001, consent",
            entra(400, "consent_required", 65001),
            Who::Person,
            Flag::SignIn,
        ),
    ]
}

/// What Graph says.
#[expect(clippy::too_many_lines, reason = "a table")]
fn of_graph() -> Vec<Row> {
    use RequestKind::{Delta, Folders, Value};
    let challenge = || Fault::ClaimsChallenge {
        claims: r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#.into(),
    };
    vec![
        row("401 for ever", Delta, Fault::TokenExpired, Who::Admin, Flag::None),
        row("401, claims challenge", Delta, challenge(), Who::Admin, Flag::None),
        row(
            "403, insufficient_claims",
            Delta,
            graph(403, "insufficient_claims"),
            Who::Admin,
            Flag::None,
        ),
        row(
            "403, ErrorAccessDenied",
            Delta,
            graph(403, "ErrorAccessDenied"),
            Who::Admin,
            Flag::None,
        ),
        row(
            "403, privileges",
            Delta,
            graph(403, "Authorization_RequestDenied"),
            Who::Admin,
            Flag::None,
        ),
        row(
            "404, on premises",
            Folders,
            graph(404, "MailboxNotEnabledForRESTAPI"),
            Who::Admin,
            Flag::None,
        ),
        row(
            "404, no such user",
            Folders,
            graph(404, "ErrorInvalidUser"),
            Who::Admin,
            Flag::None,
        ),
        row(
            "404, no such folder",
            Folders,
            graph(404, "ErrorItemNotFound"),
            Who::Admin,
            Flag::None,
        ),
        row(
            "Graph: 429",
            Delta,
            busy(RetryAfter::Seconds(90)),
            Who::Nobody,
            Flag::None,
        ),
        row(
            "Graph: 429, absurd",
            Delta,
            busy(RetryAfter::Absurd),
            Who::Nobody,
            Flag::None,
        ),
        row("Graph: 502", Delta, graph(502, ""), Who::Nobody, Flag::None),
        row("Graph: 503", Delta, graph(503, ""), Who::Nobody, Flag::None),
        row(
            "Graph: the connection breaks",
            Delta,
            Fault::Reset,
            Who::Nobody,
            Flag::None,
        ),
        row("changes: 400", Delta, graph(400, "BadRequest"), Who::Nobody, Flag::None),
        row(
            "changes: 404",
            Delta,
            graph(404, "ResourceNotFound"),
            Who::Nobody,
            Flag::None,
        ),
        row(
            "changes: 501",
            Delta,
            graph(501, "NotImplemented"),
            Who::Nobody,
            Flag::None,
        ),
        row("MIME: 500", Value, graph(500, ""), Who::Nobody, Flag::None),
        row("MIME: 503", Value, graph(503, ""), Who::Nobody, Flag::None),
        row(
            "MIME: cannot be made",
            Value,
            Fault::MimeConversion,
            Who::Nobody,
            Flag::None,
        ),
        row(
            "MIME: the connection breaks",
            Value,
            Fault::Reset,
            Who::Nobody,
            Flag::None,
        ),
    ]
}

/// A mailbox with two mails, and an account on it that works.
async fn world_of(row: &Row, seed: u64) -> World {
    if !row.person {
        let world = World::new(seed);
        world.usual(|_| {}).await;
        world.fill(2);
        return world;
    }
    let options = Options {
        users: vec![User::new(ADA, "Ada Moor")],
        permissions: ["Mail.ReadWrite", "User.Read"].map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let world = World::with(seed, options);
    let credential = world.add_delegated("app", "Mail.ReadWrite offline_access").await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    let mut account = world.account("desk");
    account.mailbox = Mailbox::parse("me").expect("a mailbox");
    world.add_account(&account).await;
    world.run("desk").await;
    // The token of the sign-in is over.
    tokio::time::sleep(Duration::from_hours(3)).await;
    world
}

async fn flag(world: &World) -> Flag {
    let circuits = Apps::new(world.store()).all().await.expect("apps");
    let row = Credentials::new(world.store()).get("app").await.expect("a credential");
    if !circuits.is_empty() {
        Flag::App
    } else if row.needs_sign_in {
        Flag::SignIn
    } else if row.problem.is_some() {
        Flag::Credential
    } else {
        Flag::None
    }
}

fn who(report: &RunReport) -> Who {
    match report.state {
        AccountState::Healthy | AccountState::Waiting => Who::Nobody,
        AccountState::NeedsAdmin => Who::Admin,
        AccountState::NeedsSignIn => Who::Person,
        AccountState::NeedsOperator => Who::Operator,
    }
}

/// Runs the row's account while the failure lasts, and after it; what is wrong with it.
async fn wrong(row: &Row, seed: u64) -> Vec<String> {
    let world = world_of(row, seed).await;
    world.simulator.arm(FaultSpec::once(row.on, row.fault.clone()).always());
    let mut report = world.run("desk").await;
    if row.who == Who::Person {
        // A refused sign-in is looked into twice.
        tokio::time::sleep(Duration::from_secs(90)).await;
        report = world.run("desk").await;
    }
    let mut wrong = Vec::new();
    if who(&report) != row.who {
        wrong.push(format!("{:?} must act, not {:?}", who(&report), row.who));
    }
    let found = flag(&world).await;
    if found != row.flag {
        wrong.push(format!("{found:?} is flagged, not {:?}", row.flag));
    }
    // Whoever must act reads why; what goes on by itself does not fail.
    let failed = report.outcome == Outcome::Failed;
    if failed != (row.who != Who::Nobody) {
        wrong.push(format!("the run ends as {:?}", report.outcome));
    }
    if failed && report.problems.first().is_none_or(|problem| problem.what.is_empty()) {
        wrong.push("nobody reads why".into());
    }
    // A verdict is not asked for again and again: a few tries of one call, not of all.
    if report.requests_total > 40 {
        wrong.push(format!("{} requests", report.requests_total));
    }
    world.simulator.clear_faults();
    if row.who != Who::Person {
        // What nobody had to mend goes on; what an admin mended does so at the latest with the app's next probe.
        tokio::time::sleep(Duration::from_hours(2)).await;
        let mut healed = world.run("desk").await;
        for _ in 0..3 {
            if healed.outcome == Outcome::Done {
                break;
            }
            tokio::time::sleep(Duration::from_hours(1)).await;
            healed = world.run("desk").await;
        }
        if healed.outcome != Outcome::Done || flag(&world).await != Flag::None {
            wrong.push(format!("it does not heal: {:?}, {:?}", healed.outcome, healed.problems));
        }
        if !row.person {
            world.audit().all_imported().await;
        }
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn every_failure_is_of_its_class() {
    let rows: Vec<Row> = of_the_app()
        .into_iter()
        .chain(of_the_person())
        .chain(of_graph())
        .collect();
    assert!(rows.len() >= 40, "{}", rows.len());
    let mut all = Vec::new();
    for (seed, row) in (1..).zip(&rows) {
        let wrong = wrong(row, seed).await;
        all.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", row.says)));
    }
    assert!(all.is_empty(), "wrong in {} rows:\n{}", rows.len(), all.join("\n"));
}
