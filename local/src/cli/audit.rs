//! `postroom audit`: what admins did.

use super::{
    Desk,
    failure::Failure,
    output::{Answer, clean},
};

pub(super) async fn run(desk: &Desk, limit: usize) -> Result<Answer, Failure> {
    let mut acts = Vec::new();
    let mut after = None;
    loop {
        let shelf = desk.audit().page(limit - acts.len(), after).await?;
        acts.extend(shelf.records);
        after = shelf.next;
        if after.is_none() || acts.len() >= limit {
            break;
        }
    }
    let text: String = acts
        .iter()
        .map(|act| {
            format!(
                "{}  {}: {}\n",
                desk.output.time(act.at),
                clean(&act.by),
                clean(&act.what)
            )
        })
        .collect();
    let text = if acts.is_empty() {
        "Nothing yet.".to_owned()
    } else {
        text
    };
    Ok(Answer::new(shared::records::json(&acts), text))
}
