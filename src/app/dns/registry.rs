//! Names of DNS record types, classes, operations and results, by IANA's registry.
//!
//! Owns the tables. Types of NetBIOS have numbers of their own.

/// Name of a record type.
pub const fn dns_type_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        62 => "CSYNC",
        63 => "ZONEMD",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        108 => "EUI48",
        109 => "EUI64",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        253 => "MAILB",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        32_768 => "TA",
        32_769 => "DLV",
        _ => return None,
    })
}

/// Name of a record type in the NetBIOS name service (RFC 1002 section 4.2.1.3).
pub const fn netbios_type_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x20 => "NB",
        0x21 => "NBSTAT",
        _ => return None,
    })
}

/// Name of a class; the highest bit, which mDNS uses for itself, has to be off.
pub const fn dns_class_name(class: u16) -> Option<&'static str> {
    Some(match class {
        1 => "IN",
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "ANY",
        _ => return None,
    })
}

/// Name of an operation.
pub const fn dns_opcode_name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        0 => "QUERY",
        1 => "IQUERY",
        2 => "STATUS",
        4 => "NOTIFY",
        5 => "UPDATE",
        6 => "DSO",
        _ => return None,
    })
}

/// Name of a result.
pub const fn dns_rcode_name(rcode: u16) -> Option<&'static str> {
    Some(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!((dns_type_name(65), dns_type_name(33), netbios_type_name(33)), (Some("HTTPS"), Some("SRV"), Some("NBSTAT")));
        assert_eq!((dns_class_name(1), dns_opcode_name(5), dns_rcode_name(3)), (Some("IN"), Some("UPDATE"), Some("NXDOMAIN")));
        assert_eq!((dns_type_name(1000), netbios_type_name(1), dns_rcode_name(15)), (None, None, None));
        assert_eq!((dns_class_name(9), dns_opcode_name(3)), (None, None));
    }
}
