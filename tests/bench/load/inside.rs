//! The same commands and queries inside this process: the layers behind HTTP, without it.

use async_graphql::{
    Request, Variables,
    parser::{parse_query, types::ExecutableDocument},
};
use orgledger::{
    auth::{Principal, Proof, limits::Limits, usage::Usage, watch::Watch},
    commands::{Caller, Commands, INVITATION_LIFETIME, Terms, erasure::Erasure},
    domain::{Actor, OrganizationId, UserId, organization::Action},
    graphql::{
        ApiSchema,
        context::{RequestContext, Services, Transport},
        schema,
    },
    store::{Store, append::Origin, files::Files},
};

use super::{
    clients::{Client, Failure},
    operations::{MEMBERS, page_variables},
    seed::{CLIENTS, World, role},
};

/// Gives one member one role and then another.
pub struct Changer {
    commands: Commands,
    caller: Caller,
    organization: OrganizationId,
    member: UserId,
    round: usize,
}

impl Client for Changer {
    async fn ask(&mut self) -> Result<(), Failure> {
        let to = if self.round.is_multiple_of(2) { "MANAGER" } else { "MEMBER" };
        self.round += 1;
        let action = Action::ChangeMemberRole { member: self.member, role: role(to) };
        let receipt = self.commands.execute(&self.caller, self.organization, action, Terms::default()).await?;
        if receipt.written { Ok(()) } else { Err("a command changed nothing".into()) }
    }
}

/// Clients that change roles, each in an organization of its own.
pub fn changers(store: &Store, world: &World) -> Vec<Changer> {
    let commands = Commands { store: store.clone(), invitation_lifetime: INVITATION_LIFETIME };
    let changer = |organization: &OrganizationId| Changer {
        commands: commands.clone(),
        caller: Caller { actor: Actor::User(world.people[0]), origin: Origin::default() },
        organization: *organization,
        member: world.people[3],
        round: 0,
    };
    world.many[..CLIENTS].iter().map(changer).collect()
}

/// Asks for the page of members.
pub struct Reader {
    schema: ApiSchema,
    document: ExecutableDocument,
    variables: Variables,
    principal: Principal,
}

impl Client for Reader {
    async fn ask(&mut self) -> Result<(), Failure> {
        let context = RequestContext::new(self.principal, Origin::default(), Transport::Post);
        let mut request = Request::new("").variables(self.variables.clone()).data(context);
        // The server keeps parsed documents as well.
        request.set_parsed_query(self.document.clone());
        let answer = serde_json::to_string(&self.schema.execute(request).await)?;
        if answer.contains("\"totalCount\":10000") { Ok(()) } else { Err(answer.into()) }
    }
}

/// Clients that read the page of members.
pub fn readers(store: &Store, world: &World, folder: &std::path::Path) -> Result<Vec<Reader>, Failure> {
    let commands = Commands { store: store.clone(), invitation_lifetime: INVITATION_LIFETIME };
    let schema = schema(Services {
        commands,
        erasure: Erasure { store: store.clone(), files: Files::folder(&folder.join("files"))? },
        usage: Usage::default(),
        limits: Limits::default(),
        public_url: String::new(),
        watch: Watch::default(),
    });
    let mut readers = Vec::new();
    for (session, _) in &world.sessions {
        let principal = Principal::User { user: world.people[0], proof: Proof::Session(*session) };
        let variables = Variables::from_json(page_variables(world));
        readers.push(Reader { schema: schema.clone(), document: parse_query(MEMBERS)?, variables, principal });
    }
    Ok(readers)
}
