//! The catalogue of events: every type and version that a ledger may hold, with the JSON schema of its data. It is made
//! from the types that write the events, so it cannot say something else than they do.

use std::sync::LazyLock;

use async_graphql::SimpleObject;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::domain::organization::Event;

/// A type of event, in one version of its shape. What was once written is read for ever, so no entry ever goes.
#[derive(Clone, Debug, SimpleObject)]
pub struct EventTypeInfo {
    /// The permanent name.
    #[graphql(name = "type")]
    name: String,
    /// The version of the shape of its data, from 1.
    version: u32,
    /// What happened.
    description: String,
    /// The JSON schema (draft 2020-12) of its data. A field may be added within a version; what is here stays.
    schema: Value,
}

/// Every type, in the order of the source.
pub fn all() -> Vec<EventTypeInfo> {
    static ALL: LazyLock<Vec<EventTypeInfo>> = LazyLock::new(read);
    ALL.clone()
}

fn read() -> Vec<EventTypeInfo> {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    let dialect = settings.meta_schema.clone();
    let mut whole = settings.into_generator().into_root_schema_for::<Event>();
    let Some(Value::Array(variants)) = whole.remove("oneOf") else { return Vec::new() };
    let read_one = |mut variant: Value| {
        let text = |pointer: &str| Some(variant.pointer(pointer)?.as_str()?.to_owned());
        let (name, description) = (text("/properties/type/const")?, text("/description")?);
        let mut schema = variant.pointer_mut("/properties/data").map(Value::take)?;
        schema.as_object_mut()?.insert("$schema".to_owned(), dialect.as_deref()?.into());
        Some(EventTypeInfo { name, version: Event::VERSION, description, schema })
    };
    variants.into_iter().filter_map(read_one).collect()
}
