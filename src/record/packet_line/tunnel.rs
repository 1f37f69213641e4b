//! Tags, labels and tunnels in a line: what tells one from another.

use super::link::LinkProtocol;
use super::parts::Line;
use crate::wire::Header;

impl Line<'_, '_> {
    /// A header around another packet or frame.
    #[inline(never)]
    pub fn tunnel_header(&mut self, header: &Header<'_>, link: &mut LinkProtocol) {
        match header {
            Header::Vlan(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" vlan ", h.id().into());
            }
            Header::Mpls(h) => {
                *link = LinkProtocol::Said;
                self.pair(" mpls ", h.label().into());
            }
            Header::Pppoe(_) | Header::Ppp(_) => self.ppp_header(header, link),
            Header::Gre(h) => {
                *link = LinkProtocol::EtherType(h.protocol());
                self.text(" gre");
                if let Some(key) = h.key() {
                    self.pair_hex(" key=", key);
                }
            }
            Header::Erspan(h) => self.pair(" erspan session=", h.session_id().into()),
            Header::Vxlan(h) => self.pair(" vxlan vni=", h.vni().into()),
            Header::Geneve(h) => self.pair(" geneve vni=", h.vni().into()),
            Header::Gtpu(h) => self.pair_hex(" gtp-u teid=", h.teid()),
            Header::Teredo(_) => self.text(" teredo"),
            Header::L2tp(h) => {
                self.pair(" l2tp tunnel=", h.tunnel_id().into());
                self.pair(" session=", h.session_id().into());
            }
            Header::L2tpv3(h) => self.pair(" l2tp session=", h.session_id().into()),
            Header::Wccp(h) => self.pair(" wccp service=", h.service().into()),
            Header::EtherIp(_) => self.text(" etherip"),
            Header::Lisp(h) => self.pair(" lisp instance=", h.instance().into()),
            Header::Ayiya(h) => self.pair(" ayiya operation=", h.operation().into()),
            Header::Wlan(h) => {
                *link = LinkProtocol::Said;
                self.pair(" wlan type=", h.kind().into());
                self.pair(" subtype=", h.subtype().into());
            }
            tag => self.tag(tag, link),
        }
    }

    fn tag(&mut self, header: &Header<'_>, link: &mut LinkProtocol) {
        match header {
            Header::Etag(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" e-tag ", h.channel().into());
            }
            Header::Vntag(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" vn-tag ", h.source().into());
                self.pair(" > ", h.destination().into());
            }
            Header::Pbb(h) => self.pair(" pbb service=", h.service().into()),
            Header::Nsh(h) => {
                *link = LinkProtocol::Said;
                self.pair(" nsh path=", h.path().into());
                self.pair(" index=", h.index().into());
            }
            Header::Macsec(h) => {
                *link = h.ether_type().map_or(LinkProtocol::Said, LinkProtocol::EtherType);
                self.pair(" macsec pn=", h.packet_number().into());
            }
            Header::Redundancy(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" copy ", h.sequence().into());
            }
            Header::Cmd(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" cmd group=", h.group().into());
            }
            Header::Dsa(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" dsa ", h.tag().device().into());
                self.pair(":", h.tag().port().into());
            }
            Header::Edsa(h) => {
                *link = LinkProtocol::EtherType(h.ether_type());
                self.pair(" dsa ", h.tag().device().into());
                self.pair(":", h.tag().port().into());
            }
            // All others are written by the caller.
            _ => {}
        }
    }
}
