//! The filter language: which flows and packets somebody wants to see, in one language for the page, REST and the command line.
//!
//! Owns the language's words, parsing, evaluation, completion and sort keys, and lists of addresses. Knows no output, queue or thread. Invariants: the
//! words come from the one list of fields ([`crate::record::FIELDS`], [`crate::record::FACT_SCHEMA`]); parsing takes time linear
//! in the text and ends in a filter or an error that has a column; evaluation allocates nothing.
//!
//! `docs/filter-language.md` describes it for users.

mod address_list;
mod complete;
mod describe;
mod error;
mod evaluate;
mod expression;
mod filter;
mod number;
mod parser;
mod pattern;
mod sort;
mod subject;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use address_list::{ADDRESS_LINES_MAX, AddressList, AddressListError};
pub use complete::{Completion, LiveValues, NoLiveValues, Suggestion, complete};
pub use error::QueryError;
pub use expression::quoted;
pub use filter::FlowFilter;
pub use sort::{SortRank, sort_rank, sortable};
pub use subject::{PacketSubject, RecordContext, Subject};
pub use words::{Ends, FilterWord, words, words_of};

/// Characters that a filter may have.
pub const FILTER_LEN_MAX: usize = 4096;
/// Parentheses and negations that may stand in each other.
pub const DEPTH_MAX: usize = 32;
/// Terms (`word:value`) that a filter may have.
pub const TERMS_MAX: usize = 256;
/// Values that all terms together may have.
pub const VALUES_MAX: usize = 512;
