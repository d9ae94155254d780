//! Message ids: one normaliser for every place that keeps or compares them (P52).

/// The longest id that is kept, in bytes. RFC 5322 section 2.1.1 allows no line beyond 998.
const LONGEST: usize = 998;
/// `References` of endless threads: how many ids are kept (the newest ones, which are the last).
const MOST: usize = 200;

/// A message id trimmed and without angle brackets, so that `<id>` and `id` are the same; `None` if nothing is left.
///
/// Inside, only white space and control characters go: folding may have put them there, and no id may contain them
/// (RFC 5322 section 3.6.4). Letters keep their case, for the left side is case-sensitive. At most 998 bytes are kept.
pub fn normalise_message_id(raw: &str) -> Option<String> {
    let open = raw.find('<').map_or(0, |at| at + 1);
    let inner = raw.get(open..).unwrap_or_default();
    let inner = inner.find('>').map_or(inner, |at| inner.get(..at).unwrap_or_default());
    let mut id: String = inner
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && *c != '<')
        .collect();
    id.truncate(id.floor_char_boundary(LONGEST));
    (!id.is_empty()).then_some(id)
}

/// All ids of a field such as `References`. Where no brackets are, white space and commas separate.
pub(super) fn message_ids(value: &str) -> Vec<String> {
    let mut ids: Vec<String> = if value.contains('<') {
        value.split('<').skip(1).filter_map(normalise_message_id).collect()
    } else {
        value
            .split([' ', '\t', ',', '\r', '\n'])
            .filter_map(normalise_message_id)
            .collect()
    };
    let excess = ids.len().saturating_sub(MOST);
    ids.drain(..excess);
    ids
}

#[cfg(test)]
mod tests {
    use super::{message_ids, normalise_message_id};

    #[test]
    fn brackets_and_space_do_not_make_another_id() {
        for raw in [
            "<a.B@c>",
            "a.B@c",
            "  <a.B@c> ",
            "<a.B@c",
            "a.B@c>",
            "<a.B\r\n @c>",
            "<<a.B@c>>",
            "(x) <a.B@c>",
        ] {
            assert_eq!(normalise_message_id(raw).as_deref(), Some("a.B@c"), "{raw:?}");
        }
        for raw in ["", "<>", "  ", "<\u{0}>"] {
            assert_eq!(normalise_message_id(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn absurd_ids_are_cut() {
        assert_eq!(normalise_message_id(&"é".repeat(10_000)).map(|id| id.len()), Some(998));
    }

    #[test]
    fn lists_with_and_without_brackets() {
        assert_eq!(message_ids("<a@b>\r\n <c@d><e@f>"), ["a@b", "c@d", "e@f"]);
        assert_eq!(message_ids("a@b, c@d"), ["a@b", "c@d"]);
        assert_eq!(message_ids("Your mail of Monday <a@b>"), ["a@b"]);
        assert_eq!(message_ids(&"<a@b>".repeat(5_000)).len(), 200);
    }
}
