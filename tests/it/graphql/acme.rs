//! An organization to tell stories about: made and filled through the API, by people who sign in and accept.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    operations,
    server::{Client, Server, text},
    socket::Socket,
};

/// The address of who made the organization.
pub const ADA: &str = "ada@example.com";

/// An organization called Acme, and its maker.
pub struct Acme<'a> {
    pub server: &'a Server,
    /// Its id.
    pub id: String,
    /// Who made it, its first ADMIN.
    pub ada: Client,
    roles: HashMap<String, String>,
}

impl<'a> Acme<'a> {
    /// A WORKSPACE.
    pub async fn workspace(server: &'a Server) -> Self {
        Self::of_kind(server, "WORKSPACE").await
    }

    /// One of that kind.
    pub async fn of_kind(server: &'a Server, kind: &str) -> Self {
        let ada = server.person(ADA).await;
        Self::made_by(server, ada, kind).await
    }

    /// One of that kind, made by somebody.
    pub async fn made_by(server: &'a Server, ada: Client, kind: &str) -> Self {
        let answer = ada.operation("CreateOrganization", json!({ "name": "Acme", "kind": kind })).await;
        Self::found(server, ada, text(&answer, "/createOrganization/organization/id")).await
    }

    /// One that is there already, as somebody in it meets it.
    pub async fn found(server: &'a Server, ada: Client, id: &str) -> Self {
        let answer = ada.operation("Roles", json!({ "id": id })).await;
        let roles = answer["organization"]["roles"].as_array().unwrap().iter();
        let roles = roles.map(|role| (text(role, "/key").to_owned(), text(role, "/id").to_owned())).collect();
        Self { server, id: id.to_owned(), ada, roles }
    }

    /// The id of the role with this key.
    pub fn role(&self, key: &str) -> &str {
        &self.roles[key]
    }

    /// Variables with the organization's id among them.
    pub fn with(&self, mut variables: Value) -> Value {
        variables["id"] = self.id.as_str().into();
        variables
    }

    /// Somebody new who was invited with a role, signed in and accepted.
    pub async fn join(&self, email: &str, role: &str) -> Client {
        let invitation = self.with(json!({ "email": email, "roleId": self.role(role) }));
        assert_eq!(self.ada.refusals("InviteMember", invitation).await, [""; 0]);
        let token = self.server.invitation_token(email).await;
        let person = self.server.person(email).await;
        assert_eq!(person.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
        person
    }

    /// The id of the member with this address.
    pub async fn member(&self, email: &str) -> String {
        let wanted = json!({ "search": email, "filter": { "statuses": ["ACTIVE", "INACTIVE", "FORMER"] } });
        let answer = self.ada.operation("Members", self.with(wanted)).await;
        text(&answer, "/organization/members/edges/0/node/id").to_owned()
    }

    /// What somebody is told of changes from now on, as `changes` of a socket.
    pub async fn changes(&self, client: &Client) -> Socket {
        let mut socket = Socket::open(client).await;
        socket.subscribe("changes", &operations::document("OrganizationChanges"), self.with(json!({}))).await;
        let first = socket.answer("changes").await;
        assert_eq!(first["areas"], json!([]), "it says at once where it begins");
        socket
    }

    /// A key of Ada's with these permissions: its id, and somebody who holds it.
    pub async fn key(&self, name: &str, permissions: &[&str]) -> (String, Client) {
        let key = self.with(json!({ "name": name, "permissions": permissions }));
        let answer = self.ada.operation("CreateApiKey", key).await;
        let secret = text(&answer, "/createApiKey/secret");
        (text(&answer, "/createApiKey/apiKey/id").to_owned(), self.server.with_key(secret))
    }
}
