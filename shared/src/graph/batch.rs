//! Marks by the batch: one way to Microsoft for many.
//!
//! Source: Microsoft Graph, "JSON batching" and "Throttling and batching": at most 20 parts; each is counted, throttled and
//! answered on its own; `dependsOn` makes them run one after the other, and what depends on a failed part is answered 424.

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::message::ImmutableId;

use super::{
    client::{Call, GraphClient},
    counts::Kind,
    error::{GraphError, GraphErrorKind, retry_after_text},
};

impl GraphClient {
    /// How many marks the next request should carry while so many wait, by what this run has seen.
    pub fn marks_at_once(&self, waiting: usize) -> usize {
        self.pace.marks(waiting)
    }

    /// Marks messages as read with one request, one after the other: it takes one of the four slots, and as many requests of the
    /// budget as there are marks. Answers for each whether it is done; the others are to be marked by themselves.
    pub async fn mark_read_together(&self, ids: &[ImmutableId]) -> Result<Vec<bool>, GraphError> {
        let parts = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let call = Call {
            method: Method::POST,
            body: Some(json!({ "requests": self.parts(ids) })),
            parts,
            // The marks can go alone; trying long would only cost time.
            tries: 2,
            ..Call::get(Kind::Write, self.root(&["$batch"]))
        };
        let answer = match self.json(&call).await {
            Ok(answer) => answer.value,
            Err(error) => {
                // What does not let batches through, a proxy or a policy, must not cost a request per batch.
                if !matches!(error.kind, GraphErrorKind::Throttled { .. }) {
                    self.pace.refused();
                }
                return Err(error);
            }
        };
        let answers = answer
            .get("responses")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let done: HashSet<usize> = answers.iter().filter_map(|part| self.took(part)).collect();
        if done.is_empty() {
            self.pace.refused();
        }
        Ok((0..ids.len()).map(|at| done.contains(&at)).collect())
    }

    fn parts(&self, ids: &[ImmutableId]) -> Vec<Value> {
        let below = self.settings.base.path().trim_end_matches('/');
        let relative = |url: &Url| url.path().strip_prefix(below).unwrap_or(url.path()).to_owned();
        let part = |(at, id): (usize, &ImmutableId)| {
            let mut part = json!({
                "id": at.to_string(),
                "method": "PATCH",
                "url": relative(&self.url(&["messages", &id.0])),
                "headers": { "Content-Type": "application/json", "Prefer": "IdType=\"ImmutableId\"" },
                "body": { "isRead": true },
            });
            if at > 0 {
                part["dependsOn"] = json!([(at - 1).to_string()]);
            }
            part
        };
        ids.iter().enumerate().map(part).collect()
    }

    /// The part that is done. One that was throttled holds everybody, as a single request would.
    fn took(&self, part: &Value) -> Option<usize> {
        let status = part.get("status").and_then(Value::as_u64).unwrap_or_default();
        if (200..300).contains(&status) {
            return part.get("id").and_then(Value::as_str)?.parse().ok();
        }
        if status == 429 {
            self.counts.throttled.fetch_add(1, Ordering::Relaxed);
            let wish = header(part, "retry-after").and_then(|text| retry_after_text(text, self.clock.now()));
            self.governor.hold(wish.unwrap_or(Duration::from_secs(2)));
        }
        None
    }
}

/// A header of a part; names are written in any case.
fn header<'p>(part: &'p Value, name: &str) -> Option<&'p str> {
    let headers = part.get("headers")?.as_object()?;
    let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found?.1.as_str()
}
