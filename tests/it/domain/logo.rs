//! Setting and removing the logo.

use orgledger::domain::{
    Refusal,
    organization::{
        Action, Event, Kind, Permission as P,
        logo::{ContentHash, Logo, MalformedHash, MediaType},
    },
};

use super::*;

const fn logo(byte: u8, media_type: MediaType) -> Logo {
    Logo { hash: ContentHash::new([byte; 32]), media_type }
}

const FIRST: Logo = logo(1, MediaType::Png);
const SECOND: Logo = logo(2, MediaType::Jpeg);

const fn set(logo: Logo) -> Action {
    Action::SetLogo { logo }
}

const fn changed(from: Option<Logo>, to: Option<Logo>) -> Event {
    Event::OrganizationLogoChanged { from, to }
}

#[test]
fn a_logo_is_set_replaced_and_removed() {
    let story = team();
    story.when(ADMIN, set(FIRST)).then([changed(None, Some(FIRST))]);
    let story = story.having(ADMIN, set(FIRST));
    story.when(ADMIN, set(SECOND)).then([changed(Some(FIRST), Some(SECOND))]);
    story.when(ADMIN, Action::RemoveLogo).then([changed(Some(FIRST), None)]);
    story.having(ADMIN, Action::RemoveLogo).when(ADMIN, set(FIRST)).then([changed(None, Some(FIRST))]);
}

#[test]
fn the_same_logo_again_and_no_logo_to_remove_change_nothing() {
    team().when(ADMIN, Action::RemoveLogo).then_nothing();
    team().having(ADMIN, set(FIRST)).when(ADMIN, set(FIRST)).then_nothing();
    let other_type = logo(1, MediaType::Jpeg);
    team().having(ADMIN, set(FIRST)).when(ADMIN, set(other_type)).then([changed(Some(FIRST), Some(other_type))]);
}

#[test]
fn it_needs_the_permission_to_update_the_organization() {
    let story = workspace();
    for action in [set(FIRST), Action::RemoveLogo] {
        story.when(CO_ADMIN, action.clone()).then_accepted();
        for user in [MANAGER, MEMBER, AUDITOR] {
            story.when(user, action.clone()).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
        }
        story.when(STRANGER, action.clone()).then_not_found("organizationId");
        nothing().when(ADMIN, action.clone()).then_not_found("organizationId");
        team().having(ADMIN, delete()).when(ADMIN, action.clone()).then_not_found("organizationId");
        let inactive = workspace().given(Event::MemberDeactivated { user_id: CO_ADMIN });
        inactive.when(CO_ADMIN, action.clone()).then_refused(Refusal::MemberInactive);
        story.when(Actor::Operator, action).then_not_found("organizationId");
    }
}

#[test]
fn a_key_that_may_update_the_organization_may_change_the_logo() {
    let story = team()
        .having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate]))
        .having(ADMIN, new_key(OTHER_KEY).named("other"));
    story.when(KEY, set(FIRST)).then([changed(None, Some(FIRST))]);
    story.when(OTHER_KEY, set(FIRST)).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
    let revoked = story.having(ADMIN, Action::RevokeApiKey { api_key: KEY });
    revoked.when(KEY, set(FIRST)).then_not_found("organizationId");
}

#[test]
fn every_kind_may_have_one() {
    for kind in Kind::ALL {
        only_admin(kind).when(ADMIN, set(FIRST)).then([changed(None, Some(FIRST))]);
    }
}

#[test]
fn only_what_is_a_hash_is_read_as_one() {
    let text = "00ff".repeat(16);
    assert_eq!(text.parse::<ContentHash>().map(|hash| hash.to_string()).as_ref(), Ok(&text));
    let wrong = [String::new(), "00".to_owned(), "FF".repeat(32), "0g".repeat(32), "00".repeat(33), "..".repeat(32)];
    for wrong in wrong.into_iter().chain([format!("{}é", "0".repeat(62)), format!("{}0", "00".repeat(32))]) {
        assert_eq!(wrong.parse::<ContentHash>(), Err(MalformedHash), "{wrong}");
    }
    for logo in [FIRST, SECOND] {
        assert_eq!(logo.to_string().parse(), Ok(logo));
    }
    for wrong in ["", ".png", "x.png", &text, &format!("{text}.svg"), &format!("{text}.png.png")] {
        assert_eq!(wrong.parse::<Logo>(), Err(MalformedHash), "{wrong}");
    }
}
