//! The overview of an organization: counts, and the latest changes.

use std::sync::Arc;

use async_graphql::{Context, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    context::{Access, store},
    errors::OrInternal,
    history,
    people::Actor,
};
use crate::{domain::organization::Permission, store::profile};

/// What an overview shows.
#[derive(SimpleObject)]
pub struct Overview {
    /// Members, former ones not counted.
    member_count: i64,
    /// Members with access.
    active_member_count: i64,
    /// Invitations that wait for an answer.
    pending_invitation_count: i64,
    /// API keys that are not revoked.
    api_key_count: i64,
    /// The latest ten changes; null without AUDIT_READ.
    recent_activity: Option<Vec<ActivityEntry>>,
}

/// A change, in short.
#[derive(SimpleObject)]
pub struct ActivityEntry {
    /// Its permanent name.
    #[graphql(name = "type")]
    event_type: String,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who.
    actor: Option<Actor>,
}

impl Overview {
    /// Counts, and the latest changes for who may see them.
    pub async fn read(ctx: &Context<'_>, access: &Arc<Access>) -> Result<Self> {
        let now = store(ctx)?.now();
        let counts = profile::counts(access.database(ctx)?, access.organization, now).await.or_internal(ctx)?;
        let wanted = ctx.look_ahead().field("recentActivity").exists();
        let recent_activity = if wanted && access.require(Permission::AuditRead).is_ok() {
            Some(history::recent(ctx, access, 10).await?)
        } else {
            None
        };
        Ok(Self {
            member_count: counts.members,
            active_member_count: counts.active_members,
            pending_invitation_count: counts.pending_invitations,
            api_key_count: counts.api_keys,
            recent_activity,
        })
    }
}

impl ActivityEntry {
    /// The entry of an event.
    pub const fn new(event_type: String, occurred_at: DateTime<Utc>, actor: Option<Actor>) -> Self {
        Self { event_type, occurred_at, actor }
    }
}
