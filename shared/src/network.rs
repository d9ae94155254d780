//! What an address is: of the public internet, of the inside of a network, or of nobody's business.
//!
//! Sources: the IANA registries of special-purpose addresses (RFC 6890 and what came after it), RFC 4291 for IPv6, and what
//! clouds answer with keys to everything (instance metadata).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The public internet.
    Global,
    /// This machine.
    Loopback,
    /// A private network, or a range that is kept for special purposes.
    Inside,
    /// Metadata services, neighbours on the link, groups: nothing a mail server or a login host ever is.
    Never,
}

/// Addresses with the same first bits (RFC 4632, RFC 4291 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// From `10.20.0.0/16` or one address; the reason if it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let first: IpAddr = address
            .parse()
            .map_err(|_| format!("`{}` is no address", address.escape_debug()))?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= all)
                .ok_or_else(|| format!("`{}` is no number of bits from 0 to {all}", bits.escape_debug()))?,
        };
        Ok(Self { first, bits })
    }

    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self {
            first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            bits,
        }
    }

    const fn v6(first: [u16; 8], bits: u8) -> Self {
        Self {
            first: IpAddr::V6(Ipv6Addr::from_segments(first)),
            bits,
        }
    }

    /// Whether the address is one of these.
    pub fn holds(&self, address: IpAddr) -> bool {
        let (first, here, all) = match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(here)) => (u128::from(first.to_bits()), u128::from(here.to_bits()), 32),
            (IpAddr::V6(first), IpAddr::V6(here)) => (first.to_bits(), here.to_bits(), 128),
            _ => return false,
        };
        (first ^ here).checked_shr(all - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// What is refused whoever asks for it.
const NEVER: [Network; 11] = [
    Network::v4(0, 0, 0, 0, 8),
    // Link-local: instance metadata of all clouds, the credentials of containers, X-Ray.
    Network::v4(169, 254, 0, 0, 16),
    // Azure's host services, Alibaba's and Oracle's metadata.
    Network::v4(168, 63, 129, 16, 32),
    Network::v4(100, 100, 100, 200, 32),
    Network::v4(192, 0, 0, 192, 32),
    // Groups, and what was never given out, with broadcast.
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(240, 0, 0, 0, 4),
    Network::v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // Instance metadata of EC2 over IPv6 (`fd00:ec2::254` and its neighbours).
    Network::v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32),
];

const LOOPBACK: [Network; 2] = [Network::v4(127, 0, 0, 0, 8), Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];

const INSIDE_V4: [Network; 11] = [
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(100, 64, 0, 0, 10),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 0, 0, 0, 24),
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(192, 31, 196, 0, 24),
    Network::v4(192, 88, 99, 0, 24),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(198, 18, 0, 0, 15),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
];

/// Of IPv6 only `2000::/3` is given out for the internet; these parts of it carry or are something else.
const GIVEN_OUT: Network = Network::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const NOT_GIVEN_OUT: [Network; 4] = [
    // Protocol assignments, with Teredo, which carries an IPv4 address.
    Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    Network::v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32),
    // 6to4, which carries an IPv4 address.
    Network::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    Network::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// NAT64 (RFC 6052, RFC 8215): the IPv4 address is in the last 32 bits.
const NAT64: [Network; 2] = [
    Network::v6([0x0064, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    Network::v6([0x0064, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
];

fn in_any(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.holds(address))
}

/// Where an address leads. An IPv6 address that only wraps an IPv4 one leads at least as far inside as that.
pub fn side(address: IpAddr) -> Side {
    if let IpAddr::V6(v6) = address
        && let Some(within) = wrapped(v6)
    {
        // Also of a global one: nothing that is asked for by name needs this form.
        return match side(IpAddr::V4(within)) {
            Side::Global => Side::Inside,
            other => other,
        };
    }
    if in_any(&NEVER, address) {
        return Side::Never;
    }
    if in_any(&LOOPBACK, address) {
        return Side::Loopback;
    }
    let global = match address {
        IpAddr::V4(_) => !in_any(&INSIDE_V4, address),
        IpAddr::V6(_) => GIVEN_OUT.holds(address) && !in_any(&NOT_GIVEN_OUT, address),
    };
    if global { Side::Global } else { Side::Inside }
}

/// The IPv4 address within: mapped, compatible, translated, NAT64, 6to4.
fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let all = address.segments();
    let joined = |at: usize| Ipv4Addr::from_bits(u32::from(all[at]) << 16 | u32::from(all[at + 1]));
    match all[..6] {
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] => Some(joined(6)),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0] if all[6] != 0 => Some(joined(6)),
        [0x2002, ..] => Some(joined(1)),
        _ if in_any(&NAT64, IpAddr::V6(address)) => Some(joined(6)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_told_apart_at_both_ends() {
        use Side::{Global, Inside, Loopback, Never};
        for (address, leads) in [
            ("1.1.1.1", Global),
            ("9.255.255.255", Global),
            ("10.0.0.0", Inside),
            ("10.255.255.255", Inside),
            ("11.0.0.0", Global),
            ("0.0.0.0", Never),
            ("0.255.255.255", Never),
            ("1.0.0.0", Global),
            ("100.63.255.255", Global),
            ("100.64.0.0", Inside),
            ("100.127.255.255", Inside),
            ("100.100.100.200", Never),
            ("100.128.0.0", Global),
            ("126.255.255.255", Global),
            ("127.0.0.0", Loopback),
            ("127.255.255.255", Loopback),
            ("128.0.0.0", Global),
            ("168.63.129.16", Never),
            ("168.63.129.17", Global),
            ("169.253.255.255", Global),
            ("169.254.0.0", Never),
            ("169.254.169.254", Never),
            ("169.254.255.255", Never),
            ("169.255.0.0", Global),
            ("172.15.255.255", Global),
            ("172.16.0.0", Inside),
            ("172.31.255.255", Inside),
            ("172.32.0.0", Global),
            ("192.0.0.192", Never),
            ("192.0.0.8", Inside),
            ("192.0.1.0", Global),
            ("192.0.2.255", Inside),
            ("192.167.255.255", Global),
            ("192.168.0.0", Inside),
            ("192.168.255.255", Inside),
            ("192.169.0.0", Global),
            ("198.17.255.255", Global),
            ("198.18.0.0", Inside),
            ("198.19.255.255", Inside),
            ("198.20.0.0", Global),
            ("198.51.100.7", Inside),
            ("203.0.113.7", Inside),
            ("223.255.255.255", Global),
            ("224.0.0.0", Never),
            ("239.255.255.255", Never),
            ("240.0.0.0", Never),
            ("255.255.255.255", Never),
            ("::", Never),
            ("::1", Loopback),
            ("::2", Inside),
            ("::127.0.0.1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", Never),
            ("::ffff:8.8.8.8", Inside),
            ("::ffff:0:127.0.0.1", Loopback),
            ("64:ff9b::8.8.8.8", Inside),
            ("64:ff9b::169.254.169.254", Never),
            ("64:ff9b:1::10.0.0.1", Inside),
            ("100::1", Inside),
            ("1fff:ffff::1", Inside),
            ("2000::1", Global),
            ("2001::1", Inside),
            ("2001:200::1", Global),
            ("2001:db8::1", Inside),
            ("2002:7f00:1::1", Loopback),
            ("2002:a9fe:a9fe::1", Never),
            ("2606:4700::1111", Global),
            ("3fff::1", Inside),
            ("3fff:1000::1", Global),
            ("4000::1", Inside),
            ("fc00::1", Inside),
            ("fd00:ec2::254", Never),
            ("fdff::1", Inside),
            ("fe80::1", Never),
            ("febf::1", Never),
            ("fec0::1", Inside),
            ("ff02::1", Never),
        ] {
            assert_eq!(side(address.parse().unwrap()), leads, "{address}");
        }
    }

    #[test]
    fn networks_are_read_and_compared() {
        let network = |text: &str| Network::parse(text).unwrap();
        assert!(network("10.20.0.0/16").holds("10.20.255.1".parse().unwrap()));
        assert!(!network("10.20.0.0/16").holds("10.21.0.0".parse().unwrap()));
        assert!(network("10.20.3.4").holds("10.20.3.4".parse().unwrap()));
        assert!(network("0.0.0.0/0").holds("9.9.9.9".parse().unwrap()));
        assert!(!network("0.0.0.0/0").holds("::1".parse().unwrap()));
        assert!(network("fd12::/16").holds("fd12:3::4".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
