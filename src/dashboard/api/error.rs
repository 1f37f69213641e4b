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

/// An error answer.
#[derive(Clone, Debug)]
pub struct ApiError {
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
        Self { code, status, message, column: None, expected: Vec::new(), hint: None, retry_secs, allow: None }
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
        let allow = Some(allow);
        Self { allow, ..Self::new(ErrorCode::MethodNotAllowed, "the path does not take this method") }
    }

    /// It is not there yet: try again after so many seconds. 409.
    pub fn not_yet(message: impl Into<String>, retry_secs: u64) -> Self {
        Self { status: 409, retry_secs: Some(retry_secs), ..Self::new(ErrorCode::Busy, message) }
    }

    /// The same with what a person can do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with what may stand at a column of a filter, from 1.
    #[must_use]
    pub fn at_column(self, column: usize, expected: Vec<String>) -> Self {
        Self { column: Some(column), expected, ..self }
    }

    /// For a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its code as text.
    pub const fn code(&self) -> &'static str {
        self.code.name()
    }

    /// As an answer.
    pub fn response(self) -> ApiResponse {
        let mut error = json!({"code": self.code.name(), "message": self.message});
        if let Some(column) = self.column {
            error["column"] = column.into();
        }
        if !self.expected.is_empty() {
            error["expected"] = self.expected.into();
        }
        if let Some(hint) = self.hint {
            error["hint"] = hint.into();
        }
        let mut response = full(self.status, JSON, json!({"error": error}).to_string());
        response.headers.extend(self.retry_secs.map(|secs| ("Retry-After", secs.to_string())));
        response.headers.extend(self.allow.map(|allow| ("Allow", allow)));
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
