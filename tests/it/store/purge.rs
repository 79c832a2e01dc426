//! What is left of a deleted organization: its end, and nothing else.

use futures_util::future::join_all;
use orgledger::{
    domain::{Organization, organization::Action},
    store::{
        files::Files,
        history, hot,
        ledger::Freshness,
        purge::purge,
        rebuild::{Which, rebuild},
        statement::Statement,
        verify::verify,
    },
};

use super::{life::Life, world::World};
use crate::support::databases::both_databases;

both_databases! {
    /// More events than one transaction takes away, and several servers at it.
    async fn servers_that_purge_at_the_same_moment_leave_nothing(url: &str) {
        let world = World::open(url).await;
        let Life { gone, .. } = Life::live(&world).await;
        let folder = tempfile::tempdir().unwrap();
        let files = Files::folder(folder.path()).unwrap();
        let of_gone = "organization_id = (SELECT organization_id FROM streams WHERE state = 'DELETED')";
        world.raw(&format!("UPDATE events SET sequence = sequence + 4000 WHERE {of_gone}")).await;
        world.raw("UPDATE streams SET version = version + 4000 WHERE state = 'DELETED'").await;
        let columns = "event_type, event_version, payload, metadata, organization_id, recorded_at, prev_hash, hash";
        world
            .raw(&format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) \
                 INSERT INTO events (aggregate_type, aggregate_id, sequence, {columns}) \
                 SELECT aggregate_type, aggregate_id, i, {columns} FROM n CROSS JOIN events \
                 WHERE sequence = 4001 AND {of_gone}"
            ))
            .await;
        let purges = (0..4).map(|_| purge(world.database(), &files));
        let went: u64 = join_all(purges).await.into_iter().map(Result::unwrap).sum();
        let end = hot::head(world.database(), gone).await.unwrap().unwrap();
        assert_eq!(went, end.version - 1);
        let left = history::after(world.database(), gone, 0, u64::MAX).await.unwrap();
        assert_eq!(left.iter().map(|event| event.sequence).collect::<Vec<_>>(), [end.version]);
        let finished = Statement::new("SELECT COUNT(*) FROM streams WHERE state = 'PURGED'");
        assert_eq!(finished.count(world.database()).await.unwrap(), 1);
    }

    /// Something keeps the events of one, here a row that refers to one of them.
    async fn what_cannot_be_purged_holds_up_nothing_else(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let mut organizations = Vec::new();
        for name in ["Acme", "Apex"] {
            let organization = world.organization(&ada, name).await;
            world.act(organization, &ada, Action::DeleteOrganization { confirm_name: name.to_owned() }).await;
            organizations.push(organization);
        }
        organizations.sort();
        let folder = tempfile::tempdir().unwrap();
        let files = Files::folder(folder.path()).unwrap();
        world
            .raw("CREATE TABLE kept (organization_id UUID, sequence BIGINT, \
                  FOREIGN KEY (organization_id, sequence) REFERENCES events (organization_id, sequence))")
            .await;
        let keep = Statement::new("INSERT INTO kept (organization_id, sequence) VALUES ($1, 1)");
        keep.bind(organizations[0].0).run(world.database()).await.unwrap();
        assert!(purge(world.database(), &files).await.is_err());
        let purged = || Statement::new("SELECT COUNT(*) FROM streams WHERE state = 'PURGED'").count(world.database());
        assert_eq!(purged().await.unwrap(), 1);
        world.raw("DELETE FROM kept").await;
        assert_eq!(purge(world.database(), &files).await.unwrap(), 2);
        assert_eq!(purged().await.unwrap(), 2);
    }

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
