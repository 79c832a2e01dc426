//! What letters say: plain data in, subject, text and HTML out.
//!
//! A letter never reads a clock or a database and never sends itself. No name that somebody chose can become markup,
//! a header or a line of its own, and no line is longer than a mail server has to take (998 bytes), whatever the
//! names are.

use askama::Template;

use crate::domain::Timestamp;

/// One letter to one person, ready for any transport.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address as it was typed.
    pub to: String,
    /// What the person is called, if anybody said.
    pub to_name: Option<String>,
    /// One line.
    pub subject: String,
    /// The letter for those who read plain text; the link stands alone on its line.
    pub text: String,
    /// The same letter with a button.
    pub html: String,
    /// The link in it. It is a credential: whoever has it acts as the person.
    pub link: Option<String>,
}

/// What an invitation's letter has to say.
#[derive(Clone, Copy)]
pub struct InvitationLetter<'a> {
    /// The address as the inviter typed it.
    pub email: &'a str,
    /// The name that the inviter gave.
    pub name: Option<&'a str>,
    /// Which organization.
    pub organization_name: &'a str,
    /// As what.
    pub role_name: &'a str,
    /// Who invites, if that is a person with a name.
    pub inviter_name: Option<&'a str>,
    /// Where to answer.
    pub link: &'a str,
    /// Until when the link is good.
    pub expires_at: Timestamp,
}

/// What a letter about somebody's membership has to say.
#[derive(Clone, Copy)]
pub struct MembershipLetter<'a> {
    /// The address of the person.
    pub email: &'a str,
    /// What they are called, if anybody said.
    pub name: Option<&'a str>,
    /// Which organization.
    pub organization_name: &'a str,
    /// What became of their membership.
    pub change: MembershipChange<'a>,
}

/// What became of somebody's membership.
#[derive(Clone, Copy)]
pub enum MembershipChange<'a> {
    /// They have another role.
    Role {
        /// Its name.
        name: &'a str,
        /// Where to go and see.
        link: &'a str,
    },
    /// Their access was taken, and the membership kept.
    Deactivated,
    /// They were removed.
    Removed,
}

/// What a letter about what changed has to say.
#[derive(Clone, Copy)]
pub struct NoticeLetter<'a> {
    /// The address of the person.
    pub email: &'a str,
    /// What they are called, if anybody said.
    pub name: Option<&'a str>,
    /// Which organization.
    pub organization_name: &'a str,
    /// The minute in which it changed.
    pub at: Timestamp,
    /// What changed, a line each.
    pub lines: &'a [String],
    /// Where to go and see.
    pub link: &'a str,
}

impl Letter {
    /// The link that signs a person in.
    #[must_use]
    pub fn sign_in(email: &str, link: &str, minutes_valid: u32) -> Self {
        let email = one_line(email);
        let validity = if minutes_valid == 1 { "1 minute".to_owned() } else { format!("{minutes_valid} minutes") };
        Self {
            subject: "Your sign-in link for orgledger".to_owned(),
            text: SignInText { email: &email, link, validity: &validity }.to_string(),
            html: SignInHtml { email: &email, link, validity: &validity }.to_string(),
            to: email,
            to_name: None,
            link: Some(link.to_owned()),
        }
    }

    /// The invitation to an organization.
    #[must_use]
    pub fn invitation(invitation: InvitationLetter<'_>) -> Self {
        let words = Invitation {
            email: one_line(invitation.email),
            name: invitation.name.map(one_line).filter(|name| !name.is_empty()),
            organization: one_line(invitation.organization_name),
            role: one_line(invitation.role_name),
            inviter: invitation.inviter_name.map(one_line).filter(|name| !name.is_empty()),
            link: invitation.link,
            until: invitation.expires_at.format("%-d %B %Y, %H:%M UTC").to_string(),
        };
        let subject = match &words.inviter {
            Some(inviter) => format!("{inviter} invites you to {}", words.organization),
            None => format!("You are invited to {}", words.organization),
        };
        Self {
            subject,
            text: InvitationText { words: &words }.to_string(),
            html: InvitationHtml { words: &words }.to_string(),
            to: words.email,
            to_name: words.name,
            link: Some(words.link.to_owned()),
        }
    }
}

impl Letter {
    /// What became of a membership.
    #[must_use]
    pub fn membership(letter: MembershipLetter<'_>) -> Self {
        let organization = one_line(letter.organization_name);
        let words = Membership {
            email: one_line(letter.email),
            name: letter.name.map(one_line).filter(|name| !name.is_empty()),
            role: match letter.change {
                MembershipChange::Role { name, .. } => one_line(name),
                MembershipChange::Deactivated | MembershipChange::Removed => String::new(),
            },
            organization: organization.clone(),
            change: letter.change,
        };
        let subject = match letter.change {
            MembershipChange::Role { .. } => format!("Your role in {organization} has changed"),
            MembershipChange::Deactivated => format!("Your access to {organization} was switched off"),
            MembershipChange::Removed => format!("You were removed from {organization}"),
        };
        Self {
            subject,
            text: MembershipText { words: &words }.to_string(),
            html: MembershipHtml { words: &words }.to_string(),
            to: words.email,
            to_name: words.name,
            link: None,
        }
    }
}

impl Letter {
    /// What changed in an organization.
    #[must_use]
    pub fn notice(letter: NoticeLetter<'_>) -> Self {
        let words = Notice {
            email: one_line(letter.email),
            name: letter.name.map(one_line).filter(|name| !name.is_empty()),
            organization: one_line(letter.organization_name),
            at: letter.at.format("%-d %B %Y, %H:%M UTC").to_string(),
            lines: letter.lines.iter().map(|line| one_line(line)).collect(),
            link: letter.link,
        };
        Self {
            subject: format!("What changed in {}", words.organization),
            text: NoticeText { words: &words }.to_string(),
            html: NoticeHtml { words: &words }.to_string(),
            to: words.email,
            to_name: words.name,
            link: None,
        }
    }
}

/// Names are one line already where they are parsed; here the letter does not depend on it. Marks that turn the
/// direction of writing go too: they would let a name rewrite how the sentence around it reads.
fn one_line(name: &str) -> String {
    let turns =
        |character| matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain: String = name
        .chars()
        .filter(|character| !turns(*character))
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    // This also splits at U+2028 and U+2029, which are line breaks but not control characters.
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(Template)]
#[template(path = "sign_in.txt", config = "src/mail/templates/askama.toml")]
struct SignInText<'a> {
    email: &'a str,
    link: &'a str,
    validity: &'a str,
}

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/mail/templates/askama.toml")]
struct SignInHtml<'a> {
    email: &'a str,
    link: &'a str,
    validity: &'a str,
}

struct Invitation<'a> {
    email: String,
    name: Option<String>,
    organization: String,
    role: String,
    inviter: Option<String>,
    link: &'a str,
    until: String,
}

#[derive(Template)]
#[template(path = "invitation.txt", config = "src/mail/templates/askama.toml")]
struct InvitationText<'a> {
    words: &'a Invitation<'a>,
}

#[derive(Template)]
#[template(path = "invitation.html", config = "src/mail/templates/askama.toml")]
struct InvitationHtml<'a> {
    words: &'a Invitation<'a>,
}

struct Membership<'a> {
    email: String,
    name: Option<String>,
    organization: String,
    role: String,
    change: MembershipChange<'a>,
}

#[derive(Template)]
#[template(path = "membership.txt", config = "src/mail/templates/askama.toml")]
struct MembershipText<'a> {
    words: &'a Membership<'a>,
}

#[derive(Template)]
#[template(path = "membership.html", config = "src/mail/templates/askama.toml")]
struct MembershipHtml<'a> {
    words: &'a Membership<'a>,
}

struct Notice<'a> {
    email: String,
    name: Option<String>,
    organization: String,
    at: String,
    lines: Vec<String>,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "notice.txt", config = "src/mail/templates/askama.toml")]
struct NoticeText<'a> {
    words: &'a Notice<'a>,
}

#[derive(Template)]
#[template(path = "notice.html", config = "src/mail/templates/askama.toml")]
struct NoticeHtml<'a> {
    words: &'a Notice<'a>,
}
