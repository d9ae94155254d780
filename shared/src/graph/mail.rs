//! The calls that importing needs: folders, pages of changes, MIME, a look, and the writes after import.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use crate::message::{Envelope, ImmutableId, cut};

use super::{
    client::{Call, GraphClient, MimeStream},
    counts::Kind,
    error::{GraphError, GraphErrorKind},
};

/// Items of a delta page (asked for by `Prefer: odata.maxpagesize`; `$top` would cap the whole result).
pub const PAGE_SIZE: u32 = 200;
/// The version of our delta query. A link made by another version is not followed: the folder is walked anew.
pub const DELTA_QUERY: u32 = 1;
/// What the delta query selects: nothing that our own writes change, so that they do not come back as changes.
pub const DELTA_SELECT: &str = "id,subject,from,receivedDateTime,internetMessageId,isDraft,parentFolderId";

/// A folder as Graph describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderInfo {
    /// Graph's id.
    pub id: String,
    /// Its name, in the mailbox's language.
    pub name: String,
    /// How many folders are in it.
    pub children: u64,
    /// A search folder shows what lies elsewhere: never imported.
    pub search: bool,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is in the folder.
    Present(ImmutableId, Envelope),
    /// It has left the folder; no more is said (rule 4).
    Left(ImmutableId),
}

impl Change {
    /// Whose change.
    pub fn id(&self) -> &ImmutableId {
        match self {
            Self::Present(id, _) | Self::Left(id) => id,
        }
    }
}

/// How a page goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageLink {
    /// More of this round.
    Next(String),
    /// The round is complete; the next begins here.
    Delta(String),
    /// A listing has no more.
    End,
}

/// One page.
#[derive(Debug, Clone)]
pub struct MailPage {
    /// What is on it, the last word on each id, in order.
    pub changes: Vec<Change>,
    /// How it goes on.
    pub link: PageLink,
    /// The server's clock.
    pub server_date: Option<Timestamp>,
}

impl GraphClient {
    /// A folder by id or well-known name.
    pub async fn folder(&self, id: &str) -> Result<FolderInfo, GraphError> {
        let mut url = self.url(&["mailFolders", id]);
        url.query_pairs_mut()
            .append_pair("$select", "id,displayName,parentFolderId,childFolderCount");
        let answer = self.json(&Call::get(Kind::Folder, url)).await?;
        folder_info(&answer.value).ok_or_else(|| unreadable("a folder"))
    }

    /// The folder a well-known name stands for, and the server's clock as it answered.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, GraphError> {
        let mut url = self.url(&["mailFolders", "inbox"]);
        url.query_pairs_mut().append_pair("$select", "id");
        Ok(self.json(&Call::get(Kind::Folder, url)).await?.server_date)
    }

    /// Whether mail of this mailbox can be read: the smallest request that Microsoft answers to nobody who may not.
    pub async fn reads_mail(&self) -> Result<(), GraphError> {
        let mut url = self.url(&["mailFolders", "inbox", "messages"]);
        url.query_pairs_mut()
            .append_pair("$top", "1")
            .append_pair("$select", "id");
        let answer = self.json(&Call::get(Kind::Page, url)).await?;
        entries(&answer.value).map(drop)
    }

    /// All folders directly in a folder (`None`: the root), every page of them (P30).
    pub async fn children(&self, parent: Option<&str>) -> Result<Vec<FolderInfo>, GraphError> {
        let mut url = match parent {
            Some(id) => self.url(&["mailFolders", id, "childFolders"]),
            None => self.url(&["mailFolders"]),
        };
        url.query_pairs_mut()
            .append_pair("$top", "100")
            .append_pair("includeHiddenFolders", "true");
        let mut found = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            if !seen.insert(url.clone()) {
                return Err(looping());
            }
            let answer = self.json(&Call::get(Kind::Folder, url)).await?;
            found.extend(entries(&answer.value)?.iter().filter_map(folder_info));
            match answer.value.get("@odata.nextLink").and_then(Value::as_str) {
                Some(next) => url = self.link(next)?,
                None => return Ok(found),
            }
        }
    }

    /// The first page of a walk through a folder.
    pub async fn first_page(&self, folder: &str, size: u32) -> Result<MailPage, GraphError> {
        let mut url = self.url(&["mailFolders", folder, "messages", "delta"]);
        url.query_pairs_mut().append_pair("$select", DELTA_SELECT);
        self.page(url, size, true).await
    }

    /// The page behind a link.
    pub async fn next_page(&self, link: &str, size: u32) -> Result<MailPage, GraphError> {
        self.page(self.link(link)?, size, true).await
    }

    /// A page of a plain listing, for folders whose delta does not work. Pages shift while mail comes and goes:
    /// completeness comes from repeating it.
    pub async fn listing(&self, folder: &str, link: Option<&str>) -> Result<MailPage, GraphError> {
        let url = match link {
            Some(link) => self.link(link)?,
            None => {
                let mut url = self.url(&["mailFolders", folder, "messages"]);
                url.query_pairs_mut()
                    .append_pair("$select", "id,receivedDateTime,isDraft,parentFolderId")
                    .append_pair("$orderby", "receivedDateTime desc")
                    .append_pair("$top", "100");
                url
            }
        };
        self.page(url, 0, false).await
    }

    async fn page(&self, url: Url, size: u32, delta: bool) -> Result<MailPage, GraphError> {
        let call = Call {
            page_size: (size > 0).then_some(size),
            // A page that fails is halved by the caller; trying the same again for long would only cost time.
            tries: 3,
            ..Call::get(Kind::Page, url)
        };
        let answer = self.json(&call).await?;
        let mut changes: Vec<Change> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for entry in entries(&answer.value)? {
            let Some(change) = change(entry) else { continue };
            // The last word on an id counts (a page repeats itself).
            match places.entry(change.id().clone()) {
                std::collections::hash_map::Entry::Occupied(place) => changes[*place.get()] = change,
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(changes.len());
                    changes.push(change);
                }
            }
        }
        let link = |name: &str| answer.value.get(name).and_then(Value::as_str).map(str::to_owned);
        let link = match (link("@odata.nextLink"), link("@odata.deltaLink")) {
            (Some(next), _) => PageLink::Next(next),
            (None, Some(delta)) => PageLink::Delta(delta),
            (None, None) if !delta => PageLink::End,
            (None, None) => return Err(unreadable("a page without a link to go on")),
        };
        Ok(MailPage {
            changes,
            link,
            server_date: answer.server_date,
        })
    }

    /// The MIME of a message.
    pub async fn mime(&self, id: &ImmutableId) -> Result<MimeStream, GraphError> {
        let url = self.url(&["messages", &id.0, "$value"]);
        let stream = self.stream(&Call::stream(Kind::Mime, url)).await?;
        // Something in between answered in the mail's place: a page or an error that says 200. Graph itself says
        // text/plain or application/octet-stream here.
        let kind = stream.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with("text/html") || kind.starts_with("application/json") {
            let what =
                format!("the answer is {kind}, not the mail; something between here and Microsoft may have answered");
            return Err(GraphError::new(GraphErrorKind::Unavailable, what));
        }
        Ok(stream)
    }

    /// Where a message is now and what it says of itself; `None` if it is nowhere.
    pub async fn look(&self, id: &ImmutableId) -> Result<Option<Envelope>, GraphError> {
        let mut url = self.url(&["messages", &id.0]);
        url.query_pairs_mut().append_pair("$select", DELTA_SELECT);
        match self.json(&Call::get(Kind::Look, url)).await {
            Ok(answer) if answer.value.get("id").is_some() => Ok(Some(envelope(&answer.value))),
            // An answer that says nothing is no word on where the mail is.
            Ok(_) => Err(unreadable("a mail")),
            Err(error) if matches!(error.kind, GraphErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The whole message as JSON, for a reconstruction.
    pub(super) async fn whole(&self, id: &ImmutableId) -> Result<Value, GraphError> {
        let mut url = self.url(&["messages", &id.0]);
        url.query_pairs_mut().append_pair(
            "$select",
            "subject,from,sender,toRecipients,ccRecipients,bccRecipients,replyTo,sentDateTime,receivedDateTime,internetMessageId,internetMessageHeaders,body",
        );
        Ok(self.json(&Call::get(Kind::Mime, url)).await?.value)
    }

    /// The attachments of a message, without their content.
    pub(super) async fn attachments(&self, id: &ImmutableId) -> Result<Vec<Value>, GraphError> {
        let mut url = self.url(&["messages", &id.0, "attachments"]);
        url.query_pairs_mut()
            .append_pair("$select", "id,name,contentType,size,isInline");
        let answer = self.json(&Call::get(Kind::Mime, url)).await?;
        Ok(entries(&answer.value)?.to_vec())
    }

    /// The bytes of one attachment.
    pub(super) async fn attachment(&self, id: &ImmutableId, attachment: &str) -> Result<MimeStream, GraphError> {
        let url = self.url(&["messages", &id.0, "attachments", attachment, "$value"]);
        self.stream(&Call::stream(Kind::Mime, url)).await
    }

    /// Marks a message as read.
    pub async fn mark_read(&self, id: &ImmutableId) -> Result<(), GraphError> {
        let call = Call {
            method: Method::PATCH,
            body: Some(json!({ "isRead": true })),
            ..Call::get(Kind::Write, self.url(&["messages", &id.0]))
        };
        self.json(&call).await.map(drop)
    }

    /// Moves a message; the folder it says it is in afterwards. Not sent again when the answer was lost: the caller
    /// looks where the mail is first.
    pub async fn move_to(&self, id: &ImmutableId, folder: &str) -> Result<Option<String>, GraphError> {
        let call = Call {
            method: Method::POST,
            body: Some(json!({ "destinationId": folder })),
            repeatable: false,
            ..Call::get(Kind::Write, self.url(&["messages", &id.0, "move"]))
        };
        Ok(envelope(&self.json(&call).await?.value).folder)
    }

    /// Deletes a message as a person would. Not sent again when the answer was lost: a second time might destroy it.
    pub async fn delete(&self, id: &ImmutableId) -> Result<(), GraphError> {
        let call = Call {
            method: Method::DELETE,
            repeatable: false,
            ..Call::get(Kind::Write, self.url(&["messages", &id.0]))
        };
        self.json(&call).await.map(drop)
    }
}

fn unreadable(what: &str) -> GraphError {
    GraphError::new(
        GraphErrorKind::Unavailable,
        format!("Graph answered {what} that cannot be read"),
    )
}

fn looping() -> GraphError {
    GraphError::new(
        GraphErrorKind::Unavailable,
        "Graph's list of folders leads back to itself",
    )
}

fn entries(value: &Value) -> Result<&[Value], GraphError> {
    value
        .get("value")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| unreadable("a page without entries"))
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn folder_info(value: &Value) -> Option<FolderInfo> {
    Some(FolderInfo {
        id: text(value, "id")?,
        name: text(value, "displayName").unwrap_or_default(),
        children: value
            .get("childFolderCount")
            .and_then(Value::as_u64)
            .unwrap_or_default(),
        search: text(value, "@odata.type").is_some_and(|kind| kind.to_ascii_lowercase().contains("searchfolder")),
    })
}

fn change(value: &Value) -> Option<Change> {
    let id = ImmutableId(text(value, "id")?);
    if value.get("@removed").is_some() {
        return Some(Change::Left(id));
    }
    Some(Change::Present(id, envelope(value)))
}

/// What a message says of itself. Everything may be absent.
fn envelope(value: &Value) -> Envelope {
    let from = value.pointer("/from/emailAddress");
    Envelope {
        subject: text(value, "subject").map(|subject| cut(&subject, 500)),
        from: from
            .and_then(|from| text(from, "address"))
            .map(|address| cut(&address, 320)),
        from_name: from.and_then(|from| text(from, "name")).map(|name| cut(&name, 200)),
        received: text(value, "receivedDateTime").and_then(|at| at.parse().ok()),
        internet_message_id: text(value, "internetMessageId")
            .and_then(|id| crate::content::normalise_message_id(&id))
            .map(|id| cut(&id, 998)),
        draft: value.get("isDraft").and_then(Value::as_bool).unwrap_or_default(),
        meeting: text(value, "@odata.type").is_some_and(|kind| kind.to_ascii_lowercase().contains("eventmessage")),
        folder: text(value, "parentFolderId"),
    }
}
