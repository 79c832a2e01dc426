//! What happens in organizations of other kinds than a plain workspace: custom roles that come, change and go,
//! certification and transfer, and a person's own. Beside [`super::life`], whose head is the same for ever.

use chrono::TimeDelta;
use orgledger::domain::{
    Actor, DataExportId, OrganizationId, RoleId,
    organization::{
        Action, CreatedKeys, Kind, Permission, Permissions,
        audit::ExportFormat,
        logo::{ContentHash, Logo, MediaType},
        profile::CertificationDecision,
    },
    values::Text,
};

use super::world::{Person, World, deactivate, named, rename};

/// What was lived.
pub struct Kinds {
    /// A workspace with a custom role that lives and one that was deleted while in use.
    pub works: OrganizationId,
    /// The role that lives.
    pub editor: RoleId,
    /// The role that is gone.
    pub reader: RoleId,
    /// An enterprise that was certified at the second attempt, got two logos, and has its third owner.
    pub corp: OrganizationId,
    /// Ada's own.
    pub personal: OrganizationId,
    /// The owner of the workspace, and of the enterprise at first.
    pub ada: Person,
    /// The owner of the enterprise at last.
    pub cy: Person,
}

impl Kinds {
    /// Lives it.
    pub async fn live(world: &World) -> Self {
        let people = world.people(&["ada@example.com", "bob@example.com", "cy@example.com"]).await;
        let [ada, bob, cy] = people.try_into().unwrap();
        let (works, editor, reader) = custom_roles(world, &ada, &bob, &cy).await;
        world.pass(TimeDelta::milliseconds(3));
        let corp = enterprise(world, &ada, &bob, &cy).await;
        let personal = OrganizationId::personal(ada.id);
        let create = Action::CreatePersonalOrganization { email_commitment: ada.commitment.clone() };
        assert!(world.act(personal, &ada, create.clone()).await.written);
        assert!(!world.act(personal, &ada, create).await.written, "a person has one");
        world.act(personal, &ada, rename("Ada's own")).await;
        Self { works, editor, reader, corp, personal, ada, cy }
    }
}

async fn create_role(world: &World, works: OrganizationId, by: &Person, name: &str, level: i32) -> RoleId {
    let role = RoleId(world.store.entropy.uuid());
    let action = Action::CreateRole {
        role,
        name: named(name),
        description: Text::parse("As it was made").unwrap(),
        level: level.try_into().unwrap(),
        permissions: Permissions::of(&[Permission::MembersRead, Permission::AppsRead]),
    };
    assert_eq!(world.act(works, by, action).await.objects, [role.0]);
    role
}

async fn custom_roles(world: &World, ada: &Person, bob: &Person, cy: &Person) -> (OrganizationId, RoleId, RoleId) {
    let works = world.organization(ada, "Works").await;
    let editor = create_role(world, works, ada, "Éditeur", 3).await;
    let reader = create_role(world, works, ada, "Reader", 5).await;
    let unused = create_role(world, works, ada, "Unused", 9).await;
    world.act(works, ada, Action::DeleteRole { role: unused, reassign_to: None }).await;
    let default_role = Some(reader);
    world.act(works, ada, Action::UpdateOrganization { name: None, description: None, default_role }).await;
    world.join(works, ada, &[bob.clone(), cy.clone()], "MANAGER").await;
    let dee = world.member(works, ada, "dee@example.com", "MEMBER").await;
    for member in [bob.id, cy.id, dee.id] {
        world.act(works, ada, Action::ChangeMemberRole { member, role: reader }).await;
    }
    world.act(works, ada, deactivate(cy)).await;
    world.act(works, &dee, Action::LeaveOrganization { created_keys: CreatedKeys::Keep }).await;
    let eve = world.person("eve@example.com").await;
    let mut request = world.invitation(works, ada, &[(&eve, Some("Eve"))], "MEMBER");
    if let Action::InviteMembers { rows, .. } = &mut request.command.action {
        // The default role, which is the custom one.
        rows[0].role = None;
    }
    world.store.ledger.execute(request).await.unwrap();
    world.pass(TimeDelta::seconds(2));
    let update = Action::UpdateRole {
        role: editor,
        name: Some(named("Editor")),
        description: Some(None),
        level: Some(2.try_into().unwrap()),
        permissions: Some(Permissions::of(&[Permission::MembersRead, Permission::RolesManage])),
    };
    world.act(works, ada, update).await;
    let rename = Action::UpdateRole {
        role: reader,
        name: Some(named("Lector")),
        description: None,
        level: None,
        permissions: None,
    };
    world.act(works, ada, rename).await;
    world.act(works, ada, Action::DeleteRole { role: reader, reassign_to: Some(editor) }).await;
    (works, editor, reader)
}

async fn enterprise(world: &World, ada: &Person, bob: &Person, cy: &Person) -> OrganizationId {
    let corp = OrganizationId(world.store.entropy.uuid());
    let create = Action::CreateOrganization {
        kind: Kind::Enterprise,
        name: named("Corp"),
        description: None,
        email_commitment: ada.commitment.clone(),
        organizations: 1,
    };
    world.act(corp, ada, create).await;
    for decision in [CertificationDecision::Reject, CertificationDecision::Certify] {
        world.act(corp, ada, Action::RequestCertification).await;
        world.act(corp, Actor::Operator, Action::DecideCertification { decision }).await;
    }
    for (hash, media_type) in [([7; 32], MediaType::Png), ([8; 32], MediaType::Jpeg)] {
        let logo = Logo { hash: ContentHash::new(hash), media_type };
        world.act(corp, ada, Action::SetLogo { logo }).await;
    }
    let export = DataExportId(world.store.entropy.uuid());
    world.act(corp, ada, Action::RequestDataExport { export, outlived: None }).await;
    world.act(corp, ada, Action::ExportAuditLog { format: ExportFormat::Csv, filtered: true }).await;
    // The role MEMBER has one id in every kind.
    world.join(corp, ada, &[bob.clone(), cy.clone()], "MEMBER").await;
    let auditor = Kind::Enterprise.rules().roles.iter().find(|role| role.key == "AUDITOR").map(|role| role.id);
    for (from, to, former_owner_role) in [(ada, bob, None), (bob, ada, auditor), (ada, cy, None)] {
        world.pass(TimeDelta::microseconds(1));
        world.act(corp, from, Action::TransferOwnership { member: to.id, former_owner_role }).await;
    }
    corp
}
