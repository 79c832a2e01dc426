//! Text that stays valid once it is parsed: names, free text and email addresses.

use std::{fmt, str::FromStr};

use unicode_normalization::UnicodeNormalization;

/// The longest name, in characters.
pub const NAME_LIMIT: usize = 100;
/// The longest description or reason, in characters.
pub const TEXT_LIMIT: usize = 1000;
/// The longest email address, in bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
pub const EMAIL_LIMIT: usize = 254;

/// The form in which text is compared, ordered and searched: trimmed, NFC, lower case.
#[must_use]
pub fn normalize(text: &str) -> String {
    // Lower case can decompose (İ), so composition comes last. A sigma is one letter, wherever it stands in a word.
    text.trim().to_lowercase().nfc().map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

/// Why a text is not a value; one sentence for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// A name of an organization, person, role or key: one line of 1 to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is compared.
    #[must_use]
    pub fn key(&self) -> String {
        normalize(&self.0)
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            return Err(Invalid("must not be empty"));
        }
        if name.chars().count() > NAME_LIMIT {
            return Err(Invalid("must have at most 100 characters"));
        }
        if name.chars().any(|character| character.is_control() || is_deceptive(character)) {
            return Err(Invalid("must not contain control characters or invisible ones"));
        }
        Ok(Self(name))
    }
}

/// Characters that break a line, turn the direction of what follows, or take no room. The joiners U+200C and U+200D
/// are none of them: languages and emoji need them.
const fn is_deceptive(character: char) -> bool {
    matches!(character, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A description or a reason: up to 1,000 characters, line breaks and tabs allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The text as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses what somebody typed; nothing but white space is no text at all.
    ///
    /// # Errors
    /// When it is too long or holds control characters other than line breaks and tabs.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        let text: String = text.trim().nfc().collect();
        if text.chars().count() > TEXT_LIMIT {
            return Err(Invalid("must have at most 1000 characters"));
        }
        if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
            return Err(Invalid("must not contain control characters"));
        }
        Ok((!text.is_empty()).then_some(Self(text)))
    }
}

/// An email address: the typed form for display, the normalized form for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: String,
}

impl Email {
    /// The address as it was typed, trimmed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// The address as it is compared: NFC and lower case.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for Email {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let typed: String = text.trim().nfc().collect();
        if typed.len() > EMAIL_LIMIT {
            return Err(Invalid("must have at most 254 bytes"));
        }
        let options = email_address::Options::default().without_display_text().without_domain_literal();
        if email_address::EmailAddress::parse_with_options(&typed, options).is_err() {
            return Err(Invalid("must be an email address"));
        }
        let key = normalize(&typed);
        Ok(Self { typed, key })
    }
}

/// Shows enough of an address for its owner to know it, and not enough for anybody else to use it.
#[must_use]
pub fn mask_email(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}***@{domain}")
}
