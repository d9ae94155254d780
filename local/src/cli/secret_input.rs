//! Secrets come from standard input, a file or a prompt; never from an argument, which every process could see.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
    sync::Arc,
};

use shared::{
    credential::{ClientCertificate, ClientInput, expiry, is_pkcs12},
    field::FieldError,
    secret::Secret,
};
use zeroize::Zeroizing;

use super::{
    arguments::{SecretArguments, SecretSource},
    failure::Failure,
};
use crate::adapters::Passphrase;

/// Longer than any client secret.
const MOST: u64 = 16 * 1024;
const FIELD: &str = "client secret";

/// How the app proves itself, if that is to be had without asking.
pub(super) fn given(arguments: &SecretArguments) -> Result<Option<ClientInput>, Failure> {
    let expires_at = expiry("secret expiry", &arguments.secret_expires)?;
    let source = &arguments.source;
    if let Some(path) = &source.certificate {
        let certificate = certificate(arguments, path)?;
        return Ok(Some(ClientInput::Certificate(Box::new(certificate))));
    }
    if let Some(path) = &source.federated_token_file {
        return Ok(Some(ClientInput::FederatedFile(path.clone())));
    }
    match secret_given(source)? {
        Some(secret) => Ok(Some(ClientInput::Secret { secret, expires_at })),
        None if expires_at.is_some() => Err(Failure::usage(
            "--secret-expires goes with a client secret: --client-secret-stdin or --client-secret-file",
        )),
        None => Ok(None),
    }
}

/// A certificate with its key, from PEM or PKCS#12.
fn certificate(arguments: &SecretArguments, path: &Path) -> Result<ClientCertificate, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    open(path, "--certificate")?
        .take(4 * MOST)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("--certificate {}: {error}", path.display())))?;
    if is_pkcs12(&bytes) {
        return Ok(ClientCertificate::from_pkcs12(&bytes, &password(arguments, path)?)?);
    }
    if arguments.certificate_password_stdin || arguments.certificate_password_file.is_some() {
        let why = format!("it goes with a PKCS#12 file, and {} is none", path.display());
        return Err(FieldError::new("certificate password", why).into());
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(ClientCertificate::from_pem(&Secret::new(text))?),
        Err(_) => Err(FieldError::new(
            "certificate",
            format!("{} is neither PEM text nor a PKCS#12 file", path.display()),
        )
        .into()),
    }
}

/// The password of a PKCS#12 file: it may be empty, and hold blanks.
fn password(arguments: &SecretArguments, path: &Path) -> Result<Secret, Failure> {
    let line = |reader: &mut dyn io::Read, place: &str| {
        let mut text = Zeroizing::new(String::new());
        reader
            .take(MOST)
            .read_to_string(&mut text)
            .map_err(|error| FieldError::new("certificate password", format!("{place}: {error}")))?;
        Ok(Secret::new(text.lines().next().unwrap_or_default()))
    };
    if arguments.certificate_password_stdin {
        return line(&mut io::stdin().lock(), "standard input");
    }
    if let Some(file) = &arguments.certificate_password_file {
        return line(
            &mut open(file, "--certificate-password-file")?,
            &file.display().to_string(),
        );
    }
    if !io::stdin().is_terminal() {
        let why = format!(
            "{} is a PKCS#12 file; give its password with --certificate-password-stdin or --certificate-password-file",
            path.display()
        );
        return Err(FieldError::new("certificate password", why).into());
    }
    prompt("Password of the PKCS#12 file (it does not show): ")
        .map_err(|error| Failure::usage(format!("the password could not be read: {error}")))
}

/// The client secret, if there is one to be had without asking.
fn secret_given(arguments: &SecretSource) -> Result<Option<Secret>, Failure> {
    if arguments.client_secret_stdin {
        return from(io::stdin().lock(), "standard input").map(Some);
    }
    match &arguments.client_secret_file {
        Some(path) => open(path, "--client-secret-file")
            .and_then(|file| from(file, &path.display().to_string()))
            .map(Some),
        None => Ok(None),
    }
}

/// How the app proves itself; the client secret is asked for if nothing is given.
pub(super) fn required(arguments: &SecretArguments) -> Result<ClientInput, Failure> {
    if let Some(input) = given(arguments)? {
        return Ok(input);
    }
    if !io::stdin().is_terminal() {
        return Err(FieldError::new(
            FIELD,
            "it is missing; give it on standard input with --client-secret-stdin, or in a file with --client-secret-file",
        )
        .into());
    }
    let typed = rpassword::prompt_password("Client secret (it does not show): ")
        .map(Zeroizing::new)
        .map_err(|error| Failure::usage(format!("the client secret could not be read: {error}")))?;
    from(typed.as_bytes(), "the prompt").map(ClientInput::secret)
}

fn open(path: &Path, option: &str) -> Result<fs::File, Failure> {
    fs::File::open(path).map_err(|error| Failure::usage(format!("{option} {}: {error}", path.display())))
}

fn from(reader: impl io::Read, place: &str) -> Result<Secret, Failure> {
    let line = first_line(reader).map_err(|reason| FieldError::new(FIELD, format!("{place}: {reason}")))?;
    if line.is_empty() {
        return Err(FieldError::new(FIELD, format!("{place} holds none")).into());
    }
    if line.expose().contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(FieldError::new(
            FIELD,
            format!("{place} holds a blank or control character; copy the Value of the secret, nothing else"),
        )
        .into());
    }
    Ok(line)
}

/// The first line, without the blanks that copying adds at its ends.
fn first_line(reader: impl io::Read) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::new());
    reader
        .take(MOST)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().trim()))
}

/// The vault's passphrase: from the file of the settings, or asked for.
pub(super) fn passphrase(file: Option<String>) -> Passphrase {
    Arc::new(move || {
        if let Some(path) = &file {
            let opened = fs::File::open(path).map_err(|error| error.to_string());
            return opened
                .and_then(first_line)
                .map_err(|reason| format!("POSTROOM_PASSPHRASE_FILE names {path}: {reason}"));
        }
        if !io::stdin().is_terminal() {
            return Err("set POSTROOM_PASSPHRASE_FILE to a file that holds it".into());
        }
        prompt("Passphrase of the vault: ")
    })
}

/// A new passphrase, asked for twice.
pub(super) fn new_passphrase(file: Option<String>) -> Passphrase {
    if file.is_some() || !io::stdin().is_terminal() {
        return passphrase(file);
    }
    Arc::new(|| {
        let first = prompt("New passphrase of the vault: ")?;
        let second = prompt("Once more: ")?;
        if first == second {
            Ok(first)
        } else {
            Err("the two are not the same".into())
        }
    })
}

fn prompt(text: &str) -> Result<Secret, String> {
    rpassword::prompt_password(text)
        .map(Secret::new)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clean_line_or_nothing() {
        assert_eq!(from(&b" abc~1 \r\nmore"[..], "x").unwrap().expose(), "abc~1");
        for bad in [&b""[..], b"\nabc", b"a b", b"a\x07b", b"\xff"] {
            assert!(from(bad, "x").is_err(), "{bad:?}");
        }
    }
}
