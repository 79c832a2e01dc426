//! Letters: what they say, and what arrives in the folder or at the server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    thread::JoinHandle,
};

use chrono::{DateTime, Utc};
use orgledger::mail::{
    InvitationLetter, Letter, Transport,
    letters::{MembershipChange, MembershipLetter, NoticeLetter},
    transport::{Error, Mailbox},
};
use uuid::Uuid;

const LINK: &str = "http://127.0.0.1:8080/sign-in?token=0123456789012345678901234567890123456789012345678901234567890123456789&from=letter";

fn now() -> DateTime<Utc> {
    "2026-03-09T08:07:06Z".parse().unwrap()
}

fn sender() -> Mailbox {
    "orgledger <ledger@acme.example>".parse().unwrap()
}

fn invitation<'a>(organization_name: &'a str, name: Option<&'a str>, inviter_name: Option<&'a str>) -> Letter {
    Letter::invitation(InvitationLetter {
        email: "ana@example.com",
        name,
        organization_name,
        role_name: "Manager",
        inviter_name,
        link: LINK,
        expires_at: now(),
    })
}

fn membership<'a>(name: Option<&'a str>, organization_name: &'a str, change: MembershipChange<'a>) -> Letter {
    Letter::membership(MembershipLetter { email: "ana@example.com", name, organization_name, change })
}

fn notice(name: &str, organization_name: &str, lines: &[&str]) -> Letter {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let (email, name, link) = ("ana@example.com", Some(name), "https://acme.example");
    Letter::notice(NoticeLetter { email, name, organization_name, at: now(), lines: &lines, link })
}

/// Every kind of change, with this name of the role.
fn changes(role: &str) -> [MembershipChange<'_>; 3] {
    let link = "https://acme.example";
    [MembershipChange::Role { name: role, link }, MembershipChange::Deactivated, MembershipChange::Removed]
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("orgledger-mail-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// The one file that the folder holds after the letter was delivered.
async fn filed(test: &str, letter: &Letter) -> String {
    let folder = folder(test);
    let id = Uuid::from_u128(7);
    Transport::files(folder.join("mail")).deliver(letter, id, &sender(), now()).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.join("mail")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, [folder.join("mail").join(format!("{id}.eml"))], "no unfinished file may stay");
    let message = std::fs::read_to_string(&files[0]).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    message
}

fn headers(message: &str) -> &str {
    message.split_once("\n\n").unwrap().0
}

#[test]
fn a_sign_in_letter_says_for_whom_and_how_long() {
    let letter = Letter::sign_in("ana@example.com", LINK, 15);
    assert_eq!(letter.subject, "Your sign-in link for orgledger");
    assert_eq!(letter.link.as_deref(), Some(LINK));
    for words in ["ana@example.com", "15 minutes", "ignore this letter"] {
        assert!(letter.text.contains(words), "{words}");
        assert!(letter.html.contains(words), "{words}");
    }
    assert_eq!(letter.text.lines().filter(|line| *line == LINK).count(), 1);
}

#[test]
fn an_invitation_says_who_invites_whom_as_what_and_until_when() {
    let letter = invitation("Acme", Some("Ana"), Some("Bo Li"));
    assert_eq!(letter.subject, "Bo Li invites you to Acme");
    assert_eq!(letter.to_name.as_deref(), Some("Ana"));
    for words in ["Hello Ana,", "Acme", "Manager", "Bo Li", "ana@example.com", "9 March 2026, 08:07 UTC"] {
        assert!(letter.text.contains(words), "{words}");
        assert!(letter.html.contains(words), "{words}");
    }
    let nameless = invitation("Acme", None, None);
    assert_eq!(nameless.subject, "You are invited to Acme");
    assert!(nameless.text.starts_with("Hello,\n"));
    assert!(!nameless.text.contains("Invited by"));
}

#[test]
fn a_letter_about_a_membership_says_what_became_of_it_and_is_no_credential() {
    let told = [
        ("Your role in Acme has changed", &["Your role: Manager", "https://acme.example"][..]),
        ("Your access to Acme was switched off", &["You are still a member."]),
        ("You were removed from Acme", &["To come back you need a new invitation."]),
    ];
    for (change, (subject, lines)) in changes("Manager").into_iter().zip(told) {
        let letter = membership(Some("Ana"), "Acme", change);
        assert_eq!((letter.subject.as_str(), letter.to.as_str()), (subject, "ana@example.com"));
        assert_eq!((letter.to_name.as_deref(), letter.link.as_deref()), (Some("Ana"), None));
        for line in lines {
            assert!(letter.text.lines().any(|found| found.starts_with(line)), "{line} in {}", letter.text);
        }
        for words in ["Hello Ana,", "Acme", "ana@example.com", "ask the admins"] {
            assert!(letter.text.contains(words) && letter.html.contains(words), "{words}");
        }
        let nameless = membership(None, "Acme", change);
        assert!(nameless.text.starts_with("Hello,\n") && nameless.html.contains("Hello,"), "{}", nameless.text);
    }
}

#[test]
fn a_name_in_a_letter_about_a_membership_is_text_and_not_markup() {
    for change in changes("<script>alert(1)</script>") {
        let letter = membership(Some("<img src=x>"), "<b>\"Acme\" & Sons</b>", change);
        assert!(!letter.html.contains("<script") && !letter.html.contains("<img") && !letter.html.contains("<b>"));
        assert!(letter.text.contains("<b>\"Acme\" & Sons</b>"), "plain text needs no escapes");
        assert!(letter.html.contains("Sons&#60;/b&#62;") || letter.html.contains("Sons&lt;/b&gt;"), "{}", letter.html);
    }
}

#[tokio::test]
async fn a_name_with_line_breaks_makes_no_line_of_a_letter_about_a_membership() {
    let evil = "Acme\r\nBcc: all@example.com\r\n\r\nhttp://evil.example\u{2028}http://evil.example\u{202e}";
    for (number, change) in changes(evil).into_iter().enumerate() {
        let letter = membership(Some("Ana\nX-Evil: 1"), evil, change);
        assert!(letter.subject.chars().all(|character| !character.is_control()), "{}", letter.subject);
        let message = filed(&format!("membership-{number}"), &letter).await;
        for line in message.lines() {
            assert!(!["Bcc:", "X-Evil:", "http://evil"].iter().any(|beginning| line.starts_with(beginning)), "{line}");
            assert!(line.len() <= 998 && !line.contains('\u{202e}'), "{line}");
        }
    }
    let longest = "\u{1f980}".repeat(100);
    for (number, change) in changes(&longest).into_iter().enumerate() {
        let message = filed(&format!("longest-{number}"), &membership(Some(&longest), &longest, change)).await;
        assert!(message.lines().all(|line| line.len() <= 998), "{message}");
    }
}

#[test]
fn a_letter_about_changes_has_a_line_for_each_and_is_no_credential() {
    let letter = notice("Ana", "Acme", &["Bo made the API key ci", "Bo removed Cy", "and 37 more"]);
    assert_eq!((letter.subject.as_str(), letter.to_name.as_deref()), ("What changed in Acme", Some("Ana")));
    assert_eq!(letter.link, None);
    let text = letter.text.lines().filter_map(|line| line.strip_prefix("- ")).collect::<Vec<_>>();
    assert_eq!(text, ["Bo made the API key ci", "Bo removed Cy", "and 37 more"]);
    assert_eq!(letter.html.matches("<li>").count(), 3);
    for words in ["Hello Ana,", "Acme", "9 March 2026, 08:07 UTC", "Bo removed Cy", "and 37 more", "ana@example.com"] {
        assert!(letter.text.contains(words) && letter.html.contains(words), "{words}");
    }
    assert!(letter.text.lines().any(|line| line == "https://acme.example") && letter.html.contains("acme.example"));
}

#[tokio::test]
async fn a_name_in_a_letter_about_changes_is_neither_markup_nor_a_line() {
    let evil =
        "<script>x</script>\r\nBcc: all@example.com\r\n\r\nhttp://evil.example\u{2028}http://evil.example\u{202e}";
    let letter = notice(evil, evil, &[evil, evil]);
    assert!(!letter.html.contains("<script"), "{}", letter.html);
    assert!(letter.subject.chars().all(|character| !character.is_control()), "{}", letter.subject);
    for line in filed("changes", &letter).await.lines() {
        assert!(!["Bcc:", "http://evil"].iter().any(|beginning| line.starts_with(beginning)), "{line}");
        assert!(line.len() <= 998 && !line.contains('\u{202e}'), "{line}");
    }
}

#[test]
fn a_name_is_text_in_html_and_not_markup() {
    let letter = invitation("<script>alert(1)</script>", Some("\"A\" & B"), Some("<img src=x>"));
    assert!(!letter.html.contains("<script") && !letter.html.contains("<img"));
    assert!(letter.html.contains("&#60;script&#62;") || letter.html.contains("&lt;script&gt;"));
    assert!(letter.text.contains("<script>alert(1)</script>"), "plain text needs no escapes");
}

#[tokio::test]
async fn a_name_with_line_breaks_makes_no_header_and_no_line() {
    let letter = invitation(
        "Acme\r\nBcc: all@example.com",
        Some("Ana\nX-Evil: 1"),
        Some("Bo\u{2028}http://evil.example\u{202e}\r\n\r\nhi"),
    );
    let message = filed("breaks", &letter).await;
    for line in message.lines() {
        assert!(
            !line.starts_with("Bcc:") && !line.starts_with("X-Evil:") && !line.starts_with("http://evil"),
            "{line}"
        );
    }
    assert!(letter.subject.chars().all(|character| !character.is_control()));
    assert!(headers(&message).contains("Subject: Bo http://evil.example hi invites you to Acme Bcc:"));
}

#[tokio::test]
async fn a_filed_letter_has_its_headers_and_its_link_alone_on_a_line() {
    let plain = Letter::sign_in("ana@example.com", LINK, 15);
    let accented = invitation("Ærø Café 漢字", Some("Ána"), Some("Bo & Lí"));
    let longest = "\u{1f980}".repeat(100);
    let long = invitation(&longest, Some(&longest), Some(&longest));
    for (test, letter) in [("plain", plain), ("accented", accented), ("long", long)] {
        let message = filed(test, &letter).await;
        assert_eq!(message.lines().filter(|line| *line == LINK).count(), 1, "{message}");
        assert!(message.lines().all(|line| line.len() <= 998), "{message}");
        let headers = headers(&message);
        for header in [
            "From: orgledger <ledger@acme.example>",
            "Date: Mon, 09 Mar 2026 08:07:06 +0000",
            "Message-ID: <00000000-0000-0000-0000-000000000007@acme.example>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: multipart/alternative;",
        ] {
            assert!(headers.contains(header), "{header} in {headers}");
        }
        assert!(headers.contains("ana@example.com") && headers.is_ascii());
        let kinds: Vec<_> = message.lines().filter(|line| line.starts_with("Content-Type: text/")).collect();
        assert_eq!(kinds, ["Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8"]);
    }
}

#[tokio::test]
async fn a_letter_delivered_twice_is_one_file() {
    let folder = folder("twice");
    let transport = Transport::files(&folder);
    for minutes in [15, 1] {
        let letter = Letter::sign_in("ana@example.com", LINK, minutes);
        transport.deliver(&letter, Uuid::nil(), &sender(), now()).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error_worth_trying_again() {
    let folder = folder("blocked");
    std::fs::write(&folder, "a file").unwrap();
    let letter = Letter::sign_in("ana@example.com", LINK, 15);
    let error = Transport::files(&folder).deliver(&letter, Uuid::nil(), &sender(), now()).await.unwrap_err();
    assert!(matches!(error, Error::File(_)) && !error.is_permanent());
    std::fs::remove_file(folder).unwrap();
}

/// A mail server for one letter: answers every recipient with `recipient`, and returns what it was told.
fn mail_server(recipient: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let mut told = String::new();
        let mut reading_letter = false;
        stream.write_all(b"220 ready\r\n").unwrap();
        for line in lines {
            told.push_str(&line);
            told.push('\n');
            let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                "." => "250 taken",
                _ if reading_letter => continue,
                "RCPT" => recipient,
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 fine",
            };
            reading_letter = answer.starts_with("354");
            let _ = stream.write_all(format!("{answer}\r\n").as_bytes());
        }
        told
    });
    (url, server)
}

#[tokio::test]
async fn a_mail_server_gets_the_letter() {
    let (url, server) = mail_server("250 fine");
    let letter = invitation("Ærø", None, None);
    Transport::smtp(&url).unwrap().deliver(&letter, Uuid::nil(), &sender(), now()).await.unwrap();
    let told = server.join().unwrap();
    assert!(told.contains("MAIL FROM:<ledger@acme.example>") && told.contains("RCPT TO:<ana@example.com>"));
    assert!(told.contains("=?utf-8?") && told.is_ascii(), "not every server takes 8 bits: {told}");

    let (url, server) = mail_server("250 fine");
    let letter = Letter::sign_in("ana@example.com", LINK, 15);
    Transport::smtp(&url).unwrap().deliver(&letter, Uuid::nil(), &sender(), now()).await.unwrap();
    assert_eq!(server.join().unwrap().lines().filter(|line| *line == LINK).count(), 1);
}

#[tokio::test]
async fn what_a_mail_server_answers_tells_whether_to_try_again_and_keeps_the_address() {
    for (answer, permanent) in [
        ("550 ana@example.com is unknown", true),
        ("451 ana@example.com later", false),
        ("535 ana@example.com has another password", false),
    ] {
        let (url, server) = mail_server(answer);
        let letter = Letter::sign_in("ana@example.com", LINK, 15);
        let error = Transport::smtp(&url).unwrap().deliver(&letter, Uuid::nil(), &sender(), now()).await.unwrap_err();
        server.join().unwrap();
        assert_eq!(error, Error::Refused(answer[..3].parse().unwrap()));
        assert_eq!(error.is_permanent(), permanent);
        assert!(!error.to_string().contains("ana") && !format!("{error:?}").contains("ana"));
    }
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_tried_again_and_an_impossible_address_is_not() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Transport::smtp(&format!("smtp://{free}")).unwrap();
    let letter = Letter::sign_in("ana@example.com", LINK, 15);
    let error = away.deliver(&letter, Uuid::nil(), &sender(), now()).await.unwrap_err();
    assert_eq!(error, Error::Connection);
    assert!(!error.is_permanent());
    let nobody = Letter::sign_in("nobody", LINK, 15);
    let error = away.deliver(&nobody, Uuid::nil(), &sender(), now()).await.unwrap_err();
    assert_eq!(error, Error::Address);
    assert!(error.is_permanent());
    assert_eq!(Transport::smtp("http://127.0.0.1").unwrap_err(), Error::Url);
}
