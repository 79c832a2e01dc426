//! Who calls a server: a person or a key, over HTTP or by WebSocket, and what they are answered.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::processes::PATIENCE;

/// Somebody with or without a credential, in front of one server.
#[derive(Clone)]
pub struct Caller {
    pub http: reqwest::Client,
    pub address: String,
    pub credential: Option<String>,
}

/// What became of a mutation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done; the payload.
    Done(Value),
    /// A rule said no; the code of the first user error.
    Refused(String),
    /// Anything else: no answer, or one that is no business of the caller's.
    Failed(String),
}

impl Answer {
    /// The payload.
    #[track_caller]
    pub fn done(self) -> Value {
        match self {
            Self::Done(payload) => payload,
            other => panic!("{other:?}"),
        }
    }

    /// The code of the refusal.
    #[track_caller]
    pub fn refused(self) -> String {
        match self {
            Self::Refused(code) => code,
            other => panic!("{other:?}"),
        }
    }

    /// Whether it was done; a rule may have said no, and nothing else may have gone wrong.
    #[track_caller]
    pub fn decided(&self) -> bool {
        match self {
            Self::Done(_) => true,
            Self::Refused(code) if code != "CONFLICT" => false,
            other => panic!("{other:?}"),
        }
    }
}

impl Caller {
    /// Sends one request; the status and the body.
    pub async fn send(&self, document: &str, variables: Value) -> reqwest::Result<(u16, Value)> {
        let mut request = self.http.post(format!("{}/graphql", self.address));
        if let Some(credential) = &self.credential {
            request = request.bearer_auth(credential);
        }
        let response = request.json(&json!({ "query": document, "variables": variables })).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// Asks for a file.
    pub async fn get(&self, url: &str) -> reqwest::Response {
        let credential = self.credential.as_deref().unwrap_or_default();
        self.http.get(url).bearer_auth(credential).send().await.unwrap()
    }

    /// Reads something that must be there to read.
    pub async fn ask(&self, document: &str, variables: Value) -> Value {
        let (status, mut body) = self.send(document, variables).await.unwrap();
        assert!(status == 200 && body.get("errors").is_none(), "{status} {body}");
        body["data"].take()
    }

    /// Gives a command, whose input type is named after it.
    pub async fn change(&self, mutation: &str, input: Value, selection: &str) -> Answer {
        let input_type = match mutation {
            "acceptInvitation" | "declineInvitation" => "AnswerInvitationInput".to_owned(),
            "disableApiKey" | "enableApiKey" => "ApiKeyInput".to_owned(),
            _ => format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]),
        };
        let document = format!(
            "mutation($input: {input_type}!) {{ answer: {mutation}(input: $input) \
             {{ {selection} userErrors {{ code message field }} }} }}"
        );
        let (status, mut body) = match self.send(&document, json!({ "input": input })).await {
            Ok(answer) => answer,
            Err(error) => return Answer::Failed(format!("{error:?}")),
        };
        if status != 200 || body.get("errors").is_some() || body["data"]["answer"].is_null() {
            return Answer::Failed(format!("{status} {body}"));
        }
        let payload = body["data"]["answer"].take();
        match payload["userErrors"][0]["code"].as_str() {
            Some(code) => Answer::Refused(code.to_owned()),
            None => Answer::Done(payload),
        }
    }

    /// Gives a command that takes nothing.
    pub async fn change_without_input(&self, mutation: &str) {
        let document = format!("mutation {{ answer: {mutation} {{ userErrors {{ code }} }} }}");
        assert_eq!(self.ask(&document, json!({})).await["answer"]["userErrors"], json!([]));
    }

    /// Uses a sign-in link up.
    pub async fn complete_sign_in(&self, token: &str) -> Value {
        self.change("completeSignIn", json!({ "token": token }), "sessionToken viewer { user { email } }").await.done()
    }

    /// Makes a WORKSPACE; its id.
    pub async fn create_organization(&self, name: &str) -> String {
        let input = json!({ "name": name, "kind": "WORKSPACE" });
        text(&self.change("createOrganization", input, "organization { id }").await.done()["organization"]["id"])
    }

    /// The id of a role by its key.
    pub async fn role(&self, organization: &str, key: &str) -> String {
        let document = "query($id: ID!) { organization(id: $id) { roles { id key } } }";
        let data = self.ask(document, json!({ "id": organization })).await;
        let roles = data["organization"]["roles"].as_array().unwrap();
        text(&roles.iter().find(|role| role["key"] == key).unwrap()["id"])
    }

    /// Invites an address; the payload has the invitation's id.
    pub async fn invite(&self, organization: &str, email: &str) -> Answer {
        let input = json!({ "organizationId": organization, "email": email });
        self.change("inviteMember", input, "alreadyPending invitation { id } cursor").await
    }

    /// Has another person join with a role; the id of the member.
    pub async fn admit(&self, organization: &str, other: &Self, email: &str, role: &str) -> String {
        let role = self.role(organization, role).await;
        let input = json!({ "organizationId": organization, "email": email, "roleId": role });
        let invited = self.change("inviteMember", input, "invitation { id }").await.done();
        let input = json!({ "invitationId": invited["invitation"]["id"] });
        text(&other.change("acceptInvitation", input, "member { id }").await.done()["member"]["id"])
    }

    /// Gives a member another role.
    pub async fn change_role(&self, organization: &str, member: &str, role: &str) -> Answer {
        let input = json!({ "organizationId": organization, "memberId": member, "roleId": role });
        self.change("changeMemberRole", input, "member { role { key } } cursor").await
    }

    /// The id of the caller as a member.
    pub async fn member_id(&self, organization: &str) -> String {
        let document = "query($id: ID!) { viewer { user { id } } organization(id: $id) \
             { members(first: 100) { nodes { id user { id } } } } }";
        let data = self.ask(document, json!({ "id": organization })).await;
        let members = data["organization"]["members"]["nodes"].as_array().unwrap();
        text(&members.iter().find(|member| member["user"]["id"] == data["viewer"]["user"]["id"]).unwrap()["id"])
    }

    /// Opens a socket and subscribes to an organization's events.
    pub async fn subscribe(&self, organization: &str, after: Option<&str>) -> Subscription {
        self.try_subscribe(organization, after).await.unwrap()
    }

    /// The same, where the server may be gone.
    pub async fn try_subscribe(&self, organization: &str, after: Option<&str>) -> Option<Subscription> {
        let mut request =
            format!("{}/graphql", self.address.replace("http://", "ws://")).into_client_request().unwrap();
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = tokio_tungstenite::connect_async(request).await.ok()?;
        let mut subscription = Subscription(socket);
        let authorization = self.credential.as_ref().map(|credential| format!("Bearer {credential}"));
        subscription.say(json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await?;
        assert_eq!(subscription.hear().await?["type"], "connection_ack");
        let document = "subscription($id: ID!, $after: String) \
             { organizationEvents(organizationId: $id, after: $after) { cursor node { sequence type } } }";
        let variables = json!({ "id": organization, "after": after });
        let payload = json!({ "query": document, "variables": variables });
        subscription.say(json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
        Some(subscription)
    }
}

/// An open subscription.
pub struct Subscription(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Subscription {
    /// Says something; none, where the socket has ended.
    async fn say(&mut self, message: Value) -> Option<()> {
        self.0.send(Message::text(message.to_string())).await.ok()
    }

    /// The next message of the protocol; none, once the socket has ended.
    pub async fn hear(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the socket says nothing");
            match message {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next event, as its edge; heartbeats are passed over.
    pub async fn next_event(&mut self) -> Value {
        loop {
            let mut message = self.hear().await.expect("the subscription has ended");
            assert_eq!(message["type"], "next", "{message}");
            assert!(message["payload"].get("errors").is_none(), "{message}");
            let edge = message["payload"]["data"]["organizationEvents"].take();
            if !edge["node"].is_null() {
                return edge;
            }
        }
    }
}

/// A text of an answer.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
