//! The pages: what stands on them, and what can never stand on them. `WRITE_PAGES_TO=folder` keeps them for a look in a browser.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

use chrono::{DateTime, Utc};
use orgledger::http::pages::{self, Answer, InvitationPage, InvitationState, Letters, PendingInvitation, SignedIn};

const NAME: &str = "<b>Bobby & \"Sons\"</b>";

fn now() -> DateTime<Utc> {
    "2026-03-09T08:07:06Z".parse().unwrap()
}

fn invitation(state: InvitationState) -> String {
    pages::invitation(InvitationPage {
        organization_name: NAME,
        role_name: "Manager",
        inviter_name: Some("Bo Li"),
        masked_email: "a***@example.com",
        state,
        expires_at: now(),
        token: "oli_secret",
    })
}

fn signed_in() -> String {
    pages::signed_in(SignedIn {
        public_url: "http://127.0.0.1:8080",
        email: "ana@example.com",
        session_token: "ols_6Yt3zRk9QmX2vB7nLp4WdHs8JcGf1AeUoTi5KyNbVqM",
        expires_at: now(),
        invitations: &[
            PendingInvitation { organization_name: NAME, role_name: "Manager", invitation_id: "inv_1" },
            PendingInvitation { organization_name: "Café Ærø", role_name: "Member", invitation_id: "inv_2" },
        ],
        answered: Some((NAME, Answer::Accepted)),
    })
}

fn every_page() -> Vec<(&'static str, String)> {
    use InvitationState::{Accepted, Declined, Expired, Pending, Revoked};
    vec![
        ("welcome", pages::welcome("http://127.0.0.1:8080")),
        ("sign_in", pages::sign_in_form(None)),
        ("sign_in_again", pages::sign_in_form(Some(NAME))),
        ("sent", pages::sign_in_sent(Letters::Sent)),
        ("sent_locally", pages::sign_in_sent(Letters::KeptLocally)),
        ("confirm", pages::sign_in_confirm(NAME, "olt_secret")),
        ("signed_in", signed_in()),
        ("invitation", invitation(Pending)),
        ("invitation_accepted", invitation(Accepted)),
        ("invitation_declined", invitation(Declined)),
        ("invitation_revoked", invitation(Revoked)),
        ("invitation_expired", invitation(Expired)),
        ("accepted", pages::invitation_answered(NAME, Answer::Accepted)),
        ("declined", pages::invitation_answered(NAME, Answer::Declined)),
        ("problem", pages::problem("This link is over", "It was used already. Ask for another one.")),
    ]
}

#[test]
fn no_page_has_a_script_or_reaches_elsewhere() {
    for (name, page) in every_page() {
        for forbidden in ["<script", "javascript:", " onclick", "src=", "@import", "url(", "<link", "http-equiv"] {
            assert!(!page.contains(forbidden), "{forbidden} on {name}");
        }
        assert!(!page.contains("<b>"), "a name is markup on {name}");
        assert!(
            page.starts_with("<!doctype html>\n<html lang=\"en\">") && page.trim_end().ends_with("</html>"),
            "{name}"
        );
        assert_eq!(page.matches("<h1>").count(), 1, "{name}");
        for action in page.split("action=\"").skip(1) {
            assert!(action.starts_with('/') && !action.starts_with("//"), "{name} posts elsewhere");
        }
        if let Ok(folder) = std::env::var("WRITE_PAGES_TO") {
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), page).unwrap();
        }
    }
}

#[test]
fn a_sign_in_link_opens_a_page_whose_button_posts_its_token() {
    let page = pages::sign_in_confirm("ana@example.com", "olt_secret");
    assert!(page.contains("ana@example.com"));
    assert!(page.contains(r#"<form method="post" action="/sign-in/complete">"#));
    assert!(page.contains(r#"<input type="hidden" name="token" value="olt_secret">"#));
}

#[test]
fn after_signing_in_each_invitation_can_be_accepted_or_declined() {
    let page = signed_in();
    assert!(page.contains("Authorization: Bearer ols_6Yt3"));
    assert!(page.contains("You are now a member of"), "what was just answered is said");
    for part in [r#"value="inv_1""#, r#"value="inv_2""#, r#"name="session_token" value="ols_6Yt3"#] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches(r#"name="answer" value="accept""#).count(), 2);
    assert_eq!(page.matches(r#"name="answer" value="decline""#).count(), 2);
}

#[test]
fn only_a_pending_invitation_can_be_answered() {
    for (state, answerable) in [
        (InvitationState::Pending, true),
        (InvitationState::Accepted, false),
        (InvitationState::Declined, false),
        (InvitationState::Revoked, false),
        (InvitationState::Expired, false),
    ] {
        let page = invitation(state);
        assert_eq!(page.contains(r#"action="/invitations/oli_secret/sign-in""#), answerable, "{state:?}");
        assert_eq!(page.contains(r#"action="/invitations/oli_secret""#), answerable, "{state:?}");
        assert!(page.contains("a***@example.com"));
    }
}

#[test]
fn asking_for_a_link_tells_where_it_is_only_when_it_stays_here() {
    assert!(!pages::sign_in_sent(Letters::Sent).contains("data directory"));
    assert!(pages::sign_in_sent(Letters::KeptLocally).contains("data directory"));
}
