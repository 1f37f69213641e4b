//! Tests of the language as a whole: that it says what it should, that any text is read or refused, and that it is evaluated as
//! it is defined.

mod language;
mod properties;
mod words;
