//! Where requests may go: origins, the trusted ones, and URLs that may be shown in a log.

use std::fmt;

use url::{Host, Url};

use crate::config::{CLOUDS, DOD_GRAPH_HOST};

/// Scheme, host and port of a URL (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Of a URL; `None` if it has no host.
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// From text such as `http://127.0.0.1:8410`; the reason if it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{text}` is neither http nor https"));
        }
        if url.path() != "/"
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return Err(format!(
                "`{text}` is more than an origin: give scheme, host and port only"
            ));
        }
        Self::of(&url).ok_or_else(|| format!("`{text}` names no host"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        let usual = if self.scheme == "http" { 80 } else { 443 };
        if self.port == usual {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// The origins that requests with a secret or a token may go to: Microsoft's login and Graph hosts over https on 443,
/// and those an operator added.
#[derive(Debug, Clone, Default)]
pub struct TrustedOrigins {
    extra: Vec<Origin>,
}

impl TrustedOrigins {
    /// Microsoft's, and these.
    pub fn with(extra: Vec<Origin>) -> Self {
        Self { extra }
    }

    /// Checks a URL that somebody typed before any socket opens; the reason if it must not be used.
    pub fn check(&self, url: &Url) -> Result<Origin, String> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it carries a user name or password".to_owned());
        }
        if url.fragment().is_some() {
            return Err("it carries a fragment (`#...`)".to_owned());
        }
        let origin = Origin::of(url).ok_or("it names no host")?;
        if self.extra.contains(&origin) {
            return Ok(origin);
        }
        if origin.scheme != "https" {
            return Err(format!(
                "it is not https. To use it in a test, add {origin} to POSTROOM_TRUST_ENDPOINTS"
            ));
        }
        if !matches!(url.host(), Some(Host::Domain(_))) {
            return Err(format!(
                "it names an address instead of a host. To use it in a test, add {origin} to POSTROOM_TRUST_ENDPOINTS"
            ));
        }
        if origin.port == 443 && is_microsoft(&origin.host) {
            return Ok(origin);
        }
        Err(format!(
            "{origin} is neither a login nor a Graph host of Microsoft. If you trust it, add it to POSTROOM_TRUST_ENDPOINTS"
        ))
    }
}

/// Whether the host is one of Microsoft's login or Graph hosts.
pub fn is_microsoft(host: &str) -> bool {
    host == DOD_GRAPH_HOST
        || CLOUDS
            .iter()
            .any(|cloud| cloud.login_host == host || cloud.graph_host == host)
}

/// A URL as it may be logged: scheme, host, path; the query only by the names of its parameters.
pub struct SafeUrl<'a>(pub &'a Url);

impl fmt::Display for SafeUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        match Origin::of(url) {
            Some(origin) => write!(f, "{origin}")?,
            None => write!(f, "{}:", url.scheme())?,
        }
        for segment in url.path_segments().into_iter().flatten() {
            f.write_str("/")?;
            // An address in the path is masked like everywhere else.
            if segment.contains('@') || segment.contains("%40") {
                write!(f, "{}", MaskedAddress(segment))?;
            } else {
                f.write_str(segment)?;
            }
        }
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        if names.is_empty() {
            Ok(())
        } else {
            write!(f, "?{}", names.join("&"))
        }
    }
}

/// An e-mail address as it may be logged: `d***@contoso.example`.
pub struct MaskedAddress<'a>(pub &'a str);

impl fmt::Display for MaskedAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decoded = self.0.replace("%40", "@");
        match decoded.rsplit_once('@') {
            Some((local, domain)) => {
                let first = local.chars().next().unwrap_or('*');
                write!(f, "{first}***@{domain}")
            }
            None if decoded == "me" => f.write_str("me"),
            None => f.write_str("***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(trusted: &TrustedOrigins, url: &str) -> bool {
        trusted.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn only_microsoft_without_permission() {
        let none = TrustedOrigins::default();
        for good in [
            "https://login.microsoftonline.com/x/oauth2/v2.0/token",
            "https://graph.microsoft.com/v1.0",
            "https://dod-graph.microsoft.us/v1.0",
        ] {
            assert!(check(&none, good), "{good}");
        }
        for bad in [
            "http://login.microsoftonline.com/",
            "https://login.microsoftonline.com:444/",
            "https://login.microsoftonline.com.evil.example/",
            "https://user@graph.microsoft.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "http://169.254.169.254/latest/meta-data",
            "https://evil.example/",
            "https://graph.microsoft.com/#x",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://graph.microsoft.com./",
        ] {
            assert!(!check(&none, bad), "{bad}");
        }
    }

    #[test]
    fn added_origins_count_exactly() {
        let trusted = TrustedOrigins::with(vec![Origin::parse("http://127.0.0.1:8410").unwrap()]);
        assert!(check(&trusted, "http://127.0.0.1:8410/v1.0"));
        assert!(!check(&trusted, "http://127.0.0.1:8411/v1.0"));
        assert!(!check(&trusted, "https://127.0.0.1:8410/v1.0"));
        assert!(Origin::parse("http://127.0.0.1:8410/path").is_err());
    }

    #[test]
    fn logs_show_neither_queries_nor_people() {
        let url = Url::parse("https://graph.microsoft.com/v1.0/users/desk@contoso.example/messages?$skiptoken=canary")
            .unwrap();
        let shown = SafeUrl(&url).to_string();
        assert!(!shown.contains("canary") && !shown.contains("desk@"), "{shown}");
        assert!(
            shown.contains("d***@contoso.example") && shown.ends_with("?$skiptoken"),
            "{shown}"
        );
    }
}
