//! `postroom explain`: one row of the error catalogue, or the whole page of it.

use serde_json::{Value, json};
use shared::catalogue::{self, Explained};

use super::{credential::fields_text, failure::Failure, output::Answer};

/// Needs no data directory: whoever reads a log on another machine may ask, too.
pub(super) fn run(code: Option<&str>, markdown: bool) -> Result<Answer, Failure> {
    if markdown {
        let text = catalogue::markdown();
        return Ok(Answer::new(json!({ "markdown": text }), text));
    }
    let code = code.ok_or_else(|| Failure::usage("give a code, for example `postroom explain AADSTS7000222`"))?;
    let found = catalogue::explain(code);
    Ok(Answer::new(value(code, &found), text(code, &found)))
}

fn value(code: &str, found: &Explained) -> Value {
    let row = found.row;
    json!({
        "asked": code,
        "known": !found.unknown,
        "codes": row.names(),
        "usual_status": row.status,
        "class": row.class,
        "who": row.who,
        "screen": row.screen.path(),
        "again": row.again,
        "cause": row.cause,
        "fix": row.fix,
    })
}

fn text(code: &str, found: &Explained) -> String {
    let row = found.row;
    let mut text = String::new();
    if found.unknown {
        text.push_str(&format!(
            "`{}` is not in the catalogue; what holds for codes nobody foresaw:\n",
            super::output::clean(code)
        ));
    } else {
        text.push_str(&format!("{}\n", row.names().join(", ")));
    }
    let or_none = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    text.push_str(&fields_text(&[
        ("Cause", row.cause.to_owned()),
        ("Postroom", row.class.words().to_owned()),
        ("Who acts", row.who.words().to_owned()),
        ("Where", or_none(row.screen.path())),
        ("What", or_none(row.fix)),
        ("Again", row.again.words().to_owned()),
    ]));
    text
}
