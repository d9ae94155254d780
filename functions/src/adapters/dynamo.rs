//! The store over one DynamoDB table: strongly consistent reads, conditional writes, transactions.
//!
//! Nothing is repeated here but reads, by the SDK. A write whose outcome is not known answers *conflict*, as the contract
//! says: the caller reads back.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{
        ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update, error::ConditionalCheckFailedException,
    },
};
use aws_smithy_runtime_api::http::Response;
use aws_types::SdkConfig;
use shared::{
    ports::{Change, Clock, Item, Key, Page, PageMark, Query, Rng, Store, StoreError, Write},
    store_rules,
};

use super::{
    dynamo_query,
    dynamo_values::{Row, item_of, key_of, row_of},
    dynamo_verdict::{check_bytes, judged, verdict},
    dynamo_write::Expression,
};
use crate::sdk::{self, Fault, RequestIdOf};

/// How often keys that a busy table left out are asked for again.
const ROUNDS: u32 = 8;
/// Between two such rounds, times their number.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Records in a table with the string keys `partition` and `sort`.
#[derive(Clone)]
pub struct DynamoStore {
    reads: Client,
    writes: Client,
    table: Arc<str>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl DynamoStore {
    /// Over this table.
    pub fn new(config: &SdkConfig, table: &str, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            reads: Client::new(&sdk::repeating(config)),
            writes: Client::new(config),
            table: table.into(),
            clock,
            rng,
        }
    }

    fn failed_read(&self, fault: &Fault) -> StoreError {
        match fault {
            Fault::Throttled(what) | Fault::Unknown(what) => {
                StoreError::Unavailable(format!("the table {}: {what}", self.table))
            }
            _ => self.refused(fault),
        }
    }

    fn failed_write(&self, fault: &Fault) -> StoreError {
        match fault {
            // Whether it was carried out is not known, or somebody was in the way: the caller reads back.
            Fault::Throttled(what) | Fault::Unknown(what) => {
                tracing::debug!(table = %self.table, what, "a write has an unknown outcome");
                StoreError::Conflict
            }
            Fault::Refused { code, .. }
                if matches!(
                    code.as_str(),
                    "TransactionConflictException" | "TransactionInProgressException"
                ) =>
            {
                StoreError::Conflict
            }
            _ => self.refused(fault),
        }
    }

    fn refused(&self, fault: &Fault) -> StoreError {
        let table = &self.table;
        match fault {
            Fault::Denied(what) => StoreError::CannotWrite(format!(
                "the table {table}: {what}; give this function's role the right it lacks (template.yaml)"
            )),
            Fault::Refused { code, what } if code == "ResourceNotFoundException" => StoreError::CannotWrite(format!(
                "there is no table {table} (POSTROOM_TABLE), or it is being made: {what}"
            )),
            Fault::Refused { code, what } if code == "ValidationException" => {
                StoreError::Contract(format!("the table {table}: {what}"))
            }
            Fault::Refused { what, .. } | Fault::Throttled(what) | Fault::Unknown(what) => {
                StoreError::CannotWrite(format!("the table {table}: {what}"))
            }
        }
    }

    /// A conditional write that was not carried out; `unmet` picks the one error that tells the item as it is.
    fn failed_condition<E>(
        &self,
        write: &Write,
        error: SdkError<E, Response>,
        unmet: fn(E) -> Option<ConditionalCheckFailedException>,
    ) -> StoreError
    where
        E: ProvideErrorMetadata + RequestIdOf,
    {
        let fault = Fault::of(&error);
        match error {
            SdkError::ServiceError(context) if fault.is("ConditionalCheckFailedException") => {
                judged(write, unmet(context.into_err()).and_then(|unmet| unmet.item))
            }
            _ => self.failed_write(&fault),
        }
    }

    async fn put(&self, write: &Write, row: Row) -> Result<Option<Item>, StoreError> {
        let expression = Expression::when(&write.when)?;
        let sent = self
            .writes
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(row.clone()))
            .set_condition_expression(expression.condition.clone())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => item_of(row).map(Some),
            Err(error) => Err(self.failed_condition(write, error, |error| match error {
                PutItemError::ConditionalCheckFailedException(unmet) => Some(unmet),
                _ => None,
            })),
        }
    }

    async fn change(&self, write: &Write, expression: Expression) -> Result<Option<Item>, StoreError> {
        let sent = self
            .writes
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key_of(&write.key)))
            .set_update_expression(expression.update.clone())
            .set_condition_expression(expression.condition.clone())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(answer) => answer.attributes.map(item_of).transpose(),
            Err(error) => Err(self.failed_condition(write, error, |error| match error {
                UpdateItemError::ConditionalCheckFailedException(unmet) => Some(unmet),
                _ => None,
            })),
        }
    }

    async fn delete(&self, write: &Write) -> Result<Option<Item>, StoreError> {
        let expression = Expression::when(&write.when)?;
        let sent = self
            .writes
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(key_of(&write.key)))
            .set_condition_expression(expression.condition.clone())
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(None),
            Err(error) => Err(self.failed_condition(write, error, |error| match error {
                DeleteItemError::ConditionalCheckFailedException(unmet) => Some(unmet),
                _ => None,
            })),
        }
    }

    fn transaction_item(&self, write: &Write) -> Result<TransactWriteItem, StoreError> {
        let mut expression = Expression::when(&write.when)?;
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let builder = TransactWriteItem::builder();
        let built = match &write.change {
            Change::Put(attributes) => Put::builder()
                .table_name(&*self.table)
                .set_item(Some(row_of(&write.key, attributes)?))
                .set_condition_expression(expression.condition.clone())
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .return_values_on_condition_check_failure(old)
                .build()
                .map(|put| builder.put(put)),
            Change::Update { set, add } => {
                expression.change(set, add)?;
                Update::builder()
                    .table_name(&*self.table)
                    .set_key(Some(key_of(&write.key)))
                    .set_update_expression(expression.update.clone())
                    .set_condition_expression(expression.condition.clone())
                    .set_expression_attribute_names(expression.names())
                    .set_expression_attribute_values(expression.values())
                    .return_values_on_condition_check_failure(old)
                    .build()
                    .map(|update| builder.update(update))
            }
            Change::Delete => Delete::builder()
                .table_name(&*self.table)
                .set_key(Some(key_of(&write.key)))
                .set_condition_expression(expression.condition.clone())
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .return_values_on_condition_check_failure(old)
                .build()
                .map(|delete| builder.delete(delete)),
            Change::Check => ConditionCheck::builder()
                .table_name(&*self.table)
                .set_key(Some(key_of(&write.key)))
                .set_condition_expression(expression.condition.clone())
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .return_values_on_condition_check_failure(old)
                .build()
                .map(|check| builder.condition_check(check)),
        };
        built
            .map(aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder::build)
            .map_err(|error| StoreError::Contract(error.to_string()))
    }

    fn cancelled(&self, writes: &[Write], error: SdkError<TransactWriteItemsError, Response>) -> StoreError {
        let fault = Fault::of(&error);
        let reasons = match error.into_service_error() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                cancelled.cancellation_reasons.unwrap_or_default()
            }
            _ => return self.failed_write(&fault),
        };
        verdict(writes, reasons).unwrap_or_else(|| self.refused(&fault))
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        store_rules::check_key(key)?;
        let read = self
            .reads
            .get_item()
            .table_name(&*self.table)
            .set_key(Some(key_of(key)));
        match read.consistent_read(true).send().await {
            Ok(answer) => answer.item.map(item_of).transpose(),
            Err(error) => Err(self.failed_read(&Fault::of(&error))),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        store_rules::check_keys(keys)?;
        let mut wanted: Vec<Row> = keys.iter().map(key_of).collect();
        let mut items = Vec::with_capacity(keys.len());
        for round in 0..=ROUNDS {
            if wanted.is_empty() {
                return Ok(items);
            }
            if round > 0 {
                self.clock.sleep(PAUSE * round).await;
            }
            let asked = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .map_err(|error| StoreError::Contract(error.to_string()))?;
            let asked = HashMap::from([((*self.table).to_owned(), asked)]);
            let answer = self.reads.batch_get_item().set_request_items(Some(asked)).send().await;
            let answer = answer.map_err(|error| self.failed_read(&Fault::of(&error)))?;
            for row in answer.responses.unwrap_or_default().into_values().flatten() {
                items.push(item_of(row)?);
            }
            let left = answer.unprocessed_keys.unwrap_or_default();
            wanted.extend(left.into_values().flat_map(|left| left.keys));
        }
        Err(StoreError::Unavailable(format!("the table {} is busy", self.table)))
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let after = store_rules::check_query(query)?;
        let Some(range) = dynamo_query::Range::of(query, after) else {
            let (items, next) = (Vec::new(), None);
            return Ok(Page { items, next });
        };
        let limit = i32::try_from(query.limit).unwrap_or(i32::MAX);
        let read = self
            .reads
            .query()
            .table_name(&*self.table)
            .key_condition_expression(range.condition())
            .set_expression_attribute_names(Some(range.names()))
            .set_expression_attribute_values(Some(range.values()))
            .set_exclusive_start_key(range.start())
            .scan_index_forward(!query.descending)
            .consistent_read(true)
            .limit(limit);
        let answer = match read.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed_read(&Fault::of(&error))),
        };
        let next: Option<PageMark> = answer
            .last_evaluated_key
            .map(|key| item_of(key).map(|item| store_rules::mark_after(&item.key)))
            .transpose()?;
        let rows = answer.items.unwrap_or_default().into_iter();
        let mut items = rows.map(item_of).collect::<Result<Vec<_>, _>>()?;
        items.retain(|item| query.until.as_ref().is_none_or(|until| item.key.sort < *until));
        Ok(Page { items, next })
    }

    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        store_rules::check_write(&write)?;
        check_bytes(std::slice::from_ref(&write))?;
        match &write.change {
            Change::Put(attributes) => {
                let row = row_of(&write.key, attributes)?;
                self.put(&write, row).await
            }
            Change::Update { set, add } => {
                let mut expression = Expression::when(&write.when)?;
                expression.change(set, add)?;
                self.change(&write, expression).await
            }
            Change::Delete => self.delete(&write).await,
            // A check that answers the item is a read and a judgement of one moment.
            Change::Check => {
                let current = self.get(&write.key).await?;
                Ok(store_rules::decide(write, current)?.into_item())
            }
        }
    }

    async fn transact(&self, mut writes: Vec<Write>) -> Result<(), StoreError> {
        store_rules::check_writes(&writes)?;
        check_bytes(&writes)?;
        match writes.len() {
            0 => return Ok(()),
            // Half the price, and no other transaction can be in the way for longer than a moment.
            1 => return self.update(writes.remove(0)).await.map(drop),
            _ => {}
        }
        let items = writes
            .iter()
            .map(|write| self.transaction_item(write))
            .collect::<Result<Vec<_>, _>>()?;
        let sent = self
            .writes
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(self.rng.hex(16))
            .send()
            .await;
        sent.map(drop).map_err(|error| self.cancelled(&writes, error))
    }
}
