//! Changing the logo: an address for one upload, and the picture that comes there.

use chrono::{SubsecRound, TimeDelta};

use super::{Caller, Commands, Terms};
use crate::{
    domain::{
        OrganizationId,
        organization::{Action, Ask, OrganizationAction},
    },
    pictures::Picture,
    secrets::LogoUpload,
    store::{
        commands::{self, Idempotency},
        files::Files,
        ledger::{Failure, Freshness, Receipt},
    },
};

/// How long the address of an upload is good.
pub const UPLOAD_LIFETIME: TimeDelta = TimeDelta::minutes(10);
impl Commands {
    /// What the address of an upload stands for, if the caller may change the logo. Nothing is stored.
    pub async fn create_logo_upload(
        &self,
        caller: &Caller,
        organization: OrganizationId,
    ) -> Result<LogoUpload, Failure> {
        self.may_upload(caller, organization).await?;
        let expires_at = (self.store.now() + UPLOAD_LIFETIME).trunc_subsecs(0);
        Ok(LogoUpload { organization, actor: caller.actor, id: self.store.entropy.uuid(), expires_at })
    }

    /// Refuses who may not change the logo now.
    pub async fn may_upload(&self, caller: &Caller, organization: OrganizationId) -> Result<(), Failure> {
        let ask = Ask::about(OrganizationAction::CreateLogoUpload);
        let answers = self.may(caller.actor, organization, &[ask], Freshness::Compared).await?;
        if let Some(Err(refusal)) = answers.into_iter().next() {
            return Err(self.refused(caller, organization, "organization.set_logo", refusal).await);
        }
        Ok(())
    }

    /// Makes a picture the logo, for who asked for the upload; `None` where the address was used before. It is used up in
    /// the transaction of the event, so by nothing that failed. The file is written first: an event never names what is
    /// not there, and a file that nothing names is swept.
    pub async fn set_logo(
        &self,
        caller: &Caller,
        upload: &LogoUpload,
        picture: Picture,
        files: &Files,
    ) -> Result<Option<Receipt>, Failure> {
        let LogoUpload { organization, actor, id, .. } = *upload;
        let (key, database, now) = (format!("logo upload {id}"), &self.store.database, self.store.now());
        if commands::find(database, organization, actor, &key, now).await?.is_some() {
            return Ok(None);
        }
        files.put(organization, picture.logo, picture.bytes).await?;
        let action = Action::SetLogo { logo: picture.logo };
        let terms = Terms { idempotency: Some((key.clone(), key.clone())), ..Terms::default() };
        let receipt = self.execute(caller, organization, action, terms).await?;
        if receipt.replayed {
            return Ok(None);
        }
        // A picture that is the logo already writes nothing, and uses the address up all the same.
        let used = Idempotency { fingerprint: self.store.server_key.fingerprint(&key), key };
        let first = receipt.written || commands::claim(database, organization, actor, &used, now).await?;
        Ok(first.then_some(receipt))
    }
}
