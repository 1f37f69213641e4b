//! Rogue DHCP servers in words and numbers.
//!
//! Owns the wording. Knows no rule.

use super::RogueDhcpSettings;
use super::servers::{OneServer, ServerAnswers};
use crate::detect::{Alert, AlertPhase, AlertSeverity, AlertSubject, LinkSegment, Told};
use crate::flow::HostAddress;

pub(super) const KIND: &str = "rogue_dhcp";

/// The alert.
pub(super) fn alert(told: &Told<'_, ServerAnswers>, settings: &RogueDhcpSettings) -> Alert {
    let life = told.life;
    let segment = LinkSegment::of_key(told.key.peer);
    let contradiction = told.window.contradiction().filter(|_| settings.servers.is_empty());
    let servers = told.window.servers();
    let (rogue, known) = match contradiction {
        Some(found) => (Some(found.rogue), Some(found.known)),
        None => (servers.last().copied(), None),
    };
    let acks = life.servers().iter().map(|server| server.acks).sum::<u64>();
    let relay = Some(told.key.host).filter(|host| settings.servers.is_empty() && *host != HostAddress::v4([0; 4]));
    let is_of_router = contradiction.is_some_and(|found| found.is_of_router);
    let (variant, severity) = match (known.is_some(), is_of_router) {
        (false, _) if acks > 0 => ("unlisted", AlertSeverity::High),
        (false, _) => ("unlisted", AlertSeverity::Medium),
        (true, true) => ("other_router", AlertSeverity::Medium),
        (true, false) => ("other_name_servers", AlertSeverity::Low),
    };
    let subject = rogue.map(|rogue| rogue.server);
    let place = relay.map_or(String::new(), |relay| format!(" behind relay {relay}"));
    let about = match (known, subject) {
        (None, Some(server)) => format!(" {server}"),
        _ => String::new(),
    };
    let mut details = Vec::new();
    details.extend(rogue.into_iter().flat_map(facts));
    details.extend(known.into_iter().flat_map(|known| facts_of_known(known)));
    details.extend(relay.map(|relay| ("relay", relay.to_string())));
    details.extend(segment.details());
    Alert {
        time: if matches!(told.phase, AlertPhase::End(_)) { told.time } else { told.life.span.last() },
        description: describe(told, rogue, known, &place, is_of_router),
        severity,
        key: format!("{KIND}{about}{place}{}", segment.words()),
        began: life.span.first(),
        attacker: subject.map(AlertSubject::host),
        counts: vec![("offers", life.messages - acks), ("acks", acks)],
        distinct: vec![("clients", life.clients.cardinality())],
        details,
        samples: life.samples.all().to_vec(),
        is_at_least: told.is_at_least || life.has_more,
        window_ns: settings.window_ns,
        cooldown_ns: settings.cooldown_ns,
        ..Alert::bare(KIND, variant, told.phase)
    }
}

fn joined(all: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn address(bytes: [u8; 4]) -> String {
    HostAddress::v4(bytes).to_string()
}

fn facts(server: &OneServer) -> Vec<(&'static str, String)> {
    let facts = [
        ("server_macs", joined(server.macs.all().map(|mac| mac.to_string()))),
        ("sources", joined(server.sources.all().filter(|source| *source != server.server).map(|source| source.to_string()))),
        ("routers", joined(server.routers.all().map(address))),
        ("name_servers", joined(server.name_servers.all().map(address))),
    ];
    facts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

fn facts_of_known(server: &OneServer) -> Vec<(&'static str, String)> {
    let facts = [
        ("other_server", Some(server.server.to_string())),
        ("other_server_macs", joined(server.macs.all().map(|mac| mac.to_string()))),
        ("other_routers", joined(server.routers.all().map(address))),
        ("other_name_servers", joined(server.name_servers.all().map(address))),
    ];
    facts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

fn describe(
    told: &Told<'_, ServerAnswers>,
    rogue: Option<&OneServer>,
    known: Option<&OneServer>,
    place: &str,
    is_of_router: bool,
) -> String {
    let segment = LinkSegment::of_key(told.key.peer).words();
    let Some(rogue) = rogue else { return format!("Rogue DHCP server{place}{segment}{}", told.phase.words()) };
    let mac = joined(rogue.macs.all().map(|mac| mac.to_string())).map_or(String::new(), |macs| format!(" ({macs})"));
    let said = |server: &OneServer| {
        let said =
            if is_of_router { joined(server.routers.all().map(address)) } else { joined(server.name_servers.all().map(address)) };
        said.unwrap_or_else(|| "none".to_owned())
    };
    let why = match known {
        None => "it is not on the list of servers".to_owned(),
        Some(known) => {
            let what = if is_of_router { "router" } else { "name servers" };
            format!("it gives {what} {} and {} gives {}", said(rogue), known.server, said(known))
        }
    };
    let (offers, acks) = (rogue.offers, rogue.acks);
    format!(
        "Rogue DHCP server {}{mac}{place}{segment}{}: {offers} offers and {acks} acknowledgments in the window; {why}",
        rogue.server,
        told.phase.words()
    )
}
