//! What must hold of every input that a stranger can send: no panic, no work beyond its length, and what is read is what
//! would have been written. The fuzz targets make the inputs; the tests run those that are kept in `corpus`.

use std::{str::from_utf8, sync::LazyLock};

use async_graphql::{Request, Variables, futures_util::FutureExt, parser::parse_query};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use orgledger::{
    domain::{
        ApiKeyId, GlobalId, InvitationId, Organization, OrganizationId, RoleId, SessionId, UserId,
        organization::api_keys::KeyType,
    },
    graphql::{self, paging},
    http::{cost, document},
    secrets::ApiKeySecret,
    store::{Error, aggregate, chain, page::Key},
};
use serde_json::Value;
use serde_json_canonicalizer::to_string as canonical;
use uuid::Uuid;

/// The text of an API key, as it is shown and, if it has the length, with its form and checksum put right.
pub fn api_keys(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    if let Some(key) = ApiKeySecret::parse(text) {
        is_a_key(&key, text);
    }
    let (Some(public_id), Some(secret)) = (text.get(6..18), text.get(19..51)) else { return };
    for key_type in [KeyType::Standard, KeyType::AiAgent] {
        let made = ApiKeySecret::new(key_type, public_id, secret);
        let plain = [public_id, secret].concat().bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        assert_eq!(ApiKeySecret::parse(made.expose()).is_some(), plain);
        if !plain {
            continue;
        }
        is_a_key(&made, made.expose());
        let bytes = made.expose().as_bytes();
        for place in 0..bytes.len() {
            let mut mistyped = bytes.to_vec();
            mistyped[place] = if mistyped[place] == b'x' { b'y' } else { b'x' };
            assert!(ApiKeySecret::parse(from_utf8(&mistyped).unwrap()).is_none(), "a mistyped key is refused");
        }
    }
}

fn is_a_key(key: &ApiKeySecret, text: &str) {
    assert_eq!(key.expose(), text);
    assert_eq!(text.get(6..18), Some(key.public_id()));
    assert!(text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()), "no column holds anything else");
    assert!(ApiKeySecret::parse(text).unwrap().hash().matches(key.hash().bytes()));
}

/// A cursor: the text, and the text as what stands in a cursor.
pub fn cursors(data: &[u8]) {
    if let Ok(text) = from_utf8(data) {
        is_a_place_or_none(text);
    }
    is_a_place_or_none(&BASE64_URL_SAFE_NO_PAD.encode(data));
}

fn is_a_place_or_none(cursor: &str) {
    let orders = [paging::LEDGER, "organizations", "members.Name.Asc", "members.JoinedAt.Desc", "audit"];
    let mut orders_of_it = 0;
    for order in orders {
        let Ok(position) = paging::decode(order, cursor) else { continue };
        orders_of_it += 1;
        assert_eq!(paging::encode(order, &position), cursor, "one place has one text");
        if let Key::Text(text) = &position.key {
            assert!(!text.contains('\0'), "PostgreSQL cannot hold it");
        }
        if let Key::Time(at) = &position.key {
            assert_eq!(at.to_rfc3339().find('-'), Some(4), "SQLite orders times as text");
        }
    }
    assert!(orders_of_it <= 1, "a cursor carries its order");
    if let Ok(sequence) = paging::ledger_sequence(cursor) {
        assert_eq!(paging::ledger_cursor(sequence), cursor);
    }
}

/// An id as a client sends it, and the ids that have these bytes.
pub fn ids(data: &[u8]) {
    if let Ok(text) = from_utf8(data)
        && let Ok(id) = text.parse::<GlobalId>()
    {
        assert_eq!(id.to_string(), text, "one id has one text");
        assert!(text.len() <= 69 && text.is_ascii());
    }
    let mut bytes = data.iter().copied().chain(std::iter::repeat(0));
    let mut uuid = || Uuid::from_bytes(std::array::from_fn(|_| bytes.next().unwrap_or_default()));
    let (organization, other) = (OrganizationId(uuid()), uuid());
    let sequence = uuid().as_u64_pair().0;
    for id in [
        GlobalId::Organization(organization),
        GlobalId::User(UserId(other)),
        GlobalId::Session(SessionId(other)),
        GlobalId::Role(organization, RoleId(other)),
        GlobalId::Invitation(organization, InvitationId(other)),
        GlobalId::ApiKey(organization, ApiKeyId(other)),
        GlobalId::Member(organization, UserId(other)),
        GlobalId::MemberAsOf(organization, UserId(other), sequence),
        GlobalId::Event(organization, sequence),
    ] {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

/// A ledger: an event a line, as its name, its version and its fields.
pub fn events(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let id = OrganizationId(Uuid::nil());
    let (mut organization, mut sequence, mut hash) = (Organization::default(), 0, chain::genesis(id));
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(version), Some(fields)) = (words.next(), words.next(), words.next()) else { continue };
        let Ok(fields) = serde_json::from_str::<Value>(fields) else { continue };
        sequence += 1;
        let event = match aggregate::decode(id, sequence, name, version, &fields) {
            Ok(event) => event,
            Err(error) => {
                assert!(matches!(error, Error::Corrupt { .. }));
                sequence -= 1;
                continue;
            }
        };
        assert_eq!(event.name(), name);
        let payload = aggregate::encode(&event).unwrap();
        let again = aggregate::decode(id, sequence, name, version, &payload).unwrap();
        assert_eq!(again, event, "what is written is read as it was");
        let written = canonical(&payload).unwrap();
        assert_eq!(canonical(&aggregate::encode(&again).unwrap()).unwrap(), written);
        let recorded_at = orgledger::store::NEVER;
        let link = chain::Link {
            organization: id,
            sequence,
            event_type: name,
            version: 1,
            payload: &payload,
            metadata: &Value::Null,
            recorded_at,
        };
        hash = link.hash(&hash).unwrap();
        organization.evolve(&event);
        assert_eq!(organization.version(), sequence);
    }
}

/// A document: parsed, held to its bounds, counted, and looked at by the engine, which runs none of it.
pub fn documents(data: &[u8]) {
    static SCHEMA: LazyLock<graphql::ApiSchema> = LazyLock::new(|| graphql::builder().finish());
    let Ok(text) = from_utf8(data) else { return };
    if text.len() > document::BYTES || document::nests_too_deep(text) {
        return;
    }
    let Ok(mut parsed) = parse_query(text) else { return };
    assert!(cost::of(&parsed, None, &Variables::default()) >= cost::LEAST);
    let Ok(looked_at) = document::check(&parsed) else { return };
    assert!(looked_at <= text.len(), "each selection is looked at once");
    if document::flatten_subscriptions(&mut parsed).is_err() {
        return;
    }
    assert!(document::check(&parsed).is_ok(), "a document only becomes smaller");
    let mut request = Request::new("").operation_name("");
    request.set_parsed_query(parsed);
    let answer = SCHEMA.execute(request).now_or_never().expect("nothing to wait for");
    assert!(!answer.errors.is_empty(), "no operation has that name");
}
