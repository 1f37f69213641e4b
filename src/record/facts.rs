//! The facts that a record may have beyond its fields: what they are called, and how they are given to a
//! format.
//!
//! Owns their names, by the numbers that [`crate::flow::FactId`] holds. Knows no protocol. Invariants:
//! objects and members are only ever appended, as their place here is their number; a record without facts
//! looks as if there were no such list.
//!
//! A new fact is a line here. JSON then has it in an object of its protocol, in the records that know it; CSV
//! has a column for it.

use super::field::{Field, FieldSink, FieldType, field};
use super::fields::Exported;
use crate::flow::{FactId, FactValue};

/// Facts that belong together.
#[derive(Debug, PartialEq, Eq)]
pub struct FactObject {
    /// The object's name in JSON.
    pub field: Field,
    /// Its members; their names are those of columns, too.
    pub members: &'static [Field],
}

/// Names of facts by their numbers.
pub type FactSchema = &'static [FactObject];

/// All facts of ours, by the numbers that [`crate::app::protocols`] gives them.
pub const FACT_SCHEMA: FactSchema = {
    use FieldType::{Boolean, List, Number, Text};
    macro_rules! objects {
        ($($object:literal { $($member:literal $kind:ident $unit:literal $width:literal),* $(,)? })*) => {
            &[$(FactObject {
                field: field!($object, FieldType::Object, "", 1),
                members: &[$(field!($member, $kind, $unit, $width)),*],
            }),*]
        };
    }
    objects! {
        "app" {
            "protocol" Text "" 8, "source" Text "" 8, "version" Text "" 8, "software" Text "" 30, "object" Text "" 20, "via" Text "" 8,
            "credentials_in_clear" Boolean "" 5, "name" Text "" 30, "name_source" Text "" 11,
        }
        "tls" {
            "sni" Text "" 30, "version" Text "" 8, "cipher" Text "" 6, "alpn" List "" 12, "alpn_chosen" Text "" 8, "ja4" Text "" 36,
            "ja3" Text "" 32, "ja3s" Text "" 32, "resumed" Boolean "" 5, "ech" Boolean "" 5, "alert" Text "" 20, "subject" Text "" 40,
            "issuer" Text "" 40, "names" List "" 40, "not_before" Number "s" 10, "not_after" Number "s" 10, "self_issued" Boolean "" 5,
        }
        "quic" {
            "sni" Text "" 30, "version" Text "" 8, "alpn" List "" 12, "ja4" Text "" 36, "cipher" Text "" 6, "tls_version" Text "" 8,
            "user_agent" Text "" 30, "retried" Boolean "" 5, "close" Text "" 20, "ech" Boolean "" 5, "state" Text "" 11,
        }
        "dns" {
            "name" List "" 40, "type" List "" 8, "rcode" List "" 10, "answers" List "" 40, "queries" Number "" 6, "responses" Number "" 6,
            "latency_us" Number "us" 8, "truncated" Boolean "" 5, "names_left_out" Number "" 6,
        }
        "http" {
            "host" List "" 30, "method" Text "" 7, "path" Text "" 40, "status" Number "" 6, "user_agent" Text "" 40, "server" Text "" 20,
            "content_type" Text "" 20, "version" Text "" 7, "upgrade" Text "" 9, "requests" Number "" 6, "password_seen" Boolean "" 5,
            "latency_us" Number "us" 8,
        }
        "ssh" {
            "banner" List "" 40, "client" Text "" 30, "server" Text "" 30, "hassh" Text "" 32, "hassh_server" Text "" 32,
            "key_exchange" Text "" 30, "host_key" Text "" 20, "cipher" Text "" 30, "state" Text "" 12,
        }
        "netbios" { "name" List "" 30 }
        "postgresql" { "user" Text "" 16, "database" Text "" 16, "application" Text "" 16, "tls" Boolean "" 5 }
        "dhcp" { "hostname" List "" 20, "vendor" List "" 20, "message" List "" 16, "address" List "" 15, "lease_s" Number "s" 8 }
    }
};

/// The number of a fact of [`FACT_SCHEMA`]. To be called where a constant is made: a name that is none does not compile.
pub const fn fact_id(object: &str, member: &str) -> FactId {
    let mut at = 0;
    while !is_same(FACT_SCHEMA[at].field.name, object) {
        at += 1;
    }
    let (members, number) = (FACT_SCHEMA[at].members, at as u8);
    let mut at = 0;
    while !is_same(members[at].name, member) {
        at += 1;
    }
    FactId { object: number, member: at as u8 }
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Columns that facts can have.
const COLUMNS_MAX: usize = 128;
/// Objects that they can belong to.
const OBJECTS_MAX: usize = 32;

/// Where each object's columns begin, and how many columns there are.
fn column_starts(schema: FactSchema) -> ([usize; OBJECTS_MAX], usize) {
    let (mut starts, mut count) = ([0; OBJECTS_MAX], 0);
    for (start, object) in starts.iter_mut().zip(schema) {
        *start = count;
        count += object.members.len();
    }
    (starts, count)
}

/// Columns of a schema.
pub(super) fn fact_column_count(schema: FactSchema) -> usize {
    column_starts(schema).1
}

/// Gives a record's facts to the columns of `sink`. The facts are gone over once, not once for each column.
fn fact_cells<S: FieldSink>(exported: &Exported<'_>, sink: &mut S) {
    let (starts, _) = column_starts(exported.schema());
    let mut values = [None; COLUMNS_MAX];
    for (id, value) in exported.facts().iter() {
        let (object, member) = (usize::from(id.object), usize::from(id.member));
        let is_named = exported.schema().get(object).is_some_and(|object| member < object.members.len());
        let place = starts.get(object).and_then(|start| values.get_mut(start + member)).filter(|_| is_named);
        if let Some(place) = place {
            place.get_or_insert(value);
        }
    }
    let columns = exported.schema().iter().flat_map(|object| object.members);
    columns.zip(values).for_each(|(field, value)| give(sink, field, value));
}

/// Gives a record's facts to `sink`: each object of which it has a fact, or all where there are columns.
pub(super) fn fact_fields<S: FieldSink>(exported: &Exported<'_>, sink: &mut S) {
    if S::HAS_COLUMNS {
        return fact_cells(exported, sink);
    }
    for (number, object) in (0..).zip(exported.schema()) {
        let members = || {
            let numbered = (0..).zip(object.members);
            numbered.map(|(member, field)| (field, exported.facts().get(FactId { object: number, member })))
        };
        if members().any(|(_, value)| value.is_some()) {
            sink.object(&object.field, |sink| {
                members().filter(|(_, value)| value.is_some()).for_each(|(field, value)| give(sink, field, value));
            });
        }
    }
}

fn give(sink: &mut impl FieldSink, field: &'static Field, value: Option<FactValue<'_>>) {
    match value {
        None => sink.text(field, None),
        Some(FactValue::Text(text)) => sink.text(field, Some(text)),
        Some(FactValue::Number(number)) => sink.number(field, Some(number)),
        Some(FactValue::Boolean(value)) => sink.boolean(field, Some(value)),
        Some(FactValue::List(list)) => sink.texts(field, list.iter()),
    }
}

/// Names of columns: the members, with the object's name before them.
pub(super) fn fact_columns(schema: FactSchema) -> impl Iterator<Item = [&'static str; 2]> {
    schema.iter().flat_map(|object| object.members.iter().map(|member| [object.field.name, member.name]))
}

/// FactSet made up for tests.
#[cfg(test)]
pub(crate) const TEST_SCHEMA: FactSchema = {
    &[
        FactObject {
            field: field!("tls", FieldType::Object, "", 1),
            members: &[
                field!("server_name", FieldType::Text, "", 30),
                field!("version", FieldType::Number, "", 5),
                field!("alpn", FieldType::List, "", 10),
            ],
        },
        FactObject { field: field!("ssh", FieldType::Object, "", 1), members: &[field!("old", FieldType::Boolean, "", 5)] },
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FactBuffer, FactSet};
    use crate::record::test_records::tcp_record;
    use crate::record::{TextBuffer, push_ended_object, push_fact, push_fact_cell, push_header, push_object, push_row};

    fn text(push: impl FnOnce(&mut TextBuffer)) -> String {
        let (mut buffer, mut out) = (TextBuffer::default(), Vec::new());
        push(&mut buffer);
        buffer.write(&mut out).expect("memory takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    fn facts() -> FactBuffer {
        let mut facts = FactBuffer::default();
        // Not in the order of the schema.
        assert!(facts.boolean(FactId { object: 1, member: 0 }, false));
        assert!(facts.list(FactId { object: 0, member: 2 }, [b"h2".as_slice(), b"\"x\""]));
        assert!(facts.text(FactId { object: 0, member: 0 }, b"a,b\xff\n"));
        facts
    }

    #[test]
    fn json_has_the_facts_that_are_known_in_objects_behind_all_fields() {
        let (record, facts) = (tcp_record(), facts());
        let exported = Exported::new(&record, 0);
        for push in [push_object, push_ended_object] {
            let without = text(|out| push(out, &exported.with_facts(facts.facts(), &[])));
            // The first of them says what is spoken.
            let plain = text(|out| push(out, &exported)).replace(r#""app_known_by":"port""#, r#""app_known_by":"content""#);
            assert_eq!(without, plain, "facts that have no name are not shown");
            let with = text(|out| push(out, &exported.with_facts(facts.facts(), TEST_SCHEMA)));
            let appended = r#","tls":{"server_name":"a,b�\n","alpn":["h2","\"x\""]},"ssh":{"old":false}}"#;
            assert_eq!(with, without.strip_suffix('}').expect("an object").to_owned() + appended);
            serde_json::from_str::<serde_json::Value>(&with).expect("valid JSON");
        }
    }

    #[test]
    fn a_fact_alone_looks_as_in_a_record() {
        let facts = facts();
        let of = |object, member| facts.facts().get(FactId { object, member });
        for (id, json, cell) in [
            ((0, 0), "\"a,b\u{fffd}\\n\"", "\"a,b\u{fffd}\\u{a}\""),
            ((0, 1), "null", ""),
            ((0, 2), "[\"h2\",\"\\\"x\\\"\"]", "\"h2;\"\"x\"\"\""),
            ((1, 0), "false", "false"),
        ] {
            assert_eq!(text(|out| push_fact(out, of(id.0, id.1))), json);
            assert_eq!(text(|out| push_fact_cell(out, of(id.0, id.1))), cell);
        }
        assert_eq!(fact_id("app", "protocol"), FactId { object: 0, member: 0 });
        assert_eq!(fact_id("tls", "version"), FactId { object: 1, member: 1 });
    }

    #[test]
    fn csv_has_a_column_for_every_fact() {
        assert!(fact_column_count(FACT_SCHEMA) <= COLUMNS_MAX && FACT_SCHEMA.len() <= OBJECTS_MAX);
        assert_eq!(fact_columns(FACT_SCHEMA).count(), fact_column_count(FACT_SCHEMA));
        let (record, facts) = (tcp_record(), facts());
        let plain = Exported::new(&record, 0);
        let csv = |schema, facts| {
            text(|out| {
                push_header(out, schema);
                push_row(out, &plain.with_facts(facts, schema));
            })
        };
        let without = csv(&[], facts.facts());
        let lines: Vec<&str> = without.lines().collect();
        let with = csv(TEST_SCHEMA, facts.facts());
        let header = ",tls_server_name,tls_version,tls_alpn,ssh_old\n";
        assert_eq!(with, format!("{}{header}{},\"a,b�\\u{{a}}\",,\"h2;\"\"x\"\"\",false\n", lines[0], lines[1]));
        let none = csv(TEST_SCHEMA, FactSet::NONE);
        let row = lines[1].replace(",established,content,", ",established,port,");
        assert_eq!(none, format!("{}{header}{row},,,,\n", lines[0]));
    }
}
