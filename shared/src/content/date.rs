//! The `Date` field (RFC 5322 sections 3.3 and 4.3), read with patience.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A date longer than this is read only so far: absurd ones exist (P63).
const LONGEST: usize = 512;

/// The moment in UTC, or `None` if it cannot be understood. A missing or unknown zone counts as UTC (section 4.3).
pub(super) fn parse(field: &str) -> Option<Timestamp> {
    let field = super::text::at_most(field, LONGEST);
    let plain = without_comments(field);
    rfc_5322(&plain).or_else(|| plain.trim().parse().ok())
}

fn without_comments(field: &str) -> String {
    let mut depth = 0_usize;
    let mut out = String::with_capacity(field.len());
    for c in field.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

fn rfc_5322(text: &str) -> Option<Timestamp> {
    let mut day = None;
    let mut month = None;
    let mut year = None;
    let mut time = None;
    let mut zone = None;
    let words = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty());
    // Some programs write 21-Nov-2026; a zone such as -0600 begins with its hyphen.
    let words = words.flat_map(|word| {
        let dashed = !word.starts_with(['-', '+']) && word.chars().any(|c| c.is_ascii_alphabetic());
        word.split(move |c| dashed && c == '-')
    });
    for word in words {
        if word.contains(':') {
            time = time.or_else(|| clock(word));
        } else if time.is_some() && zone.is_none() && word.starts_with(['+', '-']) {
            zone = numeric_zone(word);
        } else if let Ok(number) = word.parse::<i16>() {
            if day.is_none() {
                day = Some(i8::try_from(number).ok()?);
            } else if year.is_none() {
                year = Some(full_year(number, word.len()));
            }
        } else if month.is_none() && month_of(word).is_some() {
            month = month_of(word);
        } else if time.is_some() && zone.is_none() {
            zone = named_zone(word);
        }
    }
    let (hour, minute, second) = time?;
    let local = civil::DateTime::new(year?, month?, day?, hour, minute, second, 0).ok()?;
    let offset = Offset::from_seconds(zone.unwrap_or(0)).ok()?;
    offset.to_timestamp(local).ok()
}

/// Two digits up to 49 are of this century, else of the last; three digits count from 1900 (section 4.3). So do years
/// such as `0102`, which programs of before 2000 wrote after it.
fn full_year(number: i16, digits: usize) -> i16 {
    match (number, digits) {
        (0..=49, ..=2) => number + 2000,
        (0..=999, _) => number + 1900,
        _ => number,
    }
}

fn month_of(word: &str) -> Option<i8> {
    let start = word.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == start)?;
    i8::try_from(at + 1).ok()
}

/// `hh:mm`, `hh:mm:ss`, with a fraction or without; a leap second counts as the one before.
fn clock(word: &str) -> Option<(i8, i8, i8)> {
    let mut parts = word.split(':').map(|part| part.split('.').next().unwrap_or_default());
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second: i8 = parts.next().map_or(Ok(0), str::parse).ok()?;
    Some((hour, minute, second.min(59)))
}

/// `+hhmm`, `-hh:mm`, in seconds.
fn numeric_zone(word: &str) -> Option<i32> {
    let digits: String = word.chars().filter(char::is_ascii_digit).take(4).collect();
    let (hours, minutes) = (
        digits.get(..2)?.parse::<i32>().ok()?,
        digits.get(2..4)?.parse::<i32>().ok()?,
    );
    let seconds = hours * 3_600 + minutes * 60;
    // `+-0500` exists too.
    Some(if word.contains('-') { -seconds } else { seconds })
}

/// The zones that section 4.3 names; the military letters were used wrongly so often that they mean nothing.
fn named_zone(word: &str) -> Option<i32> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "UT" | "UTC" | "GMT" | "Z" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 3_600)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dates() {
        for (field, utc) in [
            ("Fri, 21 Nov 1997 09:55:06 -0600", Some("1997-11-21T15:55:06Z")),
            ("21 Nov 97 09:55 GMT", Some("1997-11-21T09:55:00Z")),
            ("Mon, 23 Nov 2026 17:57:28 +0530 (IST)", Some("2026-11-23T12:27:28Z")),
            ("Mon,23 Nov 2026 17:57:28", Some("2026-11-23T17:57:28Z")),
            ("23-Nov-2026 17:57:28 EST", Some("2026-11-23T22:57:28Z")),
            ("Nov 23 17:57:28 2026", Some("2026-11-23T17:57:28Z")),
            ("23 November 26 24:00:00 +0000", None),
            ("1 Jan 2017 23:59:60 +0000", Some("2017-01-01T23:59:59Z")),
            ("1 Jan 100 00:00:00 Z", Some("2000-01-01T00:00:00Z")),
            ("Thu, 22 Aug 0102 12:07:35 +0800", Some("2002-08-22T04:07:35Z")),
            ("Tue, 24 Sep 2002 10:39:13 +-0500", Some("2002-09-24T15:39:13Z")),
            ("2026-11-23T17:57:28+01:00", Some("2026-11-23T16:57:28Z")),
            ("31 Feb 2026 00:00:00 +0000", None),
            ("yesterday", None),
            ("", None),
            ("99999999999 Jan 99999 99:99:99 +9999", None),
        ] {
            assert_eq!(parse(field).map(|at| at.to_string()).as_deref(), utc, "{field:?}");
        }
    }

    #[test]
    fn an_absurd_date_is_read_as_far_as_it_goes() {
        let long = format!("Fri, 21 Nov 1997 09:55:06 -0600 {}", "(x".repeat(100_000));
        assert_eq!(
            parse(&long).map(|at| at.to_string()).as_deref(),
            Some("1997-11-21T15:55:06Z")
        );
    }
}
