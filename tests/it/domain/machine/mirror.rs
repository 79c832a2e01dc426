//! The state as the events tell it, folded a second time and more simply. It shares no rule and no fold with what it
//! is held against; only the names of the fields are the same, so that the two can be compared as a whole.

use orgledger::domain::organization::{
    Target,
    api_keys::KeyStatus,
    event::{Change, ExpiryChange},
    invitations::InvitationState,
    members::MemberStatus,
    profile::Certification,
};
use serde::Serialize;

use super::*;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) enum Lifecycle {
    #[default]
    Absent,
    Living,
    Deleted,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct RoleSeen {
    pub(super) key: String,
    pub(super) name: String,
    description: Option<String>,
    pub(super) level: u8,
    pub(super) owner: bool,
    pub(super) built_in: bool,
    pub(super) permissions: Permissions,
    version: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct MemberSeen {
    pub(super) role: RoleId,
    pub(super) status: MemberStatus,
    version: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct InvitationSeen {
    pub(super) user: UserId,
    pub(super) role: RoleId,
    pub(super) state: InvitationState,
    pub(super) generation: u32,
    pub(super) invited_by: Actor,
    pub(super) sent_at: Timestamp,
    pub(super) expires_at: Timestamp,
    version: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct KeySeen {
    pub(super) name: String,
    description: Option<String>,
    key_type: KeyType,
    pub(super) permissions: Permissions,
    pub(super) level: u8,
    rate_limit: Option<RateLimit>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) created_by: Actor,
    pub(super) status: KeyStatus,
    version: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Mirror {
    pub(super) lifecycle: Lifecycle,
    pub(super) kind: Kind,
    pub(super) name: String,
    description: Option<String>,
    logo: Option<Logo>,
    pub(super) certification: Certification,
    pub(super) default_role: Option<RoleId>,
    pub(super) version: u64,
    profile_version: u64,
    pub(super) data_export: Option<DataExportId>,
    pub(super) roles: BTreeMap<RoleId, RoleSeen>,
    pub(super) members: BTreeMap<UserId, MemberSeen>,
    pub(super) invitations: BTreeMap<InvitationId, InvitationSeen>,
    pub(super) api_keys: BTreeMap<ApiKeyId, KeySeen>,
}

/// Puts the new value in the place of the old one, which has to be the one that the event names.
fn change<T: Clone + PartialEq + std::fmt::Debug>(place: &mut T, change: Option<&Change<T>>) {
    if let Some(Change { from, to }) = change {
        assert_eq!(place, from, "an event says what was before");
        assert_ne!(from, to, "an event says what changed");
        place.clone_from(to);
    }
}

impl Mirror {
    pub(super) fn lives(&self) -> bool {
        self.lifecycle == Lifecycle::Living
    }

    pub(super) fn happen(&mut self, event: &Event) {
        self.version += 1;
        match event.target() {
            Target::Organization => self.profile(event),
            Target::Member(_) => self.member(event),
            Target::Invitation(id) => self.invitation(id, event),
            Target::Role(id) => self.role(id, event),
            Target::ApiKey(id) => self.api_key(id, event),
        }
    }

    fn profile(&mut self, event: &Event) {
        if let Event::OrganizationDataExportRequested { export_id } = *event {
            assert_ne!(self.data_export.replace(export_id), Some(export_id), "asked for twice");
        }
        if matches!(event, Event::OrganizationDataExportRequested { .. } | Event::AuditExported { .. }) {
            return;
        }
        self.profile_version = self.version;
        match event.clone() {
            Event::OrganizationCreated { kind, name, description } => {
                let version = self.version;
                let built_in = |role: &kinds::BuiltInRole| RoleSeen {
                    key: role.key.to_owned(),
                    name: role.name.to_owned(),
                    description: Some(role.description.to_owned()),
                    level: role.level,
                    owner: role.level == 1,
                    built_in: true,
                    permissions: role.permissions,
                    version,
                };
                let roles = kind.rules().roles;
                let default_role = roles.iter().find(|role| role.key == "MEMBER").or(roles.first());
                self.default_role = default_role.map(|role| role.id);
                self.roles = roles.iter().map(|role| (role.id, built_in(role))).collect();
                (self.lifecycle, self.kind, self.name, self.description) = (Lifecycle::Living, kind, name, description);
            }
            Event::OrganizationRenamed { from, to } => change(&mut self.name, Some(&Change { from, to })),
            Event::OrganizationDescriptionChanged { from, to } => {
                change(&mut self.description, Some(&Change { from, to }));
            }
            Event::OrganizationLogoChanged { from, to } => change(&mut self.logo, Some(&Change { from, to })),
            Event::OrganizationDefaultRoleChanged { from, to } => {
                change(&mut self.default_role, Some(&Change { from: Some(from), to: Some(to) }));
            }
            Event::OrganizationCertificationRequested { from } => {
                change(&mut self.certification, Some(&Change { from, to: Certification::Requested }));
            }
            Event::OrganizationCertified {} => self.decided(Certification::Certified),
            Event::OrganizationCertificationRejected {} => self.decided(Certification::Rejected),
            Event::OrganizationDeleted {} => {
                *self = Self { lifecycle: Lifecycle::Deleted, version: self.version, ..Self::default() };
            }
            other => panic!("{other:?} is not about the organization"),
        }
    }

    /// The operator answers a request, and nothing else.
    fn decided(&mut self, to: Certification) {
        change(&mut self.certification, Some(&Change { from: Certification::Requested, to }));
    }

    fn member(&mut self, event: &Event) {
        let version = self.version;
        let mut set = |user: UserId, role: RoleId, status: MemberStatus| {
            self.members.insert(user, MemberSeen { role, status, version })
        };
        match *event {
            Event::MemberJoined { user_id, role_id, .. } => {
                let before = set(user_id, role_id, MemberStatus::Active);
                let inside = before.is_some_and(|member| member.status != MemberStatus::Former);
                assert!(!inside, "{user_id} was inside already");
            }
            Event::MemberRoleChanged { user_id, from, to } => {
                let status = self.members.get(&user_id).map(|member| member.status);
                let before = status.and_then(|status| self.set(user_id, to, status));
                assert_eq!(before.map(|member| member.role), Some(from));
            }
            Event::MemberOwnershipTransferred { user_id, from, to, former_owner_id, former_owner_role_id } => {
                let before = set(user_id, to, MemberStatus::Active);
                let owner = set(former_owner_id, former_owner_role_id, MemberStatus::Active);
                assert_eq!(before.map(|member| (member.role, member.status)), Some((from, MemberStatus::Active)));
                assert_eq!(owner.map(|member| (member.role, member.status)), Some((to, MemberStatus::Active)));
            }
            Event::MemberDeactivated { user_id } => self.turn(user_id, MemberStatus::Active, MemberStatus::Inactive),
            Event::MemberReactivated { user_id } => self.turn(user_id, MemberStatus::Inactive, MemberStatus::Active),
            Event::MemberRemoved { user_id, role_id, status } | Event::MemberLeft { user_id, role_id, status } => {
                assert_eq!(self.members.get(&user_id).map(|member| member.role), Some(role_id));
                self.turn(user_id, status, MemberStatus::Former);
            }
            ref other => panic!("{other:?} is not about a member"),
        }
    }

    fn set(&mut self, user: UserId, role: RoleId, status: MemberStatus) -> Option<MemberSeen> {
        self.members.insert(user, MemberSeen { role, status, version: self.version })
    }

    fn turn(&mut self, user: UserId, from: MemberStatus, to: MemberStatus) {
        let role = self.members.get(&user).map(|member| member.role);
        let before = role.and_then(|role| self.set(user, role, to));
        assert_eq!(before.map(|member| member.status), Some(from));
    }

    fn invitation(&mut self, id: InvitationId, event: &Event) {
        let version = self.version;
        if let Event::InvitationSent { user_id: user, role_id: role, invited_by, sent_at, expires_at, .. } = *event {
            let (state, generation) = (InvitationState::Pending, 1);
            let seen = InvitationSeen { user, role, state, generation, invited_by, sent_at, expires_at, version };
            assert!(self.invitations.insert(id, seen).is_none(), "{id} was there already");
            return;
        }
        let Some(seen) = self.invitations.get_mut(&id) else { panic!("{id} was never sent") };
        assert_eq!(seen.state, InvitationState::Pending, "{id} had ended");
        seen.version = version;
        match *event {
            Event::InvitationResent { generation, invited_by, sent_at, expires_at, .. } => {
                assert_eq!(generation, seen.generation + 1);
                *seen = InvitationSeen { generation, invited_by, sent_at, expires_at, ..seen.clone() };
            }
            Event::InvitationRoleChanged { from, to, invited_by, .. } => {
                change(&mut seen.role, Some(&Change { from, to }));
                seen.invited_by = invited_by;
            }
            Event::InvitationAccepted { .. } => seen.state = InvitationState::Accepted,
            Event::InvitationDeclined { .. } => seen.state = InvitationState::Declined,
            Event::InvitationRevoked { .. } => seen.state = InvitationState::Revoked,
            ref other => panic!("{other:?} is not about an invitation"),
        }
    }

    fn role(&mut self, id: RoleId, event: &Event) {
        match event.clone() {
            Event::RoleCreated { key, name, description, level, permissions, .. } => {
                let (version, owner, built_in) = (self.version, false, false);
                let seen = RoleSeen { key, name, description, level, owner, built_in, permissions, version };
                assert!(self.roles.insert(id, seen).is_none(), "{id} was there already");
            }
            Event::RoleUpdated { name, description, level, permissions, .. } => {
                let Some(seen) = self.roles.get_mut(&id) else { panic!("{id} was never made") };
                seen.version = self.version;
                change(&mut seen.name, name.as_ref());
                change(&mut seen.description, description.as_ref());
                change(&mut seen.level, level.as_ref());
                change(&mut seen.permissions, permissions.as_ref());
            }
            Event::RoleDeleted { key, name, level, permissions, .. } => {
                let seen = self.roles.remove(&id).map(|seen| (seen.key, seen.name, seen.level, seen.permissions));
                assert_eq!(seen, Some((key, name, level, permissions)));
            }
            other => panic!("{other:?} is not about a role"),
        }
    }

    fn api_key(&mut self, id: ApiKeyId, event: &Event) {
        let version = self.version;
        if let Event::ApiKeyCreated {
            name,
            description,
            key_type,
            permissions,
            level,
            rate_limit,
            expires_at,
            created_by,
            ..
        } = event.clone()
        {
            let status = KeyStatus::Active;
            let seen = KeySeen {
                name,
                description,
                key_type,
                permissions,
                level,
                rate_limit,
                expires_at,
                created_by,
                status,
                version,
            };
            assert!(self.api_keys.insert(id, seen).is_none(), "{id} was there already");
            return;
        }
        let Some(seen) = self.api_keys.get_mut(&id) else { panic!("{id} was never made") };
        assert_ne!(seen.status, KeyStatus::Revoked, "{id} was revoked");
        seen.version = version;
        let mut turn = |from, to| change(&mut seen.status, Some(&Change { from, to }));
        match event.clone() {
            Event::ApiKeyUpdated { name, description, permissions, rate_limit, expires_at, .. } => {
                change(&mut seen.name, name.as_ref());
                change(&mut seen.description, description.as_ref());
                change(&mut seen.permissions, permissions.as_ref());
                change(&mut seen.rate_limit, rate_limit.as_ref());
                let expiry = |ExpiryChange { from, to }| Change { from, to };
                change(&mut seen.expires_at, expires_at.map(expiry).as_ref());
            }
            Event::ApiKeyDisabled { .. } => turn(KeyStatus::Active, KeyStatus::Disabled),
            Event::ApiKeyEnabled { .. } => turn(KeyStatus::Disabled, KeyStatus::Active),
            Event::ApiKeyRevoked { status, .. } => turn(status, KeyStatus::Revoked),
            Event::ApiKeyRotated { .. } => {}
            other => panic!("{other:?} is not about a key"),
        }
    }
}

/// What is asked of it more than once.
impl Mirror {
    pub(super) fn is_open(&self, id: InvitationId, now: Timestamp) -> bool {
        let seen = self.invitations.get(&id);
        seen.is_some_and(|seen| seen.state == InvitationState::Pending && now < seen.expires_at)
    }

    /// Everybody who has not left, with the role they hold.
    pub(super) fn inside(&self) -> impl Iterator<Item = (UserId, MemberSeen, &RoleSeen)> {
        let inside = self.members.iter().filter(|(_, member)| member.status != MemberStatus::Former);
        inside.filter_map(|(id, member)| Some((*id, *member, self.roles.get(&member.role)?)))
    }
}
