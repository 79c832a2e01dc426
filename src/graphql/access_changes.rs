//! What changed in who has access, between two moments, as an auditor reads it: from the events, in their order.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, ID, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    changes::{self, Change},
    context::Access,
    errors::{OrInternal, bad_input},
    history::names,
    members::MemberStatus,
    people::Actor,
    roles::Role,
};
use crate::{
    domain::{
        ApiKeyId, GlobalId, RoleId, Timestamp, UserId,
        organization::{self, Event, members::MemberStatus as Status},
    },
    store::{
        aggregate::Recorded,
        history::Filter,
        names::Names,
        page::{Direction, End, Window},
        roles::{self, RoleRow},
    },
};

/// How many changes are told at once. The largest command there is, deleting a role, makes 1,001.
const AT_MOST: u32 = 2000;

/// Who joined or left.
#[derive(SimpleObject)]
pub struct MemberAccess {
    /// The member.
    member_id: ID,
    /// What they are called today: by name, or else email.
    display_name: Option<String>,
    /// The role that they got, or had at last.
    role: Option<Role>,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who did it; themselves, if they left.
    actor: Option<Actor>,
}

/// A member with another role.
#[derive(SimpleObject)]
pub struct MemberRoleChange {
    /// The member.
    member_id: ID,
    /// What they are called today: by name, or else email.
    display_name: Option<String>,
    /// The role before.
    from: Option<Role>,
    /// The role after.
    to: Option<Role>,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who did it.
    actor: Option<Actor>,
}

/// A member who was switched off or on.
#[derive(SimpleObject)]
pub struct MemberStatusChange {
    /// The member.
    member_id: ID,
    /// What they are called today: by name, or else email.
    display_name: Option<String>,
    /// What the membership was before.
    from: MemberStatus,
    /// What it was after.
    to: MemberStatus,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who did it.
    actor: Option<Actor>,
}

/// A custom role that was made, edited or deleted.
#[derive(SimpleObject)]
pub struct RoleChange {
    /// The role.
    role_id: ID,
    /// What it is called today, or was at last.
    name: Option<String>,
    /// The permanent name of the change.
    #[graphql(name = "type")]
    event_type: &'static str,
    /// What changed: each field with its value before and after.
    changes: Vec<Change>,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who did it.
    actor: Option<Actor>,
}

/// An API key that was made, changed or revoked.
#[derive(SimpleObject)]
pub struct ApiKeyChange {
    /// The key.
    api_key_id: ID,
    /// What it is called today, or was at last.
    name: Option<String>,
    /// The permanent name of the change.
    #[graphql(name = "type")]
    event_type: &'static str,
    /// What changed: each field with its value before and after.
    changes: Vec<Change>,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who did it.
    actor: Option<Actor>,
}

/// What changed in who has access between two moments: every single change, also those that were undone in between, each
/// list in the order of time. Roles are as they were at the end. An API key that expired is no change.
#[derive(Default, SimpleObject)]
pub struct AccessChanges {
    /// Who joined, for the first time or again.
    joined: Vec<MemberAccess>,
    /// Who left or was removed.
    left: Vec<MemberAccess>,
    /// Who got another role; a transfer of the ownership is two such changes.
    role_changes: Vec<MemberRoleChange>,
    /// Who was switched off or on.
    status_changes: Vec<MemberStatusChange>,
    /// Custom roles that were made, edited or deleted.
    roles_changed: Vec<RoleChange>,
    /// API keys that were made.
    api_keys_created: Vec<ApiKeyChange>,
    /// API keys that were edited, rotated, disabled or enabled.
    api_keys_changed: Vec<ApiKeyChange>,
    /// API keys that were revoked.
    api_keys_revoked: Vec<ApiKeyChange>,
}

/// The changes from one moment to before another.
pub async fn between(ctx: &Context<'_>, access: &Arc<Access>, from: Timestamp, to: Timestamp) -> Result<AccessChanges> {
    access.require(organization::Permission::MembersRead)?;
    if from >= to {
        return Err(bad_input("to has to be later than from."));
    }
    let database = access.database(ctx)?;
    let types = ["member.*", "role.*", "api_key.*"].map(str::to_owned).into();
    let filter = Filter { types, from: Some(from), to: Some(to), ..Filter::default() };
    let window = Window { limit: AT_MOST, end: End::First, after: None, before: None };
    let page = filter.page(database, access.organization, Direction::Ascending, &window).await.or_internal(ctx)?;
    if page.has_next {
        return Err(bad_input(format!(
            "There are more than {AT_MOST} changes: ask for a shorter time, or read them in pages in auditLog."
        )));
    }
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = names(ctx, database, access.organization, &recorded).await?;
    let mut teller = Teller { access, names, roles: HashMap::new(), at: 0 };
    if let Some(last) = recorded.last() {
        teller.at = last.sequence;
        let wanted = recorded.iter().flat_map(|recorded| changes::roles(&recorded.event));
        let rows = roles::named_at(database, access.organization, wanted, last.sequence).await.or_internal(ctx)?;
        teller.roles = rows.into_iter().map(|row| (row.role_id, row)).collect();
    }
    let mut told = AccessChanges::default();
    for recorded in recorded {
        teller.tell(recorded, &mut told);
    }
    Ok(told)
}

/// What is needed to tell of events.
struct Teller<'a> {
    access: &'a Arc<Access>,
    names: Names,
    roles: HashMap<Uuid, RoleRow>,
    /// The sequence that roles are shown as of.
    at: u64,
}

impl Teller<'_> {
    fn tell(&self, recorded: &Recorded, told: &mut AccessChanges) {
        match &recorded.event {
            Event::MemberJoined { user_id, role_id, .. } => told.joined.push(self.member(recorded, *user_id, *role_id)),
            Event::MemberLeft { user_id, role_id, .. } | Event::MemberRemoved { user_id, role_id, .. } => {
                told.left.push(self.member(recorded, *user_id, *role_id));
            }
            Event::MemberRoleChanged { user_id, from, to } => {
                told.role_changes.push(self.role_change(recorded, *user_id, (*from, *to)));
            }
            Event::MemberOwnershipTransferred { user_id, from, to, former_owner_id, former_owner_role_id } => {
                told.role_changes.push(self.role_change(recorded, *user_id, (*from, *to)));
                told.role_changes.push(self.role_change(recorded, *former_owner_id, (*to, *former_owner_role_id)));
            }
            Event::MemberDeactivated { user_id } => {
                told.status_changes.push(self.status_change(recorded, *user_id, (Status::Active, Status::Inactive)));
            }
            Event::MemberReactivated { user_id } => {
                told.status_changes.push(self.status_change(recorded, *user_id, (Status::Inactive, Status::Active)));
            }
            Event::RoleCreated { role_id, .. }
            | Event::RoleUpdated { role_id, .. }
            | Event::RoleDeleted { role_id, .. } => told.roles_changed.push(self.role(recorded, *role_id)),
            Event::ApiKeyCreated { api_key_id, .. } => told.api_keys_created.push(self.key(recorded, *api_key_id)),
            Event::ApiKeyRevoked { api_key_id, .. } => told.api_keys_revoked.push(self.key(recorded, *api_key_id)),
            Event::ApiKeyUpdated { api_key_id, .. }
            | Event::ApiKeyDisabled { api_key_id }
            | Event::ApiKeyEnabled { api_key_id }
            | Event::ApiKeyRotated { api_key_id, .. } => told.api_keys_changed.push(self.key(recorded, *api_key_id)),
            _ => {}
        }
    }

    fn actor(&self, recorded: &Recorded) -> Option<Actor> {
        super::history::actor(recorded, &self.names)
    }

    fn role_at(&self, id: RoleId) -> Option<Role> {
        self.roles.get(&id.0).map(|row| Role::at(self.access, row.clone(), Some(self.at)))
    }

    fn member_id(&self, user: UserId) -> ID {
        GlobalId::Member(self.access.organization, user).to_string().into()
    }

    fn member(&self, recorded: &Recorded, user: UserId, role: RoleId) -> MemberAccess {
        MemberAccess {
            member_id: self.member_id(user),
            display_name: self.names.get(user.0),
            role: self.role_at(role),
            occurred_at: recorded.recorded_at,
            actor: self.actor(recorded),
        }
    }

    fn role_change(&self, recorded: &Recorded, user: UserId, (from, to): (RoleId, RoleId)) -> MemberRoleChange {
        MemberRoleChange {
            member_id: self.member_id(user),
            display_name: self.names.get(user.0),
            from: self.role_at(from),
            to: self.role_at(to),
            occurred_at: recorded.recorded_at,
            actor: self.actor(recorded),
        }
    }

    fn status_change(&self, recorded: &Recorded, user: UserId, (from, to): (Status, Status)) -> MemberStatusChange {
        MemberStatusChange {
            member_id: self.member_id(user),
            display_name: self.names.get(user.0),
            from: from.into(),
            to: to.into(),
            occurred_at: recorded.recorded_at,
            actor: self.actor(recorded),
        }
    }

    fn role(&self, recorded: &Recorded, role: RoleId) -> RoleChange {
        RoleChange {
            role_id: GlobalId::Role(self.access.organization, role).to_string().into(),
            name: self.names.get(role.0),
            event_type: recorded.event.name(),
            changes: changes::of(recorded, &self.names),
            occurred_at: recorded.recorded_at,
            actor: self.actor(recorded),
        }
    }

    fn key(&self, recorded: &Recorded, key: ApiKeyId) -> ApiKeyChange {
        ApiKeyChange {
            api_key_id: GlobalId::ApiKey(self.access.organization, key).to_string().into(),
            name: self.names.get(key.0),
            event_type: recorded.event.name(),
            changes: changes::of(recorded, &self.names),
            occurred_at: recorded.recorded_at,
            actor: self.actor(recorded),
        }
    }
}
