//! The checks of a credential's form: every field, every combination, each refusal with its field and reason.

use url::Url;

use crate::{
    config::Cloud,
    field::{FieldError, Id},
    origin::{TrustedOrigins, is_microsoft},
};

use super::{Checked, CredentialForm, GrantType, Settings};

/// Scopes that are not permissions on a resource (OpenID Connect Core, Microsoft "Scopes and permissions").
const OIDC_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

impl CredentialForm {
    /// Checks every field and every combination; the first thing wrong, said for the admin.
    pub fn check(&self, trusted: &TrustedOrigins) -> Result<Checked, FieldError> {
        let mut warnings = Vec::new();
        let id = Id::parse("id", &self.id)?;
        let description = crate::field::one_line("description", &self.description, 200)?;
        let grant_type = self
            .grant_type
            .ok_or_else(|| FieldError::new("grant type", "choose `client-credentials` or `authorization-code`"))?;
        let token_url = endpoint("access token URL", &self.token_url, trusted)?;
        check_token_path(&token_url, grant_type)?;
        let authorization_url = self.check_authorization_url(grant_type, &token_url, trusted)?;
        let client_id = check_client_id(&self.client_id, &token_url)?;
        let graph_url = self.check_graph_url(&token_url, trusted)?;
        let scope = check_scope(&self.scope, grant_type, &graph_url, &mut warnings)?;
        if token_url.query().is_some() {
            return Err(FieldError::new(
                "access token URL",
                "it carries a query; give the plain endpoint, for example `https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token`",
            ));
        }
        Ok(Checked {
            settings: Settings {
                id,
                description,
                grant_type,
                authorization_url,
                token_url,
                client_id,
                scope,
                graph_url,
            },
            warnings,
        })
    }

    fn check_authorization_url(
        &self,
        grant_type: GrantType,
        token_url: &Url,
        trusted: &TrustedOrigins,
    ) -> Result<Option<Url>, FieldError> {
        const FIELD: &str = "authorization URL";
        let typed = self
            .authorization_url
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty());
        match (grant_type, typed) {
            (GrantType::ClientCredentials, None) => Ok(None),
            (GrantType::ClientCredentials, Some(_)) => Err(FieldError::new(
                FIELD,
                "nobody signs in with the grant type client credentials; leave it empty, or choose authorization code",
            )),
            (GrantType::AuthorizationCode, None) => Err(FieldError::new(
                FIELD,
                "the grant type authorization code needs it, for example `https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize`",
            )),
            (GrantType::AuthorizationCode, Some(text)) => {
                let url = endpoint(FIELD, text, trusted)?;
                if url.origin() != token_url.origin() {
                    return Err(FieldError::new(
                        FIELD,
                        "it is on another host than the access token URL; both must belong to the same login host",
                    ));
                }
                Ok(Some(url))
            }
        }
    }

    fn check_graph_url(&self, token_url: &Url, trusted: &TrustedOrigins) -> Result<Url, FieldError> {
        const FIELD: &str = "Graph URL";
        let Some(text) = self.graph_url.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            let cloud = Cloud::of_login(token_url).ok_or_else(|| {
                FieldError::new(
                    FIELD,
                    "it cannot be told from this login host; give it, for example `https://graph.microsoft.com/v1.0`",
                )
            })?;
            let text = format!("https://{}/v1.0", cloud.graph_host);
            return Url::parse(&text).map_err(|error| FieldError::new(FIELD, error.to_string()));
        };
        let url = endpoint(FIELD, text.trim_end_matches('/'), trusted)?;
        let version = url.path().rsplit('/').next().unwrap_or_default();
        if version != "v1.0" || url.query().is_some() {
            return Err(FieldError::new(
                FIELD,
                "give the base with its version, for example `https://graph.microsoft.com/v1.0`",
            ));
        }
        check_pair(FIELD, token_url, &url)?;
        Ok(url)
    }
}

fn endpoint(field: &'static str, text: &str, trusted: &TrustedOrigins) -> Result<Url, FieldError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(FieldError::new(field, "it is missing"));
    }
    if text.contains(['{', '}', '<', '>']) {
        return Err(FieldError::new(
            field,
            "replace the placeholder by your Directory (tenant) id",
        ));
    }
    let url = Url::parse(text).map_err(|error| FieldError::new(field, format!("`{text}` is not a URL: {error}")))?;
    trusted.check(&url).map_err(|reason| FieldError::new(field, reason))?;
    Ok(url)
}

/// A token of one cloud is worth nothing at another's Graph. Hosts that an operator added belong to no cloud.
fn check_pair(field: &'static str, token_url: &Url, graph_url: &Url) -> Result<(), FieldError> {
    let (Some(cloud), Some(graph)) = (Cloud::of_login(token_url), graph_url.host_str()) else {
        return Ok(());
    };
    if !is_microsoft(graph) || cloud.has_graph(graph) {
        return Ok(());
    }
    let logins: Vec<&str> = Cloud::of_graph(graph).map(|other| other.login_host).collect();
    let elsewhere = match logins.as_slice() {
        [] => "is a login host".to_owned(),
        logins => format!("goes with {}", logins.join(" or ")),
    };
    Err(FieldError::new(
        field,
        format!(
            "{graph} {elsewhere}, and the access token URL is on {}, whose Graph is https://{}/v1.0 ({}): tokens of one cloud are worth nothing in another",
            cloud.login_host, cloud.graph_host, cloud.name
        ),
    ))
}

fn check_token_path(url: &Url, grant_type: GrantType) -> Result<(), FieldError> {
    const FIELD: &str = "access token URL";
    if !url.host_str().is_some_and(is_microsoft) {
        return Ok(());
    }
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    match segments.as_slice() {
        [tenant @ ("common" | "consumers" | "organizations"), ..] if grant_type == GrantType::ClientCredentials => {
            Err(FieldError::new(
                FIELD,
                format!(
                    "`{tenant}` does not say whose mailboxes; client credentials need your Directory (tenant) id in its place (AADSTS9001023)"
                ),
            ))
        }
        [_, "oauth2", "v2.0", "token"] => Ok(()),
        [_, "oauth2", "token"] => Err(FieldError::new(
            FIELD,
            "this is the v1.0 endpoint; take the v2.0 one, which ends in `/oauth2/v2.0/token`",
        )),
        [_, "oauth2", "v2.0", "authorize"] => Err(FieldError::new(
            FIELD,
            "this is the authorization URL; the access token URL ends in `/oauth2/v2.0/token`",
        )),
        _ => Err(FieldError::new(
            FIELD,
            "it must be `https://{login host}/{tenant}/oauth2/v2.0/token`; copy it from the app registration, Endpoints",
        )),
    }
}

fn check_client_id(text: &str, token_url: &Url) -> Result<String, FieldError> {
    const FIELD: &str = "client id";
    let text = text.trim();
    if text.is_empty() {
        return Err(FieldError::new(
            FIELD,
            "it is missing; copy Application (client) id from the overview of the app registration",
        ));
    }
    if text.len() > 256 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(FieldError::new(
            FIELD,
            "it holds a blank or is too long; copy Application (client) id from the overview of the app registration",
        ));
    }
    if token_url.host_str().is_some_and(is_microsoft) && uuid::Uuid::parse_str(text).is_err() {
        return Err(FieldError::new(
            FIELD,
            format!(
                "`{text}` is not an Application (client) id, which looks like 00000000-0000-0000-0000-000000000000"
            ),
        ));
    }
    Ok(text.to_owned())
}

fn check_scope(
    text: &str,
    grant_type: GrantType,
    graph_url: &Url,
    warnings: &mut Vec<String>,
) -> Result<String, FieldError> {
    const FIELD: &str = "scope";
    let scopes: Vec<&str> = text.split_whitespace().collect();
    let defaults: Vec<&&str> = scopes.iter().filter(|scope| scope.ends_with("/.default")).collect();
    let permissions = scopes
        .iter()
        .filter(|scope| !scope.ends_with("/.default") && !OIDC_SCOPES.contains(&scope.to_ascii_lowercase().as_str()))
        .count();
    let example = format!(
        "https://{}/.default",
        graph_url.host_str().unwrap_or("graph.microsoft.com")
    );
    check_resources(FIELD, &scopes, graph_url)?;
    match grant_type {
        _ if scopes.is_empty() => {
            return Err(FieldError::new(
                FIELD,
                format!(
                    "it is missing; give `{example}` (client credentials) or `Mail.ReadWrite offline_access` (authorization code)"
                ),
            ));
        }
        GrantType::ClientCredentials => {
            if scopes.len() != 1 || defaults.len() != 1 {
                return Err(FieldError::new(
                    FIELD,
                    format!(
                        "client credentials take exactly `{example}`: the permissions are those granted to the app in the Azure portal"
                    ),
                ));
            }
        }
        GrantType::AuthorizationCode => {
            if !defaults.is_empty() && permissions > 0 {
                return Err(FieldError::new(
                    FIELD,
                    "`/.default` and single permissions cannot be asked for together; give one or the other (Microsoft: Scopes and permissions)",
                ));
            }
            if defaults.is_empty() && !scopes.iter().any(|scope| is_mail_scope(scope)) {
                return Err(FieldError::new(
                    FIELD,
                    "no permission on mail is among them; give for example `Mail.ReadWrite offline_access`",
                ));
            }
            if !scopes.iter().any(|scope| scope.eq_ignore_ascii_case("offline_access")) {
                warnings.push("the scope lacks `offline_access`: without it the token ends after about an hour and somebody must sign in again".to_owned());
            }
        }
    }
    Ok(scopes.join(" "))
}

/// Microsoft's resources in a scope are that of the Graph URL; a name without a resource means it.
fn check_resources(field: &'static str, scopes: &[&str], graph_url: &Url) -> Result<(), FieldError> {
    let Some(graph) = graph_url.host_str().filter(|graph| is_microsoft(graph)) else {
        return Ok(());
    };
    let resources: Vec<Url> = scopes.iter().filter_map(|scope| Url::parse(scope).ok()).collect();
    let mut hosts = resources.iter().filter_map(Url::host_str);
    match hosts.find(|host| is_microsoft(host) && *host != graph) {
        None => Ok(()),
        Some(host) => Err(FieldError::new(
            field,
            format!("it asks for {host}, but the Graph URL is on {graph}: they must belong to the same cloud"),
        )),
    }
}

fn is_mail_scope(scope: &str) -> bool {
    scope
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .starts_with("mail.read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> CredentialForm {
        CredentialForm {
            id: "desk".into(),
            description: "Service desk".into(),
            grant_type: Some(GrantType::ClientCredentials),
            token_url: "https://login.microsoftonline.com/3e2d1c0b-0000-4000-8000-000000000001/oauth2/v2.0/token"
                .into(),
            client_id: "11111111-2222-4333-8444-555555555555".into(),
            scope: "https://graph.microsoft.com/.default".into(),
            ..CredentialForm::default()
        }
    }

    fn refused(change: impl FnOnce(&mut CredentialForm)) -> FieldError {
        let mut form = form();
        change(&mut form);
        form.check(&TrustedOrigins::default()).unwrap_err()
    }

    #[test]
    fn the_graph_follows_from_the_login_host() {
        for cloud in crate::config::CLOUDS {
            let mut form = form();
            form.token_url = form.token_url.replace("login.microsoftonline.com", cloud.login_host);
            form.scope = format!("https://{}/.default", cloud.graph_host);
            let checked = form.check(&TrustedOrigins::default()).unwrap();
            assert_eq!(
                checked.settings.graph_url.as_str(),
                format!("https://{}/v1.0", cloud.graph_host)
            );
        }
    }

    /// Every login host with every Graph host: a pair is taken, anything else is refused with the pair.
    #[test]
    fn clouds_go_in_pairs() {
        let graphs = crate::config::CLOUDS.map(|cloud| cloud.graph_host);
        for cloud in crate::config::CLOUDS {
            for graph in graphs.into_iter().chain([crate::config::DOD_GRAPH_HOST]) {
                let mut form = form();
                form.token_url = form.token_url.replace("login.microsoftonline.com", cloud.login_host);
                form.graph_url = Some(format!("https://{graph}/v1.0"));
                form.scope = format!("https://{graph}/.default");
                let of_the_us = |host: &str| host.rsplit('.').next() == Some("us");
                let us = of_the_us(cloud.login_host) && of_the_us(graph);
                match form.check(&TrustedOrigins::default()) {
                    Ok(_) => assert!(cloud.graph_host == graph || us, "{} {graph}", cloud.login_host),
                    Err(error) => {
                        assert!(cloud.graph_host != graph && !us, "{error}");
                        let said = error.to_string();
                        assert!(error.field == "Graph URL" && said.contains(cloud.graph_host), "{said}");
                        assert!(said.contains(cloud.login_host) && said.contains(graph), "{said}");
                        let mut logins = crate::config::Cloud::of_graph(graph).map(|other| other.login_host);
                        assert!(logins.all(|login| said.contains(login)), "{said}");
                    }
                }
            }
        }
        let login = refused(|f| f.graph_url = Some("https://login.microsoftonline.us/v1.0".into()));
        assert!(login.to_string().contains("is a login host"), "{login}");
        let mixed = |scope: &str| {
            refused(|f| {
                f.grant_type = Some(GrantType::AuthorizationCode);
                f.authorization_url = Some(f.token_url.replace("/token", "/authorize"));
                f.scope = scope.into();
            })
        };
        assert_eq!(
            mixed("https://graph.microsoft.us/Mail.Read offline_access").field,
            "scope"
        );
    }

    #[test]
    fn each_wrong_combination_names_its_field() {
        assert_eq!(refused(|f| f.id = "Up Per".into()).field, "id");
        assert_eq!(refused(|f| f.grant_type = None).field, "grant type");
        assert_eq!(
            refused(|f| f.authorization_url = Some("https://login.microsoftonline.com/x/oauth2/v2.0/authorize".into()))
                .field,
            "authorization URL"
        );
        assert_eq!(
            refused(|f| f.token_url = "https://login.microsoftonline.com/common/oauth2/v2.0/token".into()).field,
            "access token URL"
        );
        assert_eq!(
            refused(|f| f.token_url = "https://login.microsoftonline.com/x/oauth2/token".into()).field,
            "access token URL"
        );
        assert_eq!(
            refused(|f| f.token_url = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token".into()).field,
            "access token URL"
        );
        assert_eq!(
            refused(|f| f.token_url = "http://127.0.0.1:1/x/oauth2/v2.0/token".into()).field,
            "access token URL"
        );
        assert_eq!(refused(|f| f.client_id = "my app".into()).field, "client id");
        assert_eq!(refused(|f| f.client_id = "my-app".into()).field, "client id");
        assert_eq!(refused(|f| f.scope = "Mail.ReadWrite".into()).field, "scope");
        assert_eq!(refused(|f| f.scope = String::new()).field, "scope");
        assert_eq!(
            refused(|f| f.scope = "https://graph.microsoft.us/.default".into()).field,
            "scope"
        );
        assert_eq!(
            refused(|f| f.graph_url = Some("https://graph.microsoft.com".into())).field,
            "Graph URL"
        );
        assert_eq!(
            refused(|f| f.graph_url = Some("https://evil.example/v1.0".into())).field,
            "Graph URL"
        );
    }

    #[test]
    fn authorization_code_keeps_the_typed_query_and_warns() {
        let mut form = form();
        form.grant_type = Some(GrantType::AuthorizationCode);
        form.scope = "Mail.ReadWrite".into();
        assert_eq!(
            form.check(&TrustedOrigins::default()).unwrap_err().field,
            "authorization URL"
        );
        form.authorization_url =
            Some("https://login.microsoftonline.com/x/oauth2/v2.0/authorize?prompt=select_account".into());
        let checked = form.check(&TrustedOrigins::default()).unwrap();
        assert_eq!(
            checked.settings.authorization_url.unwrap().query(),
            Some("prompt=select_account")
        );
        assert!(checked.warnings[0].contains("offline_access"));
        form.scope = "https://graph.microsoft.com/.default Mail.Read".into();
        assert_eq!(form.check(&TrustedOrigins::default()).unwrap_err().field, "scope");
        form.authorization_url = Some("https://login.microsoftonline.us/x/oauth2/v2.0/authorize".into());
        assert_eq!(
            form.check(&TrustedOrigins::default()).unwrap_err().field,
            "authorization URL"
        );
    }
}
