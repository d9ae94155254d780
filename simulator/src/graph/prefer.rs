//! The `Prefer` header (RFC 7240) as Outlook reads it.

use crate::mailbox::ids::IdFormat;
use http::HeaderMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefer {
    pub(crate) ids: IdFormat,
    pub(crate) page_size: Option<usize>,
    pub(crate) text_body: bool,
    applied: Vec<String>,
}

impl Prefer {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut prefer = Self {
            ids: IdFormat::Default,
            page_size: None,
            text_body: false,
            applied: Vec::new(),
        };
        let lists = headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
        for one in lists.flat_map(|list| list.split([',', ';'])) {
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "idtype" if value.eq_ignore_ascii_case("immutableid") => {
                    prefer.ids = IdFormat::Immutable;
                    prefer.applied.push("IdType=\"ImmutableId\"".to_owned());
                }
                "odata.maxpagesize" | "maxpagesize" => {
                    prefer.page_size = value.parse().ok().filter(|size| *size > 0);
                    prefer
                        .applied
                        .extend(prefer.page_size.map(|size| format!("odata.maxpagesize={size}")));
                }
                "outlook.body-content-type" if value.eq_ignore_ascii_case("text") => {
                    prefer.text_body = true;
                    prefer.applied.push("outlook.body-content-type=\"text\"".to_owned());
                }
                "outlook.allow-unsafe-html" => {
                    prefer.applied.push("outlook.allow-unsafe-html".to_owned());
                }
                // What a server does not know it ignores (RFC 7240 section 2).
                _ => {}
            }
        }
        prefer
    }

    /// The value of `Preference-Applied`.
    pub(crate) fn applied(&self) -> Option<String> {
        if self.applied.is_empty() {
            None
        } else {
            Some(self.applied.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_or_several_say_the_same() {
        let mut headers = HeaderMap::new();
        headers.append(
            "prefer",
            "IdType=\"ImmutableId\", odata.maxpagesize=200".parse().unwrap(),
        );
        let one = Prefer::read(&headers);
        headers.clear();
        headers.append("prefer", "IdType=\"ImmutableId\"".parse().unwrap());
        headers.append("prefer", "odata.maxpagesize=200".parse().unwrap());
        assert_eq!(one, Prefer::read(&headers));
        assert_eq!((one.ids, one.page_size), (IdFormat::Immutable, Some(200)));
        assert_eq!(one.applied().unwrap(), "IdType=\"ImmutableId\", odata.maxpagesize=200");
    }
}
