//! What the server is compared with: an axum handler that answers the same bytes whatever is asked, and async-graphql
//! that answers the same page from memory. This program serves them itself, as a process of its own.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{
    EmptyMutation, EmptySubscription, Enum, ID, Object, Request, Schema, SimpleObject, Variables,
    parser::{parse_query, types::ExecutableDocument},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use orgledger::domain::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::clients::{Client, Failure};

/// Serves one of them until the process is ended.
pub async fn serve(which: &str, answer: &Path) -> Result<(), Failure> {
    let answer = Bytes::from(fs::read(answer)?);
    let api = match which {
        "constant" => post(async move |_: Bytes| ([(header::CONTENT_TYPE, "application/json")], answer.clone())),
        _ => post(from_memory).with_state(Arc::new(Memory::new(&answer)?)),
    };
    let app = Router::new().route("/graphql", api).route("/health", get(async || "well"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("it listens on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn from_memory(State(memory): State<Arc<Memory>>, body: Bytes) -> Response {
    match memory.answer(&body).await {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// What a client sends.
#[derive(Deserialize)]
struct Params {
    query: String,
    variables: Value,
}

/// The schema over a page in memory, and the document that was parsed last.
struct Memory {
    schema: MemorySchema,
    parsed: Mutex<Option<(String, ExecutableDocument)>>,
}

type MemorySchema = Schema<Query, EmptyMutation, EmptySubscription>;

impl Memory {
    fn new(answer: &[u8]) -> Result<Self, Failure> {
        Ok(Self { schema: in_memory(answer)?, parsed: Mutex::default() })
    }

    async fn answer(&self, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let Params { query, variables } = serde_json::from_slice(body)?;
        let document = {
            let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            match &*parsed {
                Some((text, document)) if *text == query => document.clone(),
                _ => parsed.insert((query.clone(), parse_query(query)?)).1.clone(),
            }
        };
        Ok(serde_json::to_vec(&self.schema.execute(request(document, variables)).await)?)
    }
}

fn request(document: ExecutableDocument, variables: Value) -> Request {
    let mut request = Request::new("").variables(Variables::from_json(variables));
    request.set_parsed_query(document);
    request
}

fn in_memory(answer: &[u8]) -> Result<MemorySchema, Failure> {
    let mut answer: Value = serde_json::from_slice(answer)?;
    let members = serde_json::from_value(answer["data"]["organization"]["members"].take())?;
    Ok(Schema::new(Query(members), EmptyMutation, EmptySubscription))
}

/// The same without HTTP.
pub struct Reader {
    schema: MemorySchema,
    document: ExecutableDocument,
    variables: Value,
}

impl Client for Reader {
    async fn ask(&mut self) -> Result<(), Failure> {
        let request = request(self.document.clone(), self.variables.clone());
        let answer = serde_json::to_string(&self.schema.execute(request).await)?;
        if answer.contains("\"totalCount\":10000") { Ok(()) } else { Err(answer.into()) }
    }
}

/// Clients that read the page of an answer from memory.
pub fn readers(answer: &[u8], document: &str, variables: &Value, clients: usize) -> Result<Vec<Reader>, Failure> {
    let (schema, document) = (in_memory(answer)?, parse_query(document)?);
    let reader = || Reader { schema: schema.clone(), document: document.clone(), variables: variables.clone() };
    Ok((0..clients).map(|_| reader()).collect())
}

#[derive(Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Active,
    Inactive,
    Former,
}

#[derive(Deserialize, SimpleObject)]
struct Role {
    id: ID,
    key: String,
    name: String,
    level: i32,
}

#[derive(Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
struct User {
    id: ID,
    name: Option<String>,
    email: String,
    avatar_url: Option<String>,
}

#[derive(Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
struct Member {
    id: ID,
    status: Status,
    joined_at: Timestamp,
    last_login_at: Option<Timestamp>,
    user: User,
    role: Option<Role>,
}

#[derive(Deserialize, SimpleObject)]
struct Edge {
    cursor: String,
    node: Member,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    total_count: i64,
    edges: Vec<Edge>,
    page_info: PageInfo,
}

struct Query(Members);

#[Object]
impl Query {
    async fn organization(&self, id: ID) -> Option<Organization<'_>> {
        id.starts_with("org_").then_some(Organization(&self.0))
    }
}

struct Organization<'a>(&'a Members);

#[Object]
impl Organization<'_> {
    async fn members(
        &self,
        first: Option<usize>,
        search: Option<String>,
        as_of: Option<Timestamp>,
    ) -> Option<Page<'_>> {
        let whole = search.is_none() && as_of.is_none();
        whole.then_some(Page { all: self.0, first: first.unwrap_or(50).min(self.0.edges.len()) })
    }
}

struct Page<'a> {
    all: &'a Members,
    first: usize,
}

#[Object]
impl Page<'_> {
    async fn total_count(&self) -> i64 {
        self.all.total_count
    }

    async fn edges(&self) -> &[Edge] {
        &self.all.edges[..self.first]
    }

    async fn page_info(&self) -> &PageInfo {
        &self.all.page_info
    }
}
