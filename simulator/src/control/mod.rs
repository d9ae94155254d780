//! What a test or a person does to the simulated tenant: as Rust methods, over HTTP, and to look at.

pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod signin;
pub(crate) mod tenant;
pub(crate) mod truth;

/// Why a control act was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No such mailbox.
    #[error("no mailbox `{0}` in this tenant; add it first")]
    Mailbox(String),
    /// No living message of that id.
    #[error("no message with the id `{0}` in this mailbox")]
    Message(String),
    /// Something about a folder.
    #[error(transparent)]
    Folder(#[from] crate::mailbox::folders::FolderTrouble),
    /// No such person.
    #[error("no user `{0}` in this tenant; add it first")]
    User(String),
    /// No such app.
    #[error("no app `{0}` is registered")]
    App(String),
    /// The request to the control makes no sense.
    #[error("{0}")]
    Request(String),
}
