//! The GraphQL API: a resolver parses what was asked, has it executed or read, and shapes the answer. No rule of
//! the business stands here, and no SQL.

use async_graphql::{Context, ID, Object, Result, Schema};
use futures_util::future::try_join_all;

mod access_changes;
mod api_keys;
mod changes;
pub mod context;
mod data_exports;
mod decisions;
mod devices;
mod errors;
mod event_types;
mod events;
mod fields;
mod history;
mod invitations;
mod ledger_head;
mod members;
mod mutations;
mod node;
mod organization;
mod overview;
pub mod paging;
mod people;
mod preferences;
mod roles;
pub mod subscriptions;
mod verification;
mod viewer;

use context::{Services, request, services, store};
use errors::{OrInternal, bad_input};
use event_types::EventTypeInfo;
use invitations::InvitationPreview;
use mutations::MutationRoot;
use node::Node;
use organization::Organization;
use roles::Permission;
use verification::ApiKeyVerification;
use viewer::Viewer;

use crate::auth::Principal;

/// How many objects `nodes` reads: each may take a statement of its own.
const NODES: usize = 20;

/// What can be read.
pub struct QueryRoot;

/// What can be read.
#[Object(name = "Query")]
impl QueryRoot {
    /// Who is calling; null, if nobody is signed in.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<Viewer>> {
        let principal = request(ctx)?.principal;
        Ok((principal != Principal::Anonymous).then_some(Viewer(principal)))
    }

    /// An organization; null, if there is none or the caller has no access to it.
    async fn organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
        #[graphql(
            desc = "The cursor of a mutation: what it wrote is there to read, also where the service reads from a standby, which may be a moment behind."
        )]
        min_cursor: Option<String>,
    ) -> Result<Option<Organization>> {
        organization::find(ctx, &id, min_cursor.as_deref()).await
    }

    /// An object by its id; null, if there is none or the caller may not see it.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Result<Option<Node>> {
        node::find(ctx, &id).await
    }

    /// Objects by their ids, in the order of the ids; 20 at most.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Their ids.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > NODES {
            return Err(bad_input("At most 20 objects can be read at once."));
        }
        // At once, so that what they look up is looked up together.
        try_join_all(ids.iter().map(|id| node::find(ctx, id))).await
    }

    /// Every type of event that a ledger may hold, in every version. No credential is needed.
    async fn event_types(&self) -> Vec<EventTypeInfo> {
        event_types::all()
    }

    /// The invitation behind a link; null, if the link is not one of ours. No credential is needed.
    async fn invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token of the link.")] token: String,
    ) -> Result<Option<InvitationPreview>> {
        let found = services(ctx)?.commands.preview(&token).await.or_internal(ctx)?;
        let now = store(ctx)?.now();
        Ok(found.map(|(link, row)| InvitationPreview::of(row, Some(link.generation), now)))
    }

    /// What another service learns about an API key that it was shown: by POST only, with no credential needed. A key
    /// with a rate limit pays one unit for it; an address that shows too many wrong keys has to wait.
    async fn verify_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The whole key.")] key: String,
        #[graphql(desc = "What the key has to be able to do.")] permission: Option<Permission>,
    ) -> Result<ApiKeyVerification> {
        verification::verify(ctx, &key, permission).await
    }
}

/// The schema.
pub type ApiSchema = Schema<QueryRoot, MutationRoot, subscriptions::SubscriptionRoot>;

/// The schema before it has what its resolvers stand on: enough to print it, and to hold documents against it.
pub fn builder() -> async_graphql::SchemaBuilder<QueryRoot, MutationRoot, subscriptions::SubscriptionRoot> {
    Schema::build(QueryRoot, MutationRoot::default(), subscriptions::SubscriptionRoot)
}

/// The schema with what its resolvers stand on.
pub fn schema(services: Services) -> ApiSchema {
    builder().data(services).finish()
}

/// The text of the schema, as `schema.graphql` holds it.
pub fn schema_text() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    let text = builder().finish().sdl_with_options(options);
    format!("{}\n", text.trim())
}
