//! Exports of data, and the end of an account.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::viewer::person;
use crate::{
    domain::{Refusal, values::normalize},
    graphql::{
        context::{Services, caller, services},
        data_exports::DataExport,
        errors::{Stop, UserError, answer, payloads},
        fields::{Fields, GivenTerms},
    },
    store::users,
};

/// Whose data to export.
#[derive(Debug, InputObject)]
pub struct RequestDataExportInput {
    /// The organization.
    organization_id: ID,
    /// Do it once, however often it is sent, for 24 hours.
    idempotency_key: Option<String>,
}

/// A person to erase: the caller.
#[derive(Debug, InputObject)]
pub struct EraseViewerInput {
    /// The caller's email address, typed again.
    confirm_email: String,
}

/// An export that is made from now on, or is there already.
#[derive(Default, SimpleObject)]
pub struct DataExportPayload {
    /// The export.
    export: Option<DataExport>,
    /// Why there is none.
    user_errors: Vec<UserError>,
}

/// The end of an account.
#[derive(Default, SimpleObject)]
pub struct EraseViewerPayload {
    /// Why nothing was erased; each names its organization, where one stands in the way.
    user_errors: Vec<UserError>,
}

payloads!(DataExportPayload, EraseViewerPayload);

/// Mutations of what is kept about people and organizations as a whole.
#[derive(Default)]
pub struct PersonalDataMutations;

/// Mutations of what is kept about people and organizations as a whole.
#[Object]
impl PersonalDataMutations {
    /// Has everything that is kept about an organization copied for download. One that is being made, or was made within
    /// the last hour, is given again. Needs DATA_EXPORT.
    async fn request_data_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose data.")] input: RequestDataExportInput,
    ) -> Result<DataExportPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let given = GivenTerms { idempotency_key: input.idempotency_key.as_deref(), ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let Some(organization) = organization else { return Err(fields.stop()) };
            fields.check()?;
            let Services { commands, .. } = services(ctx)?;
            let row = commands.request_data_export(&caller(ctx)?, organization, terms).await?;
            Ok(DataExportPayload {
                export: row.map(|row| DataExport::of(ctx, &row)).transpose()?,
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Has everything that is kept about the caller copied for download. One that is being made, or was made within the
    /// last hour, is given again.
    async fn request_viewer_data_export(&self, ctx: &Context<'_>) -> Result<DataExportPayload> {
        answer(ctx, async {
            let (user, _) = person(ctx)??;
            let row = services(ctx)?.commands.request_own_data_export(user).await?;
            Ok(DataExportPayload { export: Some(DataExport::of(ctx, &row)?), user_errors: Vec::new() })
        })
        .await
    }

    /// Erases the caller for good: ends their memberships and their personal organization, and blanks everything that is
    /// kept about them. Their id stays in the ledgers. Where an organization would be left without its owner, nothing is
    /// erased.
    async fn erase_viewer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who is meant.")] input: EraseViewerInput,
    ) -> Result<EraseViewerPayload> {
        answer(ctx, async {
            let (user, _) = person(ctx)??;
            let Services { erasure, .. } = services(ctx)?;
            let row = users::find(&erasure.store.database, user).await?.ok_or(Refusal::UserRequired)?;
            if normalize(&input.confirm_email) != row.email_key {
                return Err(Refusal::invalid("confirmEmail", "must be your email address").into());
            }
            let refusals = erasure.erase(&caller(ctx)?, user).await?;
            if refusals.is_empty() { Ok(EraseViewerPayload::default()) } else { Err(Stop::Refused(refusals)) }
        })
        .await
    }
}
