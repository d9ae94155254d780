//! The pages a person clicks through: plain HTML without script, light and dark, wide and narrow.

use super::directory::{SignedIn, User};
use super::scope::Scope;
use crate::control::page::escape;
use crate::wire::{Reply, set, typed};
use std::fmt::Write as _;

const STYLE: &str = ":root{color-scheme:light dark;--ground:#eef1f0;--card:#fff;--ink:#1b2420;--soft:#55635d;--line:#c9d3ce;--act:#0b6b57;--on-act:#fff;--bad:#a1260d}\
@media(prefers-color-scheme:dark){:root{--ground:#121715;--card:#1c2320;--ink:#e9efec;--soft:#a7b4ae;--line:#3a4641;--act:#5fcdb3;--on-act:#08211b;--bad:#ff9f8a}}\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:27rem;margin:8vh auto;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
h1{font-size:1.4rem;line-height:1.25;margin:.5rem 0 1rem}p{margin:.5rem 0}.soft{color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}.bad{color:var(--bad)}\
form{margin:0}ul{padding-left:1.2rem}button,input{font:inherit;color:inherit;min-height:2.75rem}\
.account{display:block;width:100%;text-align:left;padding:.6rem .8rem;margin:.4rem 0;background:none;border:1px solid var(--line);border-radius:.5rem;cursor:pointer;overflow-wrap:anywhere}\
.account:hover{border-color:var(--act)}.account small{display:block;color:var(--soft)}\
input[type=email]{width:100%;padding:.4rem .6rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\
.row{display:flex;flex-wrap:wrap;gap:.6rem;justify-content:flex-end;margin-top:1.2rem}\
.row button{padding:.4rem 1.4rem;border:1px solid var(--line);border-radius:.5rem;background:none;cursor:pointer}.row .main{background:var(--act);color:var(--on-act);border-color:var(--act)}\
:focus-visible{outline:3px solid var(--act);outline-offset:2px}@media(max-width:30rem){main{margin:0;min-height:100vh;border:0;border-radius:0;padding:1.25rem}}";

/// What all forms of a sign-in share.
pub(crate) struct Look<'a> {
    pub(crate) flow: &'a str,
    pub(crate) tenant: &'a str,
    /// Where a form's answer may lead: browsers hold `form-action` against redirects, too.
    pub(crate) redirect_uri: &'a str,
}

impl Look<'_> {
    /// A form with these contents.
    fn form(&self, inside: &str) -> String {
        format!(
            "<form method=\"post\" action=\"/{}/login\"><input type=\"hidden\" name=\"flow\" value=\"{}\">{inside}</form>",
            escape(self.tenant),
            escape(self.flow)
        )
    }

    fn button(&self, id: &str, act: &str, text: &str, class: &str) -> String {
        self.form(&format!(
            "<button type=\"submit\" id=\"{id}\" name=\"act\" value=\"{act}\" class=\"{class}\">{text}</button>"
        ))
    }

    fn page(&self, title: &str, body: &str) -> Reply {
        page(
            200,
            title,
            body,
            &format!("'self' {}", origin_of(self.redirect_uri)),
            "",
        )
    }
}

fn origin_of(redirect_uri: &str) -> String {
    url::Url::parse(redirect_uri).map_or_else(|_| String::new(), |u| u.origin().ascii_serialization())
}

fn page(status: u16, title: &str, body: &str, form_action: &str, script: &str) -> Reply {
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
<title>{title}</title><style>{STYLE}</style></head><body><main><p class=\"soft\">Simulated sign-in: not Microsoft, no password needed</p><h1>{title}</h1>{body}</main></body></html>"
    );
    let mut reply = typed(status, "text/html; charset=utf-8", html);
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; {script}form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    set(&mut reply, "content-security-policy", &policy);
    set(&mut reply, "x-frame-options", "DENY");
    set(&mut reply, "referrer-policy", "strict-origin-when-cross-origin");
    reply
}

/// Choose a person, or type an address. Those signed in come first; the others wait below.
pub(crate) fn pick(look: &Look<'_>, users: &[User], signed_in: &[SignedIn], hint: &str, fault: Option<&str>) -> Reply {
    let mut body = String::new();
    if let Some(fault) = fault {
        let _ = write!(
            body,
            "<p id=\"error\" class=\"bad\" role=\"alert\">{}</p>",
            escape(fault)
        );
    }
    let is_in = |user: &User| signed_in.iter().any(|s| s.oid == user.oid);
    let (first, others): (Vec<&User>, Vec<&User>) = users.iter().partition(|u| is_in(u));
    let mut buttons = String::new();
    for (user, note) in first
        .iter()
        .map(|u| (u, " · signed in"))
        .chain(others.iter().map(|u| (u, "")))
    {
        let _ = write!(
            buttons,
            "<button type=\"submit\" class=\"account\" name=\"account\" value=\"{}\" id=\"account-{}\" data-address=\"{}\">{}<small>{}{note}</small></button>",
            escape(&user.oid),
            escape(&user.oid),
            escape(&user.address),
            escape(&user.display_name),
            escape(&user.address)
        );
    }
    body.push_str(&look.form(&format!(
        "<input type=\"hidden\" name=\"act\" value=\"account\"><div id=\"accounts\">{buttons}</div>"
    )));
    let typed = format!(
        "<p><label for=\"address\">Or sign in with this address</label></p><input type=\"email\" id=\"address\" name=\"address\" value=\"{}\" autocomplete=\"username\">\
<div class=\"row\"><button type=\"submit\" id=\"next\" name=\"act\" value=\"address\" class=\"main\">Next</button></div>",
        escape(hint)
    );
    body.push_str(&look.form(&typed));
    body.push_str(&look.button("cancel", "cancel", "Back", "account"));
    let title = if signed_in.is_empty() {
        "Sign in"
    } else {
        "Pick an account"
    };
    look.page(title, &body)
}

/// The second factor: one click.
pub(crate) fn second_factor(look: &Look<'_>, address: &str) -> Reply {
    let body = format!(
        "<p class=\"soft\" id=\"signed-in-as\">{}</p><p>Your organization asks for more than a password. Approve the request on your phone.</p>\
<div class=\"row\">{}{}</div>",
        escape(address),
        look.button("cancel", "cancel", "Cancel", ""),
        look.button("approve", "approve", "Approve", "main")
    );
    look.page("Approve sign in request", &body)
}

/// What the app wants, to be accepted or not.
pub(crate) fn consent(look: &Look<'_>, app: &str, address: &str, scopes: &[Scope], whole_tenant: bool) -> Reply {
    let mut rows = String::new();
    for scope in scopes {
        let short = scope.short();
        let _ = write!(
            rows,
            "<li data-scope=\"{}\"><strong>{}</strong> <span class=\"soft\">{}</span></li>",
            escape(&short),
            escape(&short),
            meaning(&short)
        );
    }
    let scope_of = if whole_tenant {
        "<p>If you accept, this app gets access for <strong>all users of your organization</strong>.</p>"
    } else {
        ""
    };
    let body = format!(
        "<p class=\"soft\" id=\"signed-in-as\">{}</p><p>The app <span class=\"soft\" id=\"app\">{}</span> would like to:</p><ul id=\"scopes\">{rows}</ul>{scope_of}\
<div class=\"row\">{}{}</div>{}",
        escape(address),
        escape(app),
        look.button("cancel", "cancel", "Cancel", ""),
        look.button("accept", "accept", "Accept", "main"),
        look.button("other-account", "other", "Sign in as another user", "account")
    );
    look.page("Permissions requested", &body)
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "openid" => "sign you in",
        "profile" => "see your name and user id",
        "email" => "see your address",
        "offline_access" => "keep the access you gave it",
        "User.Read" => "read your profile",
        "Mail.ReadBasic" => "list your mail without its text",
        "Mail.Read" => "read your mail",
        "Mail.ReadWrite" => "read, change and delete your mail",
        "Mail.Read.Shared" => "read mail shared with you",
        "Mail.ReadWrite.Shared" => "read, change and delete mail shared with you",
        _ => "",
    }
}

/// A user who may not consent (AADSTS90094).
pub(crate) fn needs_admin(look: &Look<'_>, app: &str, address: &str) -> Reply {
    let body = format!(
        "<p class=\"soft\" id=\"signed-in-as\">{}</p><p id=\"error\">AADSTS90094: The app <span class=\"soft\">{}</span> needs permission that only an admin can grant. Ask an admin to grant it before you use it.</p>\
{}<div class=\"row\">{}</div>",
        escape(address),
        escape(app),
        look.button("other-account", "other", "Sign in with an admin account", "account"),
        look.button("cancel", "cancel", "Return to the app without granting consent", "")
    );
    look.page("Need admin approval", &body)
}

/// An error that stays here.
pub(crate) fn error(text: &str, trace: &str) -> Reply {
    let body = format!(
        "<p id=\"error\" class=\"bad\" role=\"alert\">{}</p><p class=\"soft\">Request Id: {}</p>",
        escape(text),
        escape(trace)
    );
    page(
        200,
        "Sorry, but we're having trouble signing you in",
        &body,
        "'none'",
        "",
    )
}

/// A page that only says something.
pub(crate) fn notice(title: &str, text: &str) -> Reply {
    page(200, title, &format!("<p>{text}</p>"), "'none'", "")
}

/// `response_mode=form_post` (OAuth 2.0 Form Post Response Mode): posts itself, or by a click without script.
pub(crate) fn form_post(redirect_uri: &str, parameters: &[(&str, String)], nonce: &str) -> Reply {
    let mut fields = String::new();
    for (name, value) in parameters {
        let _ = write!(
            fields,
            "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
            escape(value)
        );
    }
    let body = format!(
        "<form method=\"post\" id=\"back\" action=\"{}\">{fields}<div class=\"row\"><button type=\"submit\" id=\"continue\" class=\"main\">Continue</button></div></form>\
<script nonce=\"{nonce}\">document.getElementById('back').submit()</script>",
        escape(redirect_uri)
    );
    page(
        200,
        "Working...",
        &body,
        &origin_of(redirect_uri),
        &format!("script-src 'nonce-{nonce}'; "),
    )
}
