//! Answers: headers that every kind shares, and refusals in the specification's JSON form.

use axum::{body::Body, response::Response};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LINK},
};
use oci_distribution::errors::{OciEnvelope, OciError as Entry, OciErrorCode};

use crate::error::OciError;

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: OciErrorCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: OciErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad(code: OciErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn unknown(code: OciErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn method() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, OciErrorCode::Unsupported, "this method is not supported here")
    }

    pub(super) fn into_response(self, method: &Method) -> Response {
        let entry =
            Entry { code: self.code, message: self.message, detail: serde_json::Value::Null };
        let envelope = OciEnvelope { errors: vec![entry] };
        let body = serde_json::to_vec(&envelope).unwrap_or_default();
        let mut response = json(body);
        *response.status_mut() = self.status;
        if *method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }
}

impl From<OciError> for Refusal {
    /// Trouble with the directory. What exactly is for the operator's eyes, not for the network's.
    fn from(error: OciError) -> Self {
        match error {
            OciError::DigestMismatch { expected, found, .. } => Self::bad(
                OciErrorCode::DigestInvalid,
                format!("expected digest `{expected}`, found `{found}`"),
            ),
            OciError::TooLarge { limit, .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                OciErrorCode::SizeInvalid,
                format!("larger than the limit of {limit} bytes"),
            ),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                OciErrorCode::Other("UNKNOWN".to_owned()),
                "the registry cannot read or write its directory",
            ),
        }
    }
}

/// A JSON document.
pub(super) fn json(body: Vec<u8>) -> Response {
    let length = body.len();
    let response = Response::new(Body::from(body));
    let response = with(response, CONTENT_TYPE, "application/json");
    with(response, CONTENT_LENGTH, &length.to_string())
}

/// Adds a header. Values are made of names that have passed their grammar; what still cannot be a
/// header is left out.
pub(super) fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Adds the address of the next page.
pub(super) fn with_next(response: Response, path: &str, number: usize, last: &str) -> Response {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("n", &number.to_string())
        .append_pair("last", last)
        .finish();
    with(response, LINK, &format!("<{path}?{query}>; rel=\"next\""))
}

/// The first value of a query parameter.
pub(super) fn query(request: &http::Request<Body>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.uri().query()?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
