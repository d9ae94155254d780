//! OAuth: how tokens are asked for, kept and renewed.
//!
//! | file | job |
//! |---|---|
//! | `authorization.rs` | a sign-in that was begun: its record, its cookie, consumed once |
//! | `token.rs` | the service: what is on record, when a token is due, the lease |
//! | `ask.rs` | one question to the token endpoint: the app's circuit, client credentials, what came of it kept |
//! | `redeem.rs` | a code becomes a grant and a token: who is it, what was granted |
//! | `refresh.rs` | a grant becomes the next grant and a token; what a refusal means |
//! | `grant.rs` | the grant in the vault: staged, promoted, never put back |
//! | `id_token.rs` `keys.rs` | who signed in, checked against the authority's keys |
//! | `client.rs` | how the app proves itself: secrets in turn, certificate, key in KMS, federated token |
//! | `registration.rs` | when a client secret ends, read from Graph where the app may |
//! | `entrance.rs` | the console's own sign-in: who is it, and what may they do |
//! | `entra.rs` | the token endpoint on the wire |
//! | `challenge.rs` | what a policy of the tenant asks for: claims, in words and fit to be sent back |
//! | `error.rs` | what failures mean; their words are the catalogue's |

mod ask;
mod authorization;
mod challenge;
mod client;
mod entra;
mod entrance;
mod error;
mod grant;
mod id_token;
mod keys;
mod redeem;
mod refresh;
mod registration;
mod token;

pub use authorization::{AuthorizationFlow, Begin, Begun, Proof, entra_origin, sha256_hex};
pub(crate) use authorization::{derive, proof, random};
pub(crate) use challenge::Challenge;
pub use client::{NoProof, OutsideProofs, federated_audience};
pub use entrance::{Entrance, Visitor};
pub use error::{TokenError, TokenErrorKind};
pub use token::{TokenService, USABLE_FOR, settings_digest, token_due, token_on_record};
