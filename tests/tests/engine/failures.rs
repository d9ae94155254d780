//! Failures as they come over the wire, and what each means: one table. And the catalogue's page is what the code says.

use std::path::Path;

use shared::{
    catalogue::{self, Class},
    error::Next,
    oauth::TokenService,
    ports::{TokenNeed, Tokens as _},
};
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::World;

/// What is expected to come next, without its times.
#[derive(Debug, PartialEq, Eq)]
enum Expect {
    Retry,
    Later(u64),
    Admin,
    SignIn,
    Defect,
}

impl Expect {
    fn of(next: &Next) -> Self {
        match next {
            Next::Retry { after: Some(after) } => Self::Later(after.as_secs()),
            Next::Retry { after: None } => Self::Retry,
            Next::FixCredential => Self::Admin,
            Next::Reauthorize => Self::SignIn,
            _ => Self::Defect,
        }
    }
}

/// HTTP status, `error`, number: what comes next.
const ANSWERS: [(u16, &str, u32, Expect); 34] = [
    (401, "invalid_client", 7_000_215, Expect::Admin),
    (401, "invalid_client", 7_000_222, Expect::Admin),
    (401, "invalid_client", 7_000_218, Expect::Admin),
    (401, "invalid_client", 700_027, Expect::Admin),
    (401, "invalid_client", 700_024, Expect::Admin),
    (401, "invalid_client", 70021, Expect::Admin),
    (401, "invalid_client", 700_213, Expect::Admin),
    (401, "invalid_client", 7_002_138, Expect::Admin),
    (400, "unauthorized_client", 700_016, Expect::Admin),
    (400, "unauthorized_client", 7_000_112, Expect::Admin),
    (400, "unauthorized_client", 50053, Expect::SignIn),
    (400, "invalid_request", 90002, Expect::Admin),
    (400, "invalid_request", 9_001_023, Expect::Admin),
    (400, "invalid_request", 900_144, Expect::Admin),
    (400, "invalid_scope", 70011, Expect::Admin),
    (400, "invalid_scope", 1_002_012, Expect::Admin),
    (400, "invalid_resource", 500_011, Expect::Admin),
    (400, "unsupported_grant_type", 70003, Expect::Admin),
    (400, "access_denied", 53003, Expect::Admin),
    (400, "invalid_grant", 50173, Expect::SignIn),
    (400, "invalid_grant", 700_082, Expect::SignIn),
    (400, "invalid_grant", 70043, Expect::SignIn),
    (400, "invalid_grant", 65001, Expect::SignIn),
    (400, "interaction_required", 50076, Expect::SignIn),
    (400, "interaction_required", 53003, Expect::SignIn),
    (400, "consent_required", 65001, Expect::SignIn),
    (400, "invalid_grant", 50196, Expect::Later(300)),
    (400, "invalid_grant", 90055, Expect::Later(300)),
    (400, "invalid_client", 90033, Expect::Later(300)),
    (400, "temporarily_unavailable", 90012, Expect::Later(300)),
    (400, "server_error", 1, Expect::Retry),
    (503, "invalid_client", 7_000_215, Expect::Retry),
    (500, "invalid_grant", 50173, Expect::Retry),
    (400, "error_of_tomorrow", 1, Expect::Defect),
];

async fn next_after(fault: Fault) -> (Expect, String) {
    let world = World::new(1);
    world.usual(|_| {}).await;
    world.simulator.arm(FaultSpec::once(RequestKind::Token, fault));
    let error = TokenService::new(world.ports())
        .access_token("app", TokenNeed::Usable)
        .await
        .expect_err("a refusal");
    (Expect::of(&error.next()), error.what)
}

#[tokio::test(start_paused = true)]
async fn entras_answers_mean_what_the_table_says() {
    for (status, error, code, expected) in ANSWERS {
        let fault = Fault::Entra {
            status,
            error: error.into(),
            code,
            message: "Something.".into(),
        };
        let (next, what) = next_after(fault).await;
        assert_eq!(next, expected, "{status} {error} {code}: {what}");
        // The admin reads the catalogue's words, with the number to search for.
        match catalogue::of_numbers(&[code]) {
            Some(row) => assert!(
                what.contains(&row.sentence()) && what.contains(&code.to_string()),
                "{what}"
            ),
            None => assert!(what.contains("Something."), "{what}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_entras_is_no_verdict() {
    let busy = |seconds| Fault::TooManyRequests {
        retry_after: RetryAfter::Seconds(seconds),
        wording: Wording::BareText,
    };
    let status = |status| Fault::Status {
        status,
        code: None,
        message: String::new(),
    };
    for (fault, expected) in [
        (busy(60), Expect::Later(60)),
        (status(500), Expect::Retry),
        (status(502), Expect::Retry),
        (status(504), Expect::Retry),
        (Fault::Reset, Expect::Retry),
        (Fault::HtmlPage, Expect::Defect),
    ] {
        let said = format!("{fault:?}");
        assert_eq!(next_after(fault).await.0, expected, "{said}");
    }
}

/// Of every row with a number: its usual answer, as the classifier reads it, is of the row's class.
#[tokio::test(start_paused = true)]
async fn rows_do_what_they_say() {
    for row in catalogue::entra_numbers() {
        let fault = Fault::Entra {
            status: row.status,
            error: row.codes[0].into(),
            code: row.numbers[0],
            message: "Something.".into(),
        };
        let (next, what) = next_after(fault).await;
        let fits = match row.class {
            Class::Retry => matches!(next, Expect::Retry | Expect::Later(_)),
            Class::App | Class::Settings => next == Expect::Admin,
            Class::SignIn => next == Expect::SignIn,
            _ => false,
        };
        assert!(fits, "{:?}: {next:?}, {what}", row.numbers);
    }
}

#[test]
fn the_page_of_the_documentation_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/error-catalogue.md");
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("error-catalogue.md");
    std::fs::write(&fresh, catalogue::markdown()).expect("a file");
    assert!(
        there == catalogue::markdown(),
        "docs/error-catalogue.md is stale; copy {} over it, or run `postroom explain --markdown`",
        fresh.display()
    );
}
