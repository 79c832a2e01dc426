//! Invitations as they are listed, with their delivery, and as the invited person meets them.

use chrono::TimeDelta;
use orgledger::{
    domain::{OrganizationId, organization::Action, values::normalize},
    store::{
        invitations::{self, Filter, InvitationRow, state_at},
        outbox,
        page::{End, Window},
    },
};

use super::{
    pages::{SIZES, both_ways},
    world::{World, rename},
};
use crate::support::databases::both_databases;

const ALL: Window = Window { limit: 1000, end: End::First, after: None, before: None };

fn any(world: &World, organization: OrganizationId) -> Filter {
    Filter { organization, states: Vec::new(), search: None, now: world.now() }
}

both_databases! {
    /// Pages of every filter are those of a list that is filtered and sorted by hand.
    async fn pages_of_invitations_are_the_whole_list_in_pieces(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let names = [None, Some("Zoë 100%"), Some("O'Neil \"x\""), Some("under_score \\")];
        for batch in 0..4 {
            let emails: Vec<_> = (0..7).map(|number| format!("Invited_{batch}.{number}%@Example.com")).collect();
            let people = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
            let rows: Vec<_> = people.iter().zip(names.into_iter().cycle()).collect();
            let request = world.invitation(acme, &ada, &rows, ["MEMBER", "MANAGER"][batch % 2]);
            let invited = world.store.ledger.execute(request).await.unwrap().objects;
            let invited: Vec<_> = invited.into_iter().map(orgledger::domain::InvitationId).collect();
            world.accept(acme, &people[0], invited[0]).await;
            world.act(acme, &ada, Action::RevokeInvitation { invitation: invited[1] }).await;
            let masked_email = String::new();
            let decline = Action::DeclineInvitation { invitation: invited[2], generation: None, masked_email };
            world.act(acme, &people[2], decline).await;
            world.pass(TimeDelta::days(5));
        }
        let now = world.now();
        let mut all = any(&world, acme).page(world.database(), &ALL).await.unwrap().rows;
        assert_eq!(all.len(), 28);
        all.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.invitation_id)));
        assert_eq!(all.iter().filter(|row| state_at(&row.state, row.expires_at, now) == "EXPIRED").count(), 8);

        let states = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut filters: Vec<_> =
            [&[][..], &["PENDING"], &["EXPIRED"], &["ACCEPTED", "DECLINED"], &["REVOKED", "PENDING"]]
                .map(|list| Filter { states: states(list), ..any(&world, acme) })
                .into();
        filters.extend(
            ["zoë", "ZOE\u{308}", "100%", "0%@", "_", "d_1", "'", "\"", "\\", "e", "ex", "none", "d_1.3%@e"].map(
                |search| Filter {
                    search: Some(search.to_owned()),
                    states: states(&["PENDING", "EXPIRED"]),
                    ..any(&world, acme)
                },
            ),
        );
        for filter in filters {
            let meant = |row: &&InvitationRow| {
                let text = format!("{}\n{}", row.name.as_deref().unwrap_or_default(), row.email.as_deref().unwrap());
                let state = state_at(&row.state, row.expires_at, now);
                (filter.states.is_empty() || filter.states.iter().any(|wanted| wanted == state))
                    && filter.search.as_ref().is_none_or(|search| normalize(&text).contains(&normalize(search)))
            };
            let expected: Vec<_> = all.iter().filter(meant).map(|row| row.invitation_id).collect();
            assert_eq!(filter.count(world.database()).await.unwrap(), expected.len() as u64, "{filter:?}");
            for size in SIZES {
                let read = async |window: Window| filter.page(world.database(), &window).await.unwrap();
                both_ways(size, &expected, read, InvitationRow::position, |row| row.invitation_id).await;
            }
        }
    }

    /// The state of a letter is shown with the sending it belongs to.
    async fn delivery_belongs_to_the_latest_sending(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let bob = world.person("bob@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let invitation = world.invite(acme, &ada, &bob, "MEMBER").await;
        let shown = async || {
            let row = invitations::find(world.database(), acme, [invitation.0]).await.unwrap().remove(0);
            (row.generation, row.delivery_state.unwrap(), row.delivery_attempts.unwrap(), row.delivery_error)
        };
        assert_eq!(shown().await, (1, "PENDING".to_owned(), 0, None));
        let letter = outbox::take(world.database(), world.now()).await.unwrap().remove(0);
        assert_eq!((letter.subject, letter.generation, letter.attempts), (invitation.0, 1, 1));
        assert!(outbox::take(world.database(), world.now()).await.unwrap().is_empty(), "taken by one courier only");
        let again = outbox::Outcome::Again { at: world.now() + TimeDelta::minutes(1), error: "busy".to_owned() };
        outbox::note(world.database(), vec![(letter.id, again)]).await.unwrap();
        assert_eq!(shown().await, (1, "PENDING".to_owned(), 1, Some("busy".to_owned())));
        world.pass(TimeDelta::minutes(1));
        let letter = outbox::take(world.database(), world.now()).await.unwrap().remove(0);
        assert_eq!(letter.attempts, 2);
        let failed = outbox::Outcome::Failed { error: "no such mailbox".to_owned() };
        outbox::note(world.database(), vec![(letter.id, failed)]).await.unwrap();
        assert_eq!(shown().await, (1, "FAILED".to_owned(), 2, Some("no such mailbox".to_owned())));

        let expires_at = world.now() + TimeDelta::days(14);
        world.act(acme, &ada, Action::ResendInvitation { invitation, expires_at }).await;
        assert_eq!(shown().await, (2, "PENDING".to_owned(), 0, None));
        let letter = outbox::take(world.database(), world.now()).await.unwrap().remove(0);
        outbox::note(world.database(), vec![(letter.id, outbox::Outcome::Sent)]).await.unwrap();
        assert_eq!(shown().await, (2, "SENT".to_owned(), 1, None));
        world.pass(outbox::LEASE * 2);
        assert!(outbox::take(world.database(), world.now()).await.unwrap().is_empty());
    }

    /// The invited person has open invitations in their list until they end, with today's names.
    async fn a_person_sees_their_open_invitations(url: &str) {
        let world = World::open(url).await;
        let [ada, bob, cy] =
            world.people(&["ada@example.com", "bob@example.com", "cy@example.com"]).await.try_into().unwrap();
        let (acme, apex) = (world.organization(&ada, "Acme").await, world.organization(&ada, "Apex").await);
        let list = async |who: &super::world::Person| {
            invitations::previews_of_user(world.database(), who.id, world.now()).await.unwrap()
        };
        let first = world.invite(acme, &ada, &bob, "MEMBER").await;
        world.pass(TimeDelta::seconds(1));
        let second = world.invite(apex, &ada, &bob, "MANAGER").await;
        world.invite(apex, &ada, &cy, "MANAGER").await;
        world.act(acme, &ada, rename("Acme & Sons")).await;
        let seen = list(&bob).await;
        assert_eq!(seen.iter().map(|row| row.invitation_id).collect::<Vec<_>>(), [first.0, second.0]);
        assert_eq!(seen[0].organization_name, "Acme & Sons");
        assert_eq!((seen[1].role_name.as_deref(), seen[1].inviter_name.as_deref()), (Some("Manager"), None));
        let preview = invitations::preview(world.database(), acme, first).await.unwrap().unwrap();
        assert_eq!((preview.user_id, preview.email.as_deref()), (bob.id.0, Some("bob@example.com")));
        assert!(
            invitations::preview(world.database(), apex, first).await.unwrap().is_none(),
            "of another organization"
        );
        world.accept(acme, &bob, first).await;
        world.act(apex, &ada, Action::RevokeInvitation { invitation: second }).await;
        assert!(list(&bob).await.is_empty());
        world.act(apex, &ada, Action::DeleteOrganization { confirm_name: "Apex".to_owned() }).await;
        assert!(list(&cy).await.is_empty(), "it ends with its organization");
    }

    /// What has expired stays open, and takes nobody's place in the list.
    async fn expired_invitations_hide_no_others(url: &str) {
        let world = World::open(url).await;
        let [ada, bob, eve] =
            world.people(&["ada@example.com", "bob@example.com", "eve@example.com"]).await.try_into().unwrap();
        for number in 0..100 {
            let organization = world.organization(&eve, &format!("Spam {number}")).await;
            world.invite(organization, &eve, &bob, "MEMBER").await;
        }
        let acme = world.organization(&ada, "Acme").await;
        let list = async || invitations::previews_of_user(world.database(), bob.id, world.now()).await.unwrap();
        assert_eq!(list().await.len(), 100);
        world.pass(TimeDelta::days(30));
        let invitation = world.invite(acme, &ada, &bob, "MEMBER").await;
        let ids: Vec<_> = list().await.iter().map(|row| row.invitation_id).collect();
        assert_eq!(ids, [invitation.0]);
    }
}
