//! The operating system's keyring, for the key of the sealed file: behind the feature `keyring`.

use zeroize::Zeroizing;

#[cfg(feature = "keyring")]
mod entry {
    use keyring::v1::Entry;
    use zeroize::Zeroizing;

    fn entry(id: &str) -> Result<Entry, String> {
        Entry::new("postroom", id).map_err(|error| error.to_string())
    }

    pub(super) fn read(id: &str) -> Result<Zeroizing<String>, String> {
        entry(id)?
            .get_password()
            .map(Zeroizing::new)
            .map_err(|error| error.to_string())
    }

    pub(super) fn write(id: &str, text: &str) -> Result<(), String> {
        entry(id)?.set_password(text).map_err(|error| error.to_string())
    }

    pub(super) fn remove(id: &str) -> Result<(), String> {
        entry(id)?.delete_credential().map_err(|error| error.to_string())
    }
}

#[cfg(not(feature = "keyring"))]
mod entry {
    use zeroize::Zeroizing;

    const ABSENT: &str = "this program was built without keyring support; build it with `--features keyring`, or use key-file or passphrase";

    pub(super) fn read(_id: &str) -> Result<Zeroizing<String>, String> {
        Err(ABSENT.into())
    }

    pub(super) fn write(_id: &str, _text: &str) -> Result<(), String> {
        Err(ABSENT.into())
    }

    pub(super) fn remove(_id: &str) -> Result<(), String> {
        Err(ABSENT.into())
    }
}

/// The key with this id, in hexadecimal, or why not.
pub(super) fn read(id: &str) -> Result<Zeroizing<String>, String> {
    entry::read(id)
}

/// Keeps a key under its id.
pub(super) fn write(id: &str, text: &str) -> Result<(), String> {
    entry::write(id, text)
}

/// Takes the key away.
pub(super) fn remove(id: &str) -> Result<(), String> {
    entry::remove(id)
}
