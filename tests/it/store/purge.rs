//! What is left of a deleted organization: its end, and nothing else.

use orgledger::{
    domain::Organization,
    store::{
        files::Files,
        history, hot,
        ledger::Freshness,
        purge::purge,
        rebuild::{Which, rebuild},
        verify::verify,
    },
};

use super::{life::Life, world::World};
use crate::support::databases::both_databases;

both_databases! {
    /// The deletion stays as the tombstone, chained to what is gone; a living organization loses nothing.
    async fn a_deleted_organization_is_purged_down_to_its_end(url: &str) {
        let world = World::open(url).await;
        let Life { acme, gone, .. } = Life::live(&world).await;
        let folder = tempfile::tempdir().unwrap();
        let files = Files::folder(folder.path()).unwrap();
        let end = hot::head(world.database(), gone).await.unwrap().unwrap();
        assert_eq!(purge(world.database(), &files).await.unwrap(), end.version - 1);
        let left = history::after(world.database(), gone, 0, u64::MAX).await.unwrap();
        assert_eq!(left.iter().map(|event| (event.sequence, &event.hash)).collect::<Vec<_>>(), [(end.version, &end.hash)]);
        let next = history::next(world.database(), gone, 0, 1).await.unwrap();
        assert_eq!(next[0].sequence, end.version, "who follows it reads its end across the gap");
        let living = hot::head(world.database(), acme).await.unwrap().unwrap();
        let events = history::after(world.database(), acme, 0, u64::MAX).await.unwrap();
        assert_eq!(events.len() as u64, living.version);

        assert_eq!(purge(world.database(), &files).await.unwrap(), 0);
        verify(world.database()).await.unwrap();
        rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
        verify(world.database()).await.unwrap();
        let cold = world.cold();
        let version = cold.store.ledger.view(gone, Freshness::Compared, Organization::version).await.unwrap();
        assert_eq!(version, end.version);
        world.raw("UPDATE events SET metadata = '{}' WHERE event_type = 'organization.deleted'").await;
        assert!(verify(world.database()).await.is_err(), "an edited tombstone was not found");
    }
}
