//! Tests of the whole way through packets: exact facts by hand, damage of every kind, and encapsulations that must not matter.

pub(crate) mod build;
mod damage;
mod documented;
mod exact;
pub(crate) mod fast;
mod fragment;
mod link_layers;
mod nested;
mod quote;
mod tshark;
mod tunnels;

use super::{Dissected, FaultKind, Header, Layer, TunnelKind, Visitor, walk};
use netscope_backends::LinkType;

/// Notes every header and where it begins.
#[derive(Default, Debug, PartialEq, Eq)]
struct Trace(Vec<(String, usize)>);

impl Visitor for Trace {
    fn header(&mut self, header: &Header<'_>, offset: usize) {
        let text = format!("{header:?}");
        self.0.push((text.split('(').next().unwrap_or_default().to_owned(), offset));
    }
}

fn trace(link_type: LinkType, data: &[u8], wire_len: u32) -> (Dissected, Trace) {
    let mut trace = Trace::default();
    (walk(link_type, data, wire_len, &mut trace), trace)
}

fn dissect(link_type: LinkType, data: &[u8]) -> Dissected {
    super::dissect(link_type, data, data.len() as u32)
}

fn eth(data: &[u8]) -> Dissected {
    dissect(LinkType::ETHERNET, data)
}

#[test]
fn layer_names_stand_at_their_discriminants() {
    for (index, layer) in Layer::ALL.iter().enumerate() {
        assert_eq!(*layer as usize, index, "{}", layer.name());
    }
    for (index, kind) in FaultKind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, index, "{}", kind.name());
    }
    for (index, kind) in TunnelKind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, index, "{}", kind.name());
    }
}
