//! Flows as rows: JSON objects with all fields and facts or chosen ones, and files.
//!
//! Owns what stands in front of a record's own fields. Knows no question. Invariant: fields are those of [`crate::record`], in its
//! order.

use super::error::ApiError;
use super::flow_name::FlowName;
use super::params::shortened;
use super::rates::{RatesNow, by_side};
use super::service_names::service_name;
use super::setup::RecordStyle;
use super::unix::seconds;
use crate::aggregate::FoundFlow;
use crate::flow::{FactId, FlowRecord};
use crate::record::{
    Exported, FACT_SCHEMA, FIELDS, FieldValue, RecordField, TextBuffer, ports, push_fact, push_fact_cell, push_header,
    push_object, push_row,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::{self, Write};

/// Columns of a request at most.
const COLUMNS_MAX: usize = 200;

/// Which fields and facts of a flow are shown.
#[derive(Clone, Debug)]
pub enum FlowColumns {
    /// All of them.
    All,
    /// These.
    Chosen(Vec<FlowColumn>),
}

/// A column.
#[derive(Clone, Debug)]
pub struct FlowColumn {
    /// Its name; of a fact that of its column in exports, which has the object's name in front.
    name: Cow<'static, str>,
    source: ColumnSource,
}

#[derive(Clone, Copy, Debug)]
enum ColumnSource {
    Field(&'static RecordField),
    Fact(FactId),
}

impl FlowColumn {
    /// The column of this name.
    fn of_name(name: &str) -> Option<Self> {
        if let Some(field) = FIELDS.iter().find(|field| field.field.name == name) {
            return Some(Self { name: field.field.name.into(), source: ColumnSource::Field(field) });
        }
        let is_fact = |object: &str, member: &str| {
            name.strip_prefix(object).and_then(|rest| rest.strip_prefix('_')).is_some_and(|rest| rest == member)
        };
        (0..).zip(FACT_SCHEMA).find_map(|(object, fields)| {
            let (member, _) = (0..).zip(fields.members).find(|(_, field)| is_fact(fields.field.name, field.name))?;
            Some(Self { name: name.to_owned().into(), source: ColumnSource::Fact(FactId { object, member }) })
        })
    }

    /// Appends its value as JSON has it.
    fn push_json(&self, out: &mut Vec<u8>, text: &mut TextBuffer, exported: &Exported<'_>) -> io::Result<()> {
        match self.source {
            ColumnSource::Field(field) => {
                out.extend_from_slice(value(&(field.value)(exported)).to_string().as_bytes());
                Ok(())
            }
            ColumnSource::Fact(id) => {
                push_fact(text, exported.facts().get(id));
                text.write(out)
            }
        }
    }

    /// Writes its value as CSV has it.
    fn write_cell(&self, out: &mut impl Write, text: &mut TextBuffer, exported: &Exported<'_>) -> io::Result<()> {
        match self.source {
            // Numbers, addresses and words of ours have no comma, quote or line end.
            ColumnSource::Field(field) => out.write_all(cell(&(field.value)(exported)).as_bytes()),
            ColumnSource::Fact(id) => {
                push_fact_cell(text, exported.facts().get(id));
                text.write(out)
            }
        }
    }
}

impl FlowColumns {
    /// True when facts are among them.
    pub fn has_facts(&self) -> bool {
        match self {
            Self::All => true,
            Self::Chosen(columns) => columns.iter().any(|column| matches!(column.source, ColumnSource::Fact(_))),
        }
    }

    /// Names with commas between them.
    ///
    /// # Errors
    /// When one is no field.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let Some(text) = text else { return Ok(Self::All) };
        let mut chosen: Vec<FlowColumn> = Vec::new();
        for name in text.split(',').filter(|name| !name.is_empty()) {
            // These stand in front of each row anyway.
            if FRONT.contains(&name) {
                continue;
            }
            let Some(column) = FlowColumn::of_name(name) else {
                let message = format!("there is no column {:?}", shortened(name));
                return Err(ApiError::bad_request(message).with_hint("/api/v1/fields lists the columns"));
            };
            if !chosen.iter().any(|own| own.name == name) {
                chosen.push(column);
            }
            if chosen.len() > COLUMNS_MAX {
                return Err(ApiError::bad_request(format!("at most {COLUMNS_MAX} columns")));
            }
        }
        Ok(Self::Chosen(chosen))
    }
}

/// What stands in front of a record's fields.
const FRONT: [&str; 6] = ["id", "state", "rate_bps", "rate_to_server_bps", "rate_to_client_bps", "service"];

/// How flows are shown.
#[derive(Clone, Copy, Debug)]
pub struct RowStyle<'a> {
    /// Which fields.
    pub columns: &'a FlowColumns,
    /// How records are shown.
    pub records: RecordStyle,
}

/// Service of a flow, by the port of its server.
pub fn service(record: &FlowRecord) -> (u8, u16) {
    let (a, b) = ports(&record.key);
    (record.key.protocol(), [b, a][record.client().index()])
}

/// Appends a flow as a JSON object.
pub fn push_flow(out: &mut Vec<u8>, text: &mut TextBuffer, flow: &FoundFlow, rates: &RatesNow, style: RowStyle<'_>) {
    let FoundFlow { record, is_alive, facts } = flow;
    let rate = if *is_alive { rates.of(record) } else { Some([0.0; 2]) }.map(|rates| by_side(rates, record.client()));
    let (protocol, port) = service(record);
    let front = json!({
        "id": FlowName::of(record).to_string(), "state": if *is_alive { "live" } else { "ended" },
        "rate_bps": rate.map(|(to_server, to_client)| (to_server + to_client).round()),
        "rate_to_server_bps": rate.map(|(to_server, _)| to_server.round()),
        "rate_to_client_bps": rate.map(|(_, to_client)| to_client.round()), "service": service_name(protocol, port),
    });
    let exported = style.records.exported(record, facts.facts());
    let front = front.to_string();
    out.extend_from_slice(front.strip_suffix('}').unwrap_or(&front).as_bytes());
    out.push(b',');
    match style.columns {
        FlowColumns::All => {
            let start = out.len();
            push_object(text, &exported);
            // Memory takes all.
            if text.write(out).is_ok() {
                out.remove(start);
            }
        }
        FlowColumns::Chosen(columns) => {
            for column in columns {
                // Names are letters of ours.
                out.extend_from_slice(format!("\"{}\":", column.name).as_bytes());
                // Memory takes all.
                if column.push_json(out, text, &exported).is_err() {
                    out.extend_from_slice(b"null");
                }
                out.push(b',');
            }
            out.pop();
            out.push(b'}');
        }
    }
}

/// A field's value as JSON has it.
fn value(value: &FieldValue<'_>) -> Value {
    match value {
        FieldValue::Null => Value::Null,
        FieldValue::Word(word) => (*word).into(),
        FieldValue::Number(number) => (*number).into(),
        FieldValue::Seconds(ns) => (*ns as f64 / 1e9).into(),
        FieldValue::Milliseconds(ns) => (*ns as f64 / 1e6).into(),
        FieldValue::Rate(thousandths) => (*thousandths as f64 / 1e3).into(),
        FieldValue::Endpoint(ip, port) => json!({"ip": ip.to_string(), "port": port}),
        FieldValue::List(values) => (*values).into(),
        FieldValue::Set(bits) => (0..64).filter(|bit| bits >> bit & 1 == 1).collect::<Vec<u32>>().into(),
        FieldValue::Address(ip) => ip.to_string().into(),
        FieldValue::Mac(mac) => mac.map(|byte| format!("{byte:02x}")).join(":").into(),
        FieldValue::Boolean(value) => (*value).into(),
    }
}

/// A flow as a JSON value, with all fields and facts.
pub fn flow_value(flow: &FoundFlow, rates: &RatesNow, records: RecordStyle) -> Value {
    let (mut out, mut text) = (Vec::new(), TextBuffer::default());
    push_flow(&mut out, &mut text, flow, rates, RowStyle { columns: &FlowColumns::All, records });
    serde_json::from_slice(&out).unwrap_or_default()
}

/// Writes flows as CSV, with all fields and facts or chosen ones under their names.
pub fn write_csv(out: &mut impl Write, flows: &[FoundFlow], style: RowStyle<'_>) -> io::Result<()> {
    let mut text = TextBuffer::default();
    match style.columns {
        FlowColumns::All => push_header(&mut text, FACT_SCHEMA),
        FlowColumns::Chosen(columns) => write_line(out, columns, |out, column| out.write_all(column.name.as_bytes()))?,
    }
    for FoundFlow { record, facts, .. } in flows {
        let exported = style.records.exported(record, facts.facts());
        match style.columns {
            FlowColumns::All => push_row(&mut text, &exported),
            FlowColumns::Chosen(columns) => write_line(out, columns, |out, column| column.write_cell(out, &mut text, &exported))?,
        }
        text.write_when_full(out)?;
    }
    text.write(out)?;
    out.flush()
}

/// Writes a cell for each column.
fn write_line<W: Write>(
    out: &mut W,
    columns: &[FlowColumn],
    mut cell: impl FnMut(&mut W, &FlowColumn) -> io::Result<()>,
) -> io::Result<()> {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        cell(out, column)?;
    }
    out.write_all(b"\n")
}

/// A value as CSV has it.
fn cell(value: &FieldValue<'_>) -> String {
    let join = |values: &mut dyn Iterator<Item = u32>| values.map(|value| value.to_string()).collect::<Vec<_>>().join(";");
    match value {
        FieldValue::Null => String::new(),
        FieldValue::Word(word) => (*word).to_owned(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Seconds(ns) => format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000),
        FieldValue::Milliseconds(ns) => format!("{}.{:03}", ns / 1_000_000, ns % 1_000_000 / 1000),
        FieldValue::Rate(thousandths) => format!("{}.{:03}", thousandths / 1000, thousandths % 1000),
        FieldValue::Endpoint(ip, port) => super::packet_facts::end_text(*ip, Some(*port)),
        FieldValue::List(values) => join(&mut values.iter().map(|value| u32::from(*value))),
        FieldValue::Set(bits) => join(&mut (0..64).filter(|bit| bits >> bit & 1 == 1)),
        FieldValue::Address(ip) => ip.to_string(),
        FieldValue::Mac(mac) => mac.map(|byte| format!("{byte:02x}")).join(":"),
        FieldValue::Boolean(value) => value.to_string(),
    }
}

/// Writes flows as a JSON array, an object per line.
pub fn write_json(out: &mut impl Write, flows: &[FoundFlow], rates: &RatesNow, style: RowStyle<'_>) -> io::Result<()> {
    let (mut row, mut text) = (Vec::new(), TextBuffer::default());
    out.write_all(b"[")?;
    for (at, flow) in flows.iter().enumerate() {
        row.clear();
        row.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
        push_flow(&mut row, &mut text, flow, rates, style);
        out.write_all(&row)?;
    }
    out.write_all(b"\n]\n")?;
    out.flush()
}

/// A course of rates as JSON: `[ts, bps to the server, bps to the client]`.
pub fn course_value(course: &[super::rates::RatePoint], record: &FlowRecord) -> Value {
    let point = |point: &super::rates::RatePoint| {
        let (to_server, to_client) = by_side(point.rates, record.client());
        json!([seconds(point.time), to_server.round(), to_client.round()])
    };
    course.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FactBuffer, FlowFacts};
    use crate::record::fact_id;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};

    fn found(record: FlowRecord, is_alive: bool) -> FoundFlow {
        FoundFlow::new(record, is_alive, FlowFacts::default())
    }

    #[test]
    fn chosen_columns_have_the_values_of_all() {
        let names = FIELDS.iter().map(|field| field.field.name).collect::<Vec<_>>().join(",");
        let chosen = FlowColumns::parse(Some(&names)).expect("they are fields");
        for record in [tcp_record(), udp6_record(), icmp_record()] {
            let flow = found(record, false);
            let all = flow_value(&flow, &RatesNow::default(), RecordStyle::default());
            let (mut out, mut text) = (Vec::new(), TextBuffer::default());
            push_flow(
                &mut out,
                &mut text,
                &flow,
                &RatesNow::default(),
                RowStyle { columns: &chosen, records: RecordStyle::default() },
            );
            assert_eq!(serde_json::from_slice::<Value>(&out).expect("JSON"), all);
            assert_eq!((&all["state"], &all["rate_bps"]), (&json!("ended"), &json!(0.0)));
        }
        assert!(FlowColumns::parse(Some("bytes_total,nonsense")).is_err());
    }

    #[test]
    fn what_is_known_of_a_flow_is_in_its_row_and_in_its_columns() {
        let mut facts = FactBuffer::default();
        assert!(facts.text(fact_id("app", "protocol"), b"tls"));
        assert!(facts.text(fact_id("tls", "sni"), b"a,\"b\"\xff"));
        assert!(facts.list(fact_id("tls", "alpn"), [b"h2".as_slice(), b"http/1.1"]));
        assert!(facts.number(fact_id("tls", "not_after"), 17));
        assert!(facts.boolean(fact_id("tls", "ech"), true));
        let flow = FoundFlow::new(tcp_record(), true, facts.facts().into());
        let object = json!({"sni": "a,\"b\"\u{fffd}", "alpn": ["h2", "http/1.1"], "not_after": 17, "ech": true});
        let all = flow_value(&flow, &RatesNow::default(), RecordStyle::default());
        assert_eq!((&all["app"], &all["tls"], all.get("dns")), (&json!({"protocol": "tls"}), &object, None));
        let names = "tls_ech,tls_sni,bytes_total,tls_alpn,tls_not_after,app_protocol,dns_name,tls_version";
        let chosen = FlowColumns::parse(Some(names)).expect("columns");
        let style = RowStyle { columns: &chosen, records: RecordStyle::default() };
        let (mut row, mut text) = (Vec::new(), TextBuffer::default());
        push_flow(&mut row, &mut text, &flow, &RatesNow::default(), style);
        let row: Value = serde_json::from_slice(&row).expect("JSON");
        for member in ["sni", "alpn", "not_after", "ech"] {
            assert_eq!(row[format!("tls_{member}")], object[member], "{member}");
        }
        assert_eq!(
            (&row["app_protocol"], row.get("dns_name"), &row["bytes_total"]),
            (&json!("tls"), Some(&Value::Null), &json!(5000))
        );
        let csv = |columns| {
            let mut csv = Vec::new();
            let flows = std::slice::from_ref(&flow);
            write_csv(&mut csv, flows, RowStyle { columns, records: RecordStyle::default() }).expect("memory");
            String::from_utf8(csv).expect("UTF-8")
        };
        let cells = "true,\"a,\"\"b\"\"\u{fffd}\",5000,h2;http/1.1,17,tls,,";
        assert_eq!(csv(&chosen), format!("{names}\n{cells}\n"));
        let all = csv(&FlowColumns::All);
        let mut reader = ::csv::Reader::from_reader(all.as_bytes());
        let place = |name: &str| reader.headers().expect("a header").iter().position(|header| header == name).expect("a column");
        let [sni, alpn] = ["tls_sni", "tls_alpn"].map(place);
        let row = reader.records().next().expect("a row").expect("CSV");
        assert_eq!((&row[sni], &row[alpn]), ("a,\"b\"\u{fffd}", "h2;http/1.1"));
        for wrong in ["tls", "tls_", "tls_sni_", "tls.sni", "sni"] {
            assert!(FlowColumns::parse(Some(wrong)).is_err(), "{wrong}");
        }
    }

    /// Columns of a row; an endpoint has two.
    fn style_columns(columns: &FlowColumns) -> usize {
        match columns {
            FlowColumns::All => FIELDS.len() + 2 + FACT_SCHEMA.iter().map(|object| object.members.len()).sum::<usize>(),
            FlowColumns::Chosen(columns) => columns.len(),
        }
    }

    #[test]
    fn files_have_a_row_per_flow() {
        let flows = [found(tcp_record(), true), found(udp6_record(), false)];
        let few = FlowColumns::parse(Some("client_ip,bytes_total,vlan")).expect("fields");
        for columns in [&FlowColumns::All, &few] {
            let style = RowStyle { columns, records: RecordStyle::default() };
            let (mut csv, mut json) = (Vec::new(), Vec::new());
            write_csv(&mut csv, &flows, style).expect("memory");
            write_json(&mut json, &flows, &RatesNow::default(), style).expect("memory");
            let mut reader = ::csv::Reader::from_reader(&csv[..]);
            assert!(reader.records().map(|row| row.expect("CSV").len()).eq([style_columns(columns); 2]));
            let rows: Vec<Value> = serde_json::from_slice(&json).expect("JSON");
            assert_eq!((rows.len(), &rows[0]["bytes_total"]), (2, &json!(5000)));
        }
        let mut csv = Vec::new();
        write_csv(&mut csv, &flows[..1], RowStyle { columns: &few, records: RecordStyle::default() }).expect("memory");
        assert_eq!(String::from_utf8_lossy(&csv), "client_ip,bytes_total,vlan\n10.0.0.2,5000,100;200\n");
        let mut json = Vec::new();
        write_json(&mut json, &[], &RatesNow::default(), RowStyle { columns: &few, records: RecordStyle::default() })
            .expect("memory");
        assert_eq!(serde_json::from_slice::<Value>(&json).expect("JSON"), json!([]));
    }
}
