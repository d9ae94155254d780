//! The facts on which documents are silent or disagree: one switch each, with both readings.
//!
//! The first reading of each is the default, chosen to be the less comfortable one.

use serde::{Deserialize, Serialize};

/// Does a PATCH of `isRead` come back through delta when `$select` does not name `isRead`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OwnWrites {
    /// Yes: any change of the item reports it.
    #[default]
    Echo,
    /// No: only changes of selected properties do.
    OnlySelected,
}

/// The reason in `@removed` for a message that was moved to another folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MoveReason {
    /// `deleted`, as in every captured mail answer.
    #[default]
    Deleted,
    /// `changed`, the general Graph wording.
    Changed,
}

/// Immutable ids, A -> B -> A between two rounds of A (quirk Q2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReturnVisit {
    /// Reported as removed and not re-added until it changes again.
    #[default]
    Lost,
    /// Reported as present.
    Reported,
}

/// Older messages moved into a folder (quirk Q1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MovedIn {
    /// Returned twice in one round.
    #[default]
    Twice,
    /// Returned once.
    Once,
}

/// Where DELETE puts a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeleteTo {
    /// Deleted Items; a second delete goes to Recoverable Items.
    #[default]
    DeletedItems,
    /// Recoverable Items at once.
    RecoverableItems,
}

/// `Content-Type` of a message's `$value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ValueType {
    /// `text/plain`, as seen.
    #[default]
    TextPlain,
    /// `application/octet-stream`, as in the `OpenAPI` description.
    OctetStream,
}

/// `$value` below `/mailFolders/{id}/messages/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FolderValue {
    /// 405, as people report.
    #[default]
    Refused,
    /// Works, as documented.
    Served,
}

/// How a delta reset is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResetAs {
    /// 410 with `Location`.
    #[default]
    Gone,
    /// 400 `syncStateNotFound`.
    BadRequest,
    /// 404 `syncStateNotFound`.
    NotFound,
}

/// Does the plain `mailFolders` list contain nested folders?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NestedFolders {
    /// No: children of the root only, as documented.
    #[default]
    Absent,
    /// Yes: the whole tree.
    Present,
}

/// Are the changes of a folder's messages offered? An older document says: not in the clouds of the US government. What is
/// answered where they are not is told nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeTracking {
    /// Yes.
    #[default]
    Offered,
    /// No: 400.
    BadRequest,
    /// No: 404 with a code that also stands for a mailbox that is not there.
    NotFound,
    /// No: 501.
    NotImplemented,
}

/// Case of the reset codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CodeCase {
    /// `SyncStateNotFound`, as people see it.
    #[default]
    Pascal,
    /// `syncStateNotFound`, as documented.
    Camel,
}

/// How many parts of a `$batch` reach a mailbox at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchWidth {
    /// All of them: more than four meet the concurrency limit (reports of 2020 to 2022).
    #[default]
    All,
    /// At most four.
    AtMostFour,
}

/// The letters of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IdAlphabet {
    /// Standard base64: `+`, `/` and `=` occur and must be percent-encoded in a path.
    #[default]
    Standard,
    /// URL-safe base64: `-`, `_` and `=`.
    UrlSafe,
}

/// Do plain messages in lists and gets carry `@odata.type`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubtypeMark {
    /// Only subtypes do.
    #[default]
    Subtypes,
    /// Every message does.
    Every,
}

/// How `scope` of a token answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GrantedScope {
    /// `https://graph.microsoft.com/Mail.Read`, as documented.
    #[default]
    Qualified,
    /// `Mail.Read`, as captured.
    Short,
}

/// Does `scope` of a token answer list `offline_access`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OfflineScope {
    /// No: the refresh token itself tells.
    #[default]
    Absent,
    /// Yes.
    Listed,
}

/// One choice per disputed fact. JSON names are those `--reading name=value` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Readings {
    /// Does a PATCH of `isRead` come back through delta when `$select` does not name `isRead`?
    pub own_writes: OwnWrites,
    /// The reason in `@removed` for a message that was moved to another folder.
    pub move_reason: MoveReason,
    /// Immutable ids, A -> B -> A between two rounds of A (quirk Q2).
    pub return_visit: ReturnVisit,
    /// Older messages moved into a folder (quirk Q1).
    pub moved_in: MovedIn,
    /// Where DELETE puts a message.
    pub delete_to: DeleteTo,
    /// `Content-Type` of a message's `$value`.
    pub value_type: ValueType,
    /// `$value` below `/mailFolders/{id}/messages/{id}`.
    pub folder_value: FolderValue,
    /// How a delta reset is told.
    pub reset_as: ResetAs,
    /// Does the plain `mailFolders` list contain nested folders?
    pub nested_folders: NestedFolders,
    /// Case of the reset codes.
    pub code_case: CodeCase,
    /// Are the changes of a folder's messages offered? Not among [`Readings::all_variants`]: a folder is read another way then.
    pub change_tracking: ChangeTracking,
    /// How many parts of a `$batch` reach a mailbox at once.
    pub batch_width: BatchWidth,
    /// The letters of ids.
    pub id_alphabet: IdAlphabet,
    /// Do plain messages in lists and gets carry `@odata.type`?
    pub subtype_mark: SubtypeMark,
    /// How `scope` of a token answer is written.
    pub granted_scope: GrantedScope,
    /// Does `scope` of a token answer list `offline_access`?
    pub offline_scope: OfflineScope,
}

/// A `name=value` pair that names no reading.
#[derive(Debug, thiserror::Error)]
#[error("unknown reading `{given}`: {reason}; known: {}", known())]
pub struct UnknownReading {
    given: String,
    reason: String,
}

impl Readings {
    /// The default and, for every fact, the default with that one fact read otherwise.
    pub fn all_variants() -> Vec<Self> {
        let base = Self::default();
        vec![
            base,
            Self {
                own_writes: OwnWrites::OnlySelected,
                ..base
            },
            Self {
                move_reason: MoveReason::Changed,
                ..base
            },
            Self {
                return_visit: ReturnVisit::Reported,
                ..base
            },
            Self {
                moved_in: MovedIn::Once,
                ..base
            },
            Self {
                delete_to: DeleteTo::RecoverableItems,
                ..base
            },
            Self {
                value_type: ValueType::OctetStream,
                ..base
            },
            Self {
                folder_value: FolderValue::Served,
                ..base
            },
            Self {
                reset_as: ResetAs::BadRequest,
                ..base
            },
            Self {
                reset_as: ResetAs::NotFound,
                ..base
            },
            Self {
                nested_folders: NestedFolders::Present,
                ..base
            },
            Self {
                code_case: CodeCase::Camel,
                ..base
            },
            Self {
                batch_width: BatchWidth::AtMostFour,
                ..base
            },
            Self {
                id_alphabet: IdAlphabet::UrlSafe,
                ..base
            },
            Self {
                subtype_mark: SubtypeMark::Every,
                ..base
            },
            Self {
                granted_scope: GrantedScope::Short,
                ..base
            },
            Self {
                offline_scope: OfflineScope::Listed,
                ..base
            },
        ]
    }

    /// Sets one reading by its JSON name, e.g. `resetAs=badRequest`.
    pub fn set(&mut self, pair: &str) -> Result<(), UnknownReading> {
        let refused = |reason: String| UnknownReading {
            given: pair.to_owned(),
            reason,
        };
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| refused("write name=value".to_owned()))?;
        let mut json = serde_json::to_value(*self).map_err(|e| refused(e.to_string()))?;
        json[name] = serde_json::Value::from(value);
        *self = serde_json::from_value(json).map_err(|e| refused(e.to_string()))?;
        Ok(())
    }
}

fn known() -> String {
    match serde_json::to_value(Readings::default()) {
        Ok(serde_json::Value::Object(map)) => map.keys().cloned().collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_differs_from_all_others() {
        let all = Readings::all_variants();
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b), "{a:?} occurs twice");
        }
    }

    #[test]
    fn readings_are_set_by_name_and_strangers_are_refused() {
        let mut readings = Readings::default();
        readings.set("resetAs=badRequest").unwrap();
        assert_eq!(readings.reset_as, ResetAs::BadRequest);
        assert!(readings.set("resetAs=maybe").is_err());
        assert!(
            readings
                .set("weather=fine")
                .unwrap_err()
                .to_string()
                .contains("resetAs")
        );
    }
}
