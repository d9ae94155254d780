//! `postroom vault`: where the key of the vault comes from, and changing that.

use serde_json::json;

use super::{
    Desk,
    arguments::{KeyFrom, VaultCommand},
    failure::Failure,
    output::Answer,
    secret_input,
};
use crate::adapters::KeySource;

impl From<KeyFrom> for KeySource {
    fn from(from: KeyFrom) -> Self {
        match from {
            KeyFrom::KeyFile => Self::KeyFile,
            KeyFrom::Passphrase => Self::Passphrase,
            KeyFrom::Keyring => Self::Keyring,
        }
    }
}

pub(super) async fn run(desk: &Desk, command: &VaultCommand) -> Result<Answer, Failure> {
    match command {
        VaultCommand::Status => status(desk),
        VaultCommand::Rewrap { to } => rewrap(desk, (*to).into()).await,
    }
}

fn status(desk: &Desk) -> Result<Answer, Failure> {
    let source = desk.opened.vault.key_source()?;
    let paths = desk.opened.data_dir.secrets();
    let advice = match source {
        KeySource::KeyFile => format!(
            "The key file is {}. Keep a copy of it apart from copies of the sealed file: whoever has both has the secrets.",
            paths.key.display()
        ),
        KeySource::Keyring => "The key lies in the keyring of this user.".into(),
        KeySource::Passphrase => {
            "The passphrase is asked for, or read from the file that POSTROOM_PASSPHRASE_FILE names.".into()
        }
    };
    let text = format!(
        "Secrets lie sealed in {}; the key comes from: {}.\n{advice}",
        paths.sealed.display(),
        source.name()
    );
    Ok(Answer::new(
        json!({"sealed": paths.sealed, "key_source": source.name()}),
        text,
    ))
}

async fn rewrap(desk: &Desk, to: KeySource) -> Result<Answer, Failure> {
    let vault = desk.opened.vault.clone();
    let passphrase = secret_input::new_passphrase(desk.config.passphrase_file.clone());
    let passphrase = (to == KeySource::Passphrase).then_some(passphrase);
    tokio::task::spawn_blocking(move || vault.rewrap(to, passphrase))
        .await
        .map_err(|error| Failure::operator(format!("the vault's thread failed: {error}")))??;
    desk.note(&format!("sealed the vault with a new key from {}", to.name()))
        .await?;
    let text = format!(
        "All secrets are sealed with a new key from {}. The old key opens nothing any more.",
        to.name()
    );
    Ok(Answer::new(json!({"key_source": to.name()}), text))
}
