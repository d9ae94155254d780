//! Settings: the only place that reads them, and the only place that documents them.

mod sign_in;

use std::time::Duration;

use url::Url;

use crate::origin::TrustedOrigins;

pub use sign_in::SignInSettings;
pub(crate) use sign_in::may_be_named;

/// All settings that a process takes from outside, read once at its start.
///
/// | name | meaning | default |
/// |---|---|---|
/// | `POSTROOM_TRUST_ENDPOINTS` | origins (`https://host[:port]`, comma-separated) to which tokens and requests may go besides Microsoft's login and Graph hosts; the only way to allow `http` or a loopback address. `https://host=10.20.0.0/16` lets a host be at private addresses of this network | none |
/// | `AWS_LAMBDA_RUNTIME_API`, `PARAMETERS_SECRETS_EXTENSION_HTTP_PORT`, `AWS_XRAY_DAEMON_ADDRESS` | set by Lambda; to their ports nothing is sent | none |
/// | `POSTROOM_CA_FILE` | PEM file with certificate authorities to trust besides the platform's | none |
/// | `POSTROOM_DATA_DIR` | data directory (one machine) | the platform's data folder |
/// | `POSTROOM_LOG` | what to log, in the syntax of `tracing` filters, for example `info` or `shared=debug` | `error` on the command line (reports say the rest), `info` for `serve` |
/// | `POSTROOM_LOG_FORMAT` | `text` or `json` | `text` |
/// | `POSTROOM_PASSPHRASE_FILE` | file whose first line opens the vault, when its key comes from a passphrase | ask on the terminal |
/// | `HTTPS_PROXY`, `NO_PROXY`, `NO_COLOR` | as everywhere; read by the command line of one machine | none |
/// | `POSTROOM_STACK` `POSTROOM_TABLE` `POSTROOM_BUCKET` `POSTROOM_KMS_KEY` `POSTROOM_EVENT_BUS` `POSTROOM_SCHEDULE_GROUP` `POSTROOM_SCHEDULE_ROLE` `POSTROOM_SCHEDULE_DLQ` `POSTROOM_IMPORTER` `POSTROOM_TOKEN_REFRESH` `POSTROOM_PUBLIC_URL` | the functions on AWS, which read them themselves: docs/configuration.md | set by the template |
/// | `POSTROOM_PATIENCE_SECONDS` | the longest wait within a run that Microsoft may ask for; a longer one ends the run, saved | 60 |
/// | `POSTROOM_SIGN_IN_ISSUER` | who says who signs in to the console: the issuer of an OpenID provider, such as `https://login.microsoftonline.com/TENANT-ID/v2.0` ([`SignInSettings`]) | nobody signs in |
/// | `POSTROOM_SIGN_IN_CLIENT_ID` | client id of the app registered there for the console | needed with an issuer |
/// | `POSTROOM_SIGN_IN_CLAIM` | the claim of the id token that says what somebody may do | `roles` |
/// | `POSTROOM_SIGN_IN_OPERATORS`, `POSTROOM_SIGN_IN_VIEWERS` | values of the claim that make an operator or a viewer, comma-separated | `Postroom.Operator`, `Postroom.Viewer` |
/// | `POSTROOM_SIGN_IN_FIRST_ADMIN` | one person who is an operator in any case: object id at Entra ID, `sub` elsewhere | nobody |
#[derive(Debug, Clone)]
pub struct Config {
    /// Where tokens and requests may go.
    pub trusted: TrustedOrigins,
    /// A further certificate authority, as a path.
    pub ca_file: Option<String>,
    /// The data directory, if set.
    pub data_dir: Option<String>,
    /// The log filter, if set.
    pub log: Option<String>,
    /// One JSON object a line instead of text.
    pub log_json: bool,
    /// Where the vault's passphrase is, if set.
    pub passphrase_file: Option<String>,
    /// The longest wait within a run.
    pub patience: Duration,
    /// Where people sign in to the console. What is wrong with it troubles the console alone: it says so, all else works.
    pub sign_in: Result<Option<SignInSettings>, ConfigError>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the setting {name} is wrong: {reason}")]
pub struct ConfigError {
    /// Its name.
    pub name: &'static str,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl Config {
    /// Reads all settings through `lookup` (the environment in a process, a table in a test).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &'static str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let trusted = TrustedOrigins::parse(&text("POSTROOM_TRUST_ENDPOINTS").unwrap_or_default())
            .and_then(|trusted| trusted.closing(ports_of_lambda(text)))
            .map_err(|reason| ConfigError {
                name: "POSTROOM_TRUST_ENDPOINTS",
                reason,
            })?;
        let patience = match text("POSTROOM_PATIENCE_SECONDS") {
            None => 60,
            Some(value) => value
                .parse::<u32>()
                .ok()
                .filter(|seconds| *seconds <= 900)
                .ok_or_else(|| ConfigError {
                    name: "POSTROOM_PATIENCE_SECONDS",
                    reason: format!("`{value}` is not a whole number of seconds from 0 to 900"),
                })?,
        };
        let log_json = match text("POSTROOM_LOG_FORMAT").as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                return Err(ConfigError {
                    name: "POSTROOM_LOG_FORMAT",
                    reason: format!("`{other}` is neither `text` nor `json`"),
                });
            }
        };
        Ok(Self {
            sign_in: SignInSettings::from_lookup(&lookup, &trusted),
            trusted,
            ca_file: text("POSTROOM_CA_FILE"),
            data_dir: text("POSTROOM_DATA_DIR"),
            log: text("POSTROOM_LOG"),
            log_json,
            passphrase_file: text("POSTROOM_PASSPHRASE_FILE"),
            patience: Duration::from_secs(patience.into()),
        })
    }
}

/// In a sandbox of Lambda: the ports of the Runtime API, of the extension that hands out secrets, and of X-Ray, on which
/// whoever asks is answered (Lambda documentation "Custom runtimes", "AWS Parameters and Secrets Lambda Extension", X-Ray).
fn ports_of_lambda(text: impl Fn(&'static str) -> Option<String>) -> Vec<u16> {
    let Some(runtime) = text("AWS_LAMBDA_RUNTIME_API") else {
        return Vec::new();
    };
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse().ok());
    let told = [
        Some(runtime),
        text("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"),
        text("AWS_XRAY_DAEMON_ADDRESS"),
    ];
    let told = told.iter().flatten().filter_map(|address| port(address));
    told.chain([9001, 2773, 2000]).collect()
}

/// The Microsoft cloud behind a login host: which Graph belongs to it.
///
/// Source: Microsoft Entra documentation "National clouds" and Microsoft Graph documentation "National cloud
/// deployments". Nobody has tried Postroom against the US Government and China clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cloud {
    /// Its name for people.
    pub name: &'static str,
    /// Its login host.
    pub login_host: &'static str,
    /// Its Graph host. `login.microsoftonline.us` serves two: L4 is taken, L5 (DoD) must be named with the Graph URL.
    pub graph_host: &'static str,
}

/// All clouds by login host. The two documents disagree on China's login host: both are taken.
pub const CLOUDS: [Cloud; 4] = [
    Cloud {
        name: "global",
        login_host: "login.microsoftonline.com",
        graph_host: "graph.microsoft.com",
    },
    Cloud {
        name: "US Government (L4)",
        login_host: "login.microsoftonline.us",
        graph_host: "graph.microsoft.us",
    },
    Cloud {
        name: "China (21Vianet)",
        login_host: "login.partner.microsoftonline.cn",
        graph_host: "microsoftgraph.chinacloudapi.cn",
    },
    Cloud {
        name: "China (21Vianet)",
        login_host: "login.chinacloudapi.cn",
        graph_host: "microsoftgraph.chinacloudapi.cn",
    },
];

/// The Graph host of US Government L5 (DoD), which shares its login host with L4.
pub const DOD_GRAPH_HOST: &str = "dod-graph.microsoft.us";

impl Cloud {
    /// The cloud of a login URL.
    pub fn of_login(url: &Url) -> Option<Self> {
        let host = url.host_str()?;
        CLOUDS.into_iter().find(|cloud| cloud.login_host == host)
    }

    /// Whether tokens of this cloud are taken by that Graph. `login.microsoftonline.us` serves L4 and L5 (DoD).
    pub fn has_graph(&self, host: &str) -> bool {
        self.graph_host == host || (host == DOD_GRAPH_HOST && self.login_host == "login.microsoftonline.us")
    }

    /// The clouds of a Graph host: with which login hosts it goes.
    pub fn of_graph(host: &str) -> impl Iterator<Item = Self> {
        CLOUDS.into_iter().filter(move |cloud| cloud.has_graph(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_fine() {
        let config = read(&[]).unwrap();
        assert_eq!(config.patience, Duration::from_secs(60));
        assert!(config.ca_file.is_none());
    }

    #[test]
    fn a_wrong_setting_is_named() {
        assert_eq!(
            read(&[("POSTROOM_TRUST_ENDPOINTS", "not a url")]).unwrap_err().name,
            "POSTROOM_TRUST_ENDPOINTS"
        );
        assert_eq!(
            read(&[("POSTROOM_PATIENCE_SECONDS", "9999")]).unwrap_err().name,
            "POSTROOM_PATIENCE_SECONDS"
        );
        assert_eq!(
            read(&[("POSTROOM_LOG_FORMAT", "xml")]).unwrap_err().name,
            "POSTROOM_LOG_FORMAT"
        );
        let runtime = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9003");
        for port in ["9001", "9003", "2773"] {
            let origin = format!("http://127.0.0.1:{port}");
            assert!(read(&[("POSTROOM_TRUST_ENDPOINTS", &origin)]).is_ok());
            let error = read(&[("POSTROOM_TRUST_ENDPOINTS", &origin), runtime]).unwrap_err();
            assert_eq!(error.name, "POSTROOM_TRUST_ENDPOINTS", "{origin}");
        }
    }
}
