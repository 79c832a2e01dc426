//! Asking for exports of data: one that is being made, or was made a moment ago, is given to who asks again.

use super::{Caller, Commands, Terms};
use crate::{
    domain::{
        DataExportId, Organization, OrganizationId, Refusal, UserId,
        organization::{Action, Ask, OrganizationAction},
    },
    store::{
        Error,
        data_exports::{self, DataExportRow, Owner},
        ledger::{Failure, Freshness},
    },
};

impl Commands {
    /// Asks for an export of an organization's data; `None` where it is gone already.
    pub async fn request_data_export(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        terms: Terms,
    ) -> Result<Option<DataExportRow>, Failure> {
        let (database, now) = (&self.store.database, self.store.now());
        let owner = Owner::Organization(organization);
        let last = self.store.ledger.view(organization, Freshness::Compared, Organization::data_export).await?;
        let outlived = match last {
            None => None,
            // Its row came with its event; those that are over are swept with their rows.
            Some(last) => {
                let row = data_exports::find(database, owner, last).await?;
                if row.is_some_and(|row| row.serves_at(now)) { None } else { Some(last) }
            }
        };
        let export = DataExportId(self.store.entropy.ordered_uuid(now));
        let action = Action::RequestDataExport { export, outlived };
        let receipt = self.execute(caller, organization, action, terms).await?;
        let Some(export) = receipt.objects.first() else { return Ok(None) };
        Ok(data_exports::find(database, owner, DataExportId(*export)).await?)
    }

    /// Asks for an export of a person's own data.
    pub async fn request_own_data_export(&self, user: UserId) -> Result<DataExportRow, Failure> {
        let now = self.store.now();
        let export = DataExportId(self.store.entropy.ordered_uuid(now));
        let row = data_exports::request_own(&self.store.database, user, export, now).await?;
        row.ok_or(Failure::Refused(Refusal::UserRequired))
    }

    /// Whether the caller may have exports of an organization's data now.
    pub async fn may_export(
        &self,
        caller: &Caller,
        organization: OrganizationId,
    ) -> Result<Result<(), Refusal>, Error> {
        let ask = Ask::about(OrganizationAction::RequestDataExport);
        let answers = self.may(caller.actor, organization, &[ask], Freshness::Compared).await?;
        Ok(answers.into_iter().collect())
    }
}
