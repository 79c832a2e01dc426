//! What can be changed: each mutation parses its input, has the command decided, and reads back what it changed.

mod api_keys;
mod invitations;
mod members;
mod organization;
mod personal_data;
mod preferences;
mod roles;
mod viewer;

use async_graphql::MergedObject;

/// What can be changed.
#[derive(Default, MergedObject)]
#[graphql(name = "Mutation")]
pub struct MutationRoot(
    viewer::ViewerMutations,
    personal_data::PersonalDataMutations,
    organization::OrganizationMutations,
    members::MemberMutations,
    invitations::InvitationMutations,
    roles::RoleMutations,
    api_keys::ApiKeyMutations,
    preferences::PreferenceMutations,
);
