//! What is printed: one answer per command, as text or as one JSON value; and how times, sizes and names look.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use shared::{error::exit, time::between};

use super::failure::Failure;

/// What a command has to say.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For scripts.
    pub(crate) json: Value,
    /// For people.
    pub(crate) text: String,
    /// One of [`exit`].
    pub(crate) exit: u8,
    /// Everything was printed as it came.
    quiet: bool,
}

impl Answer {
    /// Done.
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self {
            json,
            text: text.into(),
            exit: exit::OK,
            quiet: false,
        }
    }

    /// The same, with nothing more to print.
    pub(crate) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The same with another exit code.
    pub(crate) fn exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }
}

/// How to print.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// One JSON value on standard output.
    pub(crate) json: bool,
    /// Colours on standard output.
    pub(crate) colour: bool,
    /// Colours on standard error.
    pub(crate) colour_stderr: bool,
    /// The person's time zone.
    zone: TimeZone,
}

impl Output {
    /// As the terminal and the environment say (`NO_COLOR`: <https://no-color.org>).
    pub(crate) fn new(json: bool, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let plain = lookup("NO_COLOR").is_some_and(|value| !value.is_empty())
            || lookup("TERM").is_some_and(|value| value == "dumb");
        Self {
            json,
            colour: !plain && !json && io::stdout().is_terminal(),
            colour_stderr: !plain && io::stderr().is_terminal(),
            zone: TimeZone::system(),
        }
    }

    /// Prints the answer or the failure; the exit code.
    pub(crate) fn finish(&self, result: Result<Answer, Failure>) -> u8 {
        match result {
            Ok(answer) if answer.quiet => answer.exit,
            Ok(answer) => {
                let text = if self.json {
                    format!("{}\n", answer.json)
                } else if answer.text.is_empty() || answer.text.ends_with('\n') {
                    answer.text
                } else {
                    answer.text + "\n"
                };
                match print(&text) {
                    Ok(()) => answer.exit,
                    Err(failure) => {
                        self.complain("error", &failure.what);
                        failure.exit
                    }
                }
            }
            Err(failure) => {
                if self.json {
                    // If even this cannot be printed, the exit code still tells.
                    let _ = print(&format!("{}\n", failure.json()));
                }
                self.complain("error", &failure.what);
                failure.exit
            }
        }
    }

    /// A line on standard error.
    pub(crate) fn complain(&self, word: &str, what: &str) {
        let code = if word == "error" { "1;31" } else { "1;33" };
        let word = if self.colour_stderr {
            format!("\u{1b}[{code}m{word}:\u{1b}[0m")
        } else {
            format!("{word}:")
        };
        // There is nobody left to tell if standard error is closed.
        let _ = writeln!(io::stderr(), "{word} {what}");
    }

    /// Progress and remarks: standard error.
    pub(crate) fn note(what: &str) {
        let _ = writeln!(io::stderr(), "{what}");
    }

    /// Good news in green.
    pub(crate) fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Bad news in red.
    pub(crate) fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }

    /// A heading.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// `2026-01-31 09:30` in the person's time zone.
    pub(crate) fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M")
            .to_string()
    }

    /// `01-31 09:30` in the person's time zone, or the day alone if it is of another year.
    pub(crate) fn short_time(&self, at: Timestamp, now: Timestamp) -> String {
        let (at, now) = (
            at.to_zoned_datetime(self.zone.clone()),
            now.to_zoned_datetime(self.zone.clone()),
        );
        let form = if at.year() == now.year() {
            "%m-%d %H:%M"
        } else {
            "%Y-%m-%d"
        };
        at.strftime(form).to_string()
    }

    /// With seconds, in the person's time zone and in UTC.
    pub(crate) fn exact_time(&self, at: Timestamp) -> String {
        let local = at.to_zoned_datetime(self.zone.clone());
        if local.offset().seconds() == 0 {
            return format!("{} UTC", local.strftime("%Y-%m-%d %H:%M:%S"));
        }
        let utc = at.to_zoned_datetime(TimeZone::UTC);
        format!(
            "{} ({} UTC)",
            local.strftime("%Y-%m-%d %H:%M:%S %Z"),
            utc.strftime("%H:%M:%S")
        )
    }
}

/// Prints on standard output. A reader that went away (`| head`) is fine.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::operator(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints on standard output at once; the caller decides what a reader that went away means.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// `3 min ago`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(between(at, now)))
}

/// `3 min`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `1.2 MB`.
#[expect(clippy::cast_precision_loss, reason = "for people; one digit after the point")]
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `1 message`, `2 messages`.
pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// A stranger's text for a terminal: control characters could move the cursor, bidirectional ones could turn it round.
pub(crate) fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            c if harmful(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c d");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_500_000), "1.5 MB");
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_hours(1)), "60 min");
        assert_eq!(count(1, "message"), "1 message");
        assert_eq!(count(0, "message"), "0 messages");
    }
}
