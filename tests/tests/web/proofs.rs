//! How an app proves itself, typed into the console's form: certificate, PKCS#12, a key in AWS KMS, a federated token.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use shared::{
    credential::ClientAuthentication,
    records::credentials::Credentials,
    web::{WebOptions, router},
};
use std::sync::Arc;
use tests::{issuer, world::ORIGIN};

use super::site::{Browser, Seen, Site};

const PASSWORD: &str = "correct horse";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A site, and somebody in front of the form for a new credential.
struct Form {
    site: Site,
    browser: Browser,
    usual: Vec<(&'static str, String)>,
}

impl Form {
    async fn of(mut site: Site, platform_tokens: bool) -> Self {
        site.router = router(WebOptions {
            platform_tokens,
            ..site.options()
        });
        let (browser, csrf) = site.console().await;
        let registration = site.world.simulator.registration();
        let usual = vec![
            ("csrf", csrf),
            ("grant_type", "client_credentials".into()),
            (
                "token_url",
                format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id),
            ),
            ("client_id", registration.client_id.clone()),
            ("scope", "https://graph.microsoft.com/.default".into()),
            ("graph_url", format!("{ORIGIN}/v1.0")),
        ];
        Self { site, browser, usual }
    }

    async fn post(&mut self, path: &str, id: &str, proof: &[(&str, &str)]) -> Seen {
        let mut fields: Vec<(&str, &str)> = self.usual.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("id", id));
        fields.extend_from_slice(proof);
        self.site.post(&mut self.browser, path, &fields).await
    }

    async fn refused(&mut self, proof: &[(&str, &str)], told: &str) {
        let seen = self.post("/credentials/new", "refused", proof).await;
        assert!(
            seen.status == 422 && seen.text.contains(told),
            "{told}: {} {}",
            seen.status,
            seen.text
        );
        for (name, value) in proof {
            let secret = ["certificate", "certificate_password", "client_secret"].contains(name);
            assert!(
                !secret || !seen.text.contains(value),
                "{name} comes back: {}",
                seen.text
            );
        }
    }

    async fn made(&mut self, id: &str, proof: &[(&str, &str)]) -> ClientAuthentication {
        let seen = self.post("/credentials/new", id, proof).await;
        assert_eq!(seen.status, 303, "{}", seen.text);
        self.authentication(id).await
    }

    async fn authentication(&mut self, id: &str) -> ClientAuthentication {
        let page = self.site.get(&mut self.browser, &format!("/credentials/{id}")).await;
        assert!(
            !page.text.contains("PRIVATE KEY") && !page.text.contains(PASSWORD),
            "{}",
            page.text
        );
        let credentials = Credentials::new(Arc::clone(&self.site.world.ports().store));
        credentials
            .get(id)
            .await
            .expect("a credential")
            .credential
            .authentication
    }
}

#[tokio::test]
async fn a_certificate_is_taken_as_pem_and_as_pkcs12_and_proves_the_app() {
    let mut form = Form::of(Site::new(71), false).await;
    let (public, both) = issuer::certificate(2099);
    let sealed = STANDARD.encode(issuer::pkcs12(&[&both], PASSWORD));
    for (proof, told) in [
        (
            vec![
                ("certificate", sealed.as_str()),
                ("certificate_password", "wrong horse"),
            ],
            "password is wrong",
        ),
        (vec![("certificate", sealed.as_str())], "password"),
        (vec![("certificate", public.as_str())], "BEGIN PRIVATE KEY"),
        (vec![("certificate_password", PASSWORD)], "it goes with a PKCS#12 file"),
        (
            vec![("certificate", both.as_str()), ("client_secret", "a secret")],
            "not several of them",
        ),
        (
            vec![("certificate", both.as_str()), ("federated_token_file", "/run/token")],
            "not several of them",
        ),
    ] {
        form.refused(&proof, told).await;
    }
    let thumbprint = |authentication| match authentication {
        ClientAuthentication::Certificate { thumbprint, .. } => thumbprint,
        other => panic!("{other:?}"),
    };
    let pem = thumbprint(form.made("pem", &[("certificate", &both)]).await);
    let proof = [("certificate", sealed.as_str()), ("certificate_password", PASSWORD)];
    assert_eq!(
        thumbprint(form.made("sealed", &proof).await),
        pem,
        "the same certificate"
    );
    // And it is good for a token: the simulator looks at signature and thumbprint.
    form.site
        .world
        .simulator
        .add_certificate(&form.usual[3].1, &public)
        .expect("a certificate");
    let csrf = form.usual[0].1.clone();
    let seen = form
        .site
        .post(&mut form.browser, "/credentials/sealed/authorize", &[("csrf", &csrf)])
        .await;
    assert!(
        seen.status == 200 && seen.text.contains("Mail.ReadWrite"),
        "{}",
        seen.text
    );
    // Edited back to a secret: the certificate is gone.
    let secret = form.site.world.simulator.registration().client_secret.clone();
    let seen = form
        .post("/credentials/sealed/edit", "sealed", &[("client_secret", &secret)])
        .await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    assert_eq!(form.authentication("sealed").await, ClientAuthentication::Secret);
}

#[tokio::test]
async fn a_key_in_kms_and_a_token_of_aws_are_for_where_they_can_be_used() {
    let (public, both) = issuer::certificate(2099);
    let kms = [("certificate", public.as_str()), ("kms_key", KEY)];
    let mut form = Form::of(Site::new(72), true).await;
    form.refused(&[("kms_key", KEY)], "it goes with its certificate").await;
    form.refused(&[("certificate", &both), ("kms_key", KEY)], "private key")
        .await;
    form.refused(&[("certificate", &public), ("kms_key", "alias/postroom")], "ARN")
        .await;
    form.refused(&[("client_secret", "a secret"), ("kms_key", KEY)], "no other way")
        .await;
    form.refused(
        &[("client_secret", "a secret"), ("federated_aws", "on")],
        "needs no client secret",
    )
    .await;
    match form.made("kms", &kms).await {
        ClientAuthentication::KmsKey { key, .. } => assert_eq!(key, KEY),
        other => panic!("{other:?}"),
    }
    let federated = form.made("federated", &[("federated_aws", "on")]).await;
    assert_eq!(federated, ClientAuthentication::FederatedAws);

    // On one machine the form has neither field, and heeds neither.
    let mut form = Form::of(Site::new(73), false).await;
    let page = form.site.get(&mut form.browser, "/credentials/new").await.text;
    assert!(!page.contains("kms_key") && !page.contains("federated_aws"), "{page}");
    form.refused(&kms, "BEGIN PRIVATE KEY").await;
}
