//! Requests to calls, answers to JSON.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::backend::{Backend, Refusal};
use crate::metrics;
use crate::model::{ErrorBody, Event, HostAdd, Topic};

/// No request of ours comes near it.
const LARGEST_BODY: usize = 16 * 1024;
/// A client that has not sent a request's body by then is refused.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// At most so many watch at a time. A watch has no end, and the rest of the connections are for others.
pub(crate) const WATCHERS: usize = 32;

/// Everything.
pub(super) fn full<B: Backend>(backend: Arc<B>) -> Router {
    let watchers = Arc::new(Semaphore::new(WATCHERS));
    let router = readable()
        .route("/v1/hosts", post(add_host))
        .route("/v1/hosts/{address}", delete(remove_host))
        .route("/v1/watch", get(async |backend| watch(backend, watchers)));
    finished(router, backend)
}

/// Everything that changes nothing and has an end.
pub(super) fn read_only<B: Backend>(backend: Arc<B>) -> Router {
    finished(readable(), backend)
}

fn readable<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route("/", get(page))
        .route("/v1/show/{topic}", get(show))
        .route("/v1/explain/{address}", get(explain))
        .route("/metrics", get(show_metrics))
}

fn finished<B: Backend>(router: Router<Arc<B>>, backend: Arc<B>) -> Router {
    router
        .fallback(|| async { Failure::NoSuchPath })
        .method_not_allowed_fallback(|| async { Failure::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(backend)
}

/// The page for people, which reads the rest of what is readable. Nothing on it comes from elsewhere.
async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                  style-src 'unsafe-inline'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("page.html")))
}

/// The query of every request that has one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    vrf: Option<String>,
}

type TextPath = Result<Path<String>, PathRejection>;
type OptionsQuery = Result<Query<Options>, QueryRejection>;

async fn show<B: Backend>(
    State(backend): State<Arc<B>>,
    topic: TextPath,
    options: OptionsQuery,
) -> Result<Response, Failure> {
    let topic: Topic = topic?.0.parse().map_err(|_| Failure::NoSuchPath)?;
    let reply = backend.show(topic, options?.0.vrf).await?;
    Ok(Json(reply).into_response())
}

async fn explain<B: Backend>(
    State(backend): State<Arc<B>>,
    address: TextPath,
    options: OptionsQuery,
) -> Result<Response, Failure> {
    let explanation = backend.explain(parse_address(&address?.0)?, options?.0.vrf).await?;
    Ok(Json(explanation).into_response())
}

async fn add_host<B: Backend>(
    State(backend): State<Arc<B>>,
    request: Request,
) -> Result<Response, Failure> {
    let host = timeout(BODY_TIMEOUT, Json::<HostAdd>::from_request(request, &()));
    backend.add_host(host.await.map_err(|_| Failure::BodyMissing)??.0).await?;
    Ok(done())
}

async fn remove_host<B: Backend>(
    State(backend): State<Arc<B>>,
    address: TextPath,
    options: OptionsQuery,
) -> Result<Response, Failure> {
    backend.remove_host(parse_address(&address?.0)?, options?.0.vrf).await?;
    Ok(done())
}

async fn show_metrics<B: Backend>(State(backend): State<Arc<B>>) -> Result<Response, Failure> {
    let text = metrics::render(backend.metrics().await?).map_err(|_| Failure::Rendering)?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// Streams events, one JSON object a line. A client that reads too slowly loses events, and is told how many.
fn watch<B: Backend>(
    State(backend): State<Arc<B>>,
    watchers: Arc<Semaphore>,
) -> Result<Response, Failure> {
    let permit = watchers.try_acquire_owned().map_err(|_| Refusal::Busy)?;
    let events = stream::unfold((backend.watch(), permit), |(mut receiver, permit)| async move {
        let event = match receiver.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => lagged(missed),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, Infallible>(line(&event)), (receiver, permit)))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(events)).into_response())
}

fn lagged(missed: u64) -> Event {
    let message = format!("{missed} events were missed: they came faster than they were read");
    Event { time_us: 0, kind: "lagged".to_owned(), vrf: None, message }
}

/// One line of JSON. Everything in the model can be written as JSON; an empty line would be skipped by readers.
fn line<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

fn done() -> Response {
    Json(serde_json::Map::new()).into_response()
}

fn parse_address(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| {
        Failure::Bad(format!("{text:?} is not an address like 10.100.0.9"), StatusCode::BAD_REQUEST)
    })
}

/// A request that is not granted.
enum Failure {
    NoSuchPath,
    MethodNotAllowed,
    BodyMissing,
    /// The request makes no sense.
    Bad(String, StatusCode),
    Refused(Refusal),
    Rendering,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::Bad(rejection.body_text(), rejection.status())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::Bad(rejection.body_text(), rejection.status())
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        Self::Bad(rejection.body_text(), rejection.status())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "there is nothing at this path".to_owned()),
            Self::MethodNotAllowed => {
                let error = "this method does not apply to this path".to_owned();
                (StatusCode::METHOD_NOT_ALLOWED, error)
            }
            Self::BodyMissing => {
                (StatusCode::REQUEST_TIMEOUT, "the request's body did not come".to_owned())
            }
            Self::Bad(error, status) => (status, error),
            Self::Refused(refusal) => (refusal.status(), refusal.to_string()),
            Self::Rendering => {
                let error = "the metrics could not be written as text".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, error)
            }
        };
        (status, Json(ErrorBody { error })).into_response()
    }
}
