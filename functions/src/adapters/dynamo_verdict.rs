//! What a refused write means, and what is refused before it is sent.

use aws_sdk_dynamodb::types::CancellationReason;
use shared::{
    ports::{Change, Item, StoreError, Write},
    store_rules,
};

use super::{
    dynamo_values::{Row, item_of},
    dynamo_write::bytes_of,
};

/// What a cancelled transaction means. A condition that failed is certain, whatever else was in the way; the first one in
/// order is named.
pub(super) fn verdict(writes: &[Write], reasons: Vec<CancellationReason>) -> Option<StoreError> {
    let (mut busy, mut invalid) = (false, None);
    for (write, reason) in writes.iter().zip(reasons) {
        match reason.code.as_deref() {
            Some("ConditionalCheckFailed") => return Some(judged(write, reason.item)),
            Some("ValidationError" | "ItemCollectionSizeLimitExceeded") => {
                let said = reason.message.unwrap_or_default();
                invalid.get_or_insert_with(|| StoreError::Contract(format!("{}: {said}", write.key)));
            }
            None | Some("None") => {}
            Some(_) => busy = true,
        }
    }
    invalid.or_else(|| busy.then_some(StoreError::Conflict))
}

/// The error of a write whose condition failed, judged by the same rules as in every other store: DynamoDB was asked for
/// more than the caller's conditions, and tells only that not all of it held.
pub(super) fn judged(write: &Write, row: Option<Row>) -> StoreError {
    let current = match row.map(item_of).transpose() {
        Ok(current) => current,
        Err(error) => return error,
    };
    match store_rules::decide(write.clone(), current) {
        Err(error) => error,
        // By our rules it holds: the item changed in between, or was read before it was whole.
        Ok(_) => StoreError::Conflict,
    }
}

/// The limits that are judged before anything is sent: DynamoDB counts bytes in its own way, ours never counts less.
pub(super) fn check_bytes(writes: &[Write]) -> Result<(), StoreError> {
    let mut all = 0;
    for write in writes {
        let bytes = match &write.change {
            Change::Put(attributes) => {
                let mut attributes = attributes.clone();
                attributes.retain(|_, value| !value.is_null());
                let key = write.key.clone();
                store_rules::item_bytes(&Item { key, attributes })
            }
            Change::Update { set, .. } => bytes_of(set),
            Change::Delete | Change::Check => 0,
        };
        if bytes > shared::ports::ITEM_BYTES {
            return Err(StoreError::Contract(format!(
                "the item {} has {bytes} bytes; at most {}",
                write.key,
                shared::ports::ITEM_BYTES
            )));
        }
        all += bytes;
    }
    store_rules::check_transaction_bytes(all)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use serde_json::json;
    use shared::ports::{Condition, Key};

    use super::{super::dynamo_values::key_of, *};

    fn reason(code: &str) -> CancellationReason {
        CancellationReason::builder().code(code).build()
    }

    fn write(sort: &str) -> Write {
        Write::put(Key::new("p", sort), [("v".to_owned(), json!(1))].into()).when(Condition::equals("v", 2))
    }

    #[test]
    fn a_cancelled_transaction_names_the_first_condition_and_else_what_was_in_the_way() {
        let writes = [write("a"), write("b"), write("c")];
        let found = verdict(
            &writes,
            vec![
                reason("TransactionConflict"),
                reason("ConditionalCheckFailed"),
                reason("None"),
            ],
        );
        assert!(matches!(found, Some(StoreError::ConditionFailed { key, current: None }) if key.sort == "b"));
        let found = verdict(
            &writes,
            vec![reason("None"), reason("TransactionConflict"), reason("None")],
        );
        assert!(matches!(found, Some(StoreError::Conflict)));
        let found = verdict(&writes, vec![reason("ThrottlingError"), reason("None"), reason("None")]);
        assert!(matches!(found, Some(StoreError::Conflict)));
        let found = verdict(
            &writes,
            vec![reason("None"), reason("ValidationError"), reason("TransactionConflict")],
        );
        assert!(matches!(found, Some(StoreError::Contract(_))));
        assert!(verdict(&writes, vec![reason("None"); 3]).is_none());
    }

    #[test]
    fn a_condition_that_holds_by_our_rules_was_overtaken() {
        let mut row = key_of(&Key::new("p", "a"));
        row.insert("v".to_owned(), AttributeValue::N("2".to_owned()));
        assert!(matches!(judged(&write("a"), Some(row)), StoreError::Conflict));
    }

    #[test]
    fn too_many_bytes_never_leave_the_house() {
        let of = |bytes: usize| [("v".to_owned(), json!("x".repeat(bytes)))].into();
        let put = |sort: usize, bytes| Write::put(Key::new("p", sort.to_string()), of(bytes));
        assert!(matches!(check_bytes(&[put(0, 400_000)]), Err(StoreError::Contract(_))));
        let many: Vec<_> = (0..11).map(|sort| put(sort, 390_000)).collect();
        assert!(matches!(check_bytes(&many), Err(StoreError::Contract(_))));
        assert!(check_bytes(&many[..10]).is_ok());
    }
}
