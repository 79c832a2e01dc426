//! What the operator does about organizations: certify an enterprise, or not.

use super::{
    CertificationArguments, Failure, StoreArguments,
    tools::{existing, open},
};
use crate::{
    commands::{Caller, Commands, INVITATION_LIFETIME, Terms},
    domain::{
        Actor, GlobalId, OrganizationId,
        organization::{Action, profile::CertificationDecision},
        values::Text,
    },
    store::{append::Origin, ledger, profile},
};

pub(super) async fn requests(arguments: &StoreArguments) -> Result<(), Failure> {
    let database = existing(arguments).await?;
    let requests = profile::requests_for_certification(&database).await?;
    for (organization, name) in &requests {
        println!("{}  {name}", GlobalId::Organization(*organization));
    }
    if requests.is_empty() {
        println!("No request for certification is open.");
    }
    database.close().await;
    Ok(())
}

pub(super) async fn decide(arguments: &CertificationArguments, decision: CertificationDecision) -> Result<(), Failure> {
    let id = &arguments.id;
    let organization = parse(id)?;
    let reason = Text::parse(arguments.reason.as_deref().unwrap_or_default());
    let reason = reason.map_err(|error| format!("--reason {error}"))?;
    let store = open(&arguments.store, existing(&arguments.store).await?).await?;
    let origin = Origin { request_id: store.entropy.uuid().to_string(), ..Origin::default() };
    let commands = Commands { store: store.clone(), invitation_lifetime: INVITATION_LIFETIME };
    let caller = Caller { actor: Actor::Operator, origin };
    let terms = Terms { reason, ..Terms::default() };
    let action = Action::DecideCertification { decision };
    let receipt = commands.execute(&caller, organization, action, terms).await.map_err(|failure| match failure {
        ledger::Failure::Refused(refusal) => Failure::from(format!("{id}: {refusal}")),
        ledger::Failure::Store(error) => error.into(),
    })?;
    let (done, already) = match decision {
        CertificationDecision::Certify => ("is certified", "was certified already"),
        CertificationDecision::Reject => ("is not certified, and may ask again", "was refused already"),
    };
    println!("{id} {}.", if receipt.written { done } else { already });
    store.database.close().await;
    Ok(())
}

pub(super) fn parse(id: &str) -> Result<OrganizationId, Failure> {
    match id.parse() {
        Ok(GlobalId::Organization(organization)) => Ok(organization),
        _ => Err(format!("{id} is not the id of an organization; it looks like org_…").into()),
    }
}
