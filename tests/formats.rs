//! The formats, byte by byte, and against the published schema.

// The records made by hand name their types by `crate::`.
use netscope::{flow, wire};

#[path = "../src/record/test_records.rs"]
mod test_records;

use flow::{FactSet, FlowRecord, QuotedFlow, community_id};
use netscope::aggregate::{Output, OutputLoss, QueueReport, Report, Summary, Table};
use netscope::engine::{ProtocolClass, TrafficCount};
use netscope::output::{
    CsvLine, CsvLines, CsvTable, DocumentFile, ExportSettings, JsonLine, JsonLines, JsonTable, SummaryFile, TextReport,
    TextSettings, stats_line, summary_text, write_array, write_table,
};
use netscope::record::TimeResolution;
use netscope::wire::{Fault, FaultKind, Layer};
use netscope_backends::{RingFill, Timestamp};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use tempfile::tempdir;
use test_records::{icmp_record, tcp_record, udp6_record};

const SETTINGS: ExportSettings =
    ExportSettings { community_id_seed: 0, threads: 1, times: TimeResolution::Packet, schema: &[], interfaces: &[] };

/// The columns that other programs know.
const SHARED_COLUMNS: &str = "protocol,endpoint_a_ip,endpoint_a_port,endpoint_b_ip,endpoint_b_port,first_seen,last_seen,duration_secs,\
packets_a_to_b,packets_b_to_a,bytes_a_to_b,bytes_b_to_a,packets_total,bytes_total,avg_bps,tcp_state,client,retransmissions,\
out_of_order,rtt_last_ms,rtt_min_ms,rtt_ewma_ms,rtt_samples";
const OUR_COLUMNS: &str = "handshake_rtt_ms,tcp_state_detail,fast_retransmissions,spurious_retransmissions,lost_segments,\
ack_lost_segments,duplicate_acks,keep_alives,zero_windows,tcp_flags_a_to_b,tcp_flags_b_to_a,mss_a_to_b,mss_b_to_a,\
window_scale_a_to_b,window_scale_b_to_a,vlan,tunnel,tunnel_id,fragments,icmp_id,community_id,ip_version,initiator,first_packet,\
end_reason,queues,icmp_type,icmp_code,icmp_errors,icmp_error_for,time_resolution,interface,\
client_ip,client_port,server_ip,server_port,packets_to_server,packets_to_client,bytes_to_server,bytes_to_client,\
rtt_server_samples,rtt_server_min_ms,rtt_server_ewma_ms,rtt_server_max_ms,rtt_server_delayed_acks,\
rtt_client_samples,rtt_client_min_ms,rtt_client_ewma_ms,rtt_client_max_ms,rtt_client_delayed_acks,\
rtt_path_min_ms,zero_window_ms_a_to_b,zero_window_ms_b_to_a,port_name,flow_state,app_known_by,source_mac,destination_mac,ttl_min_a_to_b,\
ttl_max_a_to_b,ttl_min_b_to_a,ttl_max_b_to_a,dscp_a_to_b,dscp_b_to_a,ecn_a_to_b,ecn_b_to_a,payload_bytes_a_to_b,\
payload_bytes_b_to_a,tcp_options_a_to_b,tcp_options_b_to_a,window_max_a_to_b,window_max_b_to_a,ecn_negotiated,\
ecn_echo_a_to_b,ecn_echo_b_to_a";

fn id(record: &FlowRecord) -> String {
    community_id(&record.key, record.initiator, 0).as_str().to_owned()
}

fn tcp_json() -> String {
    format!(
        "{{\"protocol\":\"tcp\",\"endpoint_a\":{{\"ip\":\"10.0.0.1\",\"port\":443}},\
         \"endpoint_b\":{{\"ip\":\"10.0.0.2\",\"port\":40000}},\
         \"first_seen\":1700000000.000000001,\"last_seen\":1700000002.500000001,\"duration_secs\":2.5,\
         \"packets_a_to_b\":10,\"packets_b_to_a\":7,\"bytes_a_to_b\":4000,\"bytes_b_to_a\":1000,\
         \"packets_total\":17,\"bytes_total\":5000,\"avg_bps\":16000.0,\"tcp_state\":\"established\",\"client\":\"b_to_a\",\
         \"retransmissions\":3,\"out_of_order\":4,\"rtt_last_ms\":3.0,\"rtt_min_ms\":1.0005,\"rtt_ewma_ms\":2.0,\
         \"rtt_samples\":12,\"handshake_rtt_ms\":1.234567,\"tcp_state_detail\":\"close_wait\",\"fast_retransmissions\":1,\
         \"spurious_retransmissions\":2,\"lost_segments\":5,\"ack_lost_segments\":6,\"duplicate_acks\":7,\"keep_alives\":8,\
         \"zero_windows\":9,\"tcp_flags_a_to_b\":\"AS\",\"tcp_flags_b_to_a\":\"APSF\",\"mss_a_to_b\":1460,\"mss_b_to_a\":null,\
         \"window_scale_a_to_b\":7,\"window_scale_b_to_a\":null,\"vlan\":[100,200],\"tunnel\":\"vxlan\",\"tunnel_id\":42,\
         \"fragments\":2,\"icmp_id\":null,\"community_id\":\"{}\",\"ip_version\":4,\"initiator\":\"b_to_a\",\
         \"first_packet\":5,\"end_reason\":\"timeout\",\"queues\":1,\"icmp_type\":null,\"icmp_code\":null,\
         \"icmp_errors\":3,\"icmp_error_for\":null,\
         \"time_resolution\":\"packet\",\"interface\":null,\
         \"client_ip\":\"10.0.0.2\",\"client_port\":40000,\"server_ip\":\"10.0.0.1\",\"server_port\":443,\
         \"packets_to_server\":7,\"packets_to_client\":10,\"bytes_to_server\":1000,\"bytes_to_client\":4000,\
         \"rtt_server_samples\":5,\"rtt_server_min_ms\":4.375,\"rtt_server_ewma_ms\":6.05,\"rtt_server_max_ms\":9.0,\
         \"rtt_server_delayed_acks\":1,\"rtt_client_samples\":6,\"rtt_client_min_ms\":0.1705,\
         \"rtt_client_ewma_ms\":0.18,\"rtt_client_max_ms\":0.25,\"rtt_client_delayed_acks\":0,\
         \"rtt_path_min_ms\":4.5455,\"zero_window_ms_a_to_b\":null,\"zero_window_ms_b_to_a\":1.5,\"port_name\":\"https\",\
         \"flow_state\":\"established\",\"app_known_by\":\"port\",\
         \"source_mac\":\"02:00:00:00:00:0b\",\"destination_mac\":\"02:00:00:00:00:0a\",\"ttl_min_a_to_b\":57,\
         \"ttl_max_a_to_b\":57,\"ttl_min_b_to_a\":63,\"ttl_max_b_to_a\":64,\"dscp_a_to_b\":[0],\
         \"dscp_b_to_a\":[0,46],\"ecn_a_to_b\":[0,3],\"ecn_b_to_a\":[0,2],\"payload_bytes_a_to_b\":1200,\
         \"payload_bytes_b_to_a\":640,\"tcp_options_a_to_b\":[2,4],\"tcp_options_b_to_a\":[2,3,4,8],\
         \"window_max_a_to_b\":65160,\"window_max_b_to_a\":64240,\"ecn_negotiated\":true,\"ecn_echo_a_to_b\":true,\
         \"ecn_echo_b_to_a\":false}}",
        id(&tcp_record())
    )
}

fn udp_json() -> String {
    format!(
        "{{\"protocol\":\"udp\",\"endpoint_a\":{{\"ip\":\"2001:db8::1\",\"port\":53000}},\
         \"endpoint_b\":{{\"ip\":\"2001:db8::53\",\"port\":53}},\
         \"first_seen\":1700000000.0,\"last_seen\":1700000000.0,\"duration_secs\":0.0,\
         \"packets_a_to_b\":1,\"packets_b_to_a\":1,\"bytes_a_to_b\":100,\"bytes_b_to_a\":200,\
         \"packets_total\":2,\"bytes_total\":300,\"avg_bps\":0.0,\"tcp_state\":null,\"client\":null,\
         \"retransmissions\":0,\"out_of_order\":0,\"rtt_last_ms\":null,\"rtt_min_ms\":null,\"rtt_ewma_ms\":null,\
         \"rtt_samples\":0,\"handshake_rtt_ms\":null,\"tcp_state_detail\":null,\"fast_retransmissions\":0,\
         \"spurious_retransmissions\":0,\"lost_segments\":0,\"ack_lost_segments\":0,\"duplicate_acks\":0,\"keep_alives\":0,\
         \"zero_windows\":0,\"tcp_flags_a_to_b\":null,\"tcp_flags_b_to_a\":null,\"mss_a_to_b\":null,\"mss_b_to_a\":null,\
         \"window_scale_a_to_b\":null,\"window_scale_b_to_a\":null,\"vlan\":[],\"tunnel\":null,\"tunnel_id\":null,\
         \"fragments\":0,\"icmp_id\":null,\"community_id\":\"{}\",\"ip_version\":6,\"initiator\":\"a_to_b\",\
         \"first_packet\":1,\"end_reason\":\"exit\",\"queues\":1,\"icmp_type\":null,\"icmp_code\":null,\
         \"icmp_errors\":0,\"icmp_error_for\":null,\
         \"time_resolution\":\"packet\",\"interface\":null,\
         \"client_ip\":\"2001:db8::1\",\"client_port\":53000,\"server_ip\":\"2001:db8::53\",\"server_port\":53,\
         \"packets_to_server\":1,\"packets_to_client\":1,\"bytes_to_server\":100,\"bytes_to_client\":200,\
         \"rtt_server_samples\":0,\"rtt_server_min_ms\":null,\"rtt_server_ewma_ms\":null,\"rtt_server_max_ms\":null,\
         \"rtt_server_delayed_acks\":0,\"rtt_client_samples\":0,\"rtt_client_min_ms\":null,\
         \"rtt_client_ewma_ms\":null,\"rtt_client_max_ms\":null,\"rtt_client_delayed_acks\":0,\
         \"rtt_path_min_ms\":null,\"zero_window_ms_a_to_b\":null,\"zero_window_ms_b_to_a\":null,\"port_name\":\"domain\",\"flow_state\":\"two_way\",\"app_known_by\":\"port\",\"source_mac\":null,\
         \"destination_mac\":null,\"ttl_min_a_to_b\":null,\"ttl_max_a_to_b\":null,\"ttl_min_b_to_a\":null,\
         \"ttl_max_b_to_a\":null,\"dscp_a_to_b\":null,\"dscp_b_to_a\":null,\"ecn_a_to_b\":null,\"ecn_b_to_a\":null,\
         \"payload_bytes_a_to_b\":null,\"payload_bytes_b_to_a\":null,\"tcp_options_a_to_b\":null,\
         \"tcp_options_b_to_a\":null,\"window_max_a_to_b\":null,\"window_max_b_to_a\":null,\"ecn_negotiated\":null,\
         \"ecn_echo_a_to_b\":null,\"ecn_echo_b_to_a\":null}}",
        id(&udp6_record())
    )
}

fn tcp_csv() -> String {
    format!(
        "tcp,10.0.0.1,443,10.0.0.2,40000,1700000000.000000,1700000002.500000,2.500000,10,7,4000,1000,17,5000,16000.000,\
         established,b_to_a,3,4,3.000,1.001,2.000,12,1.235,close_wait,1,2,5,6,7,8,9,AS,APSF,1460,,7,,100;200,vxlan,42,2,,{},4,\
         b_to_a,5,timeout,1,,,3,,packet,,10.0.0.2,40000,10.0.0.1,443,7,10,1000,4000,5,4.375,6.050,9.000,1,6,0.171,0.180,0.250,0,4.546,,1.500,https,established,port,\
         02:00:00:00:00:0b,02:00:00:00:00:0a,57,57,63,64,0,0;46,0;3,0;2,1200,640,2;4,2;3;4;8,65160,64240,true,true,false",
        id(&tcp_record())
    )
}

fn json_of(records: &[FlowRecord]) -> String {
    let mut out = Vec::new();
    write_array(&mut out, &records.iter().copied().collect(), SETTINGS).unwrap();
    String::from_utf8(out).unwrap()
}

fn csv_of(records: &[FlowRecord]) -> String {
    let mut out = Vec::new();
    write_table(&mut out, &records.iter().copied().collect(), SETTINGS).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_json_table_is_an_array_with_a_record_per_line() {
    assert_eq!(json_of(&[]), "[]\n");
    assert_eq!(json_of(&[tcp_record(), udp6_record()]), format!("[\n{},\n{}\n]\n", tcp_json(), udp_json()));
}

#[test]
fn the_csv_table_begins_with_the_shared_columns() {
    assert_eq!(csv_of(&[]), format!("{SHARED_COLUMNS},{OUR_COLUMNS}\n"));
    assert_eq!(csv_of(&[tcp_record()]).lines().nth(1), Some(tcp_csv().as_str()));
}

#[test]
fn csv_and_json_say_the_same() {
    let records = [tcp_record(), udp6_record(), icmp_record(), error_record()];
    let array: Vec<Value> = serde_json::from_str(&json_of(&records)).unwrap();
    let text = csv_of(&records);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    for (row, object) in reader.records().map(Result::unwrap).zip(&array) {
        assert_eq!(row.len(), header.len());
        let mut flat = Vec::new();
        for (name, value) in object.as_object().unwrap() {
            match value {
                Value::Object(endpoint) => {
                    flat.push((format!("{name}_ip"), endpoint["ip"].clone()));
                    flat.push((format!("{name}_port"), endpoint["port"].clone()));
                }
                _ => flat.push((name.clone(), value.clone())),
            }
        }
        assert_eq!(flat.len(), header.len());
        for (name, value) in flat {
            let column = header.iter().position(|column| column == name).expect("a column for each field");
            let cell = &row[column];
            match value {
                Value::Null => assert_eq!(cell, "", "{name}"),
                Value::String(text) => assert_eq!(cell, text, "{name}"),
                Value::Bool(value) => assert_eq!(cell, value.to_string(), "{name}"),
                Value::Number(number) => {
                    let difference = cell.parse::<f64>().unwrap() - number.as_f64().unwrap();
                    assert!(difference.abs() <= 0.000_51, "{name}: {cell} and {number}");
                }
                Value::Array(list) => {
                    let joined: Vec<String> = list.iter().map(Value::to_string).collect();
                    assert_eq!(cell, joined.join(";"), "{name}");
                }
                other => panic!("{name}: {other}"),
            }
        }
    }
}

#[test]
fn records_fit_the_published_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(root.join("docs/flow-record.schema.json")).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let records = [tcp_record(), udp6_record(), icmp_record(), error_record()];
    for object in serde_json::from_str::<Vec<Value>>(&json_of(&records)).unwrap() {
        let errors: Vec<String> = validator.iter_errors(&object).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        // The schema names every field and no other, so that it cannot fall behind.
        let mut missing = object.clone();
        missing.as_object_mut().unwrap().remove("end_reason");
        assert!(!validator.is_valid(&missing));
        let mut additional = object;
        additional.as_object_mut().unwrap().insert("surprise".to_owned(), Value::Null);
        assert!(!validator.is_valid(&additional));
    }
}

#[test]
fn the_documentation_has_the_header_and_every_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/formats.md")).unwrap();
    assert!(text.contains(&format!("{SHARED_COLUMNS},{OUR_COLUMNS}\n")));
    let array: Vec<Value> = serde_json::from_str(&json_of(&[tcp_record()])).unwrap();
    for name in array[0].as_object().unwrap().keys() {
        assert!(text.contains(&format!("`{name}`")), "{name} is not documented");
    }
}

#[test]
fn an_icmp_flow_has_an_identifier_and_no_ports() {
    let array: Vec<Value> = serde_json::from_str(&json_of(&[icmp_record()])).unwrap();
    assert_eq!(array[0]["icmp_id"], 77);
    assert_eq!((&array[0]["icmp_type"], &array[0]["icmp_code"]), (&Value::from(8), &Value::from(0)));
    assert_eq!(array[0]["endpoint_a"]["port"], 0);
    assert_eq!(array[0]["endpoint_b"]["port"], 0);
}

/// A record of ICMP errors about the TCP connection.
fn error_record() -> FlowRecord {
    let tcp = tcp_record();
    FlowRecord { quoted: Some(QuotedFlow { key: tcp.key, initiator: tcp.initiator }), ..icmp_record() }
}

#[test]
fn icmp_errors_are_joined_to_their_flow_by_its_identifier() {
    for seed in [0, 7] {
        let settings = ExportSettings { community_id_seed: seed, ..SETTINGS };
        let mut out = Vec::new();
        write_array(&mut out, &[error_record(), tcp_record()].into_iter().collect(), settings).unwrap();
        let array: Vec<Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(array[0]["icmp_error_for"], array[1]["community_id"]);
        assert_eq!(array[1]["icmp_error_for"], Value::Null);
        assert!(array[0]["icmp_error_for"].is_string());
    }
}

#[test]
fn records_say_how_their_times_were_taken() {
    let batch = ExportSettings { times: TimeResolution::Batch, ..SETTINGS };
    let (mut json, mut csv) = (Vec::new(), Vec::new());
    let table: Table = [tcp_record()].into_iter().collect();
    write_array(&mut json, &table, batch).unwrap();
    write_table(&mut csv, &table, batch).unwrap();
    let expected = tcp_json().replace("\"time_resolution\":\"packet\"", "\"time_resolution\":\"batch\"");
    assert_eq!(String::from_utf8(json).unwrap(), format!("[\n{expected}\n]\n"));
    let expected = tcp_csv().replace(",packet,", ",batch,");
    assert_eq!(String::from_utf8(csv).unwrap().lines().nth(1), Some(expected.as_str()));
}

#[test]
fn extreme_values_are_still_numbers() {
    let mut record = tcp_record();
    record.first_seen = Timestamp(0);
    record.last_seen = Timestamp(u64::MAX);
    record.bytes = [u64::MAX, u64::MAX];
    record.packets = [u64::MAX, u64::MAX];
    let mut backwards = udp6_record();
    backwards.last_seen = Timestamp(0);
    for record in [record, backwards] {
        let json = json_of(&[record]);
        assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
        let csv = csv_of(&[record]);
        for text in [json, csv] {
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}

#[test]
fn ended_flows_begin_with_time_and_reason() {
    let directory = tempdir().unwrap();
    let (json_path, csv_path) = (directory.path().join("ended.jsonl"), directory.path().join("ended.csv"));
    fs::write(&json_path, "old\n").unwrap();
    fs::write(&csv_path, "old\n").unwrap();
    let mut json = JsonLines::create(&json_path, JsonLine, SETTINGS).unwrap();
    let mut csv = CsvLines::create(&csv_path, CsvLine, SETTINGS).unwrap();
    let header = format!("ts,reason,{SHARED_COLUMNS},{OUR_COLUMNS}\n");
    assert_eq!(fs::read_to_string(&json_path).unwrap(), "old\n", "nothing is lost before the run begins");
    json.flush().unwrap();
    csv.flush().unwrap();
    assert_eq!(fs::read_to_string(&json_path).unwrap(), "");
    assert_eq!(fs::read_to_string(&csv_path).unwrap(), header);
    json.ended(&tcp_record(), FactSet::NONE).unwrap();
    csv.ended(&tcp_record(), FactSet::NONE).unwrap();
    // When nothing more is to be told they are in the file.
    json.flush().unwrap();
    csv.flush().unwrap();
    let rest = tcp_json();
    let expected = format!("{{\"ts\":1700000062.500000001,\"reason\":\"timeout\",{}\n", rest.strip_prefix('{').unwrap());
    assert_eq!(fs::read_to_string(&json_path).unwrap(), expected);
    assert_eq!(fs::read_to_string(&csv_path).unwrap(), format!("{header}1700000062.500000,timeout,{}\n", tcp_csv()));
    json.ended(&udp6_record(), FactSet::NONE).unwrap();
    json.finish(&Table::default(), &Summary::default()).unwrap();
    assert_eq!(fs::read_to_string(&json_path).unwrap().lines().count(), 2);
}

#[test]
fn tables_appear_when_they_are_complete() {
    let directory = tempdir().unwrap();
    let (json_path, csv_path) = (directory.path().join("flows.json"), directory.path().join("flows.csv"));
    let summary_path = directory.path().join("summary.json");
    let summary = SummaryFile::create(&summary_path).unwrap();
    let mut outputs: Vec<Box<dyn Output>> = vec![
        Box::new(DocumentFile::create(&json_path, JsonTable(SETTINGS)).unwrap()),
        Box::new(DocumentFile::create(&csv_path, CsvTable(SETTINGS)).unwrap()),
    ];
    assert!(!json_path.exists() && !csv_path.exists() && !summary_path.exists());
    for output in &mut outputs {
        assert_eq!(output.rows_written(), Some(0));
        output.finish(&Table::from_iter([tcp_record()]), &Summary::default()).unwrap();
        assert_eq!(output.rows_written(), Some(1));
    }
    summary.write(&Summary::default()).unwrap();
    assert_eq!(fs::read_to_string(&json_path).unwrap(), json_of(&[tcp_record()]));
    assert_eq!(fs::read_to_string(&csv_path).unwrap(), csv_of(&[tcp_record()]));
    let summary: Value = serde_json::from_str(&fs::read_to_string(&summary_path).unwrap()).unwrap();
    assert_eq!(summary["packets"], 0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn an_unfinished_table_leaves_the_target_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.json");
    fs::write(&path, "old").unwrap();
    drop(DocumentFile::create(&path, JsonTable(SETTINGS)).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_an_output_lost_is_in_the_summary_by_its_name() {
    let loss = OutputLoss { output: "ended.jsonl".to_owned(), records: 7, ..OutputLoss::default() };
    let mut summary = Summary::default();
    assert!(!summary_text(&summary).contains("left out") && !summary_text(&summary).contains("skipped"));
    summary.outputs.push(loss);
    summary.ledger.snapshots_skipped = 3;
    let ring = Some(RingFill { size: 64, waiting: 1, waiting_max: 60 });
    let mut queue = QueueReport { queue: 2, packets: 5, ring, silence_count: 4, ..QueueReport::default() };
    queue.protocols[ProtocolClass::Icmp as usize] = TrafficCount { packets: 5, bytes: 400 };
    summary.queues = vec![QueueReport::default(), queue];
    let text = summary_text(&summary);
    assert!(text.contains("  ended flows left out of ended.jsonl: 7\n") && !text.contains("reports left out"), "{text}");
    assert!(text.contains("  snapshots skipped (the next ones had their numbers): 3\n"), "{text}");
    assert!(text.contains("  times queue 2 was silent for two ticks: 4\n") && !text.contains("queue 0"), "{text}");
    let directory = tempdir().unwrap();
    let path = directory.path().join("summary.json");
    SummaryFile::create(&path).unwrap().write(&summary).unwrap();
    let json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let [first, second] = [&json["queues"][0], &json["queues"][1]];
    assert_eq!((&first["ring"], &first["times_silent"]), (&Value::Null, &json!(0)));
    assert_eq!((&second["queue"], &second["packets"], &second["times_silent"]), (&json!(2), &json!(5), &json!(4)));
    assert_eq!(second["ring"], json!({"size": 64, "waiting": 1, "waiting_max": 60}));
    assert_eq!((&second["protocols"]["icmp"]["bytes"], &second["protocols"]["tcp"]["bytes"]), (&json!(400), &json!(0)));
    assert_eq!(json["left_out_of_outputs"], json!([{"output": "ended.jsonl", "ended_flows": 7, "reports": 0, "alerts": 0}]));
    assert_eq!(json["snapshots_skipped"], 3);
}

fn report() -> Report {
    Report {
        interval_ns: 500_000_000,
        packets: 10,
        bytes: 125_000,
        active_flows: 3,
        dispatch_drops: 1,
        dispatch_drops_total: 2,
        kernel_drops: 3,
        kernel_drops_total: 4,
        interface_drops: 5,
        interface_drops_total: 6,
        ..Report::default()
    }
}

#[test]
fn a_tick_is_one_line_of_fixed_shape() {
    assert_eq!(
        stats_line(&report()),
        "[stats] 2.00 Mbps | 20 pps | 3 flows | drops=1 (total=2) | kdrop=3 (total=4) ifdrop=5 (total=6)"
    );
    let queue = |queue, silent_since| QueueReport { queue, silent_since, ..QueueReport::default() };
    let queues = vec![queue(0, Some(Timestamp(0))), queue(1, None), queue(2, Some(Timestamp(7)))];
    let silent = Report { totals: Summary { queues, ..Summary::default() }, ..report() };
    assert_eq!(stats_line(&silent), stats_line(&report()) + " | silent queues: 0,2");
    assert!(stats_line(&Report { interval_ns: 0, ..report() }).starts_with("[stats] 0.00 Mbps | 0 pps | "));
}

fn settings() -> TextSettings {
    TextSettings { stats: true, alerts: true, top_flows: usize::MAX, table_rows: 1, columns: 100 }
}

#[test]
fn text_has_ticks_then_the_table() {
    let mut out = Vec::new();
    let mut text = TextReport::new(&mut out, "standard output", settings());
    assert!(text.wants_table());
    text.report(&report()).unwrap();
    let mut summary = Summary::default();
    summary.ledger.packets = 7;
    summary.ledger.in_flows = 7;
    summary.source.received = 9;
    summary.source.kernel_drops = 2;
    text.finish(&Table::from_iter([tcp_record(), udp6_record()]), &summary).unwrap();
    let shown = String::from_utf8(out).unwrap() + &summary_text(&summary);
    let order = [
        "[stats] 2.00",
        "PROTO",
        "10.0.0.2:40000",
        "... and 1 more",
        "Summary",
        "packets: 7",
        "kernel drops: 2",
        "drop rate: 22.222 %",
    ];
    let places: Vec<usize> = order.iter().map(|part| shown.find(part).unwrap_or_else(|| panic!("{part} in {shown}"))).collect();
    assert!(places.is_sorted(), "{shown}");
    assert!(!shown.contains("unaccounted"), "{shown}");
    assert!(!shown.contains("unknown or encrypted"), "{shown}");
    summary.ledger.fault(Fault { layer: Layer::Ethernet, kind: FaultKind::Unknown });
    summary.ledger.fault(Fault { layer: Layer::Tcp, kind: FaultKind::Malformed });
    let rows = summary_text(&summary);
    let expected = "  parse errors: 1\n    tcp malformed: 1\n  packets with a header of an unknown or encrypted protocol: 1\n    \
                    ethernet unknown: 1\n";
    assert!(rows.contains(expected), "{rows}");
}

/// A terminal whose reader has left.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_can_be_told_from_other_errors() {
    let error = TextReport::new(Closed, "standard output", settings()).report(&report()).unwrap_err();
    assert!(netscope::output::is_broken_pipe(&error));
    assert!(!netscope::output::is_broken_pipe(&io::ErrorKind::StorageFull.into()));
}
