//! One operation, from what a client asks to what the engine runs: the same steps for every transport.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{
    Request, Response as Answer, Variables,
    futures_util::{
        FutureExt, StreamExt,
        stream::{self, BoxStream},
    },
    parser::types::OperationType,
};
use serde_json::Value;

use super::{
    Api,
    answer::{bad_request, late, mistake, refused, without_quotes},
    cost,
    documents::Known,
    params::Params,
};
use crate::graphql::{context::RequestContext, subscriptions::Waiting};

/// How long an operation may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// An operation that is within all bounds.
#[derive(Clone)]
pub(super) struct Operation {
    /// Query, mutation or subscription.
    pub(super) ty: OperationType,
    /// What it costs.
    pub(super) units: u32,
    known: Arc<Known>,
    name: Option<String>,
    variables: Variables,
}

impl Operation {
    /// Finds the document, the operation in it, and its variables.
    ///
    /// # Errors
    /// The answer to a request that cannot be run.
    pub(super) fn prepare(api: &Api, params: Params) -> Result<Self, Box<Answer>> {
        let known = api.settings.documents.find(&params)?;
        let operation = cost::meant(&known.document, params.operation_name.as_deref())
            .ok_or_else(|| bad_request("Name one of the document's operations in operationName."))?;
        let given = params.variables.unwrap_or_default();
        for definition in operation.variable_definitions.iter().map(|definition| &definition.node) {
            let needed = !definition.var_type.node.nullable && definition.default_value.is_none();
            let name = definition.name.node.as_str();
            if needed && given.get(name).is_none_or(Value::is_null) {
                return Err(bad_request(format!("The variable ${name} is required.")));
            }
        }
        let ty = operation.ty;
        let variables = Variables::from_json(Value::Object(given));
        let units = cost::of(&known.document, params.operation_name.as_deref(), &variables);
        Ok(Self { ty, units, known, name: params.operation_name, variables })
    }

    /// What the engine is asked.
    fn request(self, introspection: bool) -> Request {
        let mut request = Request::new("").variables(self.variables);
        request.operation_name = self.name;
        request.set_parsed_query(self.known.document.clone());
        if introspection { request } else { request.disable_introspection() }
    }

    /// Runs a query or mutation to its end.
    pub(super) async fn run(self, api: &Api, context: RequestContext) -> Answer {
        let reference = context.origin.request_id.clone();
        let request = self.request(api.settings.introspection).data(context);
        let run = AssertUnwindSafe(api.schema.execute(request)).catch_unwind();
        match tokio::time::timeout(TIME_LIMIT, run).await {
            Ok(Ok(answer)) => without_quotes(answer),
            Ok(Err(panic)) => *refused("INTERNAL", mistake(&reference, &*panic)),
            Err(_) => *late(&reference),
        }
    }

    /// Runs an operation whose answers come one after the other.
    pub(super) fn stream(self, api: &Api, context: RequestContext) -> BoxStream<'static, Answer> {
        let api = api.clone();
        if self.ty != OperationType::Subscription {
            return stream::once(async move { self.run(&api, context).await }).boxed();
        }
        let waiting = Waiting::default();
        async_stream::stream! {
            loop {
                let request = self.clone().request(api.settings.introspection).data(context.clone());
                let request = request.data(waiting.clone());
                let mut answers = AssertUnwindSafe(api.schema.execute_stream(request)).catch_unwind();
                while let Some(answer) = answers.next().await {
                    yield match answer {
                        Ok(answer) => without_quotes(answer),
                        Err(panic) => *refused("INTERNAL", mistake(&context.origin.request_id, &*panic)),
                    };
                }
                drop(answers);
                match AssertUnwindSafe(waiting.woken(api.store())).catch_unwind().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(panic) => {
                        yield *refused("INTERNAL", mistake(&context.origin.request_id, &*panic));
                        break;
                    }
                }
            }
        }
        .boxed()
    }
}
