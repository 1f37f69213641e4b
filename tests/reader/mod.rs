//! Throw-away reader.
use super::*;

pub struct Frame { pub time: Timestamp, pub link: u32, pub data: Vec<u8> }

fn u16at(d: &[u8], o: usize, be: bool) -> Option<u32> { let b: [u8;2] = d.get(o..o+2)?.try_into().ok()?; Some(u32::from(if be {u16::from_be_bytes(b)} else {u16::from_le_bytes(b)})) }
fn u32at(d: &[u8], o: usize, be: bool) -> Option<u32> { let b: [u8;4] = d.get(o..o+4)?.try_into().ok()?; Some(if be {u32::from_be_bytes(b)} else {u32::from_le_bytes(b)}) }

pub fn read(path: &Path) -> Vec<Frame> {
    let d = std::fs::read(path).unwrap();
    let mut out = vec![];
    let Some(m) = u32at(&d, 0, false) else { return out };
    if m == 0x0A0D0D0A { ng(&d, &mut out); } else { classic(&d, m, &mut out); }
    out
}
fn classic(d: &[u8], m: u32, out: &mut Vec<Frame>) -> Option<()> {
    let (be, ns, extra) = match m { 0xa1b2c3d4 => (false,false,0), 0xd4c3b2a1 => (true,false,0), 0xa1b23c4d => (false,true,0), 0x4d3cb2a1 => (true,true,0), 0xa1b2cd34 => (false,false,8), 0x34cdb2a1 => (true,false,8), _ => return None };
    let link = u32at(d, 20, be)? & 0xffff; let mut o = 24;
    while let (Some(s), Some(f), Some(c)) = (u32at(d,o,be), u32at(d,o+4,be), u32at(d,o+8,be)) {
        let p = o+16+extra; let data = d.get(p..p+c as usize)?.to_vec();
        out.push(Frame{ time: Timestamp(u64::from(s)*1_000_000_000 + u64::from(f)*if ns {1} else {1000}), link, data });
        o = p + c as usize;
    }
    Some(())
}
fn ng(d: &[u8], out: &mut Vec<Frame>) -> Option<()> {
    let mut o = 0; let mut be = false; let mut ifs: Vec<(u32,u64,u8,u64)> = vec![];
    loop {
        let mut t = u32at(d,o,be)?;
        if t == 0x0A0D0D0A { be = u32at(d,o+8,true)? == 0x1A2B3C4D; ifs.clear(); t = 0x0A0D0D0A; }
        let len = u32at(d,o+4,be)? as usize; if len < 12 { return None }
        let b = d.get(o+8..o+len-4)?;
        match t {
            1 => { let link = u16at(b,0,be)?; let mut div = 1_000_000u64; let mut p = 8; let mut off=0u64;
                while let (Some(c), Some(l)) = (u16at(b,p,be), u16at(b,p+2,be)) { if c == 0 {break}
                    if c == 9 { let r = b[p+4]; div = if r & 0x80 != 0 { 1u64 << (r & 0x7f) } else { 10u64.pow(u32::from(r)) }; }
                    if c == 14 { let h=b.get(p+4..p+12)?; off = if be {u64::from_be_bytes(h.try_into().ok()?)} else {u64::from_le_bytes(h.try_into().ok()?)}; }
                    p += 4 + (l as usize + 3) / 4 * 4; }
                ifs.push((link, div, 0, off)); }
            6 | 2 => { let i = if t == 6 { u32at(b,0,be)? } else { u16at(b,0,be)? } as usize; let ts = (u64::from(u32at(b,4,be)?) << 32) | u64::from(u32at(b,8,be)?);
                let c = u32at(b,12,be)? as usize; let (link, div, _, off) = *ifs.get(i)?;
                let ns = (u128::from(ts) * 1_000_000_000 / u128::from(div)) as u64 + off.wrapping_mul(1_000_000_000);
                out.push(Frame{ time: Timestamp(ns), link, data: b.get(20..20+c)?.to_vec() }); }
            3 => { let c = (u32at(b,0,be)? as usize).min(b.len()-4); out.push(Frame{time: Timestamp(0), link: ifs.first()?.0, data: b[4..4+c].to_vec()}); }
            _ => {}
        }
        o += len;
    }
}

pub fn dissect(f: &Frame) -> Option<(Network, TcpSegment)> {
    let d = &f.data[..];
    match f.link {
        1 => eth(d, 12),
        0 | 108 => ip(d.get(4..)?, 0),
        12 | 14 | 101 | 228 | 229 => ip(d, 0),
        113 => eth(d, 14),
        276 => { let e = u16at(d,0,true)?; l3(d.get(20..)?, e, 0) }
        9 => ip(d.get(4..)?, 0),
        _ => None,
    }
}
fn eth(d: &[u8], o: usize) -> Option<(Network, TcpSegment)> { l3(d.get(o+2..)?, u16at(d,o,true)?, 0) }
fn l3(d: &[u8], e: u32, depth: u32) -> Option<(Network, TcpSegment)> {
    match e {
        0x8100 | 0x88a8 | 0x9100 => l3(d.get(4..)?, u16at(d,2,true)?, depth),
        0x800 | 0x86dd => ip(d, depth),
        0x8864 => ip(d.get(8..)?, depth),
        0x8847 => { let mut o = 0; while d.get(o+2)? & 1 == 0 { o += 4 } ip(d.get(o+4..)?, depth) }
        _ => None,
    }
}
fn ip(d: &[u8], depth: u32) -> Option<(Network, TcpSegment)> {
    if depth > 4 { return None }
    let v = d.first()? >> 4;
    let mut source = [0u8;16]; let mut destination = [0u8;16];
    let (proto, payload, total, version);
    if v == 4 {
        let h = usize::from(d[0] & 15) * 4; let tot = u16at(d,2,true)? as usize;
        let tot = if tot == 0 { d.len() } else { tot };
        if u16at(d,6,true)? & 0x1fff != 0 { return None }
        proto = *d.get(9)?; source[..4].copy_from_slice(d.get(12..16)?); destination[..4].copy_from_slice(d.get(16..20)?);
        payload = d.get(h..d.len().min(tot))?; total = tot.checked_sub(h)?; version = IpVersion::V4;
    } else if v == 6 {
        source.copy_from_slice(d.get(8..24)?); destination.copy_from_slice(d.get(24..40)?);
        let mut n = *d.get(6)?; let mut len = u16at(d,4,true)? as usize; let mut o = 40;
        loop { match n { 0 | 43 | 60 => { let l = (usize::from(*d.get(o+1)?)+1)*8; n = *d.get(o)?; o += l; len = len.checked_sub(l)?; }
            44 => { if u16at(d,o+2,true)? & 0xfff8 != 0 { return None } n = *d.get(o)?; o += 8; len = len.checked_sub(8)?; } _ => break } }
        proto = n; payload = d.get(o..d.len().min(o+len))?; total = len; version = IpVersion::V6;
    } else { return None }
    match proto {
        4 | 41 => return ip(payload, depth+1),
        47 => { let fl = u16at(payload,0,true)?; let e = u16at(payload,2,true)?; let mut o = 4; for b in [0x8000,0x2000,0x1000] { if fl & b != 0 { o += 4 } }
            if fl & 7 == 1 && fl & 0x80 != 0 { o += 4 }
            return match e { 0x6558 => eth(payload.get(o..)?, 12), 0x88be => eth(payload.get(o + if fl & 0x1000 != 0 {8} else {0}..)?, 12), e => l3(payload.get(o..)?, e, depth+1) } }
        17 => { let dp = u16at(payload,2,true)?; let d = payload.get(8..)?; return match dp { 4789 => eth(d.get(8..)?, 12), 6081 => { let o = 8 + usize::from(d.first()? & 0x3f)*4; let e = u16at(d,2,true)?; if e == 0x6558 { eth(d.get(o..)?,12) } else { l3(d.get(o..)?, e, depth+1) } },
            2152 => { if *d.get(1)? != 0xff { return None } let o = if d[0] & 7 != 0 {12} else {8}; ip(d.get(o..)?, depth+1) }, _ => None } }
        6 => {}
        _ => return None,
    }
    let hl = usize::from(payload.get(12)? >> 4) * 4;
    if hl < 20 || total < hl { return None }
    let mut options = TcpOptions::default();
    let mut o = &payload[20..hl.min(payload.len())];
    while let Some((&k, rest)) = o.split_first() {
        match k { 0 => break, 1 => { o = rest; continue } _ => {} }
        let Some(&l) = o.get(1) else { break }; let l = usize::from(l); if l < 2 || l > o.len() { break }
        match (k, l) { (2,4) => options.mss = Some(u16at(o,2,true)? as u16), (3,3) => options.window_scale = Some(o[2]), (4,2) => options.sack_permitted = true,
            (8,10) => options.timestamps = Some((u32at(o,2,true)?, u32at(o,6,true)?)),
            (5,_) => { for i in 0..((l-2)/8).min(4) { options.sack[i] = (u32at(o,2+8*i,true)?, u32at(o,6+8*i,true)?); options.sack_count += 1; } }
            _ => {} }
        o = &o[l..];
    }
    let s = TcpSegment { ports: Ports { source: u16at(payload,0,true)? as u16, destination: u16at(payload,2,true)? as u16 }, sequence: u32at(payload,4,true)?, acknowledgment: u32at(payload,8,true)?,
        flags: TcpFlags((u16at(payload,12,true)? & 0x1ff) as u16), window: u16at(payload,14,true)? as u16, payload_len: (total - hl) as u32, options };
    Some((Network { version, protocol: 6, ttl: 0, source, destination, fragment: None }, s))
}
