//! Logos: the address that takes one, and the address that shows one.
//!
//! *Shape.* An upload's address is its own permission: whoever has it may send one picture, in the name of who asked
//! for it, whose permission is asked again when the picture comes. The bytes are bounded before they are read, and the
//! picture before it is decoded. What went wrong is answered as `{ "error": { "code", "message" } }`.
//!
//! *Promises.* A good picture uses the address up, and nothing else does. What is shown is what was encoded here. A logo
//! that was replaced or removed, and that of a deleted organization, is gone with the next request.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use serde_json::json;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{Api, Client, problem::Problem};
use crate::{
    commands::Caller,
    domain::{
        GlobalId,
        organization::logo::{ContentHash, Logo},
    },
    pictures::{LARGEST_FILE, Picture, Unfit},
    secrets::LogoUpload,
    store::{self, profile},
};

/// How long the bytes may take to come, and a picture to get its turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much too much is read and thrown away, so that a client hears why: who is cut off hears nothing.
const POLITENESS: usize = 8 * LARGEST_FILE;

/// The right to decode, of which there is one: a decoded picture takes up to 300 MiB, and most take milliseconds.
#[derive(Clone)]
pub(super) struct Decoding(Arc<Semaphore>);

impl Default for Decoding {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Problem {
    fn over(sentence: &'static str) -> Self {
        Self::new(StatusCode::GONE, "UPLOAD_CLOSED", sentence)
    }

    fn too_long() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "A logo has 1 MiB at most.")
    }

    fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "The picture took too long to arrive.")
    }
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        let (status, code) = match unfit {
            Unfit::OtherType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_TYPE"),
            Unfit::TooManyPixels => (StatusCode::UNPROCESSABLE_ENTITY, "TOO_MANY_PIXELS"),
            Unfit::Broken => (StatusCode::UNPROCESSABLE_ENTITY, "BROKEN_PICTURE"),
        };
        Self::new(status, code, unfit.to_string())
    }
}

/// Takes a picture as the logo.
pub(super) async fn upload(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let origin = api.origin(&headers, client);
    let done = async {
        let upload = read_token(&api, &token)?;
        // Who may not, or no longer, has nothing read and nothing decoded.
        let caller = Caller { actor: upload.actor, origin };
        api.commands.may_upload(&caller, upload.organization).await?;
        let file = read(&headers, body).await?;
        let picture = decode(&api, file).await?;
        let url = logo_url(&api, &upload, &picture.logo);
        let receipt = api.commands.set_logo(&caller, &upload, picture, &api.settings.files).await?;
        receipt.ok_or_else(|| Problem::over("This address was used already: ask for a new one."))?;
        Ok::<_, Problem>(Json(json!({ "logoUrl": url })))
    };
    done.await.into_response()
}

fn read_token(api: &Api, token: &str) -> Result<LogoUpload, Problem> {
    let store = api.store();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "This is not the address of an upload.");
    let upload = store.server_key.read_logo_upload_token(token).ok_or_else(unknown)?;
    if store.now() >= upload.expires_at {
        return Err(Problem::over("This address is too old: ask for a new one."));
    }
    Ok(upload)
}

/// The whole body, whether or not it says how long it is.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > POLITENESS) {
        return Err(Problem::too_long());
    }
    let reading = async {
        let (mut file, mut seen) = (Vec::new(), 0);
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let cut_off = |_| Problem::new(StatusCode::BAD_REQUEST, "BROKEN_PICTURE", "The picture did not arrive.");
            let part = part.map_err(cut_off)?;
            seen += part.len();
            if seen <= LARGEST_FILE {
                file.extend_from_slice(&part);
            } else if seen > POLITENESS {
                break;
            }
        }
        if seen > LARGEST_FILE { Err(Problem::too_long()) } else { Ok(file) }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(Problem::slow()))
}

/// Decodes on a thread that nobody waits for, one picture at a time. A client that goes away does not free its turn
/// while the picture is in memory.
async fn decode(api: &Api, file: Vec<u8>) -> Result<Picture, Problem> {
    let turn = timeout(PATIENCE, Arc::clone(&api.decoding.0).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Problem::unavailable()) };
    let decoding = spawn_blocking(move || {
        let picture = Picture::logo(&file);
        drop(turn);
        picture
    });
    match decoding.await {
        Ok(picture) => Ok(picture?),
        Err(error) => {
            tracing::error!(%error, "a decoder gave up");
            Err(Unfit::Broken.into())
        }
    }
}

fn logo_url(api: &Api, upload: &LogoUpload, logo: &Logo) -> String {
    format!("{}/logos/{}/{}", api.settings.public_url, GlobalId::Organization(upload.organization), logo.hash)
}

/// Shows a logo to everybody who has its address.
pub(super) async fn show(
    State(api): State<Api>,
    Path((organization, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match find(&api, &organization, &hash, &headers).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(?error, "a logo could not be shown");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn find(api: &Api, organization: &str, hash: &str, headers: &HeaderMap) -> Result<Response, store::Error> {
    let missing = || StatusCode::NOT_FOUND.into_response();
    let (Ok(GlobalId::Organization(organization)), Ok(hash)) = (organization.parse(), hash.parse::<ContentHash>())
    else {
        return Ok(missing());
    };
    let current = profile::logos(&api.store().database, [organization]).await?;
    let Some(logo) = current.get(&organization).filter(|logo| logo.hash == hash) else { return Ok(missing()) };
    let etag = format!("\"{hash}\"");
    let known = |value: &str| {
        value.split(',').any(|tag| matches!(tag.trim().trim_start_matches("W/"), t if t == etag || t == "*"))
    };
    let shown = [
        (header::CONTENT_TYPE, logo.media_type.name().to_owned()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'".to_owned()),
        (header::CONTENT_DISPOSITION, "inline".to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(known)) {
        return Ok((StatusCode::NOT_MODIFIED, shown).into_response());
    }
    let Some(bytes) = api.settings.files.get(organization, *logo).await? else {
        tracing::error!(%organization, %logo, "the file of a logo is gone");
        return Ok(missing());
    };
    Ok((shown, bytes).into_response())
}
