//! How letters leave: into a folder, or over SMTP.
//!
//! Nothing here decides when to send or to try again, and no error carries an address or a word of a letter: errors
//! are logged, and shown beside invitations.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Body, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

pub use lettre::message::Mailbox;

use super::Letter;
use crate::domain::Timestamp;

/// How long a mail server may take for one letter, from the first packet to its last answer.
pub const SMTP_TIME: Duration = Duration::from_secs(30);
/// The longest line a message may have, in bytes without the line break (RFC 5322, section 2.1.1).
const LINE_LIMIT: usize = 998;

/// Why a letter did not leave; one sentence that says nothing of the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `SMTP_URL` cannot be used.
    #[error("SMTP_URL must be smtp:// or smtps://, a host, and perhaps a user, a password and a port")]
    Url,
    /// No message can be addressed to the recipient.
    #[error("no mail can be sent to this address")]
    Address,
    /// The message could not be put together.
    #[error("the letter could not be made into a message")]
    Message,
    /// The folder did not take the file.
    #[error("the letter could not be written: {0}")]
    File(std::io::ErrorKind),
    /// The mail server said no, with this code.
    #[error("the mail server refused the letter ({0})")]
    Refused(u16),
    /// The mail server took too long.
    #[error("the mail server did not answer in time")]
    Timeout,
    /// The mail server could not be reached, or spoke something else than agreed.
    #[error("the mail server could not be used")]
    Connection,
}

impl Error {
    /// Whether trying the same letter again is in vain. The answers 530 to 539 are about our own password (RFC 4954)
    /// and not about the letter, which waits until somebody has put that right.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::Address | Self::Message | Self::Refused(500..530 | 540..))
    }
}

/// Where letters go.
#[derive(Clone, Debug)]
pub enum Transport {
    /// Into this folder, one `.eml` file each.
    Files(PathBuf),
    /// To a mail server.
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl Transport {
    /// Keeps letters in a folder, which is made when the first one comes.
    #[must_use]
    pub fn files(folder: impl Into<PathBuf>) -> Self {
        Self::Files(folder.into())
    }

    /// Sends letters by the server of `smtp://user:password@host:port` (`?tls=required` for STARTTLS) or `smtps://…`.
    ///
    /// # Errors
    /// When the URL is of another form.
    pub fn smtp(url: &str) -> Result<Self, Error> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| Error::Url)?;
        Ok(Self::Smtp(builder.timeout(Some(SMTP_TIME)).build()))
    }

    /// Hands over one letter. The same id gives the same file and the same Message-ID, so that a letter sent twice
    /// is seen to be one.
    pub async fn deliver(&self, letter: &Letter, id: Uuid, from: &Mailbox, now: Timestamp) -> Result<(), Error> {
        match self {
            Self::Files(folder) => {
                let message = message(letter, id, from, now, Takes::EightBits)?;
                // Files follow the custom of the machine, where a line ends with a line feed: `grep '^http'` then
                // gives the link and nothing else.
                let text = String::from_utf8_lossy(&message.formatted()).replace("\r\n", "\n");
                write(folder, id, text.as_bytes()).await.map_err(|error| Error::File(error.kind()))
            }
            Self::Smtp(smtp) => {
                let message = message(letter, id, from, now, Takes::SevenBits)?;
                // lettre's own time-out covers the connection only.
                match tokio::time::timeout(SMTP_TIME, smtp.send(message)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(smtp_error(&error)),
                    Err(_) => Err(Error::Timeout),
                }
            }
        }
    }
}

fn smtp_error(error: &lettre::transport::smtp::Error) -> Error {
    match error.status() {
        Some(code) => Error::Refused(code.into()),
        None if error.is_timeout() => Error::Timeout,
        None => Error::Connection,
    }
}

fn message(letter: &Letter, id: Uuid, from: &Mailbox, now: Timestamp, takes: Takes) -> Result<Message, Error> {
    let address: Address = letter.to.parse().map_err(|_| Error::Address)?;
    let part = |kind, text: &str| SinglePart::builder().header(kind).body(body(text, takes));
    let parts = MultiPart::alternative()
        .boundary(format!("letter-{}", id.simple()))
        .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
        .singlepart(part(ContentType::TEXT_HTML, &letter.html));
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(letter.to_name.clone(), address))
        .subject(letter.subject.as_str())
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{}@{}>", id.hyphenated(), from.email.domain())))
        // RFC 3834: keeps out-of-office notes from answering.
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(parts)
        .map_err(|_| Error::Message)
}

/// What the bytes of a message may be on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// ASCII, which every mail server takes.
    SevenBits,
    /// UTF-8, which every file takes.
    EightBits,
}

/// Leaves the text as it is wherever that may be. Quoted-printable, which lettre takes from 76 columns on, would cut
/// the link in two and write its `=` as `=3D`.
fn body(text: &str, takes: Takes) -> Body {
    let lines: Vec<&str> = text.lines().collect();
    let fits = lines.iter().all(|line| line.len() <= LINE_LIMIT && !line.contains(['\r', '\0']));
    let encoding = match takes {
        _ if fits && text.is_ascii() => ContentTransferEncoding::SevenBit,
        Takes::EightBits if fits => ContentTransferEncoding::EightBit,
        _ => return Body::new(text.to_owned()),
    };
    Body::dangerous_pre_encoded(lines.join("\r\n").into_bytes(), encoding)
}

/// Whoever watches the folder sees whole letters only: `.eml` is the name a file gets when it is complete.
async fn write(folder: &Path, id: Uuid, bytes: &[u8]) -> std::io::Result<()> {
    let mut directory = tokio::fs::DirBuilder::new();
    directory.recursive(true);
    // The links in the letters are credentials.
    #[cfg(unix)]
    directory.mode(0o700);
    directory.create(folder).await?;
    let unfinished = folder.join(format!("{}.unfinished", id.hyphenated()));
    tokio::fs::write(&unfinished, bytes).await?;
    tokio::fs::rename(&unfinished, folder.join(format!("{}.eml", id.hyphenated()))).await
}
