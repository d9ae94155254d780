//! Federated tokens on AWS: STS makes one for the role of the function that asks (outbound identity federation).

use async_trait::async_trait;
use aws_sdk_sts::Client;
use aws_types::SdkConfig;
use shared::{
    oauth::{FederatedTokens, NoToken},
    secret::Secret,
};
use url::Url;

use crate::sdk::Fault;

/// Long enough for one request to the token endpoint; the role's policy allows no more.
const SECONDS: i32 = 300;
/// The only one that Entra takes.
const ALGORITHM: &str = "RS256";

/// Asks STS, in the function's own region: the global endpoint does not know the call.
#[derive(Clone)]
pub struct PlatformTokens {
    client: Client,
}

impl PlatformTokens {
    /// Over this configuration; at another place in tests.
    pub fn new(config: &SdkConfig, endpoint: Option<&Url>) -> Self {
        let mut builder = aws_sdk_sts::config::Builder::from(config);
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint_url(endpoint.as_str());
        }
        Self {
            client: Client::from_conf(builder.build()),
        }
    }
}

#[async_trait]
impl FederatedTokens for PlatformTokens {
    async fn in_file(&self, path: &str) -> Result<Secret, NoToken> {
        Err(NoToken::Mend(format!(
            "a function has no file {path}; on AWS let the credential prove itself by a federated token of AWS"
        )))
    }

    async fn of_platform(&self, audience: &str) -> Result<Secret, NoToken> {
        let call = self
            .client
            .get_web_identity_token()
            .audience(audience)
            .signing_algorithm(ALGORITHM)
            .duration_seconds(SECONDS);
        let answer = call.send().await.map_err(|error| why(&Fault::of(&error)))?;
        let token = answer.web_identity_token.filter(|token| !token.is_empty());
        token
            .map(Secret::new)
            .ok_or_else(|| NoToken::Later("AWS STS answered without a token; it is asked again".to_owned()))
    }
}

/// What a refusal of STS means for an admin.
fn why(fault: &Fault) -> NoToken {
    let what = fault.what();
    match fault {
        Fault::Refused { code, .. } if code.starts_with("OutboundWebIdentityFederationDisabled") => {
            NoToken::Mend(format!(
                "this AWS account makes no tokens for others yet; its administrator switches that on once with `aws iam enable-outbound-web-identity-federation` ({what})"
            ))
        }
        Fault::Denied(_) => NoToken::Mend(format!(
            "the function may not ask AWS for a token: its role needs sts:GetWebIdentityToken, as in template.yaml, and no policy of the organization may forbid it ({what})"
        )),
        Fault::Throttled(_) | Fault::Unknown(_) => {
            NoToken::Later(format!("AWS STS could not be asked for a token: {what}"))
        }
        Fault::Refused { .. } => NoToken::Mend(format!("AWS STS refuses to make a token: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_act_follows_from_what_sts_says() {
        let refused = |code: &str| Fault::Refused {
            code: code.into(),
            what: "AWS request r".into(),
        };
        let disabled = why(&refused("OutboundWebIdentityFederationDisabledException"));
        assert!(matches!(&disabled, NoToken::Mend(what) if what.contains("enable-outbound-web-identity-federation")));
        let denied = why(&Fault::Denied("AccessDenied".into()));
        assert!(matches!(&denied, NoToken::Mend(what) if what.contains("sts:GetWebIdentityToken")));
        for passes in [Fault::Throttled("slower".into()), Fault::Unknown("no answer".into())] {
            assert!(matches!(why(&passes), NoToken::Later(_)), "{passes:?}");
        }
        assert!(matches!(
            why(&refused("JWTPayloadSizeExceededException")),
            NoToken::Mend(_)
        ));
    }
}
