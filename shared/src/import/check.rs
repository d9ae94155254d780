//! `account check`: what works and what does not, one step after another, each with its cause and its cure (P26).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, AfterImport, Mailbox},
    credential::{GrantType, SignIn},
    graph::{Change, Counts, Governor, GraphClient, GraphError, MailPage},
    oauth::TokenErrorKind,
    ports::{Clock, Http, TokenInfo, TokenNeed},
    records::{
        RecordError,
        accounts::{AccountRow, Accounts},
        credentials::{CredentialRow, Credentials},
    },
    time::between,
};

use super::{forbidden, open, run::Importer};

/// By more than this our clock and Microsoft's may not differ: assertions and tokens are good for minutes.
const SKEW: Duration = Duration::from_mins(5);

/// One step of a check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// What was tried.
    pub what: String,
    /// Whether it worked.
    pub ok: bool,
    /// What came back, or why not.
    pub detail: String,
    /// Who does what to mend it, if it did not work.
    pub fix: Option<String>,
    /// What Microsoft's support asks for: request id, or trace and correlation id.
    pub ids: Option<String>,
}

impl Step {
    pub(super) fn good(what: &str, detail: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            ok: true,
            detail: detail.into(),
            fix: None,
            ids: None,
        }
    }

    pub(super) fn bad(what: &str, detail: impl Into<String>) -> Self {
        Self {
            ok: false,
            ..Self::good(what, detail)
        }
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    fn ids(mut self, ids: Option<String>) -> Self {
        self.ids = ids;
        self
    }
}

/// All steps as text that may be sent to somebody: no secret, no token; `head` says what was checked.
pub fn report(head: &str, steps: &[Step]) -> String {
    let mut text = format!("{head}\n");
    for step in steps {
        let mark = if step.ok { "ok    " } else { "FAILED" };
        text.push_str(&format!("{mark}  {}: {}\n", step.what, step.detail));
        if let Some(fix) = &step.fix {
            text.push_str(&format!("        mend it: {fix}\n"));
        }
        if let Some(ids) = &step.ids {
            text.push_str(&format!("        for Microsoft's support: {ids}\n"));
        }
    }
    text
}

impl Importer {
    /// Tries, without importing or changing anything: credential, login host and clock, token, permissions, mailbox, each
    /// folder, a message and its MIME. Stops at the first step that the later ones need.
    pub async fn check(&self, account: &str, patience: Duration) -> Result<Vec<Step>, RecordError> {
        let row = Accounts::new(Arc::clone(&self.ports.store)).get(account).await?;
        let credentials = Credentials::new(Arc::clone(&self.ports.store));
        let mut steps = Vec::new();
        let credential = match credentials.get(row.account.credential.as_str()).await {
            Ok(credential) => credential,
            Err(error) => {
                let fix = format!("`postroom account edit {account} --credential ID` applies another one");
                steps.push(Step::bad("credential", error.to_string()).fix(fix));
                return Ok(steps);
            }
        };
        let now = self.ports.clock.now();
        steps.push(of_credential(&credential, now));
        let host = login_host(&*self.ports.http, &*self.ports.clock, &credential).await;
        let stop = !host.ok;
        steps.push(host);
        if stop {
            return Ok(steps);
        }
        let Some(info) = self.token_step(&credential, &mut steps).await else {
            return Ok(steps);
        };
        let (permissions, go_on) = permissions(&row.account, &credential, &info);
        steps.push(permissions);
        if !go_on {
            return Ok(steps);
        }
        let governor = Arc::new(Governor::new(Arc::clone(&self.ports.clock), BTreeMap::new()));
        let client = self.client(&row, &credential, governor, Arc::new(Counts::default()), patience);
        let told = |what: &str, error: &GraphError| graph_step(what, error, &row, &credential, &info);
        if let Err(error) = client.server_time().await {
            steps.push(told("mailbox", &error));
            return Ok(steps);
        }
        steps.push(Step::good(
            "mailbox",
            format!("{} answers", row.account.mailbox.as_str()),
        ));
        let mut sample = None;
        for name in &row.account.folders {
            let what = format!("folder {name}");
            match open::named(&client, name).await {
                Ok(folder) => match client.first_page(&folder.id, 1).await {
                    Ok(page) => {
                        sample = sample.or_else(|| first(&page));
                        let detail = format!("`{}` can be read, {} subfolders", folder.name, folder.children);
                        steps.push(Step::good(&what, detail));
                    }
                    Err(error) => steps.push(told(&what, &error)),
                },
                Err(open::OpenError::Graph(error)) => steps.push(told(&what, &error)),
                Err(error) => steps.push(Step::bad(&what, error.to_string()).fix(format!(
                    "`postroom account edit {account} --folder FOLDER` names another one"
                ))),
            }
        }
        steps.push(match sample {
            None => Step::good("message", "there is none to try in these folders"),
            Some(change) => match mime(&client, &change).await {
                Ok(bytes) => Step::good("message", format!("its MIME can be read ({bytes} bytes came)")),
                Err(error) => told("message", &error),
            },
        });
        if let AfterImport::Move(folder) = &row.account.after_import {
            let what = format!("folder {folder} to move to");
            steps.push(match open::named(&client, folder).await {
                Ok(found) => Step::good(&what, format!("`{}`", found.name)),
                Err(open::OpenError::Graph(error)) => told(&what, &error),
                Err(error) => Step::bad(&what, error.to_string())
                    .fix("make it in the mailbox, or name another one with --after-import"),
            });
        }
        Ok(steps)
    }

    async fn token_step(&self, credential: &CredentialRow, steps: &mut Vec<Step>) -> Option<TokenInfo> {
        let id = credential.credential.id.as_str();
        let mut asked = self.tokens.access_token(id, TokenNeed::Usable).await;
        // A refusal without Microsoft's ids is one that is remembered; whoever checks may have mended it just now.
        if let Err(error) = &asked
            && matches!(error.kind, TokenErrorKind::Client)
            && error.trace.is_none()
        {
            asked = self.tokens.access_token(id, TokenNeed::New).await;
        }
        match asked {
            Ok(info) => {
                let tenant = info.tenant.as_deref().unwrap_or("which it does not say");
                let detail = format!("good until {:.0}, of tenant {tenant}", info.expires_at);
                steps.push(Step::good("access token", detail));
                Some(info)
            }
            Err(error) => {
                let fix = crate::catalogue::of_numbers(&error.codes)
                    .map(|row| format!("{}; again: {}", row.who.words(), row.again.words()));
                let step = Step::bad("access token", error.to_string()).ids(error.trace.clone());
                steps.push(Step { fix, ..step });
                None
            }
        }
    }
}

/// The credential, and what of it ends soon.
fn of_credential(row: &CredentialRow, now: Timestamp) -> Step {
    let credential = &row.credential;
    let what = format!(
        "`{}`, {}, {}",
        credential.id,
        credential.grant_type,
        credential.authentication.words()
    );
    match crate::warning::of(row, now).first() {
        // What is over may be mistyped: the token tells.
        Some(warning) => Step::good("credential", format!("{what}. Soon: {}", warning.text)),
        None => Step::good("credential", what),
    }
}

/// Name, TLS and clock of the login host. Its token endpoint answers a GET with an error, which is an answer.
async fn login_host(http: &dyn Http, clock: &dyn Clock, row: &CredentialRow) -> Step {
    const WHAT: &str = "login host";
    let url = &row.credential.token_url;
    let host = url.host_str().unwrap_or_default();
    let request = match http::Request::get(url.as_str()).body(Bytes::new()) {
        Ok(request) => request,
        Err(error) => return Step::bad(WHAT, error.to_string()),
    };
    let answer = match http.call(request).await {
        Ok(answer) => answer,
        Err(error) => {
            return Step::bad(WHAT, error.to_string()).fix(
                "check name resolution, firewall and proxy (HTTPS_PROXY) of this machine; if something between breaks TLS open, give its certificate with POSTROOM_CA_FILE",
            );
        }
    };
    let now = clock.now();
    let date = answer
        .headers()
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let Some(theirs) = date.and_then(|date| Timestamp::try_from(date).ok()) else {
        return Step::good(WHAT, format!("{host} answers"));
    };
    let apart = between(now, theirs).max(between(theirs, now));
    if apart <= SKEW {
        return Step::good(
            WHAT,
            format!("{host} answers; the clocks are {} s apart", apart.as_secs()),
        );
    }
    let word = if now > theirs { "ahead" } else { "behind" };
    Step::bad(
        WHAT,
        format!(
            "the clock of this machine is {} minutes {word} of {host}'s",
            apart.as_secs() / 60
        ),
    )
    .fix(
        "set the clock by a time server: with a wrong clock assertions are refused (AADSTS700024) and tokens seem over",
    )
}

/// Whether the token may do what the account needs; and whether it is worth going on.
fn permissions(account: &Account, row: &CredentialRow, info: &TokenInfo) -> (Step, bool) {
    const WHAT: &str = "permissions";
    let writes = account.after_import != AfterImport::Nothing;
    if let (GrantType::AuthorizationCode, Some(sign_in)) = (row.credential.grant_type, &row.sign_in) {
        return match delegated(account, sign_in, &info.scopes) {
            Ok(detail) => (Step::good("sign-in", detail), true),
            Err((detail, fix)) => (Step::bad("sign-in", detail).fix(fix), false),
        };
    }
    let needed = if writes { "Mail.ReadWrite" } else { "Mail.Read" };
    if info.roles.is_empty() {
        let detail =
            "none in the token; Exchange RBAC for Applications may grant them all the same, then the next steps pass";
        return (Step::good(WHAT, detail), true);
    }
    let has = |role: &str| info.roles.iter().any(|one| one.eq_ignore_ascii_case(role));
    let all = info.roles.join(" ");
    if has("Mail.ReadWrite") || (!writes && has("Mail.Read")) {
        return (Step::good(WHAT, format!("{all}; {needed} is needed")), true);
    }
    let why = if writes && has("Mail.Read") {
        format!(
            "{all}: mail can be read, but after import something is to be done in the mailbox, which needs {needed}"
        )
    } else {
        format!("{all}: none of them reads mail; {needed} is needed")
    };
    let fix = format!(
        "an admin of the tenant: Azure portal, App registrations, your app, API permissions: Microsoft Graph, Application permissions, {needed}, Grant admin consent; then `postroom credential authorize {}`",
        row.credential.id
    );
    // Exchange may grant what the token does not carry.
    (Step::bad(WHAT, why).fix(fix), true)
}

/// Whether what the person granted opens this mailbox: their own, or one that is shared with them ("Microsoft Graph
/// permissions reference": `Mail.Read` is the person's own mail, `Mail.Read.Shared` also what others share with them).
fn delegated(account: &Account, sign_in: &SignIn, scopes: &[String]) -> Result<String, (String, String)> {
    let writes = account.after_import != AfterImport::Nothing;
    let own = is_own(account, sign_in);
    let needed = match (own, writes) {
        (true, false) => "Mail.Read",
        (true, true) => "Mail.ReadWrite",
        (false, false) => "Mail.Read.Shared",
        (false, true) => "Mail.ReadWrite.Shared",
    };
    let has = |scope: &str| scopes.iter().any(|one| one.eq_ignore_ascii_case(scope));
    // A wider permission serves as well.
    let covering = [
        "Mail.Read",
        "Mail.ReadWrite",
        "Mail.Read.Shared",
        "Mail.ReadWrite.Shared",
    ];
    let serves = covering
        .iter()
        .any(|scope| has(scope) && (!writes || scope.contains("ReadWrite")) && (own || scope.ends_with(".Shared")));
    let who = sign_in.who();
    if serves {
        return Ok(format!("{who} signed in at {:.0}", sign_in.at));
    }
    let whose = if own {
        "their own mailbox"
    } else {
        "a mailbox that is not theirs"
    };
    Err((
        format!("{who} signed in, and this account is on {whose}, which needs `{needed}`"),
        format!(
            "add `{needed}` to the scope of credential `{}`, and in the Azure portal, App registrations, your app, API permissions, as a delegated permission; then click the key",
            account.credential
        ),
    ))
}

/// Whether the account is on the mailbox of the person who signed in.
pub(super) fn is_own(account: &Account, sign_in: &SignIn) -> bool {
    match &account.mailbox {
        Mailbox::Me => true,
        Mailbox::Address(address) => {
            let own = sign_in.address.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(address))
                || sign_in.identity.object.eq_ignore_ascii_case(address)
        }
    }
}

fn first(page: &MailPage) -> Option<Change> {
    page.changes
        .iter()
        .find(|change| matches!(change, Change::Present(..)))
        .cloned()
}

/// The beginning of a message's MIME: how many bytes came. The rest is not fetched.
async fn mime(client: &GraphClient, change: &Change) -> Result<usize, GraphError> {
    let mut stream = client.mime(change.id()).await?;
    match stream.bytes.next().await {
        Some(Ok(bytes)) => Ok(bytes.len()),
        Some(Err(error)) => Err(GraphError::from(&error)),
        None => Ok(0),
    }
}

/// A step that Graph refused; of a 403, which of its causes it was.
fn graph_step(what: &str, error: &GraphError, row: &AccountRow, credential: &CredentialRow, info: &TokenInfo) -> Step {
    let ids = error.request_id.as_ref().map(|id| format!("request-id {id}"));
    match forbidden::cause(error, &row.account, credential, info) {
        Some(cause) => Step::bad(what, cause.words())
            .fix(cause.fix(&row.account, credential))
            .ids(ids),
        None => Step::bad(what, error.to_string()).ids(ids),
    }
}
