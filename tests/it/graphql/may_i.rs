//! What `viewerCan` says is what the mutation then does: the same code and the same sentence where it refuses, and no
//! refusal where it allows. Asked for every caller, action, member and role of an organization of each kind.

use orgledger::{
    domain::{
        OrganizationId,
        organization::{Kind, OrganizationAction},
    },
    store::hot,
};
use serde_json::Value;

use super::{inside::Inside, scene::Scene};
use crate::{store::world::World, support::databases::both_databases};

async fn version(world: &World, organization: OrganizationId) -> u64 {
    hot::head(world.database(), organization).await.unwrap().unwrap().version
}

/// What `viewerCan` refuses is refused by the mutation with the same words, and nothing is written.
async fn refusals_agree(world: &World, inside: &Inside, kind: Kind, least: usize) {
    let scene = Scene::of(world, kind).await;
    let before = version(world, scene.organization).await;
    let questions = scene.questions();
    let mut compared = 0;
    for (caller, asker) in &scene.callers {
        let answers = scene.answers(inside, *asker, &questions).await;
        for (question, foretold) in questions.iter().zip(answers).filter(|(_, (code, _))| !code.is_null()) {
            let done = scene.done(inside, *asker, *question).await;
            assert_eq!(done, foretold, "{caller}: {question:?}");
            compared += 1;
        }
    }
    assert_eq!(version(world, scene.organization).await, before, "a refusal writes nothing");
    assert!(compared > least, "{compared} refusals of {}", kind.rules().name);
}

both_databases! {
    async fn what_may_not_be_done_is_refused_with_the_same_code_and_sentence(url: &str) {
        let world = World::open(url).await;
        let inside = Inside::new(&world.store);
        for (kind, least) in [(Kind::Workspace, 700), (Kind::Enterprise, 500), (Kind::Team, 100)] {
            refusals_agree(&world, &inside, kind, least).await;
        }
    }

    /// Or a form could not show it beside what has to be changed.
    async fn a_refusal_names_a_field_of_its_input(url: &str) {
        let world = World::open(url).await;
        let inside = Inside::new(&world.store);
        let schema = orgledger::graphql::schema_text();
        let mut wrong = std::collections::BTreeSet::new();
        for kind in [Kind::Workspace, Kind::Enterprise] {
            let scene = Scene::of(&world, kind).await;
            let questions = scene.questions();
            for (_, asker) in &scene.callers {
                let answers = scene.answers(&inside, *asker, &questions).await;
                for (question, _) in questions.iter().zip(answers).filter(|(_, (code, _))| !code.is_null()) {
                    let refusal = scene.refusal(&inside, *asker, *question).await;
                    let Some(field) = refusal["field"][1].as_str() else { continue };
                    let (mutation, input) = question.mutation();
                    let fields = schema.split_once(&format!("input {input} {{")).unwrap().1;
                    let fields = fields.split_once("\n}").unwrap().0;
                    if !fields.contains(&format!("\n\t{field}: ")) {
                        wrong.insert(format!("{mutation}: {} at {field}", refusal["code"]));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// One of each caller and action, each in an organization that nobody has touched yet.
    async fn what_may_be_done_is_done(url: &str) {
        let world = World::open(url).await;
        let inside = Inside::new(&world.store);
        for kind in [Kind::Workspace, Kind::Enterprise] {
            let callers = Scene::of(&world, kind).await.callers.len();
            let mut done = 0;
            for caller in 0..callers {
                let scene = Scene::of(&world, kind).await;
                let questions = scene.questions();
                let answers = scene.answers(&inside, scene.callers[caller].1, &questions).await;
                let allowed: Vec<_> =
                    questions.iter().zip(answers).filter(|(_, (code, _))| code.is_null()).map(|(one, _)| *one).collect();
                let mut tried = Vec::new();
                for question in allowed.into_iter().rev() {
                    if tried.contains(&question.action) || STATE_HAS_A_SAY.contains(&question.action) {
                        continue;
                    }
                    tried.push(question.action);
                    let scene = Scene::of(&world, kind).await;
                    let (name, asker) = &scene.callers[caller];
                    let result = scene.done(&inside, *asker, question).await;
                    assert_eq!(result, (Value::Null, Value::Null), "{name}: {question:?}");
                    done += 1;
                }
            }
            assert!(done > 20, "{done} done in {}", kind.rules().name);
        }
    }
}

/// Actions whose rules go on behind who, what and whom: a minute between two letters, and questions about keys,
/// which name no key.
const STATE_HAS_A_SAY: &[OrganizationAction] = &[
    OrganizationAction::ResendInvitation,
    OrganizationAction::UpdateApiKey,
    OrganizationAction::DisableApiKey,
    OrganizationAction::EnableApiKey,
    OrganizationAction::RotateApiKey,
    OrganizationAction::RevokeApiKey,
];
