//! The server's own keys, in the database so that every instance has the same.

use super::{Database, Error, statement::Statement};
use crate::secrets::ServerKey;

/// Reads the key, or keeps the given one if there is none yet.
pub async fn server_key(database: &Database, fresh: [u8; 32]) -> Result<ServerKey, Error> {
    let mut transaction = database.begin().await?;
    Statement::new("INSERT INTO server_keys (name, key) VALUES ('links', $1) ON CONFLICT DO NOTHING")
        .bind(&fresh[..])
        .run_in(&mut transaction)
        .await?;
    let row: Option<(Vec<u8>,)> =
        Statement::new("SELECT key FROM server_keys WHERE name = 'links'").optional_in(&mut transaction).await?;
    transaction.commit().await?;
    let key = row.and_then(|(key,)| key.try_into().ok()).ok_or(Error::Stopped)?;
    Ok(ServerKey::new(key))
}
