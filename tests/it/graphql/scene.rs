//! An organization of each kind to ask every question about, and the mutation that each question is about.

use std::{fmt::Write, sync::LazyLock};

use orgledger::{
    domain::{
        Actor, ApiKeyId, GlobalId, InvitationId, OrganizationId, RoleId,
        organization::{
            Action, CreatedKeys, InvitationRow, Kind, OrganizationAction, Permission, Permissions, api_keys::KeyType,
            profile::CertificationDecision,
        },
    },
    store::{invitations::InvitationDetails, ledger::Request},
};
use serde_json::{Map, Value, json};

use super::inside::{Asker, Inside};
use crate::store::world::{Person, World, deactivate};

/// A role that reaches far but stands low.
const EDITOR: &[Permission] = &[
    Permission::MembersRead,
    Permission::MembersInvite,
    Permission::MembersAssignRole,
    Permission::MembersRemove,
    Permission::RolesManage,
];
/// What the key may do.
const KEY: &[Permission] = &[
    Permission::AppsRead,
    Permission::MembersInvite,
    Permission::MembersUpdate,
    Permission::MembersAssignRole,
    Permission::MembersRemove,
    Permission::RolesManage,
];

/// An organization with somebody in each role, and somebody who is inactive, and somebody who is gone.
pub struct Scene {
    pub organization: OrganizationId,
    members: Vec<String>,
    roles: Vec<String>,
    lowest: String,
    /// Who calls, by name: each person with access, and a key.
    pub callers: Vec<(String, Asker)>,
    invitation: String,
    key: String,
}

impl Scene {
    /// One of this kind, which nobody has touched yet.
    pub async fn of(world: &World, kind: Kind) -> Self {
        let organization = OrganizationId(world.store.entropy.uuid());
        let name = |text: &str| format!("{text}@example.com");
        let owner = world.person(&name("owner")).await;
        let create = Action::CreateOrganization {
            kind,
            name: "Acme".parse().unwrap(),
            description: None,
            email_commitment: owner.commitment.clone(),
            organizations: 0,
        };
        world.act(organization, &owner, create).await;
        if kind.rules().needs_certification() {
            world.act(organization, &owner, Action::RequestCertification).await;
            let decision = CertificationDecision::Certify;
            world.act(organization, Actor::Operator, Action::DecideCertification { decision }).await;
        }
        let mut roles: Vec<_> = kind.rules().roles.iter().map(|role| (role.key.to_owned(), role.id)).collect();
        if kind.rules().custom_roles {
            let role = RoleId(world.store.entropy.uuid());
            let create = Action::CreateRole {
                role,
                name: "Editor".parse().unwrap(),
                description: None,
                level: 3.try_into().unwrap(),
                permissions: Permissions::of(EDITOR),
            };
            world.act(organization, &owner, create).await;
            roles.push(("EDITOR".to_owned(), role));
        }
        let lowest = kind.rules().default_invitation_role().id;
        let mut wanted: Vec<_> = roles.iter().map(|(key, role)| (name(&key.to_lowercase()), *role)).collect();
        wanted.extend([(name("inactive"), lowest), (name("former"), lowest)]);
        if kind.rules().owners == orgledger::domain::organization::kinds::OwnerRule::ExactlyOne {
            wanted.remove(0);
        }
        let people = admit(world, organization, &owner, &wanted).await;
        let [present @ .., inactive, former] = people.as_slice() else { panic!("{people:?}") };
        world.act(organization, &owner, deactivate(inactive)).await;
        let leave = Action::LeaveOrganization { created_keys: CreatedKeys::Keep };
        world.act(organization, former, leave).await;
        let guest = world.person(&name("guest")).await;
        let invitation = invite(world, organization, &owner, &[(&guest, lowest)]).await[0];
        let key = ApiKeyId(world.store.entropy.uuid());
        let create = Action::CreateApiKey {
            api_key: key,
            name: "Key".parse().unwrap(),
            description: None,
            key_type: KeyType::Standard,
            permissions: Permissions::of(KEY),
            rate_limit: None,
            expires_at: None,
            secret: world.secret(),
        };
        world.act(organization, &owner, create).await;

        let mut callers: Vec<_> =
            present.iter().chain([&owner]).map(|person| (person.email.as_str().to_owned(), person.into())).collect();
        callers.push(("key".to_owned(), (organization, key, Permissions::of(KEY)).into()));
        let member = |person: &Person| GlobalId::Member(organization, person.id).to_string();
        Self {
            organization,
            members: people.iter().chain([&owner]).map(member).collect(),
            roles: roles.iter().map(|(_, role)| GlobalId::Role(organization, *role).to_string()).collect(),
            lowest: GlobalId::Role(organization, lowest).to_string(),
            callers,
            invitation: GlobalId::Invitation(organization, invitation).to_string(),
            key: GlobalId::ApiKey(organization, key).to_string(),
        }
    }

    /// Every question there is about this organization.
    pub fn questions(&self) -> Vec<Question> {
        use OrganizationAction as A;
        let of = |action, member, role| Question { action, member, role };
        let (members, roles) = (0..self.members.len(), 0..self.roles.len());
        let mut questions = Vec::new();
        // An export is no mutation; its own tests hold it against what is foretold.
        for action in A::ALL.into_iter().filter(|action| *action != A::ExportAuditLog) {
            match action {
                A::ChangeMemberRole => questions
                    .extend(members.clone().flat_map(|m| roles.clone().map(move |r| of(action, Some(m), Some(r))))),
                A::TransferOwnership => {
                    for member in members.clone() {
                        questions.push(of(action, Some(member), None));
                        questions.extend(roles.clone().map(|role| of(action, Some(member), Some(role))));
                    }
                }
                A::DeactivateMember | A::ReactivateMember | A::RemoveMember => {
                    questions.extend(members.clone().map(|member| of(action, Some(member), None)));
                }
                A::InviteMember | A::UpdateOrganization => {
                    questions.push(of(action, None, None));
                    questions.extend(roles.clone().map(|role| of(action, None, Some(role))));
                }
                A::UpdateRole | A::DeleteRole => {
                    questions.extend(roles.clone().map(|role| of(action, None, Some(role))));
                }
                _ => questions.push(of(action, None, None)),
            }
        }
        questions
    }

    /// What `viewerCan` answers to all of them, in one request.
    pub async fn answers(&self, inside: &Inside, by: Asker, questions: &[Question]) -> Vec<(Value, Value)> {
        let mut document = "query ($id: ID!) { organization(id: $id) {".to_owned();
        for (number, question) in questions.iter().enumerate() {
            let mut arguments = format!("action: {}", question.name());
            if let Some(member) = question.member {
                write!(arguments, ", memberId: {:?}", self.members[member]).unwrap();
            }
            if let Some(role) = question.role {
                write!(arguments, ", roleId: {:?}", self.roles[role]).unwrap();
            }
            write!(document, " q{number}: viewerCan({arguments}) {{ allowed code message }}").unwrap();
        }
        document.push_str(" } }");
        let answer = inside.data(by, &document, json!({ "id": Inside::id(self.organization) })).await;
        let answers = (0..questions.len()).map(|number| {
            let answer = &answer["organization"][format!("q{number}")];
            assert_eq!(answer["allowed"] == true, answer["code"].is_null(), "{answer}");
            (answer["code"].clone(), answer["message"].clone())
        });
        answers.collect()
    }

    /// Gives the command, and tells the code and the sentence of what it was refused with.
    pub async fn done(&self, inside: &Inside, by: Asker, question: Question) -> (Value, Value) {
        let error = self.refusal(inside, by, question).await;
        (error["code"].clone(), error["message"].clone())
    }

    /// Gives the command, and tells the user error; null, if it was done.
    pub async fn refusal(&self, inside: &Inside, by: Asker, question: Question) -> Value {
        let (mutation, input) = question.mutation();
        let document = format!(
            "mutation ($input: {input}!) {{ answer: {mutation}(input: $input) {{ userErrors {{ code message field }} }} }}"
        );
        let answer = inside.data(by, &document, json!({ "input": self.input(question) })).await;
        let errors = answer["answer"]["userErrors"].as_array().unwrap();
        assert!(errors.len() < 2, "{errors:?}");
        errors.first().cloned().unwrap_or_default()
    }

    /// The input of the mutation; what the question leaves open is chosen so that no rule but the policy has a say.
    fn input(&self, question: Question) -> Value {
        use OrganizationAction as A;
        let mut input = Map::new();
        let mut set = |field: &str, value: Value| input.insert(field.to_owned(), value);
        set("organizationId", Inside::id(self.organization).into());
        if let Some(member) = question.member {
            set("memberId", self.members[member].clone().into());
        }
        let role_field = match question.action {
            A::TransferOwnership => "formerOwnerRoleId",
            A::UpdateOrganization => "defaultInvitationRoleId",
            _ => "roleId",
        };
        if let Some(role) = question.role {
            set(role_field, self.roles[role].clone().into());
        }
        match question.action {
            A::DeleteOrganization => drop(set("confirmName", "Acme".into())),
            A::InviteMember => drop(set("email", "new@example.com".into())),
            A::ResendInvitation | A::RevokeInvitation => drop(set("invitationId", self.invitation.clone().into())),
            A::CreateRole => {
                set("name", "Another".into());
                set("level", 9.into());
                set("permissions", json!([]));
            }
            A::DeleteRole => {
                // The lowest role takes its place, so that it does not matter who holds it.
                set("reassignToRoleId", self.lowest.clone().into());
            }
            A::UpdateRole | A::CreateApiKey => drop(set("name", "Another".into())),
            A::UpdateApiKey | A::DisableApiKey | A::EnableApiKey | A::RotateApiKey | A::RevokeApiKey => {
                set("apiKeyId", self.key.clone().into());
            }
            _ => {}
        }
        Value::Object(input)
    }
}

/// A question: which action, to which member, with which role.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub action: OrganizationAction,
    member: Option<usize>,
    role: Option<usize>,
}

impl Question {
    /// The mutation, and the type of its input.
    pub fn mutation(self) -> (String, &'static str) {
        let mutation = camel(&self.name());
        let (_, input) = INPUTS.iter().find(|(name, _)| *name == mutation).unwrap();
        (mutation, input)
    }

    /// The action as the schema names it.
    fn name(self) -> String {
        let mut name = String::new();
        for character in format!("{:?}", self.action).chars() {
            if character.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(character.to_ascii_uppercase());
        }
        name
    }
}

/// The name of a mutation by its action.
fn camel(action: &str) -> String {
    let mut name = String::new();
    for word in action.to_lowercase().split('_') {
        if name.is_empty() {
            name.push_str(word);
        } else {
            name.push_str(&word[..1].to_uppercase());
            name.push_str(&word[1..]);
        }
    }
    name
}

/// Every mutation with the type of its input, as the schema says.
static INPUTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let schema = orgledger::graphql::schema_text();
    let mutations = schema.split_once("type Mutation {").unwrap().1;
    let mut found = Vec::new();
    let mut last = String::new();
    for line in mutations.lines().map(str::trim).take_while(|line| *line != "}") {
        if let Some(name) = line.strip_suffix('(') {
            name.clone_into(&mut last);
        } else if let Some(input) = line.strip_prefix("input: ") {
            found.push((last.clone(), input.trim_end_matches('!').to_owned()));
        }
    }
    found
});

async fn invite(
    world: &World,
    organization: OrganizationId,
    by: &Person,
    people: &[(&Person, RoleId)],
) -> Vec<InvitationId> {
    let (mut rows, mut details) = (Vec::new(), Vec::new());
    for (person, role) in people {
        let invitation = InvitationId(world.store.entropy.uuid());
        let email_commitment = person.commitment.clone();
        rows.push(InvitationRow { invitation, user: person.id, role: Some(*role), replace: false, email_commitment });
        details.push(InvitationDetails { invitation, email: person.email.clone(), name: None });
    }
    let expires_at = world.now() + orgledger::commands::INVITATION_LIFETIME;
    let request = world.request(organization, by, Action::InviteMembers { rows, expires_at });
    let receipt = world.store.ledger.execute(Request { details, ..request }).await.unwrap();
    receipt.objects.into_iter().map(InvitationId).collect()
}

async fn admit(world: &World, organization: OrganizationId, by: &Person, wanted: &[(String, RoleId)]) -> Vec<Person> {
    let emails: Vec<_> = wanted.iter().map(|(email, _)| email.as_str()).collect();
    let people = world.people(&emails).await;
    let rows: Vec<_> = people.iter().zip(wanted).map(|(person, (_, role))| (person, *role)).collect();
    for (person, invitation) in people.iter().zip(invite(world, organization, by, &rows).await) {
        world.accept(organization, person, invitation).await;
    }
    people
}
