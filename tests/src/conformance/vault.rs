//! The vault's suite: versions, stages, compare-and-set under races, the daily budget, values to the byte.

use std::{sync::Arc, time::Duration};

use shared::{
    ports::{SecretName, SecretVersion, Stage, Vault, VaultError},
    secret::Secret,
};

/// Opens the same vault once more: another process, or the next life of this one.
pub type Reopen = Box<dyn Fn() -> Arc<dyn Vault> + Send + Sync>;

/// A clock that was years ahead has used up the budget of its day, not of the years between.
pub async fn wrong_clock(vault: &dyn Vault, advance: &(dyn Fn(Duration) + Sync), back: &(dyn Fn(Duration) + Sync)) {
    let (name, years) = (name("wrong-clock"), Duration::from_hours(4 * 365 * 24));
    advance(years);
    for _ in 0..30 {
        vault.stage(&name, &Secret::new("x")).await.expect("stage");
    }
    back(years);
    vault
        .stage(&name, &Secret::new("x"))
        .await
        .expect("the budget of another day");
}

/// How hard the suite may lean on an adapter.
#[derive(Debug, Clone, Copy)]
pub struct Strain {
    /// Callers at once with the same expectation. Where a refused put costs a version, they must fit into a day's budget.
    pub contenders: usize,
    /// How much a day may be off at its end: where versions are dated by the service, the suite's own time counts.
    pub slack: Duration,
}

impl Default for Strain {
    fn default() -> Self {
        Self {
            contenders: 64,
            slack: Duration::from_secs(1),
        }
    }
}

/// Everything the vault's contract says. `advance` moves the vault's clock.
pub async fn all(open: &Reopen, advance: &(dyn Fn(Duration) + Sync), strain: Strain) {
    let vault = open();
    versions(&*vault).await;
    stages(&*vault).await;
    values(&*vault).await;
    removal(&*vault).await;
    budget(&*vault, advance, strain.slack).await;
    two_instances(open).await;
    put_race(open, strain.contenders).await;
    promote_race(open).await;
}

fn name(id: &str) -> SecretName {
    SecretName(format!("grant/{id}"))
}

async fn text(vault: &dyn Vault, name: &SecretName, stage: Stage) -> Option<String> {
    vault
        .read(name, stage)
        .await
        .expect("read")
        .map(|entry| entry.value.expose().to_owned())
}

async fn put(vault: &dyn Vault, name: &SecretName, value: &str, expected: Option<&SecretVersion>) -> SecretVersion {
    vault.put(name, &Secret::new(value), expected).await.expect("put")
}

fn conflict<T>(answer: Result<T, VaultError>, what: &str) {
    match answer {
        Err(VaultError::Conflict { .. }) => {}
        Err(error) => panic!("{what} answered {error}"),
        Ok(_) => panic!("{what} was taken"),
    }
}

async fn versions(vault: &dyn Vault) {
    let name = name("versions");
    assert!(vault.read(&name, Stage::Current).await.expect("read").is_none());
    assert_eq!(vault.version(&name).await.expect("version"), None);
    let stranger = SecretVersion("stranger".into());
    conflict(
        vault.put(&name, &Secret::new("x"), Some(&stranger)).await,
        "a put on an absent secret that expects a version",
    );
    assert!(
        vault.read(&name, Stage::Current).await.expect("read").is_none(),
        "a refused put writes nothing"
    );
    let first = put(vault, &name, "one", None).await;
    assert_eq!(vault.version(&name).await.expect("version"), Some(first.clone()));
    conflict(
        vault.put(&name, &Secret::new("x"), None).await,
        "a put that expects no version",
    );
    conflict(
        vault.put(&name, &Secret::new("x"), Some(&stranger)).await,
        "a put that expects another version",
    );
    let second = put(vault, &name, "two", Some(&first)).await;
    assert_ne!(first, second);
    conflict(
        vault.put(&name, &Secret::new("x"), Some(&first)).await,
        "a put that expects the previous version",
    );
    assert_eq!(text(vault, &name, Stage::Current).await.as_deref(), Some("two"));
    let previous = vault
        .read(&name, Stage::Previous)
        .await
        .expect("read")
        .expect("the previous version");
    assert_eq!((previous.value.expose(), &previous.version), ("one", &first));
    put(vault, &name, "three", Some(&second)).await;
    assert_eq!(
        text(vault, &name, Stage::Previous).await.as_deref(),
        Some("two"),
        "the one before is kept, no older one"
    );
}

async fn stages(vault: &dyn Vault) {
    let name = name("stages");
    let first = put(vault, &name, "one", None).await;
    let lost = vault.stage(&name, &Secret::new("lost")).await.expect("stage");
    let pending = vault.stage(&name, &Secret::new("two")).await.expect("stage again");
    assert_eq!(
        text(vault, &name, Stage::Pending).await.as_deref(),
        Some("two"),
        "a later pending version replaces the earlier"
    );
    assert_eq!(text(vault, &name, Stage::Current).await.as_deref(), Some("one"));
    assert_eq!(vault.version(&name).await.expect("version"), Some(first.clone()));
    conflict(
        vault.promote(&name, &lost, Some(&first)).await,
        "promoting a version that was replaced",
    );
    conflict(
        vault.promote(&name, &pending, None).await,
        "promoting over a current version as if there were none",
    );
    conflict(
        vault.promote(&name, &pending, Some(&pending)).await,
        "promoting with a wrong expectation",
    );
    assert_eq!(
        text(vault, &name, Stage::Pending).await.as_deref(),
        Some("two"),
        "a refused promotion changes nothing"
    );
    vault.promote(&name, &pending, Some(&first)).await.expect("promote");
    assert_eq!(vault.version(&name).await.expect("version"), Some(pending.clone()));
    assert_eq!(text(vault, &name, Stage::Current).await.as_deref(), Some("two"));
    assert_eq!(text(vault, &name, Stage::Previous).await.as_deref(), Some("one"));
    assert_eq!(
        text(vault, &name, Stage::Pending).await,
        None,
        "the label pending is gone"
    );
    conflict(vault.promote(&name, &pending, Some(&pending)).await, "promoting twice");

    // A put takes a pending version away, a refused one does not.
    let pending_again = vault.stage(&name, &Secret::new("three")).await.expect("stage");
    conflict(
        vault.put(&name, &Secret::new("x"), None).await,
        "a put that expects nothing",
    );
    assert_eq!(text(vault, &name, Stage::Pending).await.as_deref(), Some("three"));
    let put_over = put(vault, &name, "four", Some(&pending)).await;
    assert_eq!(text(vault, &name, Stage::Pending).await, None);
    conflict(
        vault.promote(&name, &pending_again, Some(&put_over)).await,
        "promoting what a put took away",
    );

    // The first version of a secret may come by way of pending.
    let fresh = super::vault::name("fresh");
    let pending = vault.stage(&fresh, &Secret::new("one")).await.expect("stage");
    assert_eq!(vault.version(&fresh).await.expect("version"), None);
    vault.promote(&fresh, &pending, None).await.expect("promote");
    assert_eq!(text(vault, &fresh, Stage::Current).await.as_deref(), Some("one"));
}

async fn values(vault: &dyn Vault) {
    for (at, value) in [
        "x".to_owned(),
        "x".repeat(64 * 1024),
        "a\u{0}\n\"\\ \u{1f980} \u{7f}".to_owned(),
        " \t ".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let name = name(&format!("value-{at}"));
        put(vault, &name, value, None).await;
        assert!(
            text(vault, &name, Stage::Current).await.as_ref() == Some(value),
            "value {at} is kept to the byte"
        );
    }
    for value in [String::new(), "x".repeat(64 * 1024 + 1)] {
        let answer = vault.put(&name("value-bad"), &Secret::new(value.clone()), None).await;
        assert!(
            matches!(answer, Err(VaultError::Denied(_))),
            "a value of {} bytes",
            value.len()
        );
    }
    for bad in [
        "",
        "grant/",
        "grant",
        "other/x",
        "grant/a/b",
        "grant/a b",
        "grant/../x",
        "grant/é",
    ] {
        let answer = vault.read(&SecretName(bad.into()), Stage::Current).await;
        assert!(
            matches!(answer, Err(VaultError::Denied(_))),
            "the name {bad:?} is taken"
        );
    }
}

async fn removal(vault: &dyn Vault) {
    let name = name("removal");
    vault.remove(&name).await.expect("removing nothing is fine");
    let first = put(vault, &name, "one", None).await;
    put(vault, &name, "two", Some(&first)).await;
    vault.stage(&name, &Secret::new("three")).await.expect("stage");
    vault.remove(&name).await.expect("remove");
    for stage in [Stage::Current, Stage::Previous, Stage::Pending] {
        assert_eq!(text(vault, &name, stage).await, None, "{stage:?} after removal");
    }
    put(vault, &name, "anew", None).await;
}

async fn budget(vault: &dyn Vault, advance: &(dyn Fn(Duration) + Sync), slack: Duration) {
    let (name, other) = (name("budget"), name("budget-other"));
    let mut version = None;
    for at in 0..30 {
        version = if at % 3 == 2 {
            let pending = vault
                .stage(&name, &Secret::new("x"))
                .await
                .expect("stage within the budget");
            vault
                .promote(&name, &pending, version.as_ref())
                .await
                .expect("promote costs nothing");
            Some(pending)
        } else {
            Some(put(vault, &name, "x", version.as_ref()).await)
        };
    }
    let spent = |answer: Result<SecretVersion, VaultError>| {
        assert!(
            matches!(answer, Err(VaultError::Budget { .. })),
            "a version over the budget"
        );
    };
    spent(vault.put(&name, &Secret::new("over"), version.as_ref()).await);
    spent(vault.stage(&name, &Secret::new("over")).await);
    assert_eq!(text(vault, &name, Stage::Current).await.as_deref(), Some("x"));
    conflict(
        vault.put(&name, &Secret::new("over"), None).await,
        "a lost race over the budget",
    );
    put(vault, &other, "y", None).await;
    advance(Duration::from_hours(24).saturating_sub(slack));
    spent(vault.put(&name, &Secret::new("over"), version.as_ref()).await);
    advance(slack);
    put(vault, &name, "next day", version.as_ref()).await;
}

async fn two_instances(open: &Reopen) {
    let name = name("shared");
    let (one, two) = (open(), open());
    let first = put(&*one, &name, "one", None).await;
    assert_eq!(two.version(&name).await.expect("version"), Some(first.clone()));
    let second = put(&*two, &name, "two", Some(&first)).await;
    conflict(
        one.put(&name, &Secret::new("x"), Some(&first)).await,
        "a put on what another instance changed",
    );
    drop((one, two));
    assert_eq!(open().version(&name).await.expect("version"), Some(second));
}

/// Many puts with the same expectation over two instances: exactly one wins, and it is the one that counts.
async fn put_race(open: &Reopen, contenders: usize) {
    let name = name("race");
    let vaults = [open(), open()];
    let mut expected = None;
    for round in 0..3 {
        let tasks: Vec<_> = (0..contenders)
            .map(|task: usize| {
                let (vault, name, expected) = (vaults[task % 2].clone(), name.clone(), expected.clone());
                tokio::spawn(async move {
                    vault
                        .put(&name, &Secret::new(format!("{round}-{task}")), expected.as_ref())
                        .await
                })
            })
            .collect();
        let mut won = Vec::new();
        for (task, answer) in tasks.into_iter().enumerate() {
            match answer.await.expect("a task") {
                Ok(version) => won.push((task, version)),
                Err(VaultError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1, "winners in round {round}");
        let current = vaults[0]
            .read(&name, Stage::Current)
            .await
            .expect("read")
            .expect("an entry");
        assert_eq!(
            (current.value.expose(), &current.version),
            (format!("{round}-{}", won[0].0).as_str(), &won[0].1)
        );
        expected = Some(current.version);
    }
}

/// 16 promotions of one pending version: one is done, the others are told.
async fn promote_race(open: &Reopen) {
    let name = name("promotions");
    let vaults = [open(), open()];
    let first = put(&*vaults[0], &name, "one", None).await;
    let pending = vaults[1].stage(&name, &Secret::new("two")).await.expect("stage");
    let tasks: Vec<_> = (0..16)
        .map(|task: usize| {
            let (vault, name, pending, first) =
                (vaults[task % 2].clone(), name.clone(), pending.clone(), first.clone());
            tokio::spawn(async move { vault.promote(&name, &pending, Some(&first)).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.expect("a task") {
            Ok(()) => done += 1,
            Err(VaultError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(text(&*vaults[0], &name, Stage::Previous).await.as_deref(), Some("one"));
}
