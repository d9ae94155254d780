//! The gate before every socket: the URL is looked at before a name is, and a name's addresses before one is connected to.
//!
//! A check of a URL alone says nothing about tomorrow: whoever owns a name may let it lead inside after the check (DNS
//! rebinding). So a name is looked up once, by the gate, and the client connects to exactly what the gate has seen.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{
    network::{Side, side},
    origin::{Origin, TrustedOrigins, is_microsoft},
};

/// Looks a name up. The system does, but in tests of names that change their mind.
pub type Names = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The names as the system knows them.
pub fn system_names() -> Names {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Why nothing is sent.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Closed(pub(super) String);

/// What may be asked, and where it may be.
#[derive(Clone)]
pub struct Gate {
    trusted: TrustedOrigins,
    /// Our own address, as browsers know it, for the one request that looks whether Postroom is reached there.
    own: Option<Origin>,
    /// The proxy's host: it connects, so it is connected to wherever it is.
    proxy: Option<String>,
    names: Names,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("trusted", &self.trusted)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// Lets through what leads to the internet over https, and these.
    pub fn new(trusted: TrustedOrigins, names: Names) -> Self {
        Self {
            trusted,
            own: None,
            proxy: None,
            names,
        }
    }

    /// Behind a proxy, which looks names up itself: of them the gate sees only how they are written.
    #[must_use]
    pub fn behind(mut self, proxy: &Url) -> Self {
        self.proxy = proxy.host_str().map(str::to_owned);
        self
    }

    /// A gate that lets through what browsers reach Postroom at, too.
    #[must_use]
    pub(super) fn reaching(&self, public_url: &Url) -> Self {
        Self {
            own: Origin::of(public_url),
            ..self.clone()
        }
    }

    /// Looks at a URL before anything is done with it.
    pub(super) fn admit(&self, url: &Url) -> Result<(), Closed> {
        let closed = |why: String| Err(Closed(why));
        let (Some(origin), Some(host)) = (Origin::of(url), url.host()) else {
            return closed("the URL names no host".into());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return closed("the URL carries a user name or password".into());
        }
        let named = self.trusted.added(&origin) || self.own.as_ref() == Some(&origin);
        if !named && url.scheme() != "https" {
            return closed(format!(
                "it is not https, and {origin} is not in POSTROOM_TRUST_ENDPOINTS"
            ));
        }
        let address = match host {
            Host::Domain(name) => {
                // Where the name leads is looked at when it is looked up; ports are not told there.
                let inside = named && self.trusted.is_closed(origin.port()) && !is_microsoft(name);
                return if inside {
                    closed(format!("nothing is asked on port {} here", origin.port()))
                } else {
                    Ok(())
                };
            }
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        match side(address) {
            Side::Never => closed(format!("nothing that Postroom may ask is at {address}")),
            _ if !named => closed(format!(
                "it is an address instead of a host, and {origin} is not in POSTROOM_TRUST_ENDPOINTS"
            )),
            Side::Global => Ok(()),
            _ if self.trusted.is_closed(origin.port()) => {
                closed(format!("nothing is asked on port {} here", origin.port()))
            }
            _ => Ok(()),
        }
    }

    /// Looks at all addresses of a name: one that may not be, and none is connected to.
    fn pass(&self, name: &str, addresses: &[IpAddr]) -> Result<(), Closed> {
        let own = self.own.as_ref().is_some_and(|own| own.host() == name);
        for &address in addresses {
            let fine = match side(address) {
                Side::Global => true,
                Side::Never => false,
                _ if own || self.trusted.may_be_at(name, address) => true,
                // Microsoft's hosts prove with their certificates who they are, whatever a firm's network makes of their names.
                Side::Inside => is_microsoft(name),
                Side::Loopback => false,
            };
            if !fine {
                let what = format!("the name leads to {address}, which is not on the internet");
                return Err(Closed(if side(address) == Side::Never {
                    format!("{what}; no setting lets Postroom ask there")
                } else {
                    format!(
                        "{what}. If that is where it should be, add its origin with its network to POSTROOM_TRUST_ENDPOINTS, as in https://{name}=10.0.0.0/8"
                    )
                }));
            }
        }
        Ok(())
    }
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> Resolving {
        let gate = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            let addresses = (gate.names)(name.to_owned()).await?;
            if gate.proxy.as_deref() != Some(name) {
                gate.pass(name, &addresses)?;
            }
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(list: &str) -> Gate {
        Gate::new(TrustedOrigins::parse(list).unwrap(), system_names())
    }

    fn admits(gate: &Gate, url: &str) -> bool {
        gate.admit(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn urls_are_looked_at_before_names() {
        let gate = gate("http://127.0.0.1:8410");
        for good in [
            "https://graph.microsoft.com/v1.0",
            "https://keys.issuer.example/jwks",
            "http://127.0.0.1:8410/x",
        ] {
            assert!(admits(&gate, good), "{good}");
        }
        for bad in [
            "http://graph.microsoft.com/v1.0",
            "http://127.0.0.1:8411/x",
            "https://127.0.0.1:8410/x",
            "https://1.1.1.1/",
            "https://a:b@graph.microsoft.com/",
            "ftp://graph.microsoft.com/",
            "https://169.254.169.254/",
        ] {
            assert!(!admits(&gate, bad), "{bad}");
        }
    }

    #[test]
    fn one_address_that_may_not_be_is_enough() {
        let gate = gate("https://idp.corp.example=10.20.0.0/16,http://localhost:8410");
        let pass = |name: &str, addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            gate.pass(name, &addresses).is_ok()
        };
        assert!(pass("any.example", &["1.1.1.1", "2606:4700::1111"]));
        assert!(!pass("any.example", &["1.1.1.1", "10.20.0.1"]));
        assert!(pass("idp.corp.example", &["10.20.0.1", "1.1.1.1"]));
        assert!(!pass("idp.corp.example", &["10.20.0.1", "10.21.0.1"]));
        assert!(pass("localhost", &["127.0.0.1", "::1"]) && !pass("localhost.", &["127.0.0.1"]));
        assert!(pass("graph.microsoft.com", &["10.9.9.9", "64:ff9b::1.1.1.1"]));
        assert!(!pass("graph.microsoft.com", &["127.0.0.1"]) && !pass("graph.microsoft.com", &["169.254.169.254"]));
    }

    #[test]
    fn our_own_address_may_be_anywhere_but_with_the_metadata() {
        let gate = gate("");
        assert!(!admits(&gate, "http://localhost:8400/OAuth2Callback"));
        let gate = gate.reaching(&Url::parse("http://localhost:8400").unwrap());
        assert!(admits(&gate, "http://localhost:8400/OAuth2Callback") && !admits(&gate, "http://localhost:8401/"));
        assert!(gate.pass("localhost", &["127.0.0.1".parse().unwrap()]).is_ok());
        // What no setting lets through is not said to be a matter of settings.
        let never = gate.pass("localhost", &["169.254.0.1".parse().unwrap()]).unwrap_err();
        assert!(!never.to_string().contains("POSTROOM_TRUST_ENDPOINTS"), "{never}");
        let inside = gate
            .pass("elsewhere.example", &["10.0.0.1".parse().unwrap()])
            .unwrap_err();
        assert!(inside.to_string().contains("POSTROOM_TRUST_ENDPOINTS"), "{inside}");
    }
}
