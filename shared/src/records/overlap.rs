//! One folder belongs to one account: what names tell of overlaps.

use std::collections::BTreeMap;

use crate::{
    account::{Account, FolderName},
    field::FieldError,
};

use super::RecordError;

/// Refuses a folder that another account of the mailbox imports, as far as names tell; what names hide (an id and a
/// path of the same folder) is found by [`super::accounts::Accounts::claim`] when the folder is first opened.
pub(super) fn refuse_overlap(
    account: &Account,
    others: &BTreeMap<String, Vec<FolderName>>,
    with_subfolders: &[String],
) -> Result<(), RecordError> {
    for (other, folders) in others.iter().filter(|(other, _)| other.as_str() != account.id.as_str()) {
        for mine in &account.folders {
            for theirs in folders {
                let same = path_of(mine) == path_of(theirs);
                let below = with_subfolders.contains(other) && is_below(mine, theirs);
                let above = account.subfolders && is_below(theirs, mine);
                if same || below || above {
                    return Err(FieldError::new(
                        "folder",
                        format!("`{mine}` of this mailbox is imported by account `{other}` already; one folder belongs to one account"),
                    )
                    .into());
                }
            }
        }
    }
    Ok(())
}

fn path_of(folder: &FolderName) -> Vec<String> {
    match folder {
        FolderName::WellKnown(name) => vec![name.clone()],
        FolderName::Path(parts) => parts.iter().map(|part| part.to_lowercase()).collect(),
        FolderName::Id(id) => vec![format!("id:{id}")],
    }
}

fn is_below(inner: &FolderName, outer: &FolderName) -> bool {
    let (inner, outer) = (path_of(inner), path_of(outer));
    outer == ["msgfolderroot"] || (inner.len() > outer.len() && inner.starts_with(&outer))
}
