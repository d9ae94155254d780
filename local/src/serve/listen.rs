//! Where the status page listens, and what ends serving.

use std::net::SocketAddr;

use url::Url;

use crate::cli::failure::Failure;

/// A loopback address and port. Nothing else: there is no TLS here, and cookies and secrets come in.
pub(super) fn loopback(typed: &str) -> Result<SocketAddr, Failure> {
    let text = typed.trim();
    let text = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = text.parse().map_err(|_| {
        Failure::usage(format!(
            "--listen `{}` is no address and port; give for example 127.0.0.1:8400",
            typed.escape_debug()
        ))
    })?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(Failure::usage(format!(
            "--listen {address} can be reached from other machines, and Postroom speaks plain http: take a loopback address such as 127.0.0.1:{}, and put a proxy with TLS in front of it for others",
            address.port()
        )))
    }
}

/// How a browser reaches this machine. Entra ID takes plain http for localhost only.
pub(crate) fn public_url(typed: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--public-url `{}` {why}", typed.escape_debug()));
    let url = Url::parse(typed.trim()).map_err(|_| wrong("is no URL; give for example http://localhost:8400"))?;
    let local = url.host_str() == Some("localhost");
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        _ => {
            return Err(wrong(
                "must begin with https:// (Entra ID takes http for localhost only)",
            ));
        }
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "must be a scheme, host and port only: the path of the Redirect URI is always /OAuth2Callback",
        ));
    }
    Ok(url)
}

/// Completes with Ctrl-C or, where there is such a thing, SIGTERM. Listens from the call on, not from the first look.
pub(crate) fn stopped() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // If the signal cannot be listened to, the default (the process ends) does the same.
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served() {
        for good in ["127.0.0.1:8400", "localhost:0", "[::1]:8400", "127.9.9.9:1"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "0.0.0.0:8400",
            "[::]:8400",
            "192.0.2.1:80",
            "8400",
            "",
            "localhost:x",
            "example.com:80",
        ] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn public_urls_are_what_entra_takes() {
        for good in ["http://localhost:8400", "https://post.contoso.example"] {
            assert!(public_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://post.contoso.example",
            "https://a/x",
            "https://a/?q",
            "ftp://localhost",
            "x",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }
}
