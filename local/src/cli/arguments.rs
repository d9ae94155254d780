//! What can be typed: commands, options and their help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Imports mail from Microsoft 365 mailboxes: every message becomes one record, one event and one readable story.
#[derive(Debug, Parser)]
#[command(
    name = "postroom",
    version,
    disable_help_subcommand = true,
    after_help = "Try `postroom demo` first: a simulated tenant, no account needed.\n\
        Then: credential add, credential authorize, account add, import, messages, serve.\n\n\
        Exit codes: 0 done, 1 failed, 2 typed wrong, 3 something is owed, 4 an admin must act,\n\
        5 Microsoft was not available, 6 disk, store or vault need an operator."
)]
pub(crate) struct Arguments {
    /// Where Postroom keeps its data [env: `POSTROOM_DATA_DIR`; default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print one JSON value on standard output and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log on standard error, such as `info` or `shared=debug` [env: `POSTROOM_LOG`]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all with a simulated tenant; Ctrl-C cleans up
    #[cfg(feature = "demo")]
    Demo(DemoArguments),
    /// Run the enabled accounts on their schedules until it is stopped
    Serve(ServeArguments),
    /// Print a one-time link into the console of the running `serve`
    Console {
        /// Open no browser
        #[arg(long)]
        no_browser: bool,
    },
    /// The app registration with which Postroom gets in
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// The mailboxes to import
    #[command(subcommand)]
    Account(AccountCommand),
    /// Import now and report; exits with 0 only if nothing is owed
    #[command(after_help = "Examples:\n  postroom import orders\n  postroom --json import --all")]
    Import(ImportArguments),
    /// List messages, newest first
    #[command(
        after_help = "Examples:\n  postroom messages --account orders --limit 20\n  postroom messages --search invoice"
    )]
    Messages(MessagesArguments),
    /// Show one message with its story
    #[command(after_help = "Example:\n  postroom message k3v7    (the beginning of the id in `postroom messages`)")]
    Message {
        /// Id of the message, the beginning of it, or its Message-ID
        id: String,
    },
    /// List the runs that did something, newest first
    Runs(ListArguments),
    /// List what is owed or set aside; retry or dismiss it
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  postroom owed\n  postroom owed retry k3v7\n  postroom owed dismiss --account orders --all"
    )]
    Owed {
        /// Only this account
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        #[command(subcommand)]
        verb: Option<OwedCommand>,
    },
    /// Print the events, oldest of the last first
    #[command(after_help = "Example:\n  postroom events --follow    (one JSON line per event, until Ctrl-C)")]
    Events(EventsArguments),
    /// List what admins did, newest first
    Audit {
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
        limit: usize,
    },
    /// One screen: every account, its last success, what is owed; exits with 1 if an account is silent for too long
    Status,
    /// Try everything, step by step: redirect URI, login host and clock, credentials, mailboxes; a report that may be sent on
    Doctor {
        /// Only this account
        id: Option<String>,
    },
    /// Say what a code of Microsoft's means: cause, who must act, on which screen, whether to try again
    #[command(after_help = "Examples:\n  postroom explain AADSTS7000222\n  postroom explain ErrorAccessDenied")]
    Explain {
        /// An AADSTS number, an `error` of Entra's, a code of Graph's, or an HTTP status
        code: Option<String>,
        /// The whole catalogue in Markdown
        #[arg(long, conflicts_with = "code")]
        markdown: bool,
    },
    /// Where secrets are kept
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Remove bytes from the archive that no record names
    Reconcile {
        /// Only this account
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Real mail for the simulated mailboxes: a directory of .eml and mbox files
    #[arg(long, value_name = "DIR")]
    pub(crate) mail: Option<PathBuf>,
    /// Generated messages per mailbox [default: 40, or 0 with --mail]
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<usize>,
    /// Keep the data in this directory, which must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// End after the first import
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Loopback address and port of the console
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8400")]
    pub(crate) listen: String,
    /// How a browser reaches this machine; the Redirect URI of the app registration begins with it
    #[arg(long, value_name = "URL", default_value = "http://localhost:8400")]
    pub(crate) public_url: String,
}

/// As typed on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Grant {
    ClientCredentials,
    AuthorizationCode,
}

/// How the app proves itself. A secret never comes from an argument, which others could see.
#[derive(Debug, Args)]
pub(crate) struct SecretArguments {
    #[command(flatten)]
    pub(crate) source: SecretSource,
    /// Read the password of a PKCS#12 file from standard input [default: it is asked for]
    #[arg(long, requires = "certificate")]
    pub(crate) certificate_password_stdin: bool,
    /// Read the password of a PKCS#12 file from the first line of a file
    #[arg(
        long,
        value_name = "FILE",
        requires = "certificate",
        conflicts_with = "certificate_password_stdin"
    )]
    pub(crate) certificate_password_file: Option<PathBuf>,
    /// When the client secret expires, as the portal shows it; Postroom warns before
    #[arg(long, value_name = "2027-01-31", default_value = "", conflicts_with_all = ["certificate", "federated_token_file"])]
    pub(crate) secret_expires: String,
}

/// Where it comes from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SecretSource {
    /// Read the client secret from standard input
    #[arg(long)]
    pub(crate) client_secret_stdin: bool,
    /// Read the client secret from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// A PEM or PKCS#12 file with a certificate and its RSA key, instead of a client secret
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// A file with a federated token, instead of any secret; read at each use
    #[arg(long, value_name = "FILE")]
    pub(crate) federated_token_file: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Make a credential from an app registration in Microsoft Entra ID
    #[command(after_help = "Example (asks for the client secret):\n  \
        postroom credential add --id contoso --description 'Contoso mail' --grant client-credentials \\\n    \
        --token-url https://login.microsoftonline.com/TENANT-ID/oauth2/v2.0/token \\\n    \
        --client-id CLIENT-ID --scope https://graph.microsoft.com/.default")]
    Add {
        /// Short name: a-z, 0-9 and -
        #[arg(long)]
        id: String,
        /// For people
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// How tokens are got
        #[arg(long, value_name = "GRANT")]
        grant: Grant,
        #[command(flatten)]
        fields: CredentialFields,
        #[command(flatten)]
        secret: SecretArguments,
    },
    /// List credentials
    List,
    /// Show a credential; never its secret
    Show { id: String },
    /// Change what is given, keep the rest
    #[command(
        after_help = "Example (a new client secret):\n  postroom credential edit contoso --client-secret-stdin < secret.txt"
    )]
    Edit {
        id: String,
        /// For people
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// How tokens are got
        #[arg(long, value_name = "GRANT")]
        grant: Option<Grant>,
        #[command(flatten)]
        fields: CredentialFields,
        #[command(flatten)]
        secret: SecretArguments,
    },
    /// Put a new client secret beside the old one, which stays until the new one has worked
    #[command(
        after_help = "Example:\n  postroom credential roll contoso --client-secret-stdin --secret-expires 2028-01-31 < secret.txt"
    )]
    Roll {
        id: String,
        #[command(flatten)]
        secret: SecretArguments,
    },
    /// Get an access token and say what it may do
    Authorize(AuthorizeArguments),
    /// Try which mailboxes the app reads, and say how to limit it
    #[command(
        after_help = "Example:\n  postroom credential reach contoso --must-read orders@contoso.example --must-not-read ceo@contoso.example\n\n\
        The mailboxes are remembered and tried once a day; a change is told. Giving any replaces all that were named before."
    )]
    Reach {
        id: String,
        /// A mailbox the app must be able to read; may be given several times
        #[arg(long, value_name = "ADDRESS")]
        must_read: Vec<String>,
        /// A mailbox the app must not be able to read; may be given several times
        #[arg(long, value_name = "ADDRESS")]
        must_not_read: Vec<String>,
        /// Forget the mailboxes that were named
        #[arg(long, conflicts_with_all = ["must_read", "must_not_read"])]
        forget: bool,
    },
    /// Use a credential for these accounts from now on
    Apply {
        id: String,
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Remove a credential and its secrets
    Remove {
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuthorizeArguments {
    /// Id of the credential
    pub(crate) id: String,
    /// Authorization code: another person may take over from the one who signed in first
    #[arg(long)]
    pub(crate) another_person: bool,
    /// Print the link and do not wait for the sign-in (needs a running `serve`)
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Open no browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// How a browser reaches this machine, if `serve` is not running
    #[arg(long, value_name = "URL", default_value = "http://localhost:8400")]
    pub(crate) public_url: String,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialFields {
    /// Authorization code only; may carry a query such as `?prompt=select_account`
    #[arg(long, value_name = "URL")]
    pub(crate) authorization_url: Option<String>,
    /// Access token URL: `https://login.microsoftonline.com/TENANT-ID/oauth2/v2.0/token`
    #[arg(long, value_name = "URL")]
    pub(crate) token_url: Option<String>,
    /// Application (client) id
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// `https://graph.microsoft.com/.default`, or `Mail.ReadWrite offline_access`
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
    /// Graph base URL with its version [default: follows from the login host]
    #[arg(long, value_name = "URL")]
    pub(crate) graph_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add a mailbox to import
    #[command(after_help = "Examples:\n  \
        postroom account add --id orders --mailbox orders@contoso.example --credential contoso --start now\n  \
        postroom account add --id desk --mailbox desk@contoso.example --credential contoso --folder inbox \\\n    \
        --folder 'Inbox/Claims' --start 2026-01-31 --after-import move:Inbox/Done --every 2m")]
    Add {
        /// Short name: a-z, 0-9 and -
        #[arg(long)]
        id: String,
        /// Address of the mailbox, its object id, or `me` for the person who signed in
        #[arg(long, value_name = "ADDRESS")]
        mailbox: String,
        /// Where to start: `now`, `everything`, or a day (UTC)
        #[arg(long, value_name = "now|everything|2026-01-31")]
        start: String,
        /// The credential to apply on it
        #[arg(long, value_name = "ID")]
        credential: String,
        #[command(flatten)]
        fields: AccountFields,
        /// Do not run it on schedule yet
        #[arg(long)]
        disabled: bool,
    },
    /// List accounts
    List,
    /// Show an account and how far it is
    Show { id: String },
    /// Change what is given, keep the rest
    Edit {
        id: String,
        /// Cannot be changed: add another account instead
        #[arg(long, value_name = "ADDRESS", hide = true)]
        mailbox: Option<String>,
        /// Where to start; walks every folder anew, emits nothing twice
        #[arg(long, value_name = "now|everything|2026-01-31")]
        start: Option<String>,
        /// The credential to apply on it
        #[arg(long, value_name = "ID")]
        credential: Option<String>,
        #[command(flatten)]
        fields: AccountFields,
        /// Leave subfolders out
        #[arg(long, conflicts_with = "subfolders")]
        no_subfolders: bool,
    },
    /// Try credential, token, mailbox and folders without importing
    Check { id: String },
    /// Run it on schedule
    Enable { id: String },
    /// Run it no more on schedule; `postroom import` still works
    Disable { id: String },
    /// Remove an account; records, archive and events stay
    Remove {
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AccountFields {
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// A folder: `inbox`, a path such as `Inbox/Orders`, or `id:`; may be given several times [default: inbox]
    #[arg(long = "folder", value_name = "FOLDER")]
    pub(crate) folders: Vec<String>,
    /// Their subfolders, too
    #[arg(long)]
    pub(crate) subfolders: bool,
    /// What to do in the mailbox after import [default: none]
    #[arg(long, value_name = "none|mark-read|move:FOLDER|delete")]
    pub(crate) after_import: Option<String>,
    /// How often, 10s to 1d [default: 5m]
    #[arg(long, value_name = "INTERVAL")]
    pub(crate) every: Option<String>,
    /// The largest message, 1MB to 2GB; a larger one is set aside [default: 200MB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_message: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The account
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) id: Option<String>,
    /// All enabled accounts, four at a time
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not wait if another run is at work on the mailbox
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MessagesArguments {
    /// Only this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// Only with this text in subject, sender, Message-ID, folder or id
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    pub(crate) limit: usize,
    /// Go on after this mark, printed below the page before
    #[arg(long, value_name = "MARK")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// Only this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    pub(crate) limit: usize,
    /// Print each event as one JSON line as it is delivered, until Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OwedCommand {
    /// Try again with the next run
    Retry(OwedSelection),
    /// Never import it; its record stays and says so
    Dismiss(OwedSelection),
}

#[derive(Debug, Args)]
pub(crate) struct OwedSelection {
    /// Ids of messages, or the beginnings of them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Only of this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// Everything the account owes
    #[arg(long, requires = "account")]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Say where the vault's key comes from
    Status,
    /// Seal all secrets with a new key from another source
    Rewrap {
        /// Where the new key comes from
        #[arg(long)]
        to: KeyFrom,
    },
}

/// As typed on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyFrom {
    KeyFile,
    Passphrase,
    Keyring,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err("give a whole number from 1 to 1000".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_agree_with_each_other() {
        super::Arguments::command().debug_assert();
    }
}
