//! `postroom credential reach`: the mailboxes an app must read and must not, tried; and how to limit it.

use serde_json::json;
use shared::{
    error::exit,
    import::reach::ReachError,
    manage::shown,
    ports::TokenNeed,
    reach::{Everywhere, Expected, Probe, scoping},
};

use super::{
    Desk,
    failure::Failure,
    output::{Answer, clean},
    table::Table,
};

pub(super) async fn run(
    desk: &Desk,
    id: &str,
    must_read: &[String],
    must_not_read: &[String],
    forget: bool,
) -> Result<Answer, Failure> {
    let row = desk.credential(id).await?;
    let expected = Expected::parse(must_read, must_not_read)?;
    if forget || !expected.is_empty() {
        desk.manage().expect_reach(&row, &expected).await?;
    }
    if forget {
        let text = format!("Nobody expects anything of the reach of credential `{id}` any more.");
        return Ok(Answer::new(json!({"credential": id, "reach": null}), text));
    }
    let reach = desk
        .importer
        .reach(id, TokenNeed::New, desk.config.patience)
        .await
        .map_err(failure)?;
    let row = desk.credential(id).await?;
    let mut text = format!("The app of credential `{id}` {}.\n", reach.summary());
    if !reach.probes.is_empty() {
        let mut table = Table::new(&["mailbox", "wanted", "found"], 0);
        for probe in &reach.probes {
            table.row(&[probe.mailbox.clone(), probe.wanted_words().to_owned(), found(probe)]);
        }
        text.push_str(&format!("\n{}", table.text()));
    }
    let good = reach.is_as_meant();
    for finding in reach.findings() {
        text.push_str(&format!("\n{} {}\n", desk.output.bad("warning:"), clean(&finding)));
    }
    if reach.everywhere() == Everywhere::Yes || (!good && !reach.tenant_wide().is_empty()) {
        let commands = scoping(&row.credential, &row.expected, &reach);
        text.push_str("\nThis limits the app to the mailboxes it must read (docs/limit-mailboxes.md says more):\n\n");
        text.extend(commands.lines().map(|line| format!("{}\n", clean(line))));
    }
    if row.expected.is_empty() {
        text.push_str(
            "\n`--must-read ADDRESS` and `--must-not-read ADDRESS` name mailboxes to try, once a day from then on.\n",
        );
    }
    let value = json!({"credential": id, "ok": good, "reach": shown::reach(&row)});
    Ok(Answer::new(value, text).exit(if good { exit::OK } else { exit::ADMIN }))
}

fn found(probe: &Probe) -> String {
    let known = probe.found_words();
    match (&probe.trouble, probe.is_as_meant()) {
        (Some(_), _) => format!("{known} (the last try told nothing)"),
        (None, true) => known.to_owned(),
        (None, false) => format!("{known}  <- not as it should be"),
    }
}

fn failure(error: ReachError) -> Failure {
    match error {
        ReachError::Record(error) => error.into(),
        ReachError::Token(error) => error.into(),
        ReachError::Refused(why) => Failure::refused(why),
    }
}
