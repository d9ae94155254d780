//! The settings of the functions, set by the template, read once at the start of a sandbox; no secret is among them but
//! the role's own keys, which Lambda puts there.

use shared::{
    config::{Config, ConfigError},
    secret::Secret,
};
use url::Url;

/// The AWS account and region a sandbox lives in.
#[derive(Clone)]
pub struct Account {
    /// `AWS_REGION`
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_key: Secret,
    /// `AWS_SESSION_TOKEN`
    pub session_token: Option<Secret>,
    /// `AWS_ENDPOINT_URL`: another place for all of AWS, in tests.
    pub endpoint: Option<Url>,
    /// `AWS_ENDPOINT_URL_STS`: another place for STS alone, in tests.
    pub sts: Option<Url>,
}

/// Where settings come from: the environment in a function, a table in a test.
pub type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// All settings of a function, by name. Which ones it needs is told by what it asks for; every name stands in the table
/// of [`shared::config::Config`].
pub struct Settings {
    /// What both worlds have.
    pub shared: Config,
    /// The AWS account.
    pub account: Account,
    lookup: Box<Lookup>,
}

impl Settings {
    /// Reads the settings that every function has.
    pub fn from_lookup(lookup: Box<Lookup>) -> Result<Self, ConfigError> {
        let shared = Config::from_lookup(&*lookup)?;
        let account = Account {
            region: required(&*lookup, "AWS_REGION")?,
            access_key: required(&*lookup, "AWS_ACCESS_KEY_ID")?,
            secret_key: Secret::new(required(&*lookup, "AWS_SECRET_ACCESS_KEY")?),
            session_token: text(&*lookup, "AWS_SESSION_TOKEN").map(Secret::new),
            endpoint: endpoint(&*lookup, "AWS_ENDPOINT_URL")?,
            sts: endpoint(&*lookup, "AWS_ENDPOINT_URL_STS")?,
        };
        Ok(Self {
            shared,
            account,
            lookup,
        })
    }

    /// A setting that this function cannot do without.
    pub fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        required(&*self.lookup, name)
    }

    /// How a browser reaches the console: scheme, host and port. Plain http only where it is trusted in a test.
    pub fn public_url(&self) -> Result<Url, ConfigError> {
        const NAME: &str = "POSTROOM_PUBLIC_URL";
        let public = url(NAME, &self.required(NAME)?)?;
        let wrong = |reason: &str| ConfigError {
            name: NAME,
            reason: format!("{reason}; give for example https://post.contoso.example"),
        };
        if public.path() != "/" || public.query().is_some() || public.fragment().is_some() {
            return Err(wrong("it is more than scheme, host and port"));
        }
        if public.scheme() != "https" && self.shared.trusted.check(&public).is_err() {
            return Err(wrong("it is not https"));
        }
        Ok(public)
    }
}

fn text(lookup: &Lookup, name: &str) -> Option<String> {
    lookup(name)
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

fn required(lookup: &Lookup, name: &'static str) -> Result<String, ConfigError> {
    text(lookup, name).ok_or_else(|| ConfigError {
        name,
        reason: "it is missing; template.yaml sets it among the function's environment variables".into(),
    })
}

fn endpoint(lookup: &Lookup, name: &'static str) -> Result<Option<Url>, ConfigError> {
    text(lookup, name).map(|typed| url(name, &typed)).transpose()
}

fn url(name: &'static str, typed: &str) -> Result<Url, ConfigError> {
    Url::parse(typed).map_err(|error| ConfigError {
        name,
        reason: format!("`{typed}` is no URL: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&str, &str)]) -> Result<Settings, ConfigError> {
        let common = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
        ];
        Settings::from_lookup(Box::new(move |name| {
            let all = pairs.iter().chain(&common);
            all.clone()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
                .filter(|_| !pairs.contains(&(name, "-")))
        }))
    }

    #[test]
    fn what_is_missing_is_named() {
        let settings = read(&[]).ok().unwrap();
        assert_eq!(settings.required("POSTROOM_TABLE").unwrap_err().name, "POSTROOM_TABLE");
        assert_eq!(read(&[("AWS_REGION", "-")]).err().unwrap().name, "AWS_REGION");
    }

    #[test]
    fn the_public_url_is_https_or_trusted() {
        let public = |pairs| read(pairs).ok().unwrap().public_url();
        assert!(public(&[("POSTROOM_PUBLIC_URL", "https://post.contoso.example")]).is_ok());
        assert!(public(&[("POSTROOM_PUBLIC_URL", "http://post.contoso.example")]).is_err());
        assert!(public(&[("POSTROOM_PUBLIC_URL", "https://post.contoso.example/x")]).is_err());
        assert!(
            public(&[
                ("POSTROOM_PUBLIC_URL", "http://127.0.0.1:4567"),
                ("POSTROOM_TRUST_ENDPOINTS", "http://127.0.0.1:4567"),
            ])
            .is_ok()
        );
    }
}
