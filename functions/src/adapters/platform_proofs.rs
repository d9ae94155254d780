//! What proves the app on AWS and is no secret of ours: tokens that STS makes for the role of the function that asks
//! (outbound identity federation), and signatures by a key that KMS keeps.

use async_trait::async_trait;
use aws_sdk_kms::{
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use aws_types::{SdkConfig, region::Region};
use shared::{
    oauth::{NoProof, OutsideProofs},
    secret::Secret,
};
use url::Url;

use crate::sdk::Fault;

/// Long enough for one request to the token endpoint; the role's policy allows no more.
const SECONDS: i32 = 300;
/// The only one that Entra takes.
const ALGORITHM: &str = "RS256";

/// Asks STS in the function's own region, since the global endpoint does not know the call, and KMS in the region of the key.
#[derive(Clone)]
pub struct PlatformProofs {
    sts: aws_sdk_sts::Client,
    config: SdkConfig,
}

impl PlatformProofs {
    /// Over this configuration; `sts` at another place in tests.
    pub fn new(config: &SdkConfig, sts: Option<&Url>) -> Self {
        let mut builder = aws_sdk_sts::config::Builder::from(config);
        if let Some(endpoint) = sts {
            builder = builder.endpoint_url(endpoint.as_str());
        }
        Self {
            sts: aws_sdk_sts::Client::from_conf(builder.build()),
            config: config.clone(),
        }
    }
}

#[async_trait]
impl OutsideProofs for PlatformProofs {
    async fn in_file(&self, path: &str) -> Result<Secret, NoProof> {
        Err(NoProof::Mend(format!(
            "a function has no file {path}; on AWS let the credential prove itself by a federated token of AWS"
        )))
    }

    async fn of_platform(&self, audience: &str) -> Result<Secret, NoProof> {
        let call = self
            .sts
            .get_web_identity_token()
            .audience(audience)
            .signing_algorithm(ALGORITHM)
            .duration_seconds(SECONDS);
        let answer = call.send().await.map_err(|error| no_token(&Fault::of(&error)))?;
        let token = answer.web_identity_token.filter(|token| !token.is_empty());
        token
            .map(Secret::new)
            .ok_or_else(|| NoProof::Later("AWS STS answered without a token; it is asked again".to_owned()))
    }

    async fn by_kms_key(&self, key: &str, text: &str) -> Result<Vec<u8>, NoProof> {
        let mut builder = aws_sdk_kms::config::Builder::from(&self.config);
        if let Some(region) = key.split(':').nth(3) {
            builder = builder.region(Region::new(region.to_owned()));
        }
        let call = aws_sdk_kms::Client::from_conf(builder.build())
            .sign()
            .key_id(key)
            .message(Blob::new(text))
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::RsassaPssSha256);
        let answer = call
            .send()
            .await
            .map_err(|error| no_signature(key, &Fault::of(&error)))?;
        answer
            .signature
            .map(Blob::into_inner)
            .filter(|signature| !signature.is_empty())
            .ok_or_else(|| NoProof::Later("AWS KMS answered without a signature; it is asked again".to_owned()))
    }
}

/// What a refusal of STS means for an admin.
fn no_token(fault: &Fault) -> NoProof {
    let what = fault.what();
    match fault {
        Fault::Refused { code, .. } if code.starts_with("OutboundWebIdentityFederationDisabled") => {
            NoProof::Mend(format!(
                "this AWS account makes no tokens for others yet; its administrator switches that on once with `aws iam enable-outbound-web-identity-federation` ({what})"
            ))
        }
        Fault::Denied(_) => NoProof::Mend(format!(
            "the function may not ask AWS for a token: its role needs sts:GetWebIdentityToken, as in template.yaml, and no policy of the organization may forbid it ({what})"
        )),
        Fault::Throttled(_) | Fault::Unknown(_) => {
            NoProof::Later(format!("AWS STS could not be asked for a token: {what}"))
        }
        Fault::Refused { .. } => NoProof::Mend(format!("AWS STS refuses to make a token: {what}")),
    }
}

/// What a refusal of KMS means for an admin (AWS KMS API reference, Sign).
fn no_signature(key: &str, fault: &Fault) -> NoProof {
    let what = fault.what();
    let mend = |how: &str| NoProof::Mend(format!("AWS KMS does not sign with {key}: {how} ({what})"));
    match fault {
        Fault::Throttled(_) | Fault::Unknown(_) => NoProof::Later(format!(
            "AWS KMS could not be asked for a signature with {key} (if that stays so: does its region exist?): {what}"
        )),
        Fault::Denied(said) if said.starts_with("KMSInvalidState") => {
            mend("the key is disabled or about to be deleted; switch it on again, or give the credential another one")
        }
        Fault::Denied(said) if said.starts_with("AccessDenied") => mend(
            "the function may not use the key; name it in the stack's parameter SigningKeyArn, and look whether the key's own policy allows it to this AWS account",
        ),
        Fault::Denied(_) => mend(
            "AWS does not take the function's own credentials there; is the key's region switched on for this AWS account?",
        ),
        Fault::Refused { code, .. } => match code.as_str() {
            "NotFoundException" => {
                mend("there is no such key; look for its ARN in the KMS console, and in which region it is")
            }
            "DisabledException" => mend("the key is disabled; switch it on again in the KMS console"),
            "InvalidKeyUsageException" | "ValidationException" => {
                mend("the key must be an RSA key of 2048 bits and more for signing (SIGN_VERIFY)")
            }
            _ => mend("it refuses"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Fault {
        Fault::Refused {
            code: code.into(),
            what: "AWS request r".into(),
        }
    }

    #[test]
    fn who_must_act_follows_from_what_sts_says() {
        let disabled = no_token(&refused("OutboundWebIdentityFederationDisabledException"));
        assert!(matches!(&disabled, NoProof::Mend(what) if what.contains("enable-outbound-web-identity-federation")));
        let denied = no_token(&Fault::Denied("AccessDenied".into()));
        assert!(matches!(&denied, NoProof::Mend(what) if what.contains("sts:GetWebIdentityToken")));
        for passes in [Fault::Throttled("slower".into()), Fault::Unknown("no answer".into())] {
            assert!(matches!(no_token(&passes), NoProof::Later(_)), "{passes:?}");
        }
        assert!(matches!(
            no_token(&refused("JWTPayloadSizeExceededException")),
            NoProof::Mend(_)
        ));
    }

    #[test]
    fn who_must_act_follows_from_what_kms_says() {
        const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1";
        for (fault, word) in [
            (Fault::Denied("AccessDeniedException: no".into()), "SigningKeyArn"),
            (
                Fault::Denied("KMSInvalidStateException: pending deletion".into()),
                "about to be deleted",
            ),
            (Fault::Denied("UnrecognizedClientException: no".into()), "region"),
            (refused("NotFoundException"), "no such key"),
            (refused("DisabledException"), "switch it on"),
            (refused("InvalidKeyUsageException"), "SIGN_VERIFY"),
            (refused("SomethingNew"), "refuses"),
        ] {
            let said = no_signature(KEY, &fault);
            assert!(
                matches!(&said, NoProof::Mend(what) if what.contains(word) && what.contains(KEY)),
                "{said:?}"
            );
        }
        for passes in [
            Fault::Throttled("slower".into()),
            Fault::Unknown("KMSInternalException".into()),
        ] {
            assert!(matches!(no_signature(KEY, &passes), NoProof::Later(_)), "{passes:?}");
        }
    }
}
