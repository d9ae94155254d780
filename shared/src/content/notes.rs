//! What was repaired, guessed or left out, in words, and the limit that was reached.

/// More notes than this say nothing new.
const MOST: usize = 100;

/// Collects notes, each once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<String>,
    limited: Option<String>,
}

impl Notes {
    /// Notes something, unless it was noted before.
    pub(super) fn add(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.list.len() < MOST && !self.list.contains(&note) {
            self.list.push(note);
        }
    }

    /// Notes a limit that was reached; the first one is the reason of the record.
    pub(super) fn limit(&mut self, reason: String) {
        self.limited.get_or_insert(reason);
    }

    /// The reason and the notes.
    pub(super) fn into_parts(self) -> (Option<String>, Vec<String>) {
        (self.limited, self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::Notes;

    #[test]
    fn each_once_and_not_without_end() {
        let mut notes = Notes::default();
        for at in 0..1_000 {
            notes.add("same");
            notes.add(format!("note {at}"));
            notes.limit(format!("limit {at}"));
        }
        let (limited, list) = notes.into_parts();
        assert_eq!((limited.as_deref(), list.len()), (Some("limit 0"), 100));
    }
}
