//! The redirect URI, tried from this side: would Microsoft take it, and does a browser that is sent there reach Postroom?

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use url::{Host, Url};

use crate::ports::Http;

use super::check::Step;

const WHAT: &str = "redirect URI";
/// How long an answer may take: a person at a sign-in would not wait longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a URL is a redirect URI of Postroom's as it is registered and sent, and nothing more than that.
pub fn is_ours(uri: &Url) -> bool {
    let mut host = uri.clone();
    host.set_path("");
    crate::web::redirect_uri(&host) == *uri
        && uri.query().is_none()
        && uri.fragment().is_none()
        && uri.username().is_empty()
        && uri.password().is_none()
}

/// Asks the redirect URI as a browser would, without anything of a sign-in: Postroom answers 400 and a page of its own.
pub async fn check(http: &dyn Http, redirect_uri: &Url) -> Step {
    if let Some(step) = refused_by_microsoft(redirect_uri) {
        return step;
    }
    let request = match http::Request::get(redirect_uri.as_str()).body(Bytes::new()) {
        Ok(request) => request,
        Err(error) => return Step::bad(WHAT, error.to_string()),
    };
    let answer = match timeout(PATIENCE, http.call(request)).await {
        Ok(Ok(answer)) => answer,
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Step::bad(WHAT, format!("{redirect_uri} does not answer within {seconds} seconds"))
                .fix("look at what stands in front (proxy, firewall, load balancer): it takes the connection and hands nothing on");
        }
        Ok(Err(error)) => {
            return Step::bad(WHAT, format!("{redirect_uri} is not reached from this machine: {error}"))
                .fix("check that Postroom runs and that name, proxy and port in --public-url (on AWS: PublicUrl) are right. If only browsers elsewhere reach it, open it there: a page of Postroom's must come");
        }
    };
    let status = answer.status().as_u16();
    if answer.status().is_redirection() {
        let location = answer
            .headers()
            .get(http::header::LOCATION)
            .and_then(|to| to.to_str().ok());
        let to = location.and_then(|to| redirect_uri.join(to).ok());
        return moved(redirect_uri, to.as_ref());
    }
    // The console's own header tells its pages from those of whatever else may answer there.
    let ours = answer.headers().contains_key("content-security-policy");
    match (status, ours) {
        (400, true) => Step::good(WHAT, format!("{redirect_uri} is answered by Postroom")),
        (404, _) => Step::bad(
            WHAT,
            format!("{redirect_uri} answers 404: the path does not arrive as it was sent"),
        )
        .fix("upper and lower case count in /OAuth2Callback: let the proxy in front pass the path on as it is"),
        _ => Step::bad(
            WHAT,
            format!("{redirect_uri} answers HTTP {status}, which is not Postroom's answer"),
        )
        .fix("let the proxy in front pass this path on to Postroom, without a sign-in of its own"),
    }
}

fn refused_by_microsoft(uri: &Url) -> Option<Step> {
    let local = matches!(uri.host(), Some(Host::Domain("localhost")));
    if uri.scheme() == "http" && !local {
        let detail = format!("{uri} is http: Microsoft takes http for `localhost` only (AADSTS50011)");
        return Some(Step::bad(WHAT, detail).fix(
            "give the address that browsers see with --public-url (on AWS: PublicUrl), beginning with https:// if a proxy in front speaks TLS; register the redirect URI letter by letter",
        ));
    }
    None
}

fn moved(from: &Url, to: Option<&Url>) -> Step {
    let Some(to) = to else {
        return Step::bad(WHAT, format!("{from} is redirected, and to nowhere that can be read"));
    };
    let (why, fix) = if to.path() == format!("{}/", from.path()) {
        (
            "a slash is added at its end",
            "take the rule that adds slashes away for this path",
        )
    } else if to.path() != from.path() && to.path().eq_ignore_ascii_case(from.path()) {
        (
            "its letters are changed",
            "take the rule that changes upper and lower case away for this path",
        )
    } else if to.scheme() != from.scheme() {
        (
            "another scheme is wanted",
            "begin --public-url (on AWS: PublicUrl) with https://, and register the redirect URI so",
        )
    } else {
        (
            "something in front answers",
            "let the proxy in front pass this path on to Postroom, without a sign-in of its own",
        )
    };
    let shown = crate::origin::SafeUrl(to);
    Step::bad(
        WHAT,
        format!("{from} is redirected to {shown}: {why}, and the code of a sign-in would be lost"),
    )
    .fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn microsoft_takes_plain_http_for_localhost_only() {
        assert!(refused_by_microsoft(&uri("http://localhost:8400/OAuth2Callback")).is_none());
        assert!(refused_by_microsoft(&uri("https://mail.contoso.example/OAuth2Callback")).is_none());
        for wrong in [
            "http://mail.contoso.example/OAuth2Callback",
            "http://127.0.0.1:8400/OAuth2Callback",
        ] {
            let step = refused_by_microsoft(&uri(wrong)).unwrap();
            assert!(!step.ok && step.fix.unwrap().contains("--public-url"), "{wrong}");
        }
    }

    #[test]
    fn nothing_but_the_redirect_uri_is_ours() {
        assert!(is_ours(&uri("https://mail.contoso.example/OAuth2Callback")));
        assert!(is_ours(&uri("http://localhost:8400/OAuth2Callback")));
        for other in [
            "https://mail.contoso.example/oauth2callback",
            "https://mail.contoso.example/OAuth2Callback/",
            "https://mail.contoso.example/OAuth2Callback?to=x",
            "https://mail.contoso.example/OAuth2Callback#x",
            "https://a:b@mail.contoso.example/OAuth2Callback",
            "https://mail.contoso.example/x/OAuth2Callback",
        ] {
            assert!(!is_ours(&uri(other)), "{other}");
        }
    }

    #[test]
    fn what_a_proxy_does_to_the_path_is_named() {
        let from = uri("https://mail.contoso.example/OAuth2Callback");
        for (to, why) in [
            ("https://mail.contoso.example/OAuth2Callback/", "slash"),
            ("https://mail.contoso.example/oauth2callback", "letters"),
            ("http://mail.contoso.example/OAuth2Callback", "scheme"),
            ("https://sign-in.contoso.example/?rd=x", "in front"),
        ] {
            assert!(moved(&from, Some(&uri(to))).detail.contains(why), "{to}");
        }
        assert!(!moved(&from, None).ok);
    }
}
