//! What is taken as a certificate: PEM, PKCS#12, or one whose key lies in KMS; and what each refusal says.

use base64::Engine as _;
use rcgen::{CertificateParams, KeyPair};
use shared::{
    credential::{ClientCertificate, KmsCertificate},
    secret::Secret,
};
use tests::{binary::setting, issuer};

const KEY_ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

const PASSWORD: &str = "correct-horse";

fn certificate() -> (String, Secret) {
    let (public, both) = issuer::certificate(2027);
    (public, Secret::new(both))
}

#[test]
fn a_certificate_that_cannot_serve_is_refused_and_says_why() {
    let (public, both) = certificate();
    let key_only = both.expose().replace(&public, "");
    let other = {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        (
            params.self_signed(&key).expect("a certificate").pem(),
            key.serialize_pem(),
        )
    };
    for (text, why) in [
        (public.clone(), "no private key"),
        (key_only.clone(), "no certificate"),
        (format!("{}{key_only}", other.0), "do not belong together"),
        (format!("{}{}", other.0, other.1), "RSA"),
        ("hello".into(), "no private key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----".into(), "password"),
        ("x".repeat(50_000), "48 KiB"),
    ] {
        let refused = ClientCertificate::from_pem(&Secret::new(text)).err().expect(why);
        assert!(refused.reason.contains(why), "{}", refused.reason);
    }
}

#[test]
fn a_certificate_of_a_key_in_kms_comes_alone_and_its_key_by_its_arn() {
    let (public, both) = certificate();
    let other = {
        let key = KeyPair::generate().expect("an EC key");
        let params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.self_signed(&key).expect("a certificate").pem()
    };
    for (pem, key, field, why) in [
        (both.expose().to_owned(), KEY_ARN, "certificate", "private key"),
        (format!("{public}{public}"), KEY_ARN, "certificate", "several"),
        (other, KEY_ARN, "certificate", "RSA"),
        ("hello".into(), KEY_ARN, "certificate", "no certificate"),
        ("x".repeat(50_000), KEY_ARN, "certificate", "48 KiB"),
        (public.clone(), "", "KMS key", "ARN"),
        (public.clone(), "1234abcd-12ab-34cd-56ef-1234567890ab", "KMS key", "ARN"),
        (
            public.clone(),
            "arn:aws:kms:eu-central-1:123456789012:alias/postroom",
            "KMS key",
            "alias",
        ),
        (
            public.clone(),
            "arn:aws:kms:eu-central-1:123456789012:key/../x",
            "KMS key",
            "ARN",
        ),
        (
            public.clone(),
            "arn:aws:s3:eu-central-1:123456789012:key/1",
            "KMS key",
            "ARN",
        ),
    ] {
        let refused = KmsCertificate::from_pem(&pem, key).expect_err(why);
        assert!(refused.field == field && refused.reason.contains(why), "{refused:?}");
    }
}

#[tokio::test]
async fn of_a_pkcs12_file_the_rsa_key_and_its_certificate_count_and_all_else_is_told() {
    let (_, both) = issuer::certificate(2027);
    let other = {
        let key = KeyPair::generate().expect("an EC key");
        let params = CertificateParams::new(vec!["other.example".into()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        format!("{certificate}{}", key.serialize_pem())
    };
    let print = ClientCertificate::from_pem(&Secret::new(both.as_str()))
        .expect("good")
        .facts
        .thumbprint;
    let read = |bytes: &[u8], password: &str| ClientCertificate::from_pkcs12(bytes, &Secret::new(password));
    for password in [PASSWORD, "", "\u{fc}mlaut \u{20ac}"] {
        let several = issuer::pkcs12(&[&other, &both], password);
        let found = read(&several, password).expect("the RSA one");
        assert_eq!(found.facts.thumbprint, print);
        assert_eq!(
            found.pem.expose().matches("BEGIN CERTIFICATE").count(),
            1,
            "the rest is left out"
        );
    }
    let sealed = issuer::pkcs12(&[&both], PASSWORD);
    let mut damaged = sealed.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let many: Vec<&str> = vec![&both; 9];
    for (bytes, password, field, why) in [
        (&sealed, "Correct-horse", "certificate password", "password is wrong"),
        (&damaged, PASSWORD, "certificate password", "damaged"),
        (&issuer::pkcs12(&[&other], PASSWORD), PASSWORD, "certificate", "RSA"),
        (
            &issuer::certificates_alone(&both, PASSWORD),
            PASSWORD,
            "certificate",
            "no private key",
        ),
        (&issuer::pkcs12(&many, PASSWORD), PASSWORD, "certificate", "16 KiB"),
        (
            &vec![0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03],
            PASSWORD,
            "certificate",
            "make PEM of it",
        ),
        (&vec![0x30; 60_000], PASSWORD, "certificate", "16 KiB"),
    ] {
        let refused = read(bytes, password).err().expect(why);
        assert!(
            refused.field == field && refused.reason.contains(why),
            "{why}: {refused:?}"
        );
        assert!(!refused.reason.contains(password), "{}", refused.reason);
    }
    // Too much to open: neither many parts nor memory at the file's choice.
    let scrypt = [
        &sealed[..],
        &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b],
    ]
    .concat();
    let parts = [
        &sealed[..],
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d].repeat(9),
    ]
    .concat();
    for bytes in [scrypt, parts] {
        let refused = read(&bytes, PASSWORD).err().expect("too much");
        assert!(
            refused.reason.contains("not opened here; make PEM"),
            "{}",
            refused.reason
        );
    }
    // Pasted into a form, in lines as `base64` and `certutil` print them.
    let text = base64::engine::general_purpose::STANDARD.encode(&sealed);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).expect("text"))
        .collect();
    let password = Secret::new(PASSWORD);
    let certutil = format!(
        "-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----\r\n",
        lines.join("\r\n")
    );
    for pasted in [lines.join("\n"), certutil] {
        let read = ClientCertificate::from_text(&Secret::new(pasted), Some(&password)).await;
        assert_eq!(read.expect("the same").facts.thumbprint, print);
    }
    let pem = Secret::new(both.as_str());
    assert!(ClientCertificate::from_text(&pem, None).await.is_ok());
    let for_nothing = ClientCertificate::from_text(&pem, Some(&password))
        .await
        .err()
        .expect("no use");
    assert_eq!(for_nothing.field, "certificate password");
}

/// A PKCS#12 file of OpenSSL's with the certificate of these tests; `None` where there is no OpenSSL, or one without old ciphers.
fn of_openssl(words: &[&str]) -> Option<Vec<u8>> {
    let (_, both) = issuer::certificate(2027);
    let directory = tempfile::tempdir().expect("a directory");
    let [pem, file] = ["both.pem", "file.pfx"].map(|name| directory.path().join(name));
    std::fs::write(&pem, &both).expect("written");
    let password = format!("pass:{PASSWORD}");
    let made = std::process::Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", &password, "-in"])
        .arg(&pem)
        .arg("-out")
        .arg(&file)
        .args(words)
        .output();
    match made {
        Ok(made) if made.status.success() => Some(std::fs::read(&file).expect("a file")),
        _ if words.contains(&"-legacy") || setting("CI").is_none() => None,
        other => panic!("openssl {words:?}: {other:?}"),
    }
}

/// Files that somebody else made: OpenSSL as it is now, as it was, without a check value, with many rounds and too many.
#[test]
fn pkcs12_files_of_openssl_open() {
    let (_, both) = issuer::certificate(2027);
    let print = ClientCertificate::from_pem(&Secret::new(both))
        .expect("good")
        .facts
        .thumbprint;
    for (words, opens) in [
        (&[][..], true),
        (&["-legacy"], true),
        (&["-nomac"], true),
        (&["-iter", "600000"], true),
        (&["-iter", "2000000"], false),
        (&["-keypbe", "NONE", "-certpbe", "NONE"], true),
    ] {
        let Some(bytes) = of_openssl(words) else { continue };
        match ClientCertificate::from_pkcs12(&bytes, &Secret::new(PASSWORD)) {
            Ok(read) => assert!(opens && read.facts.thumbprint == print, "{words:?}"),
            Err(error) => assert!(
                !opens && error.reason.contains("make PEM of it"),
                "{words:?}: {error:?}"
            ),
        }
    }
}

/// Nothing that a file may hold makes the reader panic: every byte turned, and every end cut off. Without a check value, which
/// would refuse all of them before they are looked at.
#[test]
fn damaged_pkcs12_files_are_refused_and_nothing_panics() {
    let Some(bytes) = of_openssl(&["-nomac", "-iter", "1"]) else {
        return;
    };
    let read = |bytes: &[u8]| ClientCertificate::from_pkcs12(bytes, &Secret::new(PASSWORD));
    let mut refused = 0;
    for at in 0..bytes.len() {
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        for turned in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= turned;
            refused += usize::from(read(&damaged).is_err());
        }
    }
    assert!(refused > 2 * bytes.len(), "only {refused} refused");
}
