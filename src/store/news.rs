//! What letters about memberships say, read for all that a courier has taken.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Database, Error, aggregate, number, statement::Statement};
use crate::domain::{OrganizationId, UserId, organization::Event};

/// What a letter about a membership is made of.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say what they are")]
pub struct News {
    pub event: Event,
    pub organization_name: String,
    /// The role that the event gave; of no interest where it gave none.
    pub role_name: String,
    pub email: String,
    pub name: Option<String>,
}

/// An event about a member: whose organization, who, and its sequence.
pub type About = (OrganizationId, UserId, u64);

/// What events say to the members they are about, at most some ten at once; nothing once the organization, the event or
/// the person is gone.
pub async fn find(database: &Database, about: &[About]) -> Result<HashMap<About, Result<News, Error>>, Error> {
    #[derive(sqlx::FromRow)]
    struct Found {
        organization_id: Uuid,
        user_id: Uuid,
        sequence: i64,
        event_type: String,
        event_version: String,
        payload: serde_json::Value,
        organization_name: String,
        role_name: Option<String>,
        email: String,
        name: Option<String>,
    }
    let read = |found: Found| {
        let (organization, sequence) = (OrganizationId(found.organization_id), number(found.sequence));
        let event = aggregate::decode(organization, sequence, &found.event_type, &found.event_version, &found.payload);
        let news = event.map(|event| News {
            event,
            organization_name: found.organization_name,
            role_name: found.role_name.unwrap_or_default(),
            email: found.email,
            name: found.name,
        });
        ((organization, UserId(found.user_id), sequence), news)
    };
    if about.is_empty() {
        return Ok(HashMap::new());
    }
    let mut statement = Statement::new(
        "SELECT o.organization_id, u.user_id, e.sequence, e.event_type, e.event_version, e.payload, \
         o.name AS organization_name, r.name AS role_name, u.email, u.name FROM ",
    );
    let row = |(organization, user, sequence): &About| [organization.0.into(), user.0.into(), (*sequence).into()];
    statement.push_asked(about.iter().map(row)).push(
        " CROSS JOIN organizations o CROSS JOIN users u CROSS JOIN events e \
         LEFT JOIN roles r ON r.organization_id = asked.column1 AND r.role_id = (SELECT h.role_id \
             FROM member_history h WHERE h.organization_id = asked.column1 AND h.user_id = asked.column2 \
             AND h.from_sequence = asked.column3) \
         WHERE o.organization_id = asked.column1 AND u.user_id = asked.column2 \
             AND e.organization_id = asked.column1 AND e.sequence = asked.column3",
    );
    let rows: Vec<Found> = statement.all(database).await?;
    Ok(rows.into_iter().map(read).collect())
}
