//! A record of every answer of Graph, a line of JSON each: what checks them against a description reads.

use crate::wire::{Call, Reply};
use axum::body::Body;
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The file that is written to.
#[derive(Debug, Clone)]
pub(crate) struct Record(Arc<Mutex<File>>);

impl Record {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(File::create(path)?))))
    }

    /// The answer as it is, noted when its last byte was taken or nobody wants the rest. JSON is kept; of other bodies, the size.
    pub(crate) fn tap(&self, call: &Call, reply: Reply) -> Reply {
        let (parts, body) = reply.into_parts();
        let headers: Map<String, Value> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        let is_json = headers
            .get("content-type")
            .and_then(Value::as_str)
            .is_some_and(|text| text.starts_with("application/json"));
        let mut line = Line {
            head: json!({
                "method": call.method.as_str(), "path": call.path, "query": call.query,
                "status": parts.status.as_u16(), "headers": headers,
            }),
            kept: is_json.then(Vec::new),
            gzip: parts.headers.contains_key("content-encoding"),
            size: 0,
            record: self.clone(),
        };
        let body = body.map_frame(move |frame| {
            let data = frame.data_ref().map_or(&[][..], |data| data.as_ref());
            line.size += data.len();
            if let Some(kept) = &mut line.kept {
                kept.extend_from_slice(data);
            }
            frame
        });
        Reply::from_parts(parts, Body::new(body))
    }
}

/// One answer on its way out; written when its body is dropped.
struct Line {
    head: Value,
    kept: Option<Vec<u8>>,
    /// The kept bytes are compressed, which is the only coding this simulator knows.
    gzip: bool,
    size: usize,
    record: Record,
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut line = self.head.take();
        line["size"] = self.size.into();
        if let Some(kept) = &self.kept {
            let mut plain = Vec::new();
            let whole = self.gzip && GzDecoder::new(&**kept).read_to_end(&mut plain).is_ok();
            let kept = if whole { &plain } else { kept };
            // What is no JSON although it says so is kept as a text: a fault, or a mistake to be found.
            line["body"] = serde_json::from_slice(kept).unwrap_or_else(|_| String::from_utf8_lossy(kept).into());
        }
        let mut file = self.record.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "an answer could not be recorded");
        }
    }
}
