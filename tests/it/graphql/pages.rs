//! The pages behind the links in letters, as a browser without script walks through them: it follows links, fills
//! in forms and presses buttons, and never calls the API.

use axum::http::{HeaderMap, StatusCode, header};
use reqwest::Method;
use serde_json::json;

use super::{
    acme::{ADA, Acme},
    server::{Client, Server, text, token},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

/// A page as it came.
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    html: String,
}

impl Page {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, html: response.text().await.unwrap() }
    }

    /// Opens a link.
    async fn open(browser: &Client, path: &str) -> Self {
        Self::of(browser.request(Method::GET, path)).await
    }

    /// Sends a form.
    async fn send(browser: &Client, path: &str, fields: &[(&str, &str)]) -> Self {
        Self::of(browser.request(Method::POST, path).form(fields)).await
    }

    /// The session token that the page shows.
    fn session_token(&self) -> &str {
        let at = self.html.find(">ols_").expect("a session token") + 1;
        &self.html[at..at + 47]
    }

    /// The value of a hidden field.
    fn hidden(&self, name: &str) -> &str {
        let begin = format!("name=\"{name}\" value=\"");
        let at = self.html.find(&begin).unwrap_or_else(|| panic!("no field {name} in {}", self.html)) + begin.len();
        self.html[at..].split('"').next().unwrap()
    }

    /// Holds what every page says to browsers.
    fn is_guarded(&self) {
        let policy = self.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(self.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(self.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(self.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert!(self.headers.get(header::SET_COOKIE).is_none() && !self.html.contains("<script"));
    }
}

/// Signs in by pages alone; the last one.
async fn sign_in(server: &Server, browser: &Client, email: &str) -> Page {
    let sent = Page::send(browser, "/sign-in", &[("email", email)]).await;
    assert_eq!(sent.status, StatusCode::OK);
    let link = server.link_for(email, "/sign-in").await;
    let confirm = Page::open(browser, link.strip_prefix(&server.url).unwrap()).await;
    confirm.is_guarded();
    assert!(confirm.html.contains(email) && confirm.status == StatusCode::OK);
    let done = Page::send(browser, "/sign-in/complete", &[("token", confirm.hidden("token"))]).await;
    assert_eq!(done.status, StatusCode::OK);
    done.is_guarded();
    done
}

both_databases! {
    async fn one_signs_in_by_pages_alone(url: &str) {
        let server = Server::start(url).await;
        let browser = server.anonymous();
        let front = Page::open(&browser, "/").await;
        front.is_guarded();
        assert!(front.html.contains("action=\"/sign-in\"") && front.html.contains(&format!("{}/graphql", server.url)));
        let form = Page::open(&browser, "/sign-in").await;
        form.is_guarded();
        let wrong = Page::send(&browser, "/sign-in", &[("email", "nonsense")]).await;
        assert!(wrong.html.contains("role=\"alert\""));
        let known = Page::send(&browser, "/sign-in", &[("email", "nobody@example.com")]).await;
        let done = sign_in(&server, &browser, ADA).await;
        let again = Page::send(&browser, "/sign-in", &[("email", ADA)]).await;
        assert_eq!(known.html, again.html, "the page does not tell who has an account");
        let ada = server.with_key(done.session_token());
        assert_eq!(ada.operation("Viewer", json!({})).await["viewer"]["user"]["email"], ADA);
        let used = token(&server.link_for(ADA, "/sign-in").await).to_owned();
        Page::send(&browser, "/sign-in/complete", &[("token", &used)]).await;
        for wrong in [used.as_str(), "", "nonsense", "\0"] {
            let dead = Page::send(&browser, "/sign-in/complete", &[("token", wrong)]).await;
            assert_eq!(dead.status, StatusCode::NOT_FOUND, "{wrong:?}");
            dead.is_guarded();
        }
    }

    async fn an_invitation_is_accepted_on_the_page_after_signing_in(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": "<Acme> & \"Sons\"" }))).await;
        acme.ada.operation("InviteMember", acme.with(json!({ "email": BEA, "roleId": acme.role("MANAGER") }))).await;
        let browser = server.anonymous();
        let link = server.link_for(BEA, "/invitations").await;
        let path = link.strip_prefix(&server.url).unwrap();
        let shown = Page::open(&browser, path).await;
        shown.is_guarded();
        assert!(shown.html.contains("Manager") && shown.html.contains("b***@example.com") && !shown.html.contains(BEA));
        assert!(!shown.html.contains("<Acme>"), "names are escaped");
        let sent = Page::send(&browser, &format!("{path}/sign-in"), &[]).await;
        assert_eq!(sent.status, StatusCode::OK);
        let link = server.link_for(BEA, "/sign-in").await;
        let confirm = Page::open(&browser, link.strip_prefix(&server.url).unwrap()).await;
        let signed_in = Page::send(&browser, "/sign-in/complete", &[("token", confirm.hidden("token"))]).await;
        let fields = [
            ("session_token", signed_in.hidden("session_token")),
            ("invitation_id", signed_in.hidden("invitation_id")),
            ("answer", "accept"),
        ];
        let answered = Page::send(&browser, "/invitations/respond", &fields).await;
        answered.is_guarded();
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(answered.session_token(), signed_in.session_token(), "the token is not lost by answering");
        assert!(answered.html.contains("role=\"status\"") && !answered.html.contains("invitation_id"));
        let bea = server.with_key(signed_in.session_token());
        let answer = bea.operation("Viewer", json!({})).await;
        assert_eq!(text(&answer, "/viewer/organizations/edges/0/role/key"), "MANAGER");
        let shown = Page::open(&browser, path).await;
        assert!(shown.html.contains("has been accepted"));
    }

    async fn an_invitation_is_answered_by_its_link_with_a_pasted_session_token(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let browser = server.anonymous();
        for (email, answer, words) in
            [(BEA, "accept", "You have joined"), ("cyn@example.com", "decline", "Invitation declined")]
        {
            acme.ada.operation("InviteMember", acme.with(json!({ "email": email }))).await;
            let link = server.link_for(email, "/invitations").await;
            let path = link.strip_prefix(&server.url).unwrap();
            let person = server.person(email).await;
            let token = person.credential.clone().unwrap();
            for wrong in ["", "ols_nonsense", "nonsense"] {
                let refused = Page::send(&browser, path, &[("session_token", wrong), ("answer", answer)]).await;
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{wrong:?}");
                refused.is_guarded();
            }
            let eve = server.person("eve@example.com").await.credential.unwrap();
            let refused = Page::send(&browser, path, &[("session_token", &eve), ("answer", answer)]).await;
            assert_eq!(refused.status, StatusCode::CONFLICT);
            let pasted = format!(" {token}\n");
            let done = Page::send(&browser, path, &[("session_token", &pasted), ("answer", answer)]).await;
            assert!(done.status == StatusCode::OK && done.html.contains(words), "{}", done.html);
            let count = person.operation("Viewer", json!({})).await["viewer"]["organizations"]["totalCount"].clone();
            assert_eq!(count, 1 + u8::from(answer == "accept"), "the personal one is there from the first sign-in");
        }
    }

    /// A button that is none of ours decides nothing.
    async fn an_answer_that_is_neither_yes_nor_no_is_no_answer(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.ada.operation("InviteMember", acme.with(json!({ "email": BEA }))).await;
        let path = format!("/invitations/{}", server.invitation_token(BEA).await);
        let bea = server.person(BEA).await;
        let token = bea.credential.clone().unwrap();
        let form = [("session_token", &*token), ("answer", "nonsense")];
        let page = Page::send(&server.anonymous(), &path, &form).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        let answer = bea.operation("Viewer", json!({})).await;
        assert_eq!(answer["viewer"]["invitations"].as_array().unwrap().len(), 1);
    }

    async fn looking_at_an_invitations_page_changes_nothing_and_a_wrong_one_is_not_found(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = acme.ada.operation("InviteMember", acme.with(json!({ "email": BEA }))).await;
        let path = format!("/invitations/{}", server.invitation_token(BEA).await);
        let first = Page::open(&server.anonymous(), &path).await;
        assert_eq!(Page::open(&server.anonymous(), &path).await.html, first.html);
        for wrong in ["/invitations/nonsense", "/invitations/%00", "/invitations/%ff", &format!("{path}x")] {
            let page = Page::open(&server.anonymous(), wrong).await;
            assert!(matches!(page.status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST), "{wrong}: {}", page.status);
        }
        let fields = [("session_token", "ols_nonsense"), ("invitation_id", "nonsense"), ("answer", "accept")];
        let page = Page::send(&server.anonymous(), "/invitations/respond", &fields).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        let id = acme.with(json!({ "invitationId": text(&sent, "/inviteMember/invitation/id") }));
        acme.ada.operation("RevokeInvitation", id).await;
        let page = Page::open(&server.anonymous(), &path).await;
        assert!(page.html.contains("was withdrawn") && !page.html.contains("<button"), "{}", page.html);
    }
}
