//! What an admin expects of a credential's reach.

use crate::{import::reach::applies, reach::Expected, records::credentials::CredentialRow};

use super::{Manage, ManageError};

impl Manage {
    /// Notes which mailboxes a credential must read and which it must not; nothing of both: nobody expects anything any more.
    pub async fn expect_reach(&self, row: &CredentialRow, expected: &Expected) -> Result<(), ManageError> {
        let credential = &row.credential;
        applies(credential.grant_type).map_err(ManageError::Refused)?;
        self.credentials.expect(credential.id.as_str(), expected).await?;
        let what = if expected.is_empty() {
            format!(
                "expects nothing of the reach of credential `{}` any more",
                credential.id
            )
        } else {
            format!(
                "named {} mailboxes that credential `{}` must read, and {} that it must not",
                expected.must_read.len(),
                credential.id,
                expected.must_not_read.len()
            )
        };
        Ok(self.note(&what).await?)
    }
}
