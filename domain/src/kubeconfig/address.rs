//! Which addresses a kubeconfig may point to.
//!
//! A kubeconfig comes from a user and makes this service connect to an address. It must not point to the machine itself or to a
//! cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;

/// Networks that kubeconfigs may not point to (`KQUEEN_CLUSTER_ADDRESS_DENY`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AddressRules(Vec<IpNet>);

impl Default for AddressRules {
    /// Loopback, link-local, unspecified and the addresses of the clouds' metadata services.
    fn default() -> Self {
        const DENIED: [&str; 11] = [
            "127.0.0.0/8",
            "::1/128",
            "0.0.0.0/8",
            "::/128",
            "169.254.0.0/16",
            "fe80::/10",
            // Metadata services outside of link-local: Amazon and Google on IPv6, Azure's host, Alibaba, Oracle.
            "fd00:ec2::/32",
            "fd20:ce::254/128",
            "168.63.129.16/32",
            "100.100.100.200/32",
            "192.0.0.192/32",
        ];
        Self(DENIED.iter().filter_map(|network| network.parse().ok()).collect())
    }
}

impl AddressRules {
    /// Rules that deny only these networks.
    #[must_use]
    pub const fn denying(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The denied networks.
    #[must_use]
    pub fn denied(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether a connection to `address` is allowed. An IPv4 address embedded in an IPv6 address is checked as IPv4, and the unspecified
    /// address as loopback, since connections to it go there.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let denied = |address: IpAddr| self.0.iter().any(|network| network.contains(&address));
        if denied(address) {
            return false;
        }
        if address.is_unspecified() {
            return !denied(Ipv4Addr::LOCALHOST.into()) && !denied(Ipv6Addr::LOCALHOST.into());
        }
        match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => embedded(address).is_none_or(|inner| self.allows(inner.into())),
        }
    }

    /// Whether connections to the host `localhost` are allowed.
    #[must_use]
    pub fn allows_loopback(&self) -> bool {
        self.allows(Ipv4Addr::LOCALHOST.into()) && self.allows(Ipv6Addr::LOCALHOST.into())
    }
}

/// The IPv4 address inside an IPv6 address: mapped, compatible, translated (NAT64) or tunnelled (6to4).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let tail = || Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(tail()),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(tail()),
        [0x2002, ..] => Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &AddressRules, address: &str) -> bool {
        rules.allows(address.parse().unwrap())
    }

    #[test]
    fn all_default_networks_are_valid() {
        assert_eq!(AddressRules::default().denied().len(), 11);
    }

    #[test]
    fn loopback_and_metadata_addresses_are_denied_in_every_form() {
        let rules = AddressRules::default();
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::1",
        ] {
            assert!(!allowed(&rules, address), "{address}");
        }
    }

    #[test]
    fn other_addresses_are_allowed() {
        let rules = AddressRules::default();
        for address in
            ["10.0.0.1", "192.168.1.1", "203.0.113.7", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1", "128.0.0.1"]
        {
            assert!(allowed(&rules, address), "{address}");
        }
        assert!(!rules.allows_loopback());
    }

    #[test]
    fn own_rules_replace_the_default() {
        let rules = AddressRules::denying(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(allowed(&rules, "127.0.0.1") && allowed(&rules, "0.0.0.0") && rules.allows_loopback());
        assert!(!allowed(&rules, "10.1.2.3"));
        assert!(!allowed(&rules, "::ffff:10.1.2.3"));
    }

    #[test]
    fn unspecified_is_loopback() {
        let rules = AddressRules::denying(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(!allowed(&rules, "0.0.0.0") && !allowed(&rules, "::"));
    }
}
