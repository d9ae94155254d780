//! `postroom reconcile`: removes bytes from the archive that no record names.

use serde_json::{Value, json};

use crate::reconcile::reconcile;

use super::{
    Desk,
    failure::Failure,
    output::{Answer, count},
};

pub(super) async fn run(desk: &Desk, id: Option<&str>) -> Result<Answer, Failure> {
    let mut values = Vec::new();
    let mut text = String::new();
    for row in desk.accounts_of(id).await? {
        let removed = reconcile(&desk.opened.ports, &desk.archive, &desk.opened.data_dir.archive(), &row).await?;
        let id = row.account.id.as_str();
        if removed > 0 {
            desk.note(&format!(
                "reconciled the archive of account `{id}`: {removed} objects removed"
            ))
            .await?;
        }
        text.push_str(&format!(
            "Account `{id}`: {} removed that no record names.\n",
            count(removed, "object")
        ));
        values.push(json!({"account": id, "removed": removed}));
    }
    if text.is_empty() {
        text.push_str("No accounts yet.\n");
    }
    Ok(Answer::new(Value::Array(values), text))
}
