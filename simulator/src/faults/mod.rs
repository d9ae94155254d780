//! Faults that can be armed: what goes wrong, for which requests, how often.

pub(crate) mod answer;
pub(crate) mod board;
pub(crate) mod body;

use serde::{Deserialize, Serialize};

/// Kinds of requests, as faults and statistics tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestKind {
    /// The token endpoint.
    Token,
    /// The pages of signing in and of admin consent.
    Authorize,
    /// Discovery document and keys.
    Discovery,
    /// Folder lists and folders.
    Folders,
    /// `mailFolders/delta`.
    FoldersDelta,
    /// Plain message lists.
    List,
    /// Message delta.
    Delta,
    /// One message as JSON.
    Get,
    /// One message as MIME.
    Value,
    /// Attachments, listed or read.
    Attachment,
    /// PATCH of a message.
    Patch,
    /// Move.
    Move,
    /// Copy.
    Copy,
    /// Delete and permanent delete.
    Delete,
    /// The `$batch` request itself; its parts count as what they are.
    Batch,
    /// `translateExchangeIds`.
    Translate,
    /// Anything else below `/v1.0`.
    Other,
    /// In a fault: every kind.
    #[default]
    Any,
}

/// Forms of `Retry-After` (RFC 9110 10.2.3; Microsoft Graph throttling guidance for the decimal one).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAfter {
    /// Whole seconds.
    Seconds(u64),
    /// Seconds with a fraction, as Graph sends them.
    Decimal(f64),
    /// A date this many seconds ahead.
    DateIn(i64),
    /// No such header.
    #[default]
    Absent,
    /// 1000000000.
    Absurd,
    /// -5.
    Negative,
    /// 0.
    Zero,
    /// Not a time at all.
    Text(String),
}

/// What stands in the body of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wording {
    /// Graph's error envelope.
    #[default]
    Json,
    /// The bare words, not JSON.
    BareText,
    /// Nothing.
    Empty,
}

/// How a body ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cut {
    /// `Content-Length` promises the whole; the connection ends before it.
    ShortLength,
    /// A chunked body whose connection ends without the last chunk.
    Abort,
    /// A chunked body that ends properly, only too early: nothing on the wire tells.
    Clean,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Fault {
    /// 429.
    TooManyRequests {
        /// When to come back.
        #[serde(default)]
        retry_after: RetryAfter,
        /// What the body says.
        #[serde(default)]
        wording: Wording,
    },
    /// 503.
    Unavailable {
        /// When to come back.
        #[serde(default)]
        retry_after: RetryAfter,
        /// What the body says; empty is the common case.
        #[serde(default)]
        wording: Wording,
    },
    /// Any status with a Graph error envelope (500, 502, 504, 403, ...); no code means an empty body.
    Status {
        /// HTTP status.
        status: u16,
        /// Error code.
        #[serde(default)]
        code: Option<String>,
        /// Error message.
        #[serde(default)]
        message: String,
    },
    /// An error of Entra's shape from the token endpoint.
    Entra {
        /// HTTP status.
        status: u16,
        /// `error`.
        error: String,
        /// AADSTS number.
        code: u32,
        /// Text after the number.
        message: String,
    },
    /// Delta state lost: 410, with `Location` or without.
    Gone {
        /// Whether `Location` says where to begin again.
        location: bool,
    },
    /// Delta state lost: 400 `syncStateNotFound` (the code's case follows the reading).
    SyncStateNotFound,
    /// 401 as for an expired token. Armed once: the spurious one. Armed always: a token that no longer serves.
    TokenExpired,
    /// 403 `ErrorAccessDenied`.
    AccessDenied,
    /// 401 with a claims challenge in `WWW-Authenticate`: a Conditional Access policy wants more.
    ClaimsChallenge {
        /// The claims, as JSON.
        claims: String,
    },
    /// 404 without a body, of something that exists.
    EmptyNotFound,
    /// The body ends after so many bytes.
    CutBody {
        /// Bytes that still come.
        after: usize,
        /// How it ends.
        how: Cut,
    },
    /// The body comes in pieces with pauses.
    SlowBody {
        /// Bytes per piece.
        chunk: usize,
        /// Pause before each piece, milliseconds.
        delay_ms: u64,
    },
    /// The connection ends before any answer. In process: a body that fails at once, marked with [`ConnectionReset`].
    Reset,
    /// 500 `ErrorMimeContentConversionFailed`.
    MimeConversion,
    /// 500 `ErrorCorruptData`.
    CorruptData,
    /// A page without items and with a nextLink, before the true page.
    EmptyPage,
    /// Every item of the page twice.
    Duplicates,
    /// The page's nextLink leads back to the same page.
    LoopingLink {
        /// True: each time another link with the same page behind it.
        changing: bool,
    },
    /// The page's link leads to another host.
    ForeignLink {
        /// The whole link.
        url: String,
    },
    /// Raw control characters inside JSON strings.
    ControlCharacters,
    /// 200 with an HTML page.
    HtmlPage,
    /// 200 with an error envelope.
    ErrorInside200,
}

/// Marks a response that stands for a connection reset before any answer (extension of the response).
#[derive(Debug, Clone, Copy)]
pub struct ConnectionReset;

/// How often a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Times {
    /// So many times, then never again.
    Count(u32),
    /// Until it is cleared.
    Always,
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// A fault with its aim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultSpec {
    /// Which requests.
    #[serde(default)]
    pub on: RequestKind,
    /// Only this mailbox (address).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// Only requests for this message (either id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Leaves so many matching requests alone first.
    #[serde(default)]
    pub after: u32,
    /// How often.
    #[serde(default)]
    pub times: Times,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultSpec {
    /// `fault`, once, for the next request of kind `on`.
    pub fn once(on: RequestKind, fault: Fault) -> Self {
        Self {
            on,
            mailbox: None,
            message: None,
            after: 0,
            times: Times::Count(1),
            fault,
        }
    }

    /// The same, so many times.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Times::Count(count);
        self
    }

    /// The same, until cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = Times::Always;
        self
    }

    /// The same, after leaving so many matching requests alone.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }

    /// The same, for one mailbox.
    #[must_use]
    pub fn mailbox(mut self, address: &str) -> Self {
        self.mailbox = Some(address.to_owned());
        self
    }

    /// The same, for one message.
    #[must_use]
    pub fn message(mut self, id: &str) -> Self {
        self.message = Some(id.to_owned());
        self
    }
}
