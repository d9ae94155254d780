//! Floods, depth bombs, garbage and every chunking: the splitter stays small, total and the same.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::Limits;
use super::splitting_tests::{split, split_by};

/// Multiparts inside each other, each opened and none closed.
fn nested(depth: usize) -> String {
    let mut raw = String::new();
    for n in 0..depth {
        writeln!(raw, "Content-Type: multipart/mixed; boundary={n}\n\n--{n}").unwrap();
    }
    raw
}

/// Runs on a stack of 2 MiB, where a walk that recursed would abort the process.
fn on_a_small_stack(work: fn()) {
    std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn depth_bombs_cost_nothing() {
    on_a_small_stack(|| {
        let raw = "Content-Type: message/rfc822\r\n\r\n".repeat(40_000);
        let (record, bodies) = split(&raw);
        assert_eq!(
            (bodies.len(), bodies[0].len(), record.limited),
            (1, raw.len() - 32, None)
        );
        let (record, _) = split(&nested(100_000));
        assert!(record.limited.is_some() && !record.complete);
    });
}

#[test]
fn floods_stay_small() {
    let head = "Content-Type: multipart/mixed; boundary=b\n\n";
    let (record, bodies) = split(&format!("{head}{}--b--", "--b\nA:b\n\n".repeat(1_000_000)));
    assert!(record.limited.is_some() && record.complete && bodies.is_empty());
    let (record, bodies) = split(&format!("{head}{}", "--b\nContent-Type: a/b\n\n".repeat(10_000)));
    assert_eq!((bodies.len(), record.limited.is_some()), (1_999, true));
    for unit in ["A: b\n", "To: a@b\n", "x", "A:", " ", "-", "\r", "\0", "--", "=?"] {
        let (record, _) = split(&unit.repeat(1_000_000));
        assert!(
            record.headers.len() <= 2_000 && record.to.len() <= 2_000 && record.notes.len() <= 100,
            "{unit:?}"
        );
    }
    let (record, _) = split(&format!("{head}{}", "preamble\n".repeat(100_000)));
    assert_eq!(
        record.text.map(|text| (text.content.len(), text.truncated)),
        Some((64 * 1024, true))
    );
    // Lines that almost divide, under many open multiparts.
    let mut raw = nested(60);
    raw.push('\n');
    raw.push_str(&"--0x\n".repeat(500_000));
    let (record, _) = split(&raw);
    assert_eq!(record.text.map(|text| text.content.len()), Some(2_500_000));
}

/// Bytes that look like mail often enough to reach every branch.
fn mail_like() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()),
        Just("Content-Type: multipart/alternative; boundary=\"b b\"\n\n".to_owned()),
        Just("Content-Type: message/rfc822\r\n\r\n".to_owned()),
        Just("Content-Type: text/html; charset=iso-8859-1\r\n".to_owned()),
        Just("Content-Type: application/x; name*0*=utf-8''%C3; name*1*=%A9\r\n".to_owned()),
        Just("Content-Type: text/calendar\n\nMETHOD:REQUEST\n".to_owned()),
        Just("Content-Disposition: attachment; filename=a\r\n".to_owned()),
        Just("Content-Transfer-Encoding: base64\r\n\r\n".to_owned()),
        Just("Content-Transfer-Encoding: quoted-printable\r\n\r\n".to_owned()),
        Just("Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n#0V%T\r\n".to_owned()),
        Just("\r\n--b\r\n".to_owned()),
        Just("\n--b b\r".to_owned()),
        Just("--b--\r\n".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("\r".to_owned()),
        Just("--".to_owned()),
        Just("aGVsbG8=\r\n".to_owned()),
        Just("=C3=A9= \r\n".to_owned()),
        Just("To: a@b, =?utf-8?q?x?= <c@d>\r\n".to_owned()),
        "[ -~\r\n]{0,40}",
    ];
    let bytes =
        prop_oneof![8 => fragment.prop_map(String::into_bytes), 1 => proptest::collection::vec(any::<u8>(), 0..40)];
    proptest::collection::vec(bytes, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_chunking_gives_the_same(raw in mail_like(), step in 1_usize..20) {
        let small = Limits { depth: 3, parts: 6, header_block: 300, text: 60, ..Limits::default() };
        for limits in [Limits::default(), small] {
            let whole = split_by(&raw, raw.len().max(1), limits);
            prop_assert_eq!(&split_by(&raw, step, limits), &whole);
            prop_assert_eq!(&split_by(&raw, 1, limits), &whole);
        }
    }

    #[test]
    fn any_bytes_are_answered(raw in proptest::collection::vec(any::<u8>(), 0..600), head in mail_like()) {
        split_by(&raw, 13, Limits::default());
        let whole = [head, raw].concat();
        let (record, _) = split_by(&whole, 13, Limits::default());
        record.summary();
        prop_assert!(serde_json::to_vec(&record).is_ok());
    }

    #[test]
    fn attachments_come_back_whole(files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5), step in 1_usize..100) {
        use base64::Engine as _;
        let mut raw = b"Content-Type: multipart/mixed; boundary=frontier\r\n\r\n".to_vec();
        for (at, file) in files.iter().enumerate() {
            raw.extend_from_slice(b"--frontier\r\nContent-Type: a/b\r\n");
            if at % 2 == 0 {
                raw.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
                raw.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(file).as_bytes());
            } else {
                raw.extend_from_slice(b"Content-Transfer-Encoding: binary\r\n\r\n");
                raw.extend_from_slice(file);
            }
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"--frontier--\r\n");
        let (record, bodies) = split_by(&raw, step, Limits::default());
        prop_assert_eq!(bodies, files);
        prop_assert!(record.complete);
    }
}
