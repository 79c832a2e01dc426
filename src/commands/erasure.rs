//! Erasing a person, step by step: every organization is asked first, then the person is marked, leaves each of them, and
//! everything about them is blanked. Each step may be repeated, so what was interrupted goes on where it stopped.

use super::Caller;
use crate::{
    domain::{
        Actor, OrganizationId, Refusal, UserId,
        organization::{Action, Command, kinds::OwnerRule},
    },
    store::{
        self, Store,
        append::Origin,
        data_exports, erasure,
        files::Files,
        ledger::{Failure, Freshness, Request},
        purge, users,
    },
};

/// Erases people.
#[derive(Clone)]
pub struct Erasure {
    /// Where they are.
    pub store: Store,
    /// What is kept of them outside the database.
    pub files: Files,
}

impl Erasure {
    /// Erases a person, or says which organizations stand in the way; then nobody is erased. It goes on though whoever
    /// asked goes away.
    pub async fn erase(&self, caller: &Caller, user: UserId) -> Result<Vec<Refusal>, store::Error> {
        let (erasure, caller) = (self.clone(), caller.clone());
        let work = tokio::spawn(async move {
            let refusals = erasure.ask(&caller, user).await?;
            if !refusals.is_empty() {
                return Ok(refusals);
            }
            erasure::mark(&erasure.store.database, user, caller.actor).await?;
            erasure.go_on(&caller, user).await
        });
        work.await.unwrap_or(Err(store::Error::Stopped))
    }

    /// Goes on with everybody who is marked: what was interrupted, and what waited for somebody who read an older state.
    /// Says how many were left. Where one cannot be done, the others are; then it is an error.
    pub async fn resume(&self) -> Result<u64, store::Error> {
        let (mut resumed, mut after, mut failed) = (0, None, None);
        loop {
            let unfinished = erasure::unfinished(&self.store.database, after).await?;
            let Some((last, _)) = unfinished.last() else { return failed.map_or(Ok(resumed), Err) };
            after = Some(*last);
            for (user, actor) in unfinished {
                let origin = Origin { request_id: self.store.entropy.base62(22), ..Origin::default() };
                match self.go_on(&Caller { actor, origin }, user).await {
                    Ok(refusals) => {
                        for refusal in refusals {
                            tracing::warn!(%user, code = refusal.code(), "somebody could not be erased");
                        }
                        resumed += 1;
                    }
                    Err(error) => {
                        tracing::warn!(%user, ?error, "somebody could not be erased");
                        failed = Some(error);
                    }
                }
            }
        }
    }

    /// What each organization says, by the rules that will decide.
    async fn ask(&self, caller: &Caller, user: UserId) -> Result<Vec<Refusal>, store::Error> {
        let mut refusals = Vec::new();
        for (organization, name) in erasure::organizations(&self.store.database, user).await? {
            let command = self.command(caller.actor, user);
            let look = |state: &crate::domain::Organization| state.decide(&command).err();
            let refusal = self.store.ledger.view(organization, Freshness::Compared, look).await?;
            refusals.extend(refusal.map(|refusal| named(refusal, organization, name)));
        }
        Ok(refusals)
    }

    fn command(&self, actor: Actor, user: UserId) -> Command {
        Command { actor, now: self.store.now(), expected_version: None, action: Action::ErasePerson { user } }
    }

    /// Everything behind the mark. Where an organization says no after all, the mark is taken off, so that the person can
    /// sign in and put it right.
    async fn go_on(&self, caller: &Caller, user: UserId) -> Result<Vec<Refusal>, store::Error> {
        let Store { database, .. } = &self.store;
        let mut refusals = Vec::new();
        let mut organizations = erasure::organizations(database, user).await?;
        // Their own goes last, and only if no other has said no: they could still be signed in for it.
        organizations.sort_by_key(|(organization, _)| *organization == OrganizationId::personal(user));
        for (organization, name) in organizations {
            // Another server may have been told no, and have taken the mark off.
            if !erasure::is_marked(database, user).await? {
                return self.ask(caller, user).await;
            }
            if organization == OrganizationId::personal(user) && !refusals.is_empty() {
                break;
            }
            refusals.extend(self.leave(caller, user, organization, name).await?);
        }
        if !refusals.is_empty() {
            erasure::unmark(database, user).await?;
            return Ok(refusals);
        }
        self.blank(user).await?;
        Ok(Vec::new())
    }

    /// Takes a person out of one organization, or says why not.
    async fn leave(
        &self,
        caller: &Caller,
        user: UserId,
        organization: OrganizationId,
        name: String,
    ) -> Result<Option<Refusal>, store::Error> {
        let command = self.command(caller.actor, user);
        let origin = caller.origin.clone();
        let request = Request { organization, command, origin, details: Vec::new(), idempotency: None };
        match self.store.ledger.execute(request).await {
            Ok(_) => Ok(None),
            Err(Failure::Refused(refusal)) => Ok(Some(named(refusal, organization, name))),
            Err(Failure::Store(error)) => Err(error),
        }
    }

    /// Blanks everything about a person who belongs nowhere any more. Letters go before and after: one may be written in
    /// between, and which they are is known only until then.
    async fn blank(&self, user: UserId) -> Result<(), store::Error> {
        let Self { store: Store { database, .. }, files } = self;
        let letters = erasure::letters(database, user).await?;
        let Some(row) = users::find(database, user).await? else { return Ok(()) };
        let addresses = [row.email_key];
        files.erase_letters(letters.iter().copied(), &addresses).await?;
        if !erasure::blank(database, user, self.store.now()).await? {
            return Ok(());
        }
        files.erase_letters(letters, &addresses).await?;
        data_exports::sweep(database, files, self.store.now()).await?;
        purge::purge(database, files).await?;
        if database.forget().await? {
            erasure::finish(database, user).await?;
        }
        Ok(())
    }
}

/// The refusal with the organization that it is about.
fn named(refusal: Refusal, organization: OrganizationId, name: String) -> Refusal {
    match refusal {
        Refusal::LastOwner => Refusal::StillOwner { organization, name, rule: OwnerRule::AtLeastOne },
        Refusal::OwnerMustTransfer => Refusal::StillOwner { organization, name, rule: OwnerRule::ExactlyOne },
        refusal => refusal,
    }
}
