//! uuencode as a stream, as transfer encoding `x-uuencode` (POSIX, the uuencode utility).

/// A line holds at most 45 bytes in 61 characters; what goes far beyond is not uuencode.
const LONGEST_LINE: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Inside,
    After,
}

/// Decodes uuencode that arrives in any chunks.
#[derive(Debug, Default)]
pub(super) struct UuencodeStream {
    state: State,
    line: Vec<u8>,
    name: Option<String>,
}

impl UuencodeStream {
    /// Decodes the lines that are whole.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                self.line_done(out);
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            }
        }
    }

    fn line_done(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        match self.state {
            State::Before => {
                if let Some(name) = begin(&line) {
                    self.name = Some(name);
                    self.state = State::Inside;
                }
            }
            State::Inside if line.trim_ascii() == b"end" => self.state = State::After,
            State::Inside => decode_line(&line, out),
            State::After => {}
        }
        self.line = line;
        self.line.clear();
    }

    /// The file name of the `begin` line.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The last bytes, and what had to be repaired.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Option<String> {
        self.line_done(out);
        match self.state {
            State::Before => Some("uuencode without a begin line: nothing was decoded".to_owned()),
            State::Inside => Some("uuencode without an end line".to_owned()),
            State::After => None,
        }
    }
}

/// The name in `begin 644 name`.
fn begin(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"begin ")?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let name = rest.get(digits..)?.strip_prefix(b" ")?;
    (digits >= 3).then(|| String::from_utf8_lossy(name.trim_ascii()).into_owned())
}

fn decode_line(line: &[u8], out: &mut Vec<u8>) {
    let Some((&length, data)) = line.split_first() else {
        return;
    };
    let mut left = usize::from(length.wrapping_sub(32) & 63);
    // White space at the end of a line may have been lost on the way: what is missing is zero.
    for quad in data.chunks(4) {
        let bits = (0..4).fold(0_u32, |bits, at| {
            bits << 6 | quad.get(at).map_or(0, |byte| u32::from(byte.wrapping_sub(32) & 63))
        });
        let [_, a, b, c] = bits.to_be_bytes();
        out.extend_from_slice([a, b, c].get(..left.min(3)).unwrap_or_default());
        left = left.saturating_sub(3);
    }
    if !data.is_empty() || left > 0 {
        out.extend(std::iter::repeat_n(0, left.min(45)));
    }
}

#[cfg(test)]
mod tests {
    use super::UuencodeStream;

    #[test]
    fn decodes_by_any_chunk() {
        let text = b"chatter\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nmore";
        for step in [1, 7, 1_000] {
            let mut stream = UuencodeStream::default();
            let mut out = Vec::new();
            for chunk in text.chunks(step) {
                stream.push(chunk, &mut out);
            }
            assert_eq!(stream.name(), Some("cat.txt"));
            assert_eq!(stream.finish(&mut out), None);
            assert_eq!(out, b"Cat");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut out = Vec::new();
        assert!(UuencodeStream::default().finish(&mut out).is_some());
        let mut stream = UuencodeStream::default();
        stream.push(b"begin 644 a\n#0V%T\n", &mut out);
        assert!(stream.finish(&mut out).is_some());
        assert_eq!(out, b"Cat");
    }
}
