//! Taking the audit log along as a file.

use orgledger::domain::{
    Refusal,
    organization::{Action, Event, Kind, Permission as P, audit::ExportFormat},
};

use super::*;

const fn export(format: ExportFormat, filtered: bool) -> Action {
    Action::ExportAuditLog { format, filtered }
}

const WHOLE: Action = export(ExportFormat::Jsonl, false);

#[test]
fn each_export_is_told_with_its_format_and_whether_it_is_a_part() {
    for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
        for filtered in [false, true] {
            let told = Event::AuditExported { format, filtered };
            let story = team().having(ADMIN, export(format, filtered));
            story.when(ADMIN, export(format, filtered)).then([told]);
        }
    }
}

#[test]
fn it_needs_the_permission_to_export() {
    let story = workspace();
    for user in [ADMIN, CO_ADMIN, AUDITOR] {
        story.when(user, WHOLE).then_accepted();
    }
    for user in [MANAGER, MEMBER] {
        story.when(user, WHOLE).then_refused(Refusal::PermissionRequired(P::AuditExport));
    }
    story.when(STRANGER, WHOLE).then_not_found("organizationId");
    story.when(Actor::Operator, WHOLE).then_not_found("organizationId");
    team().having(ADMIN, delete()).when(ADMIN, WHOLE).then_not_found("organizationId");
    let inactive = workspace().given(Event::MemberDeactivated { user_id: AUDITOR });
    inactive.when(AUDITOR, WHOLE).then_refused(Refusal::MemberInactive);
    let keys =
        team().having(ADMIN, new_key(KEY).holding(&[P::AuditExport])).having(ADMIN, new_key(OTHER_KEY).named("o"));
    keys.when(KEY, WHOLE).then_accepted();
    keys.when(OTHER_KEY, WHOLE).then_refused(Refusal::PermissionRequired(P::AuditExport));
    for kind in Kind::ALL {
        only_admin(kind).when(ADMIN, WHOLE).then_accepted();
    }
}

/// Who fills in a form while somebody exports the log is not told that the organization has changed.
#[test]
fn an_export_leaves_the_version_of_the_profile_as_it_was() {
    let story = team().having(ADMIN, rename("Other"));
    let version = story.organization.version();
    story.having(ADMIN, WHOLE).expecting(version).when(ADMIN, rename("Third")).then_accepted();
}
