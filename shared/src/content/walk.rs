//! The walk through the parts: header, then preamble or body, then the next part, with an explicit stack.

use super::assemble;
use super::attachment::{OpenAttachment, calendar_method, method, subject};
use super::boundary::{Boundaries, Delimiter};
use super::charset;
use super::file_name;
use super::head::{Head, Line, line_kind};
use super::limits::Limits;
use super::message::{Attachment, Calendar, ParsedMessage, TextBody};
use super::notes::Notes;
use super::part::Part;
use super::splitter::Piece;
use super::transfer::Decoder;
use super::verdict;

/// Bytes of a preamble that are kept, in case the boundary never comes and it is all the text there is.
const PREAMBLE: usize = 64 * 1024;

/// Where the walk is.
#[derive(Debug)]
enum Place {
    /// In a header block.
    Head,
    /// Behind the header of a multipart, before its first delimiter.
    Preamble(Vec<u8>),
    /// In a displayed body.
    Body(Body),
    /// In an attachment.
    Attachment(OpenAttachment),
    /// Behind the close of a multipart.
    Epilogue,
    /// Beyond a limit: nothing is split any more.
    Stopped,
}

/// A displayed body on its way.
#[derive(Debug)]
struct Body {
    html: bool,
    charset: Option<String>,
    decoder: Decoder,
    bytes: Vec<u8>,
    truncated: bool,
}

/// The walk and what it has gathered.
#[derive(Debug)]
pub(super) struct Walk {
    limits: Limits,
    place: Place,
    block: Vec<u8>,
    boundaries: Boundaries,
    parts: usize,
    text_left: usize,
    outermost_open: bool,
    record: Option<ParsedMessage>,
    text: Option<TextBody>,
    html: Option<TextBody>,
    attachments: Vec<Attachment>,
    calendar: Option<Calendar>,
    notes: Notes,
}

impl Walk {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            place: Place::Head,
            block: Vec::new(),
            boundaries: Boundaries::default(),
            parts: 0,
            text_left: limits.text,
            outermost_open: false,
            record: None,
            text: None,
            html: None,
            attachments: Vec::new(),
            calendar: None,
            notes: Notes::default(),
        }
    }

    /// Header lines are wanted whole.
    pub(super) fn in_head(&self) -> bool {
        matches!(self.place, Place::Head)
    }

    /// The length up to which a line may be a delimiter; zero if no multipart is open.
    pub(super) fn longest_delimiter(&self) -> usize {
        self.boundaries.longest_line()
    }

    pub(super) fn attachment(&self, index: u32) -> Option<&Attachment> {
        self.attachments.get(usize::try_from(index).ok()?)
    }

    /// Whether a header block that has `more` bytes more is still within the limit; if not, the splitting ends.
    pub(super) fn head_has_room(&mut self, more: usize, out: &mut Vec<Piece>) -> bool {
        if self.block.len() + more <= self.limits.header_block {
            return true;
        }
        if self.record.is_none() {
            self.head_done(out);
        }
        self.stop(
            &format!("a header block is longer than {} bytes", self.limits.header_block),
            out,
        );
        false
    }

    /// A header line; true if it was none and is the first line of a body.
    pub(super) fn head_line(&mut self, line: &[u8], out: &mut Vec<Piece>) -> bool {
        if self.delimiter(line, out) {
            return false;
        }
        match line_kind(line) {
            Line::Field => {}
            Line::Continuation if !self.block.is_empty() => {}
            Line::Continuation => {
                self.notes
                    .add("a header begins with the continuation of nothing; that line was skipped");
                return false;
            }
            Line::Envelope => {
                self.notes.add("an envelope line of an mbox was skipped");
                return false;
            }
            Line::Empty => {
                self.head_done(out);
                return false;
            }
            Line::Body => {
                self.notes.add("a header ends without an empty line");
                self.head_done(out);
                return true;
            }
        }
        self.block.extend_from_slice(line);
        self.block.push(b'\n');
        false
    }

    /// Follows the line if it is a delimiter; true if it was.
    pub(super) fn delimiter(&mut self, line: &[u8], out: &mut Vec<Piece>) -> bool {
        let Some(delimiter) = self.boundaries.find(line) else {
            return false;
        };
        if self.in_head() {
            self.head_done(out);
        }
        self.leaf_done(out);
        self.keep_preamble(delimiter);
        if self.boundaries.follow(delimiter) {
            self.notes.add("a multipart inside another was not closed");
        }
        if delimiter.close && delimiter.level == 0 {
            self.outermost_open = false;
        }
        if !matches!(self.place, Place::Stopped) {
            self.place = if delimiter.close { Place::Epilogue } else { Place::Head };
        }
        true
    }

    /// Bytes of a body, line breaks included.
    pub(super) fn content(&mut self, bytes: &[u8], out: &mut Vec<Piece>) {
        match &mut self.place {
            Place::Body(body) => body.push(bytes, self.text_left),
            Place::Attachment(open) => open.push(bytes, out),
            Place::Preamble(kept) => kept.extend(bytes.iter().take(PREAMBLE.saturating_sub(kept.len()))),
            Place::Head | Place::Epilogue | Place::Stopped => {}
        }
    }

    /// The end of the message.
    pub(super) fn finish(mut self, size: u64, out: &mut Vec<Piece>) -> ParsedMessage {
        if self.in_head() && (self.record.is_none() || !self.block.is_empty()) {
            self.notes.add("the message ends inside a header");
            self.head_done(out);
        }
        self.leaf_done(out);
        self.keep_preamble(Delimiter { level: 0, close: true });
        if self.outermost_open {
            self.notes
                .add("the closing boundary of the message never came: it may have been cut");
        }
        let head = Head::default();
        let mut record = self
            .record
            .unwrap_or_else(|| assemble::record(&head, &self.limits, &mut self.notes));
        for attachment in &self.attachments {
            verdict::add_part(&mut record.verdicts, &attachment.content_type);
        }
        let (limited, notes) = self.notes.into_parts();
        ParsedMessage {
            text: self.text,
            html: self.html,
            attachments: self.attachments,
            calendar: self.calendar,
            size,
            complete: !self.outermost_open,
            limited,
            notes,
            ..record
        }
    }

    fn stop(&mut self, reason: &str, out: &mut Vec<Piece>) {
        self.leaf_done(out);
        self.notes.limit(format!("{reason}; what follows was not split"));
        self.block = Vec::new();
        // The outermost one still tells whether the message is whole.
        self.boundaries.keep_outermost();
        self.place = Place::Stopped;
    }

    fn head_done(&mut self, out: &mut Vec<Piece>) {
        let block = std::mem::take(&mut self.block);
        let head = Head::parse(&block, self.limits.headers, self.limits.header);
        assemble::note_limits(&head, &self.limits, &mut self.notes);
        if self.record.is_none() {
            self.record = Some(assemble::record(&head, &self.limits, &mut self.notes));
        }
        self.parts += 1;
        if self.parts > self.limits.parts {
            return self.stop(&format!("the message has more than {} parts", self.limits.parts), out);
        }
        let part = Part::of(&head, self.boundaries.kind(), self.limits.filename);
        if !part.media_type.starts_with("multipart/") {
            return self.open_leaf(&part, out);
        }
        if self.boundaries.depth() >= self.limits.depth {
            return self.stop(
                &format!("multiparts are nested more than {} deep", self.limits.depth),
                out,
            );
        }
        let outermost = self.boundaries.depth() == 0;
        let raw = head
            .first("Content-Type")
            .map(super::head::Field::raw)
            .unwrap_or_default();
        if self.boundaries.open(&part.content_type, raw) {
            self.outermost_open |= outermost;
            self.place = Place::Preamble(Vec::new());
        } else {
            self.notes
                .add("a multipart has no usable boundary; it was read as text");
            self.place = Place::Body(Body::new(&part, Decoder::Identity));
        }
    }

    fn open_leaf(&mut self, part: &Part, out: &mut Vec<Piece>) {
        let (decoder, encoding_note) = Decoder::of(part.encoding.as_deref());
        let body_seen = self.text.is_some() || self.html.is_some();
        if part.is_body(body_seen) {
            if let Some(note) = encoding_note {
                self.notes.add(format!("body: {note}"));
            }
            self.place = Place::Body(Body::new(part, decoder));
            return;
        }
        let index = u32::try_from(self.attachments.len()).unwrap_or(u32::MAX);
        let calendar = part.media_type == "text/calendar" && self.calendar.is_none();
        if calendar {
            self.calendar = Some(Calendar {
                index,
                method: part.content_type.get("method").and_then(|m| method(&m)),
            });
        }
        // An attached message without a name is called by its subject.
        let nameless_message = part.media_type == "message/rfc822" && part.name.is_none();
        self.attachments
            .push(part.attachment(index, encoding_note, self.limits.filename));
        self.place = Place::Attachment(OpenAttachment::new(index, decoder, calendar || nameless_message));
        out.push(Piece::AttachmentStart { index });
    }

    fn leaf_done(&mut self, out: &mut Vec<Piece>) {
        if !matches!(self.place, Place::Body(_) | Place::Attachment(_)) {
            return;
        }
        match std::mem::replace(&mut self.place, Place::Epilogue) {
            Place::Body(body) => self.body_done(body),
            Place::Attachment(open) => self.attachment_done(open, out),
            Place::Head | Place::Preamble(_) | Place::Epilogue | Place::Stopped => {}
        }
    }

    fn body_done(&mut self, mut body: Body) {
        if !body.truncated {
            if let Some(note) = body.decoder.finish(&mut body.bytes) {
                self.notes.add(format!("body: {note}"));
            }
            body.truncated = body.bytes.len() > self.text_left;
            body.bytes.truncate(self.text_left);
        }
        self.text_left -= body.bytes.len();
        if body.truncated {
            self.notes.limit(format!(
                "the text is longer than {} bytes and was cut",
                self.limits.text
            ));
        } else if body.bytes.is_empty() {
            return;
        }
        let decoded = charset::decode(body.bytes, body.charset.as_deref());
        if let Some(note) = decoded.note {
            self.notes.add(format!("body: {note}"));
        }
        let place = if body.html { &mut self.html } else { &mut self.text };
        match place {
            Some(known) => {
                known.content.push('\n');
                known.content.push_str(&decoded.text);
                known.truncated |= body.truncated;
            }
            None => {
                *place = Some(TextBody {
                    content: decoded.text,
                    truncated: body.truncated,
                    charset: decoded.charset.to_owned(),
                });
            }
        }
    }

    fn attachment_done(&mut self, open: OpenAttachment, out: &mut Vec<Piece>) {
        let closed = open.finish(out);
        let longest = self.limits.filename;
        let Some(attachment) = usize::try_from(closed.index)
            .ok()
            .and_then(|at| self.attachments.get_mut(at))
        else {
            return;
        };
        attachment.size = closed.size;
        attachment.sha256 = closed.sha256;
        attachment.encoding_note = attachment.encoding_note.take().or(closed.note);
        let unnamed = attachment.name == file_name::of_type(&attachment.content_type);
        if unnamed && let Some(name) = closed.name.and_then(|name| file_name::displayed(&name, longest)) {
            attachment.name = name;
        }
        if attachment.content_type == "message/rfc822"
            && let Some(name) =
                subject(&closed.start).and_then(|subject| file_name::displayed(&format!("{subject}.eml"), longest))
        {
            attachment.name = name;
        }
        if let Some(calendar) = self.calendar.as_mut().filter(|calendar| calendar.index == closed.index) {
            calendar.method = calendar.method.take().or_else(|| calendar_method(&closed.start));
        }
    }

    /// A multipart whose own delimiter never came has nothing but its preamble.
    fn keep_preamble(&mut self, next: Delimiter) {
        let never_divided = !self.boundaries.seen() && (next.close || next.level + 1 < self.boundaries.depth());
        if let Place::Preamble(bytes) = &mut self.place
            && never_divided
            && !bytes.trim_ascii().is_empty()
        {
            self.notes
                .add("the boundary of a multipart never came; its text is what stood before");
            let bytes = std::mem::take(bytes);
            let truncated = bytes.len() >= PREAMBLE;
            self.body_done(Body {
                html: false,
                charset: None,
                decoder: Decoder::Identity,
                bytes,
                truncated,
            });
        }
    }
}

impl Body {
    fn new(part: &Part, decoder: Decoder) -> Self {
        Self {
            html: part.media_type == "text/html",
            charset: part.content_type.get("charset"),
            decoder,
            bytes: Vec::new(),
            truncated: false,
        }
    }
    /// Decodes as much as may still be kept, in steps, so that a huge chunk is not copied whole.
    fn push(&mut self, bytes: &[u8], most: usize) {
        for step in bytes.chunks(16 * 1024) {
            if self.truncated {
                return;
            }
            self.decoder.push(step, &mut self.bytes);
            self.truncated = self.bytes.len() > most;
            self.bytes.truncate(most);
        }
    }
}
