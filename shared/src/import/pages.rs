//! Reading a page and telling what is new on it. The cursor stays where it is: it moves with the commit.

mod listing;

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    account::MailboxKey,
    graph::{Change, DELTA_QUERY, GraphClient, GraphError, GraphErrorKind, MailPage, PAGE_SIZE, PageLink},
    message::{Disposition, Envelope, ImmutableId, Message, MessageKey},
    ports::{Query, Store},
    records::{RecordError, accounts::Accounts, messages::Messages},
};

use super::{
    folder::{FolderProgress, RESETS_IN_A_ROW, Walk, fingerprint},
    report::Problem,
    rules,
};

use listing::{Listing, may_be_missing};

/// How many pages in a row may say the same, or nothing, before the walk is taken for a loop.
const SAME_PAGES: u32 = 3;
const EMPTY_PAGES: u32 = 500;
/// The same of a folder whose delta has not worked for a while: every run asks, and need not ask five hundred times.
const EMPTY_PAGES_OF_A_PROBE: u32 = 20;

/// Reading one folder, within one run.
#[derive(Debug)]
pub(super) struct Reader {
    /// Digest of the folder's id.
    pub(super) key: String,
    /// Where reading stands; ahead of what is committed.
    pub(super) at: FolderProgress,
    /// Nothing more to read in this run.
    pub(super) done: bool,
    /// The round was begun by an earlier run.
    resumed: bool,
    /// Items asked for per page; halved when a page fails.
    size: u32,
    /// The next page of a listing, while the folder is fed by one.
    listing: Option<Listing>,
    links: HashSet<u64>,
    last_ids: Option<u64>,
    same: u32,
    empty: u32,
    resets_here: u32,
    /// Fingerprints of mail from before the start, read when first needed.
    before: Option<HashSet<u64>>,
}

/// A message that is to be looked after.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) key: MessageKey,
    pub(super) id: ImmutableId,
    pub(super) envelope: Envelope,
    /// Its record, if there is one.
    pub(super) record: Option<Box<Message>>,
    /// The page said only that it left: where it is has to be asked.
    pub(super) left: bool,
    /// The folder was on its first walk.
    pub(super) first_walk: bool,
}

/// What a page brought.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    pub(super) known: u64,
    /// Fingerprints of mail from before the start that was counted.
    pub(super) before: Vec<u64>,
    pub(super) problems: Vec<Problem>,
    /// A page was read (a reset or a smaller try brings none).
    pub(super) read: bool,
}

/// What classification needs to know.
pub(super) struct Context<'a> {
    pub(super) client: &'a GraphClient,
    pub(super) store: Arc<dyn Store>,
    pub(super) mailbox: &'a MailboxKey,
    pub(super) account: &'a str,
    /// The start; nothing: everything.
    pub(super) start: Option<Timestamp>,
    pub(super) start_epoch: i64,
    pub(super) now: Timestamp,
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum PageError {
    /// The run is concerned.
    Graph(GraphError),
    /// The store said no.
    Record(RecordError),
}

impl From<RecordError> for PageError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// The partition of fingerprints of an account under its present start.
pub(super) fn before_partition(account: &str, epoch: i64) -> String {
    format!("before#{account}#{epoch}")
}

impl Reader {
    pub(super) fn new(key: String, mut at: FolderProgress) -> Self {
        if at.link.is_some() && at.query != DELTA_QUERY {
            info!(
                folder = at.name,
                "the delta query has changed; the folder is walked anew"
            );
            at.walk_anew();
        }
        let listing = Listing::of(&at);
        Self {
            key,
            // A folder fed by listing is asked for its delta once, with the smallest page.
            size: if at.listing.is_some() { 1 } else { PAGE_SIZE },
            resumed: at.midway && at.link.is_some(),
            at,
            done: false,
            listing,
            links: HashSet::new(),
            last_ids: None,
            same: 0,
            empty: 0,
            resets_here: 0,
            before: None,
        }
    }

    /// Reads the next page.
    pub(super) async fn read(&mut self, context: &Context<'_>) -> Result<Page, PageError> {
        let mut page = Page::default();
        let result = match &self.listing {
            Some(listing) => context.client.listing(&self.at.id, listing.link.as_deref()).await,
            None => match &self.at.link {
                Some(link) => context.client.next_page(link, self.size).await,
                None => context.client.first_page(&self.at.id, self.size).await,
            },
        };
        match result {
            Ok(mail) => {
                page.read = true;
                self.size = (self.size * 2).min(PAGE_SIZE);
                self.classify(context, &mail, &mut page).await?;
                self.go_on(context.now, mail, &mut page);
            }
            Err(error) if self.listing.is_none() && may_be_missing(&error, self.at.link.is_some()) => {
                self.without_delta(context, error, &mut page).await?;
            }
            Err(error) => self.trouble(error, &mut page)?,
        }
        Ok(page)
    }

    fn problem(&mut self, page: &mut Page, what: String, request_id: Option<String>) {
        warn!(folder = self.at.name, problem = what, "folder");
        self.at.problem = Some(what.clone());
        page.problems.push(Problem {
            folder: Some(self.at.name.clone()),
            what,
            request_id,
        });
    }

    fn trouble(&mut self, error: GraphError, page: &mut Page) -> Result<(), PageError> {
        let GraphError { kind, status, .. } = &error;
        match kind {
            // A listing has no state to reset: what it showed is imported, the next run asks anew.
            GraphErrorKind::Reset | GraphErrorKind::Foreign | GraphErrorKind::Refused if self.listing.is_some() => {
                self.problem(page, error.what, error.request_id);
                self.forget_list();
                self.done = true;
            }
            // Neither changes nor a list: this folder waits for the next run and holds no other.
            GraphErrorKind::Unavailable | GraphErrorKind::Corrupt
                if self.listing.is_some() && matches!(status, Some(500 | 501 | 504)) =>
            {
                let what = format!("neither its changes nor its list can be read ({error}); the next run tries again");
                self.problem(page, what, error.request_id.clone());
                self.done = true;
            }
            // A link that is not taken any more, in words nobody foresaw, is a lost state like any other (P40).
            GraphErrorKind::Refused if self.listing.is_none() && self.at.link.is_some() => {
                self.reset(
                    page,
                    "Microsoft does not take its own link any more",
                    error.request_id.clone(),
                );
            }
            GraphErrorKind::Reset => self.reset(
                page,
                "Microsoft has forgotten how far it was read",
                error.request_id.clone(),
            ),
            GraphErrorKind::NotFound => {
                // What is not there is fed by nothing; the next run looks for it under its name.
                self.at.listing = None;
                self.forget_list();
                self.at.no_delta = false;
                self.problem(
                    page,
                    "the folder is not there any more; it was deleted or moved. Change the folders of the account"
                        .into(),
                    error.request_id,
                );
                self.done = true;
            }
            // One corrupt item makes a whole page fail: smaller and smaller pages leave it alone (P45).
            GraphErrorKind::Unavailable | GraphErrorKind::Corrupt
                if self.listing.is_none() && matches!(status, Some(500 | 504)) =>
            {
                if self.size > 1 {
                    self.size /= 2;
                } else {
                    let what = format!("its changes cannot be read ({error}); it is fed by listing until they can be");
                    self.feed_by_listing(page, what, error.request_id.clone());
                }
            }
            GraphErrorKind::Foreign => {
                self.problem(page, error.what, error.request_id);
                self.reset(page, "its link leads elsewhere", None);
            }
            _ => return Err(PageError::Graph(error)),
        }
        Ok(())
    }

    /// A reset is a normal outcome: once per run the folder is walked anew; three in a row are said loudly.
    fn reset(&mut self, page: &mut Page, why: &str, request_id: Option<String>) {
        self.at.resets += 1;
        self.resets_here += 1;
        self.resumed = false;
        self.at.walk_anew();
        self.links.clear();
        self.last_ids = None;
        info!(
            folder = self.at.name,
            why,
            resets = self.at.resets,
            "the folder is walked anew"
        );
        if self.at.resets >= RESETS_IN_A_ROW {
            let what = format!(
                "{why}, {} times in a row without one complete walk; it is fed by listing. If it stays so, ask Microsoft's support",
                self.at.resets
            );
            self.feed_by_listing(page, what, request_id);
        } else if self.resets_here > 1 {
            self.done = true;
            let what = format!("{why}, twice in this run; the next run goes on");
            self.problem(page, what, request_id);
        }
    }

    fn go_on(&mut self, now: Timestamp, mail: MailPage, page: &mut Page) {
        let ids = hash_of(&mail);
        self.count_page(page, now);
        match mail.link {
            PageLink::End => self.listed(now),
            PageLink::Next(_) if self.enough_listed(page) => self.done = true,
            PageLink::Delta(link) => {
                self.at.complete(link, now);
                // What arrived since an earlier run began this round may lie on a page that was passed by then.
                self.done = !std::mem::take(&mut self.resumed);
            }
            PageLink::Next(link) => {
                self.empty = if mail.changes.is_empty() { self.empty + 1 } else { 0 };
                self.same = if !mail.changes.is_empty() && self.last_ids == Some(ids) {
                    self.same + 1
                } else {
                    0
                };
                self.last_ids = Some(ids);
                let probe = self.at.resets >= RESETS_IN_A_ROW && self.listing.is_none();
                let most_empty = if probe { EMPTY_PAGES_OF_A_PROBE } else { EMPTY_PAGES };
                let again = !self.links.insert(hash(&link));
                if again || self.same >= SAME_PAGES || self.empty >= most_empty {
                    if self.listing.is_some() {
                        self.done = true;
                        self.forget_list();
                        self.problem(
                            page,
                            "Microsoft's listing leads back to itself; what it showed is imported".into(),
                            None,
                        );
                    } else {
                        self.reset(page, "Microsoft's pages lead back to themselves", None);
                    }
                    return;
                }
                match self.listing {
                    Some(_) => self.list_on(link),
                    None => {
                        self.at.link = Some(link);
                        self.at.midway = true;
                        self.at.query = DELTA_QUERY;
                    }
                }
            }
        }
    }

    async fn classify(&mut self, context: &Context<'_>, mail: &MailPage, page: &mut Page) -> Result<(), PageError> {
        let keys: Vec<MessageKey> = mail
            .changes
            .iter()
            .map(|change| MessageKey::of(context.mailbox, change.id()))
            .collect();
        let messages = Messages::new(Arc::clone(&context.store));
        let known = messages.known(context.mailbox, &keys).await?;
        let mut known: std::collections::HashMap<MessageKey, Message> = known
            .into_iter()
            .map(|message| (message.key.clone(), message))
            .collect();
        for (change, key) in mail.changes.iter().zip(keys) {
            let record = known.remove(&key);
            let (envelope, left) = match change {
                Change::Present(_, envelope) => (envelope.clone(), false),
                Change::Left(_) => (Envelope::default(), true),
            };
            match &record {
                Some(record)
                    if !rules::look_again(record, (!left).then_some(&envelope))
                        && (left || !is_nobodys_debt(context, record).await?) =>
                {
                    page.known += u64::from(!left && record.disposition == Disposition::Imported);
                    continue;
                }
                None if self.is_from_before(context, change, &envelope, left, page).await? => continue,
                _ => {}
            }
            page.found.push(Found {
                key,
                id: change.id().clone(),
                envelope,
                record: record.map(Box::new),
                left,
                first_walk: self.at.walk == Walk::First,
            });
        }
        Ok(())
    }

    /// What the first walk shows from before the start is counted, not recorded; its fingerprint tells later that it
    /// was there already, and is not new here (P35, P46).
    async fn is_from_before(
        &mut self,
        context: &Context<'_>,
        change: &Change,
        envelope: &Envelope,
        left: bool,
        page: &mut Page,
    ) -> Result<bool, RecordError> {
        let Some(start) = context.start else { return Ok(false) };
        let old = envelope.received.is_some_and(|received| received < start);
        if !old && !left {
            return Ok(false);
        }
        let print = fingerprint(change.id());
        if self.at.walk == Walk::First {
            // A first walk that says something left says nothing about mail of ours.
            if !left && !self.before(context).await?.contains(&print) {
                self.before(context).await?.insert(print);
                page.before.push(print);
            }
            return Ok(!left || self.before(context).await?.contains(&print));
        }
        Ok(self.before(context).await?.contains(&print))
    }

    async fn before(&mut self, context: &Context<'_>) -> Result<&mut HashSet<u64>, RecordError> {
        if self.before.is_none() {
            let mut prints = HashSet::new();
            if self.at.fingerprints > 0 {
                let mut query = Query {
                    from: Some(format!("{}#", self.key)),
                    until: Some(format!("{}$", self.key)),
                    ..Query::all(before_partition(context.account, context.start_epoch))
                };
                loop {
                    let rows = context.store.query(&query).await?;
                    for item in &rows.items {
                        let row: Vec<String> = crate::records::required(item, "prints")?;
                        prints.extend(row.iter().filter_map(|print| u64::from_str_radix(print, 16).ok()));
                    }
                    match rows.next {
                        Some(mark) => query.after = Some(mark),
                        None => break,
                    }
                }
            }
            self.before = Some(prints);
        }
        Ok(self.before.get_or_insert_default())
    }
}

/// Owed or set aside by an account that was removed: nobody would try it again, so whoever sees it takes it over.
async fn is_nobodys_debt(context: &Context<'_>, record: &Message) -> Result<bool, RecordError> {
    let debt = matches!(record.disposition, Disposition::Owed | Disposition::Quarantined);
    if !debt || record.account == context.account {
        return Ok(false);
    }
    match Accounts::new(Arc::clone(&context.store)).get(&record.account).await {
        Ok(_) => Ok(false),
        Err(RecordError::Missing { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

fn hash(text: &str) -> u64 {
    fingerprint(&ImmutableId(text.to_owned()))
}

fn hash_of(mail: &MailPage) -> u64 {
    let mut ids: Vec<&str> = mail.changes.iter().map(|change| change.id().0.as_str()).collect();
    ids.sort_unstable();
    hash(&ids.join("\n"))
}
