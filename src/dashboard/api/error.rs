//! Errors of the interface: a code, a status, and what a person can do.
//!
//! Owns the codes. Knows no route. Invariant: every error is JSON of one shape, as docs/http-api.md has it.

use super::responding::{JSON, full};
use crate::aggregate::NoAnswer;
use crate::dashboard::ApiResponse;
use serde_json::json;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter or a body is wrong.
    BadRequest,
    /// A filter is wrong.
    BadFilter,
    /// The role is too small.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// It was there and is not any more.
    Gone,
    /// It is not ready yet, or too much is asked at once.
    Busy,
    /// Too much is kept already.
    TooLarge,
    /// It cannot be answered in this run.
    Unavailable,
}

impl ErrorCode {
    const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadFilter => "bad_filter",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Gone => "gone",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::BadFilter => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Gone => 410,
            Self::TooLarge => 413,
            Self::Busy | Self::Unavailable => 503,
        }
    }
}

/// An error answer. Boxed, as most answers are none.
#[derive(Clone, Debug)]
pub struct ApiError(Box<ErrorParts>);

#[derive(Clone, Debug)]
struct ErrorParts {
    code: ErrorCode,
    status: u16,
    message: String,
    column: Option<usize>,
    expected: Vec<String>,
    hint: Option<String>,
    retry_secs: Option<u64>,
    allow: Option<String>,
}

impl ApiError {
    /// An error of this code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let retry_secs = (code.status() == 503).then_some(1);
        let (status, message) = (code.status(), message.into());
        let (column, expected, hint, allow) = (None, Vec::new(), None, None);
        Self(Box::new(ErrorParts { code, status, message, column, expected, hint, retry_secs, allow }))
    }

    /// A parameter or a body is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// The path takes these methods alone.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut error = Self::new(ErrorCode::MethodNotAllowed, "the path does not take this method");
        error.0.allow = Some(allow);
        error
    }

    /// It is not there yet: try again after so many seconds. 409.
    pub fn not_yet(message: impl Into<String>, retry_secs: u64) -> Self {
        let mut error = Self::new(ErrorCode::Busy, message);
        (error.0.status, error.0.retry_secs) = (409, Some(retry_secs));
        error
    }

    /// The same with what a person can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same with what may stand at a column of a filter, from 1.
    #[must_use]
    pub fn at_column(mut self, column: usize, expected: Vec<String>) -> Self {
        (self.0.column, self.0.expected) = (Some(column), expected);
        self
    }

    /// For a person.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Its code as text.
    pub fn code(&self) -> &'static str {
        self.0.code.name()
    }

    /// As an answer.
    pub fn response(self) -> ApiResponse {
        let ErrorParts { code, status, message, column, expected, hint, retry_secs, allow } = *self.0;
        let mut error = json!({"code": code.name(), "message": message});
        if let Some(column) = column {
            error["column"] = column.into();
        }
        if !expected.is_empty() {
            error["expected"] = expected.into();
        }
        if let Some(hint) = hint {
            error["hint"] = hint.into();
        }
        let mut response = full(status, JSON, json!({"error": error}).to_string());
        response.headers.extend(retry_secs.map(|secs| ("Retry-After", secs.to_string())));
        response.headers.extend(allow.map(|allow| ("Allow", allow)));
        response
    }
}

impl From<NoAnswer> for ApiError {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::Busy => Self::new(ErrorCode::Busy, "too many questions wait; ask again in a second"),
            NoAnswer::GivenUp => Self::new(ErrorCode::Busy, "the flows changed faster than they could be read; ask again"),
            NoAnswer::Over => Self::new(ErrorCode::Unavailable, "the capture is over, and what it left is not kept"),
            NoAnswer::NotKept => Self::new(ErrorCode::Unavailable, "it is not kept in this run"),
        }
    }
}
