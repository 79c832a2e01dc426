//! The few pages people meet outside a front end: signing in, and answering an invitation.
//!
//! Plain data in, a whole document out. No page has a script, a picture or anything from elsewhere: all of them work
//! under [`CONTENT_SECURITY_POLICY`]. Nothing here looks anything up or uses anything up, so showing a page never
//! consumes a link; only its button does.

use askama::Template;

use crate::domain::Timestamp;

/// What the pages need a browser to allow, and all that it should.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Where letters go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// A mail server sends them.
    Sent,
    /// They stay with the server: in its log, and in the mail folder of its data directory.
    KeptLocally,
}

/// What the page after signing in shows.
#[derive(Clone, Copy)]
pub struct SignedIn<'a> {
    /// Where the API is reached, without a slash at the end.
    pub public_url: &'a str,
    /// Who signed in.
    pub email: &'a str,
    /// The session's token, shown on no other page.
    pub session_token: &'a str,
    /// Until when the session lasts.
    pub expires_at: Timestamp,
    /// The invitations that wait for this person.
    pub invitations: &'a [PendingInvitation<'a>],
    /// The organization whose invitation was answered a moment ago on this page, and how: the page comes again after
    /// each answer, so that neither the token nor the other invitations are lost by answering one.
    pub answered: Option<(&'a str, Answer)>,
}

/// An invitation that its person may answer right after signing in.
#[derive(Clone, Copy)]
pub struct PendingInvitation<'a> {
    /// Which organization.
    pub organization_name: &'a str,
    /// As what.
    pub role_name: &'a str,
    /// Its id, as clients see it.
    pub invitation_id: &'a str,
}

/// What somebody sees who follows the link of an invitation.
#[derive(Clone, Copy)]
pub struct InvitationPage<'a> {
    /// Which organization.
    pub organization_name: &'a str,
    /// As what.
    pub role_name: &'a str,
    /// Who invites, if that is a person with a name.
    pub inviter_name: Option<&'a str>,
    /// Whom: never the whole address, because anybody may hold the link.
    pub masked_email: &'a str,
    /// Whether it can still be answered.
    pub state: InvitationState,
    /// Until when it can.
    pub expires_at: Timestamp,
    /// The secret of the link, for the addresses of the buttons.
    pub token: &'a str,
}

/// What an invitation is at the moment it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationState {
    /// It waits for an answer.
    Pending,
    /// The person joined by it.
    Accepted,
    /// The person said no.
    Declined,
    /// It was withdrawn or replaced.
    Revoked,
    /// Its time is over.
    Expired,
}

/// How an invitation was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No.
    Declined,
}

/// The front page: what this is, a way to sign in, and where the API is.
#[must_use]
pub fn welcome(public_url: &str) -> String {
    Welcome { public_url, message: None }.to_string()
}

/// Asks for an address, and says what was wrong with the last one.
#[must_use]
pub fn sign_in_form(message: Option<&str>) -> String {
    SignIn { message }.to_string()
}

/// Says that a letter is on its way: the same words whether or not anybody knows the address.
#[must_use]
pub fn sign_in_sent(letters: Letters) -> String {
    SignInSent { letters }.to_string()
}

/// What a sign-in link opens: names the account and asks for one press of a button.
#[must_use]
pub fn sign_in_confirm(email: &str, token: &str) -> String {
    SignInConfirm { email, token }.to_string()
}

/// Shows the session token, and the invitations that wait.
#[must_use]
pub fn signed_in(page: SignedIn<'_>) -> String {
    let until = moment(page.expires_at);
    let answered = page.answered.map(|(organization_name, answer)| outcome(organization_name, answer).1);
    SignedInTemplate { page, until, answered }.to_string()
}

/// What an invitation's link opens.
#[must_use]
pub fn invitation(page: InvitationPage<'_>) -> String {
    let until = moment(page.expires_at);
    InvitationTemplate { page, until }.to_string()
}

/// Confirms an answer.
#[must_use]
pub fn invitation_answered(organization_name: &str, answer: Answer) -> String {
    let (title, sentence) = outcome(organization_name, answer);
    Message { title, sentence: &sentence }.to_string()
}

/// Says what went wrong, in a sentence for the person in front of the page.
#[must_use]
pub fn problem(title: &str, sentence: &str) -> String {
    Message { title, sentence }.to_string()
}

fn outcome(organization_name: &str, answer: Answer) -> (&'static str, String) {
    match answer {
        Answer::Accepted => ("You have joined", format!("You are now a member of {organization_name}.")),
        Answer::Declined => (
            "Invitation declined",
            format!("You have not joined {organization_name}. Should you change your mind, ask for a new invitation."),
        ),
    }
}

fn moment(time: Timestamp) -> String {
    time.format("%-d %B %Y, %H:%M UTC").to_string()
}

#[derive(Template)]
#[template(path = "welcome.html", config = "src/http/pages/askama.toml")]
struct Welcome<'a> {
    public_url: &'a str,
    message: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/http/pages/askama.toml")]
struct SignIn<'a> {
    message: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sign_in_sent.html", config = "src/http/pages/askama.toml")]
struct SignInSent {
    letters: Letters,
}

#[derive(Template)]
#[template(path = "sign_in_confirm.html", config = "src/http/pages/askama.toml")]
struct SignInConfirm<'a> {
    email: &'a str,
    token: &'a str,
}

#[derive(Template)]
#[template(path = "signed_in.html", config = "src/http/pages/askama.toml")]
struct SignedInTemplate<'a> {
    page: SignedIn<'a>,
    until: String,
    answered: Option<String>,
}

#[derive(Template)]
#[template(path = "invitation.html", config = "src/http/pages/askama.toml")]
struct InvitationTemplate<'a> {
    page: InvitationPage<'a>,
    until: String,
}

#[derive(Template)]
#[template(path = "message.html", config = "src/http/pages/askama.toml")]
struct Message<'a> {
    title: &'a str,
    sentence: &'a str,
}
