//! The schema without HTTP: asked in this thread, by people and keys of a store that need no credential.

use async_graphql::{Request, Variables};
use orgledger::{
    auth::{Principal, Proof, limits::Limits, usage::Usage, watch::Watch},
    commands::{Commands, INVITATION_LIFETIME, erasure::Erasure},
    domain::{ApiKeyId, GlobalId, OrganizationId, SessionId, UserId, organization::Permissions},
    graphql::{
        ApiSchema,
        context::{RequestContext, Services, Transport},
        schema,
    },
    secrets::SecretHash,
    store::{Store, append::Origin, files::Files},
};
use serde_json::Value;
use uuid::Uuid;

use crate::store::world::Person;

/// The schema over a store.
pub struct Inside {
    schema: ApiSchema,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker(Principal);

impl From<&Person> for Asker {
    fn from(person: &Person) -> Self {
        person.id.into()
    }
}

impl From<UserId> for Asker {
    fn from(user: UserId) -> Self {
        Self(Principal::User { user, proof: Proof::Session(SessionId(Uuid::nil())) })
    }
}

impl From<(OrganizationId, ApiKeyId, Permissions)> for Asker {
    fn from((organization, api_key, permissions): (OrganizationId, ApiKeyId, Permissions)) -> Self {
        let secret = SecretHash::from_column(vec![0; 32]).unwrap();
        Self(Principal::ApiKey { organization, api_key, secret, permissions, rate_limit: None })
    }
}

impl Inside {
    /// Over this store.
    pub fn new(store: &Store) -> Self {
        let commands = Commands { store: store.clone(), invitation_lifetime: INVITATION_LIFETIME };
        let files = Files::folder(&std::env::temp_dir()).unwrap();
        let erasure = Erasure { store: store.clone(), files };
        let (usage, limits, public_url, watch) = (Usage::default(), Limits::default(), String::new(), Watch::default());
        Self { schema: schema(Services { commands, erasure, usage, limits, public_url, watch }) }
    }

    /// The API's id of an organization.
    pub fn id(organization: OrganizationId) -> String {
        GlobalId::Organization(organization).to_string()
    }

    /// The `data` of an answer, which must have no errors.
    pub async fn data(&self, by: impl Into<Asker>, document: &str, variables: Value) -> Value {
        let origin = Origin { request_id: "request".to_owned(), ..Origin::default() };
        let context = RequestContext::new(by.into().0, origin, Transport::Post);
        let request = Request::new(document).variables(Variables::from_json(variables)).data(context);
        let answer = self.schema.execute(request).await;
        assert!(answer.errors.is_empty(), "{document}\n{:?}", answer.errors);
        answer.data.into_json().unwrap()
    }
}
