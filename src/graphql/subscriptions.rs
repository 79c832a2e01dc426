//! Subscriptions. Catching up from the ledger is the only path: a stream reads a page behind its cursor, sends it,
//! and repeats until there is nothing; then it waits for a wake-up, and reads again. Access is checked for every page,
//! and watched in between; a stream that has nothing to say costs nothing. Who stands at the same place reads the same
//! page (`store/feed.rs`), and who is checked at one moment is checked together.
//!
//! The engine's own stream of answers ends where there is nothing more to tell, and is begun anew once there is: it
//! takes several times what waiting takes, and thousands wait at a time. `Waiting` keeps the place in between, and what
//! was read there.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Context, Enum, ID, Result, SimpleObject, Subscription};
use futures_util::Stream;
use tokio::sync::watch;

use super::{
    context::{Access, request, services, store},
    errors::{OrInternal, not_found, top, unauthenticated},
    events::{EventEdge, EventFilter, edge},
    history::type_patterns,
    paging::{ledger_cursor, ledger_sequence},
};
use crate::{
    auth::watch::{credential, standing},
    domain::{
        GlobalId, OrganizationId,
        organization::{self, Event, Permissions, Target},
    },
    store::{self, Store, aggregate::Recorded, feed::Page, history, hot, standing::Credential},
};

/// A part of an organization that a page may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum)]
pub enum OrganizationArea {
    /// Name, description and logo.
    Profile,
    /// Members.
    Members,
    /// Invitations.
    Invitations,
    /// Roles.
    Roles,
    /// API keys.
    ApiKeys,
    /// The default role, and other settings.
    Settings,
}

/// Something to refetch changed, or may have before this was told.
#[derive(Clone, Debug, SimpleObject)]
pub struct OrganizationChange {
    /// The place in the ledger.
    cursor: String,
    /// What to refetch; nothing yet, in the first answer.
    areas: Vec<OrganizationArea>,
}

/// What can be subscribed to.
pub struct SubscriptionRoot;

/// What can be subscribed to, over graphql-transport-ws or as server-sent events.
#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// Stored events after the cursor, then live ones; each exactly once, in order. A heartbeat has a cursor and no
    /// node. Without a cursor it begins with the first event; one that the ledger has not come to is `CURSOR_AHEAD`.
    /// Needs EVENTS_SUBSCRIBE.
    async fn organization_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose events.")] organization_id: ID,
        #[graphql(desc = "The last cursor that was seen.")] after: Option<String>,
        #[graphql(desc = "Which events.")] filter: Option<EventFilter>,
    ) -> Result<impl Stream<Item = Result<EventEdge>>> {
        let permission = Some(organization::Permission::EventsSubscribe);
        let types = type_patterns(filter.and_then(|filter| filter.types))?;
        // Where a stream of events broke, its reader goes on; the document still says where it began.
        let broke = request(ctx)?.last_event_id.as_deref();
        let start = broke.or(after.as_deref()).map_or(Start::Beginning, Start::After);
        let mut reader = Reader::resume(ctx, &organization_id, start, permission).await?;
        let ctx = ctx.clone();
        Ok(async_stream::stream! {
            loop {
                let page = match reader.next(&ctx).await {
                    Ok(Some(page)) => page,
                    Ok(None) => break reader.wait(&ctx),
                    Err(error) => { yield Err(error); break }
                };
                let mut told = None;
                for (recorded, names) in page.named() {
                    if history::takes(&types, recorded.event.name()) {
                        told = Some(recorded.sequence);
                        yield Ok(edge(recorded, names));
                    }
                }
                // What the filter left out moves the cursor all the same.
                if told != Some(reader.sequence) {
                    yield Ok(EventEdge { cursor: ledger_cursor(reader.sequence), node: None });
                }
            }
        })
    }

    /// Something to refetch changed: for every member, so that lists refresh by themselves. The first answer comes at
    /// once and names no area: what changes from its cursor on will be told, so what is fetched after it misses nothing.
    async fn organization_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose changes.")] organization_id: ID,
    ) -> Result<impl Stream<Item = Result<OrganizationChange>>> {
        let mut reader = Reader::resume(ctx, &organization_id, Start::Now, None).await?;
        let ctx = ctx.clone();
        Ok(async_stream::stream! {
            if reader.opened {
                yield Ok(OrganizationChange { cursor: ledger_cursor(reader.sequence), areas: Vec::new() });
            }
            loop {
                match reader.next(&ctx).await {
                    Ok(Some(page)) => {
                        let mut areas: Vec<_> = page.events().iter().filter_map(area).collect();
                        areas.sort_unstable();
                        areas.dedup();
                        yield Ok(OrganizationChange { cursor: ledger_cursor(reader.sequence), areas });
                    }
                    Ok(None) => break reader.wait(&ctx),
                    Err(error) => { yield Err(error); break }
                }
            }
        })
    }
}

/// Where something to refetch changed; reading the audit log changes nothing.
fn area(recorded: &Recorded) -> Option<OrganizationArea> {
    Some(match (&recorded.event, recorded.event.target()) {
        (Event::AuditExported { .. }, _) => return None,
        (Event::OrganizationDefaultRoleChanged { .. } | Event::OrganizationDataExportRequested { .. }, _) => {
            OrganizationArea::Settings
        }
        (_, Target::Organization) => OrganizationArea::Profile,
        (_, Target::Member(_)) => OrganizationArea::Members,
        (_, Target::Invitation(_)) => OrganizationArea::Invitations,
        (_, Target::Role(_)) => OrganizationArea::Roles,
        (_, Target::ApiKey(_)) => OrganizationArea::ApiKeys,
    })
}

/// Where a subscription begins.
enum Start<'a> {
    /// With the first event.
    Beginning,
    /// Behind a cursor.
    After(&'a str),
    /// With what happens from now on.
    Now,
}

/// The place of a subscription that has told everything there is.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<Option<Box<Reader>>>>);

impl Waiting {
    fn with<T>(&self, act: impl FnOnce(&mut Option<Box<Reader>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is more to tell, which was read then. False, where the subscription does not wait: it has ended.
    pub async fn woken(&self, store: &Store) -> bool {
        let Some(mut reader) = self.with(Option::take) else { return false };
        while reader.found.is_none() {
            reader.woken().await;
            // What reading takes is given back before waiting.
            reader.found = Box::pin(reader.read(store)).await.transpose();
        }
        self.with(|waiting| *waiting = Some(reader));
        true
    }
}

/// Why there is nothing more to tell.
enum Broken {
    AccessEnded,
    Store(store::Error),
}

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Reads an organization's events as they come, for as long as the caller has access.
struct Reader {
    organization: OrganizationId,
    permission: Option<organization::Permission>,
    credential: Credential,
    /// The last sequence that was read.
    sequence: u64,
    head: watch::Receiver<u64>,
    standing: watch::Receiver<Option<Permissions>>,
    /// Whether it has not waited yet.
    opened: bool,
    /// Whether everything was read that there was when it was last woken.
    caught_up: bool,
    /// Whether the organization has ended, and its end was read.
    ended: bool,
    /// What was read when it was woken.
    found: Option<Result<Arc<Page>, Broken>>,
    /// The next page, which is read while this one is told. It is held here, and found by its place.
    ahead: Option<Arc<Page>>,
}

impl Reader {
    /// The reader of a subscription that has waited, or one for a new subscription.
    async fn resume(
        ctx: &Context<'_>,
        id: &ID,
        start: Start<'_>,
        permission: Option<organization::Permission>,
    ) -> Result<Box<Self>> {
        match ctx.data::<Waiting>()?.with(Option::take) {
            Some(reader) => Ok(reader),
            None => Ok(Box::new(Self::open(ctx, id, start, permission).await?)),
        }
    }

    async fn open(
        ctx: &Context<'_>,
        id: &ID,
        start: Start<'_>,
        permission: Option<organization::Permission>,
    ) -> Result<Self> {
        let principal = request(ctx)?.principal;
        let credential = credential(&principal).ok_or_else(unauthenticated)?;
        let Ok(GlobalId::Organization(organization)) = id.parse() else { return Err(not_found()) };
        let store = store(ctx)?;
        let head = store.feed.follow(organization);
        let access = Access::load(store, principal, organization).await.or_internal(ctx)?.ok_or_else(not_found)?;
        if let Some(permission) = permission {
            access.require(permission)?;
        }
        let standing = services(ctx)?.watch.follow(credential, organization, access.permissions);
        let newest = hot::head(&store.database, organization).await.or_internal(ctx)?.map_or(0, |head| head.version);
        let sequence = match start {
            Start::After(cursor) => ledger_sequence(cursor)?,
            Start::Beginning => 0,
            Start::Now => newest,
        };
        if sequence > newest {
            // The ledger was restored from an older copy, perhaps: to wait there would be to miss what comes until then.
            return Err(top("CURSOR_AHEAD", "This cursor is of an event that is not in the ledger."));
        }
        Ok(Self {
            organization,
            permission,
            credential,
            sequence,
            head,
            standing,
            opened: true,
            caught_up: false,
            ended: false,
            found: None,
            ahead: None,
        })
    }

    /// The next events; none where there are none now, or any more.
    async fn next(&mut self, ctx: &Context<'_>) -> Result<Option<Arc<Page>>> {
        let store = store(ctx)?;
        let found = match self.found.take() {
            Some(found) => found.map(Some),
            None if self.caught_up || self.ended => return Ok(None),
            None => self.read(store).await,
        };
        match found {
            Ok(page) => Ok(page),
            Err(Broken::AccessEnded) => Err(top("ACCESS_ENDED", "Your access to these events has ended.")),
            Err(Broken::Store(error)) => Err(error).or_internal(ctx),
        }
    }

    /// Leaves its place where a wake-up finds it, unless there is nothing to wait for any more.
    fn wait(mut self: Box<Self>, ctx: &Context<'_>) {
        self.opened = false;
        if !self.ended
            && let Ok(waiting) = ctx.data::<Waiting>()
        {
            waiting.with(|waiting| *waiting = Some(self));
        }
    }

    /// A wake-up is a hint: whatever it was, the ledger is read again.
    async fn woken(&mut self) {
        tokio::select! {
            _ = self.head.changed() => {}
            _ = self.standing.changed() => {}
        }
    }

    /// The events that there are, if the caller may still see them; none where there are none yet.
    async fn read(&mut self, store: &Store) -> Result<Option<Arc<Page>>, Broken> {
        // What comes after this wakes it again.
        let head = *self.head.borrow_and_update();
        let page = store.feed.page(&store.database, self.organization, self.sequence, head);
        page.wait().await?;
        let Some(last) = page.events().last() else {
            let standing = *self.standing.borrow_and_update();
            return self.check(standing).map(|()| None);
        };
        self.ended = matches!(last.event, Event::OrganizationDeleted {});
        // Whoever follows an organization to its end reads the end, though nobody has access to it any more.
        if !self.ended {
            let standing = standing(store, self.credential, self.organization).await?;
            self.check(standing)?;
        }
        self.sequence = last.sequence;
        self.caught_up = !page.is_full();
        let ahead = || store.feed.page(&store.database, self.organization, self.sequence, head);
        self.ahead = page.is_full().then(ahead);
        Ok(Some(page))
    }

    /// Whether the caller still has the access that the subscription needs.
    fn check(&self, standing: Option<Permissions>) -> Result<(), Broken> {
        match (standing, self.permission) {
            (Some(_), None) => Ok(()),
            (Some(held), Some(permission)) if held.has(permission) => Ok(()),
            _ => Err(Broken::AccessEnded),
        }
    }
}
