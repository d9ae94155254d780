//! How much of one message is looked at; beyond a limit the raw bytes still stand, the record says `limited`.

/// Bounds of one message. Depth, parts and header block end the splitting; the others cut only what is too long.
///
/// Postfix bounds the same things (`mime_nesting_limit` 100, `header_size_limit` 102,400, see postconf(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Multiparts inside each other. An attached message counts as a leaf: it is never opened.
    pub depth: usize,
    /// Parts in total, multiparts included.
    pub parts: usize,
    /// Bytes of the header block of one part, and of the message itself.
    pub header_block: usize,
    /// Bytes of one header field, folds included.
    pub header: usize,
    /// Header fields listed in the record.
    pub headers: usize,
    /// Mail addresses in the record, over all fields.
    pub addresses: usize,
    /// Bytes of an attachment's displayed name.
    pub filename: usize,
    /// Bytes of text and HTML bodies together, before the charset is applied.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            parts: 2_000,
            header_block: 256 * 1024,
            header: 64 * 1024,
            headers: 2_000,
            addresses: 2_000,
            filename: 255,
            text: 8 * 1024 * 1024,
        }
    }
}
