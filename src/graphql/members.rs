//! Members: lists, profiles, and what changes them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    context::Access,
    decisions::MemberDecisions,
    errors::{self, OrInternal, bad_input},
    fields::moment,
    history::AuditEntry,
    paging::{self, Connection, Edge, Paging},
    people::{Actor, User, happened},
    roles::{Permission, Role},
};
use crate::{
    domain::{
        self, GlobalId, OrganizationId, RoleId, UserId,
        organization::{self, Permissions, members::MemberStatus as Status},
    },
    store::{
        history, members,
        members::{Filter, MemberRow, OrderField},
        names::{Names, Wanted},
        page::Direction,
        refusals::Kept,
    },
};

/// What a membership is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub enum MemberStatus {
    /// With access.
    Active,
    /// Kept, without access.
    Inactive,
    /// Left or removed; listed only when asked for.
    Former,
}

/// What a list of members is ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "OrderField")]
pub enum MemberOrderField {
    /// The name; who has none is ordered by email.
    #[default]
    Name,
    /// The email.
    Email,
    /// The beginning of the membership.
    JoinedAt,
    /// The last sign-in; who never signed in comes first.
    LastLoginAt,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// Smallest, first or earliest at the top.
    #[default]
    Asc,
    /// Largest, last or latest at the top.
    Desc,
}

/// The order of a list of members.
#[derive(Clone, Copy, Debug, Default, InputObject)]
pub struct MemberOrder {
    /// What it goes by.
    field: MemberOrderField,
    /// Which way it runs.
    #[graphql(default)]
    direction: OrderDirection,
}

/// Which members are listed.
#[derive(Clone, Debug, Default, InputObject)]
pub struct MemberFilter {
    /// With one of these roles.
    role_ids: Option<Vec<ID>>,
    /// In one of these states; active and inactive, unless told otherwise.
    statuses: Option<Vec<MemberStatus>>,
    /// Who joined then or later.
    joined_from: Option<DateTime<Utc>>,
    /// Who joined before then.
    joined_to: Option<DateTime<Utc>>,
}

/// What a list of members was asked for.
pub struct MembersQuestion {
    /// Which page.
    pub paging: Paging,
    /// A part of the name or email.
    pub search: Option<String>,
    /// Which members.
    pub filter: MemberFilter,
    /// In which order.
    pub order: MemberOrder,
    /// At which moment; now, if none.
    pub as_of: Option<DateTime<Utc>>,
}

/// The longest search text, in characters.
const SEARCH_LIMIT: usize = 200;
/// How many values a filter takes.
const FILTER_LIMIT: usize = 100;

/// A search text within its bounds; nothing but white space finds everything.
pub fn search_text(search: Option<String>) -> Result<Option<String>> {
    match search {
        Some(text) if text.chars().count() > SEARCH_LIMIT || text.contains('\0') => {
            Err(bad_input("search has at most 200 characters, and no NUL among them."))
        }
        text => Ok(text.filter(|text| !text.trim().is_empty())),
    }
}

/// A filter's list within its bound.
pub fn filter_list<T>(list: Option<Vec<T>>) -> Result<Vec<T>> {
    let list = list.unwrap_or_default();
    if list.len() > FILTER_LIMIT {
        return Err(bad_input("A filter takes at most 100 values."));
    }
    Ok(list)
}

/// Whether a field is selected on the nodes of a connection.
pub fn selects_on_nodes(ctx: &Context<'_>, field: &str) -> bool {
    let look = ctx.look_ahead();
    look.field("edges").field("node").field(field).exists() || look.field("nodes").field(field).exists()
}

/// Lists members. Organizations without member management have an empty page.
pub async fn list(ctx: &Context<'_>, access: &Arc<Access>, question: MembersQuestion) -> Result<MemberConnection> {
    access.require(organization::Permission::MembersRead)?;
    if access.kind.rules().members == organization::kinds::MemberManagement::Never {
        return Ok(Connection::empty());
    }
    let database = access.database(ctx)?;
    let MembersQuestion { paging, search, filter, order, as_of } = question;
    let as_of = match as_of {
        None => None,
        Some(at) => Some(access.sequence_at(ctx, moment(at)).await?),
    };
    let mut rows = Filter { as_of, search: search_text(search)?, ..Filter::present(access.organization) };
    let role_ids = filter_list(filter.role_ids)?;
    // An id of elsewhere matches nobody here, like an unknown one.
    rows.roles = role_ids.iter().map(|id| role_of(access.organization, id)).collect();
    if let Some(statuses) = filter.statuses {
        rows.statuses = filter_list(Some(statuses))?.into_iter().map(Status::from).collect();
    }
    rows.joined_from = filter.joined_from.map(moment);
    rows.joined_to = filter.joined_to.map(moment);
    let direction = match order.direction {
        OrderDirection::Asc => Direction::Ascending,
        OrderDirection::Desc => Direction::Descending,
    };
    let field = OrderField::from(order.field);
    let name = format!("members.{field:?}.{direction:?}");
    let page = rows.page(database, (field, direction), &paging.window(&name)?).await.or_internal(ctx)?;
    let total = match page.total {
        _ if !ctx.look_ahead().field("totalCount").exists() => None,
        None if rows == Filter::present(access.organization) && access.reads_primary() => Some(access.member_count()),
        None => Some(rows.count(database).await.or_internal(ctx)?),
        total => total,
    };
    let names =
        if selects_on_nodes(ctx, "invitedBy") { inviters(ctx, access, &page.rows).await? } else { Names::default() };
    let names = Arc::new(names);
    Ok(Connection::new(page, total, |row| Edge {
        cursor: paging::encode(&name, &row.position(field)),
        node: Member::new(access, row, &names, as_of),
    }))
}

/// The status of a row.
fn status(name: &str) -> MemberStatus {
    match name {
        "ACTIVE" => MemberStatus::Active,
        "INACTIVE" => MemberStatus::Inactive,
        _ => MemberStatus::Former,
    }
}

fn role_of(organization: OrganizationId, id: &ID) -> RoleId {
    match id.parse() {
        Ok(GlobalId::Role(of, role) | GlobalId::RoleAsOf(of, role, _)) if of == organization => role,
        _ => RoleId(uuid::Uuid::nil()),
    }
}

async fn inviters(ctx: &Context<'_>, access: &Access, rows: &[MemberRow]) -> Result<Names> {
    let mut wanted = Wanted::default();
    rows.iter().filter_map(MemberRow::invited_by).for_each(|actor| wanted.actor(actor));
    wanted.load(access.database(ctx)?, access.organization).await.or_internal(ctx)
}

/// A page of members.
pub type MemberConnection = Connection<Edge<Member>>;

/// A person in an organization; the same over all periods of membership.
pub struct Member {
    access: Arc<Access>,
    user: User,
    role: Option<Role>,
    status: MemberStatus,
    joined_at: DateTime<Utc>,
    version: i64,
    invited_by: Option<domain::Actor>,
    names: Arc<Names>,
    as_of: Option<u64>,
}

impl Member {
    fn new(access: &Arc<Access>, row: MemberRow, names: &Arc<Names>, as_of: Option<u64>) -> Self {
        Self {
            invited_by: row.invited_by(),
            user: User {
                person: UserId(row.user_id),
                name: row.name,
                email: row.email,
                avatar_url: row.avatar_url,
                last_login_at: happened(row.last_login_at),
            },
            role: row.role.into_row().map(|role| Role::at(access, role, as_of)),
            status: status(&row.status),
            joined_at: row.joined_at,
            version: row.version,
            access: Arc::clone(access),
            names: Arc::clone(names),
            as_of,
        }
    }

    /// The member with this id, in whatever state.
    pub async fn find(ctx: &Context<'_>, access: &Arc<Access>, user: UserId) -> Result<Option<Self>> {
        Self::find_at(ctx, access, user, None).await
    }

    /// The same as of a sequence of the ledger.
    pub async fn find_at(
        ctx: &Context<'_>,
        access: &Arc<Access>,
        user: UserId,
        as_of: Option<u64>,
    ) -> Result<Option<Self>> {
        if let Some(sequence) = as_of
            && !access.has_sequence(ctx, sequence).await?
        {
            return Ok(None);
        }
        let filter = Filter { as_of, ..Filter::present(access.organization) };
        let Some(row) = filter.find(access.database(ctx)?, user).await.or_internal(ctx)? else { return Ok(None) };
        let names = inviters(ctx, access, std::slice::from_ref(&row)).await?;
        Ok(Some(Self::new(access, row, &Arc::new(names), as_of)))
    }

    fn is_viewer(&self) -> bool {
        self.access.actor == domain::Actor::User(self.user.person)
    }
}

/// A person in an organization.
#[Object]
impl Member {
    /// Their id in the organization; it stays the same when they leave and come back. As of a moment of the past it
    /// carries the sequence, so that a cache does not take the past for the present.
    pub async fn id(&self) -> ID {
        let (organization, user) = (self.access.organization, self.user.person);
        let id = match self.as_of {
            None => GlobalId::Member(organization, user),
            Some(sequence) => GlobalId::MemberAsOf(organization, user, sequence),
        };
        id.to_string().into()
    }

    /// What the membership is.
    fn status(&self) -> MemberStatus {
        self.status
    }

    /// When the present membership began.
    fn joined_at(&self) -> DateTime<Utc> {
        self.joined_at
    }

    /// When the person last signed in; none, if they never did.
    fn last_login_at(&self) -> Option<DateTime<Utc>> {
        self.user.last_login_at
    }

    /// The sequence of the last event about them; what `expectedVersion` is compared with.
    fn version(&self) -> i64 {
        self.version
    }

    /// The person.
    fn user(&self) -> &User {
        &self.user
    }

    /// The role they hold, or held at last; as of a moment of the past, the role as it was then.
    fn role(&self) -> Option<&Role> {
        self.role.as_ref()
    }

    /// What they may do now: their role's permissions, while they are active.
    fn permissions(&self) -> Vec<Permission> {
        let role = self.role.as_ref().filter(|_| self.status == MemberStatus::Active);
        errors::permissions(role.map_or(Permissions::NONE, |role| Permissions::from_bits(role.row.permissions)))
    }

    /// Who invited them; nobody, if they made the organization.
    fn invited_by(&self) -> Option<Actor> {
        Some(Actor::new(self.access.organization, self.invited_by?, &self.names))
    }

    /// The latest 100 periods of their membership, newest first.
    async fn history(&self, ctx: &Context<'_>) -> Option<Result<Vec<MembershipPeriod>>> {
        // In a box, like all that is large here: the future of any field is as large as the largest.
        Some(Box::pin(self.periods(ctx)).await)
    }

    /// What they did in the organization, newest first. Needs AUDIT_READ; one's own is there for everybody.
    async fn activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
    ) -> Option<Result<Connection<Edge<AuditEntry>>>> {
        if !self.is_viewer()
            && let Err(error) = self.access.require(organization::Permission::AuditRead)
        {
            return Some(Err(error));
        }
        let filter = history::Filter { actors: vec![self.user.person.0], ..history::Filter::default() };
        let (filter, paging) = ((&filter, Kept::Done), Paging::forwards(first, after));
        Some(Box::pin(super::history::audit_page(ctx, &self.access, filter, &paging)).await)
    }

    /// What the caller may do to them, by the rules that would decide the commands.
    fn viewer_can(&self) -> MemberDecisions {
        MemberDecisions {
            access: Arc::clone(&self.access),
            member: self.user.person,
            role: self.role.as_ref().map(|role| role.row.id()),
        }
    }
}

impl Member {
    async fn periods(&self, ctx: &Context<'_>) -> Result<Vec<MembershipPeriod>> {
        let database = self.access.database(ctx)?;
        let rows = members::periods(database, self.access.organization, self.user.person).await.or_internal(ctx)?;
        let mut wanted = Wanted::default();
        rows.iter().filter_map(members::PeriodRow::actor).for_each(|actor| wanted.actor(actor));
        let names = wanted.load(database, self.access.organization).await.or_internal(ctx)?;
        let period = |row: members::PeriodRow| MembershipPeriod {
            changed_by: row.actor().map(|actor| Actor::new(self.access.organization, actor, &names)),
            role: row.role.into_row().map(|row| Role::now(&self.access, row)),
            status: status(&row.status),
            from: row.from_at,
            until: row.until_at,
        };
        Ok(rows.into_iter().map(period).collect())
    }
}

/// A time in which a member's role and status stayed the same.
#[derive(SimpleObject)]
pub struct MembershipPeriod {
    /// The role.
    role: Option<Role>,
    /// What the membership was.
    status: MemberStatus,
    /// From then.
    from: DateTime<Utc>,
    /// Until then; none, if it goes on.
    until: Option<DateTime<Utc>>,
    /// Who made the change that it began with.
    changed_by: Option<Actor>,
}
