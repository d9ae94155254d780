//! Where requests may go: origins, the trusted ones, and URLs that may be shown in a log.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

use crate::{
    config::{CLOUDS, DOD_GRAPH_HOST},
    network::{Network, Side, side},
};

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

    /// The host as it stands in a URL.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the usual one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if one stands in the host's place.
    fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
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

/// Whether this is a name of this machine (RFC 6761 section 6.3).
fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// An origin that an operator added.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Added {
    origin: Origin,
    /// Where it may be although that is inside.
    at: Option<Network>,
}

impl Added {
    /// From `https://host`, or `https://host=10.20.0.0/16`.
    fn parse(text: &str) -> Result<Self, String> {
        let (origin, at) = text.split_once('=').map_or((text, None), |(a, b)| (a, Some(b)));
        let origin = Origin::parse(origin)?;
        let at = at.map(Network::parse).transpose()?;
        let fixed = origin.address();
        if fixed.is_some() && at.is_some() {
            return Err(format!("`{text}` gives a network to an address: give the origin alone"));
        }
        if let Some(address) = fixed.filter(|address| side(*address) == Side::Never) {
            return Err(format!(
                "`{text}`: nothing that Postroom may ask is at {address} (metadata services, the link, groups)"
            ));
        }
        let near = at.is_some() || is_local(&origin.host) || fixed.is_some_and(|address| side(address) != Side::Global);
        if origin.scheme == "http" && !near {
            return Err(format!(
                "`{text}`: over http everybody on the way reads the tokens. It is taken for this machine and for private addresses; if the name leads to one, say where: `{origin}=10.0.0.0/8`"
            ));
        }
        Ok(Self { origin, at })
    }

    /// Whether it may be anywhere else than on the internet.
    fn may_be_inside(&self) -> bool {
        self.at.is_some() || is_local(&self.origin.host) || self.origin.address().is_some()
    }

    /// Whether it may be at this address, which is not of the internet.
    fn may_be_at(&self, address: IpAddr) -> bool {
        self.origin.address() == Some(address)
            || self.at.is_some_and(|network| network.holds(address))
            || (is_local(&self.origin.host) && side(address) == Side::Loopback)
    }
}

/// The origins that requests with a secret or a token may go to: Microsoft's login and Graph hosts over https on 443,
/// and those an operator added. An added host is on the internet, unless the operator said in which network it is.
#[derive(Debug, Clone, Default)]
pub struct TrustedOrigins {
    added: Vec<Added>,
    closed: Vec<u16>,
}

impl TrustedOrigins {
    /// Microsoft's, and these.
    pub fn with(origins: Vec<Origin>) -> Self {
        let added = origins.into_iter().map(|origin| Added { origin, at: None });
        Self {
            added: added.collect(),
            closed: Vec::new(),
        }
    }

    /// Microsoft's, and those in a comma-separated list of `ORIGIN` and `ORIGIN=NETWORK`; the reason if one is wrong.
    pub fn parse(list: &str) -> Result<Self, String> {
        let each = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self {
            added: each.map(Added::parse).collect::<Result<_, _>>()?,
            closed: Vec::new(),
        })
    }

    /// The same, but nothing inside is asked on these ports, whoever added it: what runs there gives its keys to anybody.
    pub fn closing(mut self, ports: Vec<u16>) -> Result<Self, String> {
        self.closed = ports;
        let inside = |added: &&Added| added.may_be_inside() && self.closed.contains(&added.origin.port);
        match self.added.iter().find(inside) {
            Some(added) => Err(format!("{} is Lambda's own; nothing may be sent there", added.origin)),
            None => Ok(self),
        }
    }

    /// Whether an operator added this origin.
    pub(crate) fn added(&self, origin: &Origin) -> bool {
        self.added.iter().any(|added| added.origin == *origin)
    }

    /// Whether nothing inside may be asked on this port.
    pub(crate) fn is_closed(&self, port: u16) -> bool {
        self.closed.contains(&port)
    }

    /// Whether the host may be at this address, which is not of the internet, because an operator said so.
    pub(crate) fn may_be_at(&self, host: &str, address: IpAddr) -> bool {
        let mut added = self.added.iter().filter(|added| added.origin.host == host);
        added.any(|added| added.may_be_at(address))
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
        if self.added(&origin) {
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
    fn an_added_host_is_outside_unless_its_network_is_said() {
        let trusted = TrustedOrigins::parse(
            "https://idp.example, https://idp.corp.example=10.20.0.0/16,http://localhost:8410,http://127.0.0.2:1,",
        )
        .unwrap();
        assert!(check(&trusted, "https://idp.example/x") && check(&trusted, "https://idp.corp.example/x"));
        let at = |host: &str, address: &str| trusted.may_be_at(host, address.parse().unwrap());
        assert!(!at("idp.example", "10.20.0.1"));
        assert!(at("idp.corp.example", "10.20.0.1") && !at("idp.corp.example", "10.21.0.1"));
        assert!(
            TrustedOrigins::parse("http://a.localhost:1,")
                .unwrap()
                .may_be_at("a.localhost", "127.0.0.1".parse().unwrap())
        );
        assert!(at("localhost", "127.0.0.1") && at("localhost", "::1") && !at("localhost", "10.20.0.1"));
        for bad in [
            "http://169.254.169.254",
            "https://[fe80::1]",
            "http://idp.example",
            "http://8.8.8.8",
            "http://127.0.0.1=10.0.0.0/8",
            "https://idp.example=ten",
            "https://idp.example/=10.0.0.0/99",
        ] {
            assert!(TrustedOrigins::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_of_the_sandbox_are_nobodys() {
        let close = |list: &str| TrustedOrigins::parse(list).unwrap().closing(vec![9001, 2773]);
        assert!(close("http://127.0.0.1:8410,https://idp.example:9001").is_ok());
        for bad in [
            "http://127.0.0.1:9001",
            "http://localhost:2773",
            "http://sim=127.0.0.0/8",
        ] {
            let list = if bad.contains('=') {
                bad.replace('=', ":9001=")
            } else {
                bad.to_owned()
            };
            assert!(close(&list).is_err(), "{list}");
        }
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
