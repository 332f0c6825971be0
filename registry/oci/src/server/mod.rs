//! A registry over an image layout directory: the distribution API (OCI distribution specification
//! 1.1) for one or several repositories, reading and, where allowed, writing.
//!
//! Owns the HTTP side. Every name is held against its grammar before it meets a path; blobs stream
//! both ways. Users are owned by `users`, TLS by `tls`; without either it is for loopback alone.

mod answer;
mod blobs;
mod listing;
mod manifests;
mod route;
mod tls;
mod uploads;
mod users;

use std::{fmt, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    serve::ListenerExt as _,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::WWW_AUTHENTICATE};
use oci_distribution::errors::OciErrorCode;
use tokio::net::TcpListener;

use crate::{error::OciError, layout::Layout};
use answer::Refusal;
use route::{Route, Target};
pub use tls::ServerTls;
pub use users::Users;

/// Called with method, path and status of each request.
pub type RequestListener = Arc<dyn Fn(&Method, &str, StatusCode) + Send + Sync>;

/// How to serve a directory.
#[derive(Clone)]
pub struct ServeOptions {
    /// Refuse everything that would change the directory. Default false.
    pub read_only: bool,
    /// Name of the repository of entries that name none, as other tools write them. Default
    /// `layout`.
    pub unnamed_repository: String,
    /// Largest blob taken, in bytes. Default 16 GiB.
    pub max_blob_bytes: u64,
    /// Most uploads at a time. Default 64.
    pub max_uploads: usize,
    /// Who may use it; `None` for everybody.
    pub users: Option<Arc<Users>>,
    /// Certificate and key; `None` for no TLS.
    pub tls: Option<ServerTls>,
    /// Told of each request when it has been answered.
    pub on_request: Option<RequestListener>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            unnamed_repository: "layout".to_owned(),
            max_blob_bytes: 16 * 1024 * 1024 * 1024,
            max_uploads: 64,
            users: None,
            tls: None,
            on_request: None,
        }
    }
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("read_only", &self.read_only)
            .field("unnamed_repository", &self.unnamed_repository)
            .field("max_blob_bytes", &self.max_blob_bytes)
            .field("max_uploads", &self.max_uploads)
            .field("users", &self.users)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// What all requests share.
struct Registry {
    layout: Layout,
    options: ServeOptions,
    uploads: uploads::Uploads,
}

impl Registry {
    fn unnamed(&self) -> &str {
        &self.options.unnamed_repository
    }
}

/// Serves the image layout `directory` until `shutdown` is done and the requests under way are
/// answered. The directory is made a layout where it is none, unless only reading is allowed.
pub async fn serve(
    directory: &Path,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), OciError> {
    let layout = if options.read_only {
        Layout::open(directory)?
    } else {
        let layout = Layout::create(directory)?;
        layout.sweep()?;
        layout
    };
    let uploads = uploads::Uploads::new(options.max_uploads);
    let tls = options.tls.clone();
    let registry = Arc::new(Registry { layout, options, uploads });
    let app = Router::new().fallback(entry).with_state(registry);
    let served = if let Some(tls) = tls {
        let listener = tls::Secured::over(listener, &tls);
        axum::serve(listener, app).with_graceful_shutdown(shutdown).await
    } else {
        let listener = listener.tap_io(|connection| {
            // Small answers must not wait for a full packet; without it they are merely slower.
            let _ = connection.set_nodelay(true);
        });
        axum::serve(listener, app).with_graceful_shutdown(shutdown).await
    };
    served.map_err(|source| OciError::Io { path: directory.to_owned(), source })
}

async fn entry(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let outcome = match admit(&registry, request.headers()).await {
        Ok(()) => handle(&registry, request).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(&method),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"eyas\""));
    }
    response
        .headers_mut()
        .insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    if let Some(told) = &registry.options.on_request {
        told(&method, &path, response.status());
    }
    response
}

/// Whether the one who asks is a user, where there are users.
async fn admit(registry: &Registry, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(users) = registry.options.users.clone() else { return Ok(()) };
    let headers = headers.clone();
    // Comparing takes long on purpose and must not hold up other requests.
    let admitted = tokio::task::spawn_blocking(move || users.admit(&headers)).await;
    if admitted.unwrap_or(false) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNAUTHORIZED,
        OciErrorCode::Unauthorized,
        "this registry is for its users, give a user and a password",
    ))
}

async fn handle(registry: &Arc<Registry>, request: Request) -> Result<Response, Refusal> {
    let route = Route::parse(request.uri().path())?;
    let changing =
        !matches!(*request.method(), Method::GET | Method::HEAD) || route.target == Target::Upload;
    if changing && registry.options.read_only {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            OciErrorCode::Unsupported,
            "this registry is read-only",
        ));
    }
    match &route.target {
        Target::Base => Ok(answer::json(b"{}".to_vec())),
        Target::Catalog => listing::catalog(registry, &request),
        Target::Tags => listing::tags(registry, &route, &request),
        Target::Referrers(subject) => listing::referrers(registry, &route, *subject, &request),
        Target::Manifest(key) => manifests::handle(registry, &route, key, request).await,
        Target::Blob(digest) => {
            blobs::handle(registry, &route, *digest, request.method(), request.headers()).await
        }
        Target::Upload | Target::UploadSession(_) => {
            uploads::handle(registry, &route, request).await
        }
    }
}

/// An answer without a body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
