//! Names, emails, ids and permissions, as texts, as columns and in events.

use orgledger::domain::{
    Actor, ApiKeyId, GlobalId, InvitationId, OrganizationId, RoleId, SessionId, UserId,
    organization::{Permission, Permissions, event::ExpiryChange, permissions::INFO},
    values::{Email, Invalid, Name, Text, mask_email, normalize},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed_name(text: &str) -> Result<String, Invalid> {
    text.parse().map(|name: Name| name.as_str().to_owned())
}

fn is_email(text: &str) -> bool {
    text.parse::<Email>().is_ok()
}

#[test]
fn a_rate_limit_has_numbers_from_one_to_a_million() {
    for (units_per_minute, burst) in [(1, 1), (60, 10), (1_000_000, 1), (1, 1_000_000)] {
        let limit = RateLimit::new(units_per_minute, burst).unwrap();
        assert_eq!((i64::from(limit.units_per_minute()), i64::from(limit.burst())), (units_per_minute, burst));
    }
    for (units_per_minute, burst) in [(0, 1), (1, 0), (-1, 1), (1_000_001, 1), (1, 1_000_001), (i64::MIN, i64::MAX)] {
        let invalid = Err(Invalid("must have numbers from 1 to 1000000"));
        assert_eq!(RateLimit::new(units_per_minute, burst), invalid, "{units_per_minute} {burst}");
    }
}

#[test]
fn the_grace_of_a_rotation_is_up_to_seven_days() {
    assert_eq!(Grace::try_from(0), Ok(Grace::default()));
    assert!(Grace::try_from(7 * 24 * 60 * 60).is_ok());
    for seconds in [-1, i32::MIN, 7 * 24 * 60 * 60 + 1, i32::MAX] {
        assert_eq!(Grace::try_from(seconds), Err(Invalid("must be 0 to 604800")), "{seconds}");
    }
}

#[test]
fn a_name_has_one_to_a_hundred_characters() {
    assert_eq!(parsed_name(""), Err(Invalid("must not be empty")));
    assert_eq!(parsed_name(" \t\n"), Err(Invalid("must not be empty")));
    assert_eq!(parsed_name("x"), Ok("x".to_owned()));
    assert_eq!(parsed_name(&"ß".repeat(100)), Ok("ß".repeat(100)));
    assert_eq!(parsed_name(&"x".repeat(101)), Err(Invalid("must have at most 100 characters")));
}

#[test]
fn a_name_is_trimmed_and_composed() {
    assert_eq!(parsed_name("  Cafe\u{301} \n"), Ok("Caf\u{e9}".to_owned()));
    assert_eq!(parsed_name(&"e\u{301}".repeat(100)), Ok("\u{e9}".repeat(100)));
}

#[test]
fn a_name_is_one_line() {
    for text in ["a\nb", "a\tb", "a\0b", "a\u{85}b", "a\u{7f}b", "a\u{2028}b", "a\u{2029}b"] {
        assert_eq!(
            parsed_name(text),
            Err(Invalid("must not contain control characters or invisible ones")),
            "{text:?}"
        );
    }
}

#[test]
fn a_name_turns_no_direction_and_hides_no_character() {
    let directions = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\u{200e}', '\u{200f}']);
    for character in directions.chain(['\u{200b}', '\u{2060}', '\u{feff}']) {
        for text in [format!("a{character}b"), format!("{character}ab"), format!("ab{character}")] {
            let refusal = Invalid("must not contain control characters or invisible ones");
            assert_eq!(parsed_name(&text), Err(refusal), "{text:?}");
        }
    }
}

#[test]
fn a_name_keeps_the_joiners_that_languages_and_emoji_need() {
    for text in ["\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", "\u{1f469}\u{200d}\u{1f680}"] {
        assert_eq!(parsed_name(text), Ok(text.to_owned()));
    }
}

#[test]
fn names_are_compared_without_case_and_composition() {
    assert_eq!(name("CAFE\u{301}").key(), name(" caf\u{e9}").key());
    assert_ne!(name("cafe").key(), name("caf\u{e9}").key());
    assert_eq!(name("Acme").to_string(), "Acme");
}

#[test]
fn a_sigma_is_one_letter_wherever_it_stands_in_a_word() {
    assert_eq!(name("ΟΔΟΣ").key(), name("οδος").key());
    assert_eq!(normalize("Σωκράτης"), normalize("ΣΩΚΡΆΤΗΣ"));
    assert!(normalize("ΟΔΟΣΑ").contains(&normalize("ΟΔΟΣ")), "a part of a word is found in it");
}

#[test]
fn a_text_has_up_to_a_thousand_characters_and_may_break_lines() {
    assert_eq!(Text::parse(" \n "), Ok(None));
    assert_eq!(text(" one\n\ttwo\r\n ").as_ref().map(Text::as_str), Some("one\n\ttwo"));
    assert!(Text::parse(&"é".repeat(1000)).is_ok());
    assert_eq!(Text::parse(&"x".repeat(1001)), Err(Invalid("must have at most 1000 characters")));
    assert_eq!(Text::parse("a\u{1b}b"), Err(Invalid("must not contain control characters")));
}

#[test]
fn an_email_keeps_the_typed_form_and_compares_the_normalized_one() {
    let email: Email = " Zoe\u{308}@Example.COM ".parse().expect("an address");
    assert_eq!(email.as_str(), "Zo\u{eb}@Example.COM");
    assert_eq!(email.key(), "zo\u{eb}@example.com");
}

#[test]
fn an_email_is_an_address_and_nothing_around_it() {
    for text in ["a@example.com", "a.b+c@sub.example.com", "o'hara@example.com", "ü@bücher.example"] {
        assert!(is_email(text), "{text}");
    }
    for text in [
        "",
        "a",
        "@example.com",
        "a@",
        "a@b@example.com",
        "Ann <a@example.com>",
        "a@[127.0.0.1]",
        "a b@example.com",
        ".a@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@exam\nple.com",
    ] {
        assert!(!is_email(text), "{text}");
    }
}

#[test]
fn an_email_has_at_most_254_bytes() {
    let of_length = |bytes: usize| {
        let label = "x".repeat(60);
        let domain = format!("{label}.{label}.{label}");
        format!("{}@{domain}.{}", "a".repeat(8), "y".repeat(bytes - 8 - 1 - domain.len() - 1))
    };
    assert!(is_email(&of_length(254)));
    assert!(!is_email(&of_length(255)));
}

#[test]
fn a_masked_email_shows_its_first_character_and_its_domain() {
    assert_eq!(mask_email("ann@example.com"), "a***@example.com");
    assert_eq!(mask_email("\u{e9}@example.com"), "\u{e9}***@example.com");
    assert_eq!(mask_email("\"a@b\"@example.com"), "\"***@example.com");
}

#[test]
fn permissions_are_bits_in_the_order_of_the_table() {
    for (index, info) in INFO.iter().enumerate() {
        assert_eq!(Permissions::of(&[info.permission]).bits(), 1 << index);
        assert_eq!(info.permission.name(), info.name);
        assert_eq!(json!(info.permission), json!(info.name));
    }
    assert_eq!(Permissions::ALL.iter().count(), 18);
}

#[test]
fn bits_that_no_permission_has_are_dropped() {
    assert_eq!(Permissions::from_bits(-1), Permissions::ALL);
    for unknown in [1 << 18, 1 << 31, 1 << 32, 1 << 62, i64::MIN] {
        assert_eq!(Permissions::from_bits(unknown | 1), Permissions::of(&[Permission::OrganizationUpdate]));
    }
}

#[test]
fn permissions_are_a_list_of_names_in_events() {
    let set = Permissions::of(&[Permission::AuditRead, Permission::MembersRead, Permission::AuditRead]);
    assert_eq!(json!(set), json!(["MEMBERS_READ", "AUDIT_READ"]));
    assert_eq!(json!(Permissions::NONE), json!([]));
    assert!(serde_json::from_value::<Permissions>(json!(["FLY"])).is_err());
}

#[test]
fn a_time_in_an_event_has_six_decimals_whatever_they_are() {
    let rotated = |old_secret_until| Event::ApiKeyRotated { api_key_id: KEY, secret: secret(KEY), old_secret_until };
    let micro = TimeDelta::microseconds(1);
    for (time, text) in [(day(0), "2024-10-04T00:00:00.000000Z"), (day(0) - micro, "2024-10-03T23:59:59.999999Z")] {
        assert_eq!(json!(rotated(time))["data"]["oldSecretUntil"], text);
        let change = ExpiryChange { from: Some(time), to: None };
        assert_eq!(json!(change), json!({ "from": text, "to": null }));
        assert_eq!(serde_json::from_value::<ExpiryChange>(json!(change)).ok(), Some(change));
    }
}

#[test]
fn an_actor_is_a_kind_and_an_id() {
    for actor in [ADMIN.actor(), KEY.actor()] {
        assert_eq!(Actor::from_parts(actor.kind(), actor.id()), Some(actor));
        assert_eq!(json!(actor), json!({ "kind": actor.kind(), "id": actor.id() }));
    }
    assert_eq!(Actor::from_parts("ROBOT", ADMIN.0), None);
    assert_eq!((ADMIN.actor().user(), KEY.actor().user()), (Some(ADMIN), None));
}

const ZERO: &str = "0000000000000000000000";
const ONE: &str = "0000000000000000000001";

#[test]
fn an_id_has_a_prefix_and_a_fixed_width() {
    let (nil, one) = (OrganizationId(Uuid::nil()), Uuid::from_u128(1));
    let texts = [
        (GlobalId::Organization(nil), format!("org_{ZERO}")),
        (GlobalId::User(UserId(one)), format!("usr_{ONE}")),
        (GlobalId::Member(nil, UserId(one)), format!("mem_{ZERO}{ONE}")),
        (GlobalId::MemberAsOf(nil, UserId(one), 12), format!("mem_{ZERO}{ONE}@12")),
        (GlobalId::Role(nil, RoleId(one)), format!("rol_{ZERO}{ONE}")),
        (GlobalId::Invitation(nil, InvitationId(one)), format!("inv_{ZERO}{ONE}")),
        (GlobalId::ApiKey(nil, ApiKeyId(one)), format!("key_{ZERO}{ONE}")),
        (GlobalId::Event(nil, 62), format!("evt_{ZERO}00000000010")),
        (GlobalId::RoleAsOf(nil, RoleId(one), 12), format!("rol_{ZERO}{ONE}@12")),
        (GlobalId::Refusal(nil, 62, 1), format!("ref_{ZERO}0000000001000000000001")),
        (GlobalId::Session(SessionId(one)), format!("ses_{ONE}")),
    ];
    for (id, text) in texts {
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
    }
}

#[test]
fn a_text_that_was_never_written_is_no_id() {
    let largest = "7n42DGM5Tflk9n8mt7Fhc7";
    assert_eq!(format!("org_{largest}").parse(), Ok(GlobalId::Organization(OrganizationId(Uuid::max()))));
    let texts = [
        String::new(),
        "org_".to_owned(),
        "é__".to_owned(),
        format!("org{ZERO}"),
        format!("ORG_{ZERO}"),
        format!("app_{ZERO}"),
        format!("org_{ZERO}0"),
        format!("org_{}", &ZERO[1..]),
        format!(" org_{ZERO}"),
        format!("org_{ZERO} "),
        "org_7n42DGM5Tflk9n8mt7Fhc8".to_owned(),
        format!("org_{}", "z".repeat(22)),
        format!("org_{}", "-".repeat(22)),
        format!("org_{}", "é".repeat(11)),
        format!("org_+{}", &ZERO[1..]),
        format!("mem_{ZERO}"),
        format!("mem_{ZERO}{ONE}@"),
        format!("mem_{ZERO}{ONE}@+1"),
        format!("mem_{ZERO}{ONE}@01"),
        format!("mem_{ZERO}{ONE}@-1"),
        format!("mem_{ZERO}{ONE}@18446744073709551616"),
        format!("rol_{ZERO}{ONE}@01"),
        format!("inv_{ZERO}{ONE}@1"),
        format!("ref_{ZERO}00000000001"),
        format!("evt_{ZERO}"),
        format!("evt_{ZERO}{}", "z".repeat(11)),
    ];
    for text in texts {
        assert!(text.parse::<GlobalId>().is_err(), "{text}");
    }
}

fn any_id() -> impl Strategy<Value = GlobalId> {
    let uuid = || any::<u128>().prop_map(Uuid::from_u128);
    (0..11, uuid(), uuid(), any::<u64>()).prop_map(|(kind, first, second, sequence)| {
        let organization = OrganizationId(first);
        match kind {
            0 => GlobalId::Organization(organization),
            1 => GlobalId::User(UserId(first)),
            2 => GlobalId::Member(organization, UserId(second)),
            3 => GlobalId::MemberAsOf(organization, UserId(second), sequence),
            4 => GlobalId::Role(organization, RoleId(second)),
            5 => GlobalId::Invitation(organization, InvitationId(second)),
            6 => GlobalId::ApiKey(organization, ApiKeyId(second)),
            7 => GlobalId::Event(organization, sequence),
            8 => GlobalId::RoleAsOf(organization, RoleId(second), sequence),
            9 => GlobalId::Refusal(organization, sequence, sequence / 2),
            _ => GlobalId::Session(SessionId(first)),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_id_comes_back_from_its_text(id in any_id()) {
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_parses_as_an_id_is_its_text(text in "(org|usr|mem|rol|inv|key|evt|ref|ses)_[0-9A-Za-z]{22,44}(@[0-9]{1,3})?") {
        if let Ok(id) = text.parse::<GlobalId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn any_permissions_come_back_from_their_bits_and_their_names(bits in 0..1_i64 << 18) {
        let set = Permissions::from_bits(bits);
        prop_assert_eq!(set.bits(), bits);
        let list: Vec<_> = set.iter().collect();
        prop_assert_eq!(Permissions::of(&list), set);
        prop_assert_eq!(serde_json::from_value::<Permissions>(json!(set)).ok(), Some(set));
    }

    #[test]
    fn what_is_parsed_stays_valid(text in any::<String>()) {
        prop_assert_eq!(normalize(&normalize(&text)), normalize(&text));
        if let Ok(name) = text.parse::<Name>() {
            prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
        }
        if let Ok(Some(parsed)) = Text::parse(&text) {
            prop_assert_eq!(Text::parse(parsed.as_str()), Ok(Some(parsed.clone())));
        }
    }
}
