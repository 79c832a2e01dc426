//! What the access policy says about the organization itself.

use orgledger::domain::organization::{
    audit::ExportFormat,
    logo::{ContentHash, Logo, MediaType},
    profile::Certification,
};

use super::{sheet::Sheet, *};

pub(super) fn ask(sheet: &mut Sheet<'_>) {
    sheet.plain("updateOrganization", "another name", rename("Other"));
    sheet.plain("updateOrganization", "the name it has", rename("Acme"));
    for rank in &sheet.world.roles {
        let default_role = Some(rank.id);
        let action = Action::UpdateOrganization { name: None, description: None, default_role };
        sheet.plain("updateOrganization", format!("the default role, to {}", rank.key), action);
    }
    let logo = Logo { hash: ContentHash::new([1; 32]), media_type: MediaType::Png };
    sheet.plain("createLogoUpload", "and the upload itself", Action::SetLogo { logo });
    sheet.plain("removeLogo", "", Action::RemoveLogo);
    let export = Action::ExportAuditLog { format: ExportFormat::Jsonl, filtered: false };
    sheet.plain("exportAuditLog", "over HTTP", export);
    sheet.plain(
        "requestCertification",
        if sheet.world.certified { "certified already" } else { "" },
        Action::RequestCertification,
    );
    let first = DataExportId(Uuid::from_u128(1));
    sheet.plain("requestDataExport", "", Action::RequestDataExport { export: first, outlived: None });
    if sheet.world.kind == Kind::Enterprise && !sheet.world.certified {
        let asked = Event::OrganizationCertificationRequested { from: Certification::NotRequested };
        let asked = sheet.world.story.clone().given(asked);
        let refused = asked.clone().given(Event::OrganizationCertificationRejected {});
        sheet.line("requestCertification", "requested already", [(asked, Action::RequestCertification)]);
        sheet.line("requestCertification", "once rejected", [(refused, Action::RequestCertification)]);
    }
    sheet.plain("deleteOrganization", "its name typed", delete());
    let mistyped = Action::DeleteOrganization { confirm_name: "Acm".to_owned() };
    sheet.plain("deleteOrganization", "another name typed", mistyped);
}
