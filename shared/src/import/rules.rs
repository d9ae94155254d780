//! Which messages are mail to import: stated once, applied everywhere (P32).
//!
//! - A draft is not mail yet: filtered, and looked at again when it is no draft any more.
//! - A copy of a Teams chat (subject `IM`, no Message-ID) is not mail: filtered (Microsoft Graph known issues).
//! - Meeting requests, answers and cancellations are mail: imported, with `meeting` in the record (P62).
//! - Everything else is mail, read or unread, whatever its date (P36).

use crate::message::{Disposition, Envelope, Message};

/// The reason an admin reads when one dismissed a debt.
pub(crate) const DISMISSED: &str = "dismissed by an admin";

/// Why a message is not imported; `None` if it is.
pub(super) fn keeps_out(envelope: &Envelope) -> Option<&'static str> {
    if envelope.draft {
        return Some("a draft; it is imported once it is sent to this folder");
    }
    if envelope.subject.as_deref() == Some("IM") && envelope.internet_message_id.is_none() {
        return Some("a copy of a Teams chat");
    }
    None
}

/// Whether a message that is on record is to be looked at again, seen as it is now.
pub(super) fn look_again(record: &Message, now: Option<&Envelope>) -> bool {
    match record.disposition {
        Disposition::Imported | Disposition::Owed | Disposition::Quarantined => false,
        // It is back: restored from Deleted Items, or moved here after all.
        Disposition::Gone => now.is_some(),
        Disposition::Filtered => {
            record.reason.as_deref() != Some(DISMISSED) && now.is_some_and(|now| keeps_out(now).is_none())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_and_chats_stay_out_and_meetings_come_in() {
        assert!(
            keeps_out(&Envelope {
                draft: true,
                ..Envelope::default()
            })
            .is_some()
        );
        let chat = Envelope {
            subject: Some("IM".into()),
            ..Envelope::default()
        };
        assert!(keeps_out(&chat).is_some());
        let mail = Envelope {
            internet_message_id: Some("a@b".into()),
            ..chat
        };
        assert!(keeps_out(&mail).is_none(), "a mail whose subject happens to be IM");
        assert!(
            keeps_out(&Envelope {
                meeting: true,
                ..Envelope::default()
            })
            .is_none()
        );
    }
}
