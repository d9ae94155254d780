//! The program's arguments.

use clap::Parser;
use std::path::PathBuf;

/// Microsoft 365 on the wire, simulated: token endpoint and Graph mail, with faults.
#[derive(Debug, Parser)]
#[command(name = "simulator", version)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8410")]
    pub(crate) listen: String,
    /// Mail for the inboxes: a directory of .eml and mbox files (read with all below it), or one such file.
    #[arg(long, value_name = "DIR")]
    pub(crate) mail: Option<PathBuf>,
    /// Notes every answer of Graph in this file, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Generated messages per inbox [default: 25, or 0 with --mail].
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<usize>,
    /// Address of a mailbox; may be given several times [default: desk@harbour-homes.example].
    #[arg(long = "mailbox", value_name = "ADDRESS")]
    pub(crate) mailbox: Vec<String>,
    /// Address of another person who can sign in and may read all the mailboxes; may be given several times.
    #[arg(long = "user", value_name = "ADDRESS")]
    pub(crate) user: Vec<String>,
    /// Redirect URI to register, besides the one there always is; may be given several times.
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub(crate) redirect_uri: Vec<String>,
    /// Serve TLS with an own certificate authority and write its ca.pem into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) tls: Option<PathBuf>,
    /// Deliver a new message every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drip: Option<u64>,
    /// Time the service takes per request, milliseconds; holds a slot of the mailbox.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) latency_ms: u64,
    /// Time a request is on its way, milliseconds; holds no slot.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) network_ms: u64,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A fault to arm, as JSON: {"on":"value","fault":{"type":"emptyNotFound"}}.
    #[arg(long, value_name = "JSON")]
    pub(crate) fault: Vec<String>,
    /// Never throttle.
    #[arg(long)]
    pub(crate) no_limits: bool,
    /// Change MIME boundaries on every read.
    #[arg(long)]
    pub(crate) vary_mime: bool,
    /// Read a disputed fact otherwise, e.g. resetAs=badRequest.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) reading: Vec<String>,
    /// Print one JSON value instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// The mailboxes asked for, or the one there always is.
    pub(crate) fn mailboxes(&self) -> Vec<String> {
        if self.mailbox.is_empty() {
            vec!["desk@harbour-homes.example".to_owned()]
        } else {
            self.mailbox.clone()
        }
    }
}
