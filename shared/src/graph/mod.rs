//! Microsoft Graph: the client with the one retry place, the governor, and the calls that importing needs.

mod batch;
mod client;
mod coding;
mod counts;
mod error;
mod governor;
mod mail;
mod pace;
mod reconstruct;
mod send;
mod token;

pub use client::{GraphClient, GraphSettings, JSON_BYTES, MimeStream};
pub use counts::{Counts, Kind, Requests};
pub use error::{GraphError, GraphErrorKind, retry_after};
pub use governor::{Governor, IN_FLIGHT, LONGEST_HOLD, REQUESTS_PER_WINDOW, WINDOW, Wait};
pub use mail::{Change, DELTA_QUERY, DELTA_SELECT, FolderInfo, MailPage, PAGE_SIZE, PageLink};
pub use token::AccessTokens;
