//! The adapters over AWS services: one file each.
//!
//! | file | port | service |
//! |---|---|---|
//! | `dynamo.rs` (`dynamo_values`, `dynamo_write`, `dynamo_query`, `dynamo_verdict`) | `Store` | DynamoDB, one table |
//! | `secrets.rs` (`secret_labels`) | `Vault` | Secrets Manager |
//! | `schedules.rs` | `Scheduler` | EventBridge Scheduler |
//! | `event_bus.rs` | `Publisher` | EventBridge |
//! | `token_calls.rs` | `Tokens` | Lambda: invokes token-refresh |
//! | `check_calls.rs` | `Checks` | Lambda: invokes the importer |
//! | `platform_proofs.rs` | `OutsideProofs` | STS: tokens for the function's own role; KMS: signatures |
//! | `bucket.rs` | the archive | S3 |
//! | `walls.rs` | what a function has no right to | |

mod bucket;
mod check_calls;
mod dynamo;
mod dynamo_query;
mod dynamo_values;
mod dynamo_verdict;
mod dynamo_write;
mod event_bus;
mod invoke;
mod platform_proofs;
mod schedules;
mod secret_labels;
mod secrets;
mod token_calls;
mod walls;

pub use bucket::{archive, objects};
pub use check_calls::{CheckCalls, Try};
pub use dynamo::DynamoStore;
pub use event_bus::{EventBus, SOURCE};
pub use platform_proofs::PlatformProofs;
pub use schedules::{EventBridgeScheduler, Firing};
pub use secrets::SecretsVault;
pub use token_calls::{Ask, Redeem, TokenCalls};
pub use walls::{OwnSecretOnly, Wall};
