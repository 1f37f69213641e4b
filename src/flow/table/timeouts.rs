//! After how long without packets a flow ends.
//!
//! Owns the times, by protocol and state, and when the wheel looks at a flow next. Knows no packet: the state is asked for when the wheel or a
//! packet that may find its flow overdue looks. Invariants: no flow ends before [`Timeouts::shortest_ns`], so a packet that comes sooner
//! asks nothing; and a flow is looked at no later than any state that it may get can end it.

use super::{FlowSettings, FlowTable};
use crate::app::protocols::{AppStage, QuicStage};
use crate::flow::entry::{Entry, Flag};
use crate::flow::state::FlowState;
use crate::flow::{EndReason, IcmpFlow, StateTimeouts};
use netscope_backends::Timestamp;

/// No flow ends by time.
pub(super) const NEVER: u64 = u64::MAX;
/// For flows that end by no time, the timeout that orders evictions.
const ORDER_TIMEOUT_NS: u64 = 60 * Timestamp::NS_PER_SEC;
/// The wheel is made for the longest of several timeouts, but no more than so many times the shortest: its slots stay narrow enough
/// for that one, and flows with longer ones are looked at several times.
const HORIZON_RATIO: u64 = 128;

const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_LITE: u8 = 136;

/// All timeouts of a table.
pub(super) struct Timeouts {
    /// Of flows that no state has another for; [`NEVER`] where there is none.
    idle_ns: u64,
    closed_ns: u64,
    /// `None` where all flows have the idle timeout: nothing is asked of them.
    by_state: Option<Box<ByState>>,
}

/// Timeouts by protocol and state, [`NEVER`] where there is none; and how soon a flow of each protocol may get one that ends it.
struct ByState {
    tcp_handshake_ns: u64,
    tcp_established_ns: u64,
    ssh_ns: u64,
    udp_one_way_ns: u64,
    udp_two_way_ns: u64,
    echo_request_ns: u64,
    echo_replied_ns: u64,
    /// As [`StateTimeouts`].
    of_udp: StateTimeouts,
    asks_ssh: bool,
    asks_udp: bool,
    look_handshake_ns: u64,
    look_tcp_ns: u64,
    look_udp_ns: u64,
    look_echo_ns: u64,
    horizon_ns: u64,
    shortest_ns: u64,
}

const fn limit(ns: u64) -> u64 {
    if ns == 0 { NEVER } else { ns }
}

impl ByState {
    /// `None` where nothing is said.
    fn new(said: &StateTimeouts, idle_ns: u64) -> Option<Box<Self>> {
        if *said == StateTimeouts::default() {
            return None;
        }
        let or_idle = |said: Option<u64>| said.map_or(idle_ns, limit);
        let least = |all: &[u64]| all.iter().copied().min().unwrap_or(NEVER);
        let tcp_established_ns = or_idle(said.tcp_established_ns);
        let ssh_ns = said.ssh_ns.map_or(tcp_established_ns, limit);
        let tcp_handshake_ns = or_idle(said.tcp_handshake_ns);
        let [udp_one_way_ns, udp_two_way_ns] = [said.udp_one_way_ns, said.udp_two_way_ns].map(or_idle);
        let [echo_request_ns, echo_replied_ns] = [said.echo_request_ns, said.echo_replied_ns].map(or_idle);
        let of_apps =
            [said.dns_queried_ns, said.dns_answered_ns, said.quic_handshake_ns, said.quic_established_ns, said.quic_closed_ns];
        let app_ns = of_apps.iter().flatten().map(|&ns| limit(ns)).min().unwrap_or(NEVER);
        let (of_tcp, of_udp) = (least(&[tcp_established_ns, ssh_ns]), least(&[udp_one_way_ns, udp_two_way_ns, app_ns]));
        let of_echo = least(&[echo_request_ns, echo_replied_ns]);
        let shortest_ns = least(&[idle_ns, tcp_handshake_ns, of_tcp, of_udp, of_echo]);
        let all =
            [tcp_handshake_ns, tcp_established_ns, ssh_ns, udp_one_way_ns, udp_two_way_ns, echo_request_ns, echo_replied_ns];
        let all = all.into_iter().chain([idle_ns]).chain(of_apps.iter().flatten().map(|&ns| limit(ns)));
        let longest_ns = all.filter(|&ns| ns != NEVER).max().unwrap_or(ORDER_TIMEOUT_NS);
        let horizon_ns = longest_ns.min(shortest_ns.saturating_mul(HORIZON_RATIO));
        Some(Box::new(Self {
            tcp_handshake_ns,
            tcp_established_ns,
            ssh_ns,
            udp_one_way_ns,
            udp_two_way_ns,
            echo_request_ns,
            echo_replied_ns,
            of_udp: *said,
            asks_ssh: said.ssh_ns.is_some(),
            asks_udp: of_apps.iter().any(Option::is_some),
            look_handshake_ns: least(&[of_tcp, tcp_handshake_ns, horizon_ns]),
            look_tcp_ns: of_tcp.min(horizon_ns),
            look_udp_ns: of_udp.min(horizon_ns),
            look_echo_ns: of_echo.min(horizon_ns),
            horizon_ns,
            shortest_ns,
        }))
    }

    /// The timeout of a flow that is not closed; `stage` is asked where a timeout depends on it.
    fn of(&self, entry: &Entry, idle_ns: u64, stage: impl FnOnce() -> Option<AppStage>) -> u64 {
        let (key, packets) = ({ entry.key }, entry.packets());
        match key.protocol() {
            TCP if entry.connection.is_handshaking() => self.tcp_handshake_ns,
            TCP => {
                let is_ssh = self.asks_ssh && stage() == Some(AppStage::Ssh);
                if is_ssh { self.ssh_ns } else { self.tcp_established_ns }
            }
            UDP | UDP_LITE => {
                let is_two_way = packets.iter().all(|&count| count > 0);
                let udp = if is_two_way { self.udp_two_way_ns } else { self.udp_one_way_ns };
                let said = if self.asks_udp { stage().and_then(|stage| self.of_stage(stage)) } else { None };
                said.map_or(udp, limit)
            }
            _ if matches!(IcmpFlow::of(&key), Some(IcmpFlow::Echo(_))) => {
                match FlowState::of_other(&key, packets, entry.initiator(), || None) {
                    FlowState::Replied => self.echo_replied_ns,
                    _ => self.echo_request_ns,
                }
            }
            _ => idle_ns,
        }
    }

    const fn of_stage(&self, stage: AppStage) -> Option<u64> {
        match stage {
            AppStage::DnsQueried => self.of_udp.dns_queried_ns,
            AppStage::DnsAnswered => self.of_udp.dns_answered_ns,
            AppStage::Quic(QuicStage::Initial | QuicStage::Handshake) => self.of_udp.quic_handshake_ns,
            AppStage::Quic(QuicStage::Established) => self.of_udp.quic_established_ns,
            AppStage::Quic(QuicStage::Closed) => self.of_udp.quic_closed_ns,
            AppStage::Ssh => None,
        }
    }

    /// After this time the flow is looked at again, whatever its packets make of it until then: none of its states can end it sooner.
    fn look_ns(&self, entry: &Entry) -> u64 {
        let key = { entry.key };
        match key.protocol() {
            // One that is not established, of which a later fragment came first, say, may still begin a handshake.
            TCP if entry.connection.is_established() => self.look_tcp_ns,
            TCP => self.look_handshake_ns,
            UDP | UDP_LITE => self.look_udp_ns,
            _ if matches!(IcmpFlow::of(&key), Some(IcmpFlow::Echo(_))) => self.look_echo_ns,
            _ => self.horizon_ns,
        }
    }
}

impl Timeouts {
    pub fn new(settings: &FlowSettings) -> Self {
        let idle_ns = limit(settings.idle_timeout_ns);
        Self { idle_ns, closed_ns: settings.closed_timeout_ns, by_state: ByState::new(&settings.timeouts, idle_ns) }
    }

    /// How far ahead of the clock flows are filed.
    pub fn horizon_ns(&self) -> u64 {
        match &self.by_state {
            Some(by_state) => by_state.horizon_ns,
            None => ordered(self.idle_ns),
        }
    }

    /// No flow that is not closed ends before this time; [`NEVER`] where none does at all.
    pub fn shortest_ns(&self) -> u64 {
        self.by_state.as_ref().map_or(self.idle_ns, |by_state| by_state.shortest_ns)
    }

    /// A closed connection is over no sooner than after this time, or after [`Timeouts::shortest_ns`].
    pub fn closed_ns(&self) -> u64 {
        if self.shortest_ns() == NEVER { NEVER } else { self.closed_ns }
    }

    /// When a connection that a SYN has opened at `time` is looked at first.
    pub fn first_look_of_syn(&self, time: Timestamp) -> Timestamp {
        time.plus(self.by_state.as_ref().map_or_else(|| ordered(self.idle_ns), |by_state| by_state.look_handshake_ns))
    }

    /// With times by state a place that a new record takes is filed anew: it may end sooner than the record before.
    pub fn refiles(&self) -> bool {
        self.by_state.is_some()
    }
}

/// The timeout that orders a flow's end.
const fn ordered(timeout_ns: u64) -> u64 {
    if timeout_ns == NEVER { ORDER_TIMEOUT_NS } else { timeout_ns }
}

impl FlowTable {
    /// After how long without packets the flow at a place ends; [`NEVER`] where it does not.
    #[inline]
    fn timeout_ns(&self, place: u32, entry: &Entry) -> u64 {
        let timeouts = &self.timeouts;
        let open_ns = match &timeouts.by_state {
            None => timeouts.idle_ns,
            Some(by_state) => by_state.of(entry, timeouts.idle_ns, || AppStage::of(self.store.facts(place))),
        };
        // A connection that is closed ends after its own time, unless it would be its idle time that is endless.
        if entry.is(Flag::FINISHED) && (open_ns != NEVER || timeouts.idle_ns != NEVER) {
            open_ns.min(timeouts.closed_ns)
        } else {
            open_ns
        }
    }

    /// Why and when a flow ended by the time without packets, if it did.
    #[inline]
    pub(super) fn overdue(&self, place: u32) -> Option<(EndReason, Timestamp)> {
        let entry = self.store.entries.get(place);
        let timeout_ns = self.timeout_ns(place, entry);
        if timeout_ns == NEVER {
            return None;
        }
        let touched = self.store.touched(place);
        let reason = if entry.is(Flag::FINISHED) { EndReason::Closed } else { EndReason::Timeout };
        (self.clock.since(touched) > timeout_ns).then(|| (reason, touched.plus(timeout_ns)))
    }

    /// The timeout that orders the end of the flow at a place.
    fn order_ns(&self, place: u32, entry: &Entry) -> u64 {
        match self.timeout_ns(place, entry) {
            NEVER if entry.is(Flag::FINISHED) => ORDER_TIMEOUT_NS.min(self.timeouts.closed_ns),
            timeout_ns => ordered(timeout_ns),
        }
    }

    /// When the flow at a place ends without another packet, or has its turn of eviction.
    pub(super) fn deadline(&self, place: u32) -> Timestamp {
        self.store.touched(place).plus(self.order_ns(place, self.store.entries.get(place)))
    }

    /// When the flow at a place, which ends at `deadline` without another packet, is looked at next.
    pub(super) fn next_look(&self, place: u32, deadline: Timestamp) -> Timestamp {
        match &self.timeouts.by_state {
            None => deadline,
            Some(by_state) => deadline.min(self.clock.plus(by_state.look_ns(self.store.entries.get(place)))),
        }
    }

    /// The connection at a place is closed, at the clock: files it anew where it ends sooner than it is looked at.
    pub(super) fn file_closed(&mut self, place: u32) {
        let order_ns = self.order_ns(place, self.store.entries.get(place));
        if self.timeouts.by_state.is_none() && order_ns >= ordered(self.timeouts.idle_ns) {
            return;
        }
        let look = self.next_look(place, self.clock.plus(order_ns));
        self.file_at(place, look);
    }

    /// Moves the flow at a place to the slot of this time.
    pub(super) fn file_at(&mut self, place: u32, look: Timestamp) {
        self.wheel.unlink(&mut self.store.entries, place);
        self.wheel.file(&mut self.store.entries, place, look);
    }

    /// The slot of a flow that is not over came up, and no time ends it: it is put behind all others, or looked at again where a state may
    /// end it.
    pub(super) fn file_endless(&mut self, place: u32) {
        if self.timeouts.by_state.is_some() {
            let look = self.next_look(place, Timestamp(u64::MAX));
            return self.file_at(place, look);
        }
        self.wheel.unlink(&mut self.store.entries, place);
        self.wheel.file_stale(&mut self.store.entries, place);
    }
}
