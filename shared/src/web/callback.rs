//! `/OAuth2Callback`: where Microsoft sends a browser after signing in.
//!
//! The order of the checks is the argument: shape, cookie, one write that consumes, and only then is anything believed or
//! anybody asked. Nothing that came with the browser is shown, stored or sent on but the code.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use maud::html;
use url::Url;

use crate::{
    oauth::{AuthorizationFlow, Proof, TokenError, proof, sha256_hex},
    origin::Origin,
    ports::{Redeemed, Redemption},
    records::{
        api_keys::Scope,
        authorizations::{AuthorizationRow, Consumed, Ending, Errand, Pending},
        credentials::Credentials,
        sessions::Sessions,
    },
    secret::Secret,
};

use super::{Web, answer::Answer, cookie, page, result};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/OAuth2Callback", get(callback))
}

fn nothing_to_finish() -> Response {
    let body = html! {
        p { "This answer belongs to no sign-in that was begun in this browser within the last ten minutes. Nothing was stored, and nobody was asked." }
        p { "Begin again: console, Credentials, the key; or " code { "postroom credential authorize ID" } "." }
    };
    page::plain(StatusCode::BAD_REQUEST, "Nothing to finish here", &body)
}

async fn callback(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(answer) = Answer::read(uri.query().unwrap_or_default()) else {
        return nothing_to_finish();
    };
    let key = sha256_hex(&answer.state);
    let Some(cookie) = cookie::read(&headers, &cookie::flow_name(&web, &key)) else {
        return nothing_to_finish();
    };
    let flow = AuthorizationFlow::new(web.ports.clone());
    let by = web.ports.rng.hex(16);
    let row = match flow.consume(&answer.state, &cookie, &by, web.ports.clock.now()).await {
        Ok(Consumed::Now(row)) => row,
        // A reload, or the answer twice at once: whoever has the cookie sees how the first one ended.
        Ok(Consumed::Not(Some(row))) if result::belongs(&row, &cookie) && row.consumed_at.is_some() => {
            return shown(&key);
        }
        Ok(Consumed::Not(_)) => return nothing_to_finish(),
        Err(error) => return page::trouble(&error.to_string()),
    };
    let proof = proof(&answer.state, &cookie, &row.pending.salt);
    let ending = finish(&web, &row, answer, proof).await;
    if let Err(error) = flow.shelf().end(&key, &by, &ending).await {
        // What was reached stands in the credential; only this page does not know.
        tracing::warn!(%error, "how a sign-in ended could not be written down");
    }
    shown(&key)
}

/// A clean address, without the code.
fn shown(key: &str) -> Response {
    Redirect::to(&format!("/authorizations/{key}")).into_response()
}

async fn finish(web: &Web, row: &AuthorizationRow, answer: Answer, proof: Proof) -> Ending {
    let pending = &row.pending;
    match believed(web, pending, &answer).await {
        Ok(Some(code)) => redeem(web, pending, code, answer.issuer, proof).await,
        Ok(None) => Ending {
            ok: true,
            what: "Microsoft says that an admin consented for the whole tenant. Now click the key of the credential"
                .to_owned(),
            who: None,
            granted: Vec::new(),
            extra: Vec::new(),
            warnings: vec!["This page is no proof: the next access token shows what was granted".to_owned()],
            trace: None,
        },
        Err(what) => failed(what),
    }
}

fn failed(what: impl Into<String>) -> Ending {
    Ending {
        ok: false,
        what: what.into(),
        who: None,
        granted: Vec::new(),
        extra: Vec::new(),
        warnings: Vec::new(),
        trace: None,
    }
}

/// What the answer comes to: a code to redeem, a consent (`None`), or why not.
async fn believed(web: &Web, pending: &Pending, answer: &Answer) -> Result<Option<Secret>, String> {
    let credentials = Credentials::new(std::sync::Arc::clone(&web.ports.store));
    let credential = match credentials.get(pending.credential.as_str()).await {
        Ok(row) => row.credential,
        Err(error) => return Err(error.to_string()),
    };
    if let Some(session) = &pending.session {
        // Whoever began it must still be allowed to (O-15).
        let alive = Sessions::new(std::sync::Arc::clone(&web.ports.store))
            .alive(session, web.ports.clock.now())
            .await;
        match alive {
            Ok(Some(holder)) if holder.scope == Scope::Operator => {}
            Ok(_) => {
                return Err("The console's session that began this sign-in is over. Nothing was stored".into());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    if let Some(issuer) = &answer.issuer {
        let origin = Url::parse(issuer).ok().as_ref().and_then(Origin::of);
        let same_host = origin.is_some() && origin == Origin::of(&credential.token_url);
        if !same_host || pending.issuer.as_ref().is_some_and(|expected| expected != issuer) {
            return Err("The answer comes from another login host or tenant than the one that was asked (`iss`). Nothing was stored".into());
        }
    }
    // `admin_consent=True` comes with refusals, too ("Admin consent on the Microsoft identity platform").
    if let Some(error) = &answer.error {
        return Err(refusal(error, &answer.description, pending.errand));
    }
    match (pending.errand, &answer.code) {
        (Errand::AdminConsent, _) if answer.consented => Ok(None),
        (Errand::AdminConsent, _) => Err(
            "Microsoft's answer says neither that an admin consented nor why not. Ask for admin consent again".into(),
        ),
        (Errand::SignIn, Some(code)) => Ok(Some(code.clone())),
        (Errand::SignIn, None) => {
            Err("Microsoft's answer carries neither a code nor an error. Click the key again".into())
        }
    }
}

/// Our own words for the errors of an authorization response (RFC 6749 section 4.1.2.1; Microsoft, authorization code
/// flow, "Error codes for authorization endpoint errors"). Nothing of the answer is repeated but a known number.
fn refusal(error: &str, description: &str, errand: Errand) -> String {
    let numbers = TokenError::numbers_in(description);
    let known = TokenError::words_for(&numbers);
    let what = match error {
        "access_denied" | "permission_denied" => "the person who signed in, or an admin, declined",
        "consent_required" if errand == Errand::AdminConsent => "no admin consented",
        "consent_required" => "an admin must consent to the app's permissions first",
        "login_required" | "interaction_required" => {
            "Microsoft wants the person to sign in on its pages; take `prompt=none` out of the authorization URL"
        }
        "server_error" | "temporarily_unavailable" => "Microsoft has trouble at the moment; try again in a minute",
        "invalid_resource" => "the resource in the scope is not known in this tenant",
        "unauthorized_client" => "the app is not allowed to sign people in this way",
        "invalid_scope" => "the scope is not valid",
        "invalid_request" | "unsupported_response_type" => "Microsoft says that the request is wrong",
        _ => "Microsoft refused for a reason that is not known here",
    };
    match (known, numbers.first()) {
        (Some(words), Some(number)) => format!("Not signed in: {what}: {words} (AADSTS{number})"),
        (None, Some(number)) => format!("Not signed in: {what} (AADSTS{number})"),
        _ => format!("Not signed in: {what}"),
    }
}

async fn redeem(web: &Web, pending: &Pending, code: Secret, issuer: Option<String>, proof: Proof) -> Ending {
    let redemption = Redemption {
        credential: pending.credential.to_string(),
        code,
        verifier: proof.verifier,
        nonce: proof.nonce,
        redirect_uri: pending.redirect_uri.clone(),
        scope: pending.scope.clone(),
        client: pending.client.clone(),
        issuer,
        rebind: pending.rebind,
    };
    match web.tokens.redeem(redemption).await {
        Ok(redeemed) => signed_in(pending, redeemed),
        Err(error) => Ending {
            trace: error.trace.clone(),
            ..failed(error.what)
        },
    }
}

fn signed_in(pending: &Pending, redeemed: Redeemed) -> Ending {
    let who = redeemed.sign_in.who().to_owned();
    Ending {
        ok: true,
        what: format!("{who} signed in for credential `{}`", pending.credential),
        who: Some(who),
        granted: redeemed.sign_in.granted,
        extra: redeemed.extra,
        warnings: redeemed.warnings,
        trace: None,
    }
}
