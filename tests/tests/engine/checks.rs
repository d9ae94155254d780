//! `account check`: each step says what failed, why, who mends it where; and which of its causes a 403 had.

use std::time::Duration;

use shared::{
    account::{AfterImport, FolderName},
    import::check::{Step, report},
};
use simulator::{Fault, FaultSpec, RequestKind};
use tests::world::{DESK, World};

async fn check(world: &World) -> Vec<Step> {
    world
        .importer()
        .check("desk", Duration::from_secs(5))
        .await
        .expect("an account")
}

fn failed(steps: &[Step]) -> Vec<&Step> {
    steps.iter().filter(|step| !step.ok).collect()
}

#[tokio::test(start_paused = true)]
async fn a_good_account_passes_every_step_and_nothing_is_changed() {
    let world = World::new(1);
    world.fill(2);
    world
        .usual(|account| account.after_import = AfterImport::MarkRead)
        .await;
    let read = || -> Vec<bool> { world.simulator.truth(None).iter().map(|mail| mail.read).collect() };
    let before = read();
    let steps = check(&world).await;
    assert!(failed(&steps).is_empty(), "{steps:#?}");
    let whats: Vec<&str> = steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(
        whats,
        [
            "credential",
            "login host",
            "access token",
            "permissions",
            "mailbox",
            "folder inbox",
            "message"
        ]
    );
    assert_eq!(read(), before, "nothing was marked");
    let text = report("Check", &steps);
    assert_eq!(text.lines().count(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_says_who_mends_it_and_carries_the_ids() {
    let world = World::new(2);
    world.usual(|_| {}).await;
    let id = world.simulator.registration().client_id;
    world.simulator.rotate_secret(&id, "another", true).expect("rotated");
    let steps = check(&world).await;
    let step = steps.last().expect("a step");
    assert_eq!((step.what.as_str(), step.ok), ("access token", false));
    assert!(step.detail.contains("AADSTS7000222") && step.detail.contains("Certificates & secrets"));
    assert!(
        step.fix.as_ref().is_some_and(|fix| fix.contains("owner of the app")),
        "{step:?}"
    );
    assert!(
        step.ids.as_ref().is_some_and(|ids| ids.contains("correlation id")),
        "{step:?}"
    );
    let secret = world.simulator.registration().client_secret;
    assert!(!report("Check", &steps).contains(&secret));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_down_is_no_trouble_of_the_credential() {
    let world = World::new(3);
    world.usual(|_| {}).await;
    world.simulator.arm(FaultSpec::once(RequestKind::Token, Fault::Reset));
    let steps = check(&world).await;
    let step = steps.last().expect("a step");
    assert_eq!((step.what.as_str(), step.ok), ("login host", false));
    assert!(
        step.fix.as_ref().is_some_and(|fix| fix.contains("firewall")),
        "{step:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_causes_of_a_403_are_told_apart() {
    // The roles in the token, what the account does, whether a policy keeps the app out: the words for it.
    let cases: [(&[&str], AfterImport, bool, &str, &str); 5] = [
        (
            &[],
            AfterImport::Nothing,
            false,
            "nobody has consented",
            "Test-ServicePrincipalAuthorization",
        ),
        (
            &["User.Read.All"],
            AfterImport::Nothing,
            false,
            "lacks the permission",
            "add Mail.Read (Application)",
        ),
        (
            &["Mail.Read"],
            AfterImport::MarkRead,
            false,
            "lacks the permission",
            "add Mail.ReadWrite (Application)",
        ),
        (
            &["Mail.Read"],
            AfterImport::Nothing,
            true,
            "application access policy",
            "Test-ApplicationAccessPolicy",
        ),
        (
            &["Mail.Read"],
            AfterImport::Nothing,
            false,
            "Exchange keeps the app out",
            "Get-ApplicationAccessPolicy",
        ),
    ];
    for (roles, after, policy, why, fix) in cases {
        let options = simulator::Options {
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            ..simulator::Options::default()
        };
        let world = World::with(4, options);
        world.fill(1);
        world.usual(|account| account.after_import = after.clone()).await;
        if policy {
            world.simulator.set_in_policy(DESK, false).expect("a mailbox");
        } else {
            let fault = Fault::AccessDenied;
            world
                .simulator
                .arm(FaultSpec::once(RequestKind::Folders, fault).always());
        }
        let steps = check(&world).await;
        world.simulator.clear_faults();
        let refused: Vec<&Step> = failed(&steps)
            .into_iter()
            .filter(|step| step.what != "permissions")
            .collect();
        let step = refused.first().unwrap_or_else(|| panic!("{why}: {steps:#?}"));
        assert!(step.detail.contains(why), "{why}: {step:?}");
        assert!(step.fix.as_ref().is_some_and(|it| it.contains(fix)), "{fix}: {step:?}");
        assert!(
            step.ids.as_ref().is_some_and(|ids| ids.contains("request-id")),
            "{step:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn folders_that_are_not_there_are_named_with_the_way_to_name_others() {
    let world = World::new(5);
    world
        .usual(|account| {
            account.folders = vec![FolderName::parse("Inbox/Nowhere").expect("a folder")];
            account.after_import = AfterImport::parse("move:Inbox/Nirvana").expect("an action");
        })
        .await;
    let steps = check(&world).await;
    let failed = failed(&steps);
    assert_eq!(failed.len(), 2, "{steps:#?}");
    assert!(failed[0].fix.as_ref().is_some_and(|fix| fix.contains("--folder")));
    assert!(failed[1].fix.as_ref().is_some_and(|fix| fix.contains("--after-import")));
}
