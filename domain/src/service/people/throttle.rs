//! Limits log-in attempts: per address, and per user name from addresses that have not logged in as that user before.
//!
//! The exception for known addresses prevents an attacker from locking a user out: guessing a user's password limits other addresses, not
//! the one the user works from.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

/// How many characters of a user name are kept: the length of the longest valid one. Clients may send anything.
const NAME_LENGTH: usize = 128;

/// How many keys of each kind are kept. When there are more, full buckets are dropped; if that is not enough, all.
const MAX_KEYS: usize = 20_000;

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This address.
    Address(IpAddr),
    /// An unknown client behind the trusted proxy at this address. These clients share one limit, separate from the proxy's own, and never
    /// become familiar, since they cannot be told apart.
    Behind(IpAddr),
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

/// Attempts left at a point in time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: DateTime<Utc>,
}

/// Token buckets, by key.
#[derive(Debug)]
struct Buckets<K> {
    per_minute: f64,
    buckets: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(per_minute: u32) -> Self {
        Self { per_minute: f64::from(per_minute), buckets: HashMap::new() }
    }

    fn refilled(&self, bucket: Bucket, now: DateTime<Utc>) -> f64 {
        let minutes = (now - bucket.at).max(TimeDelta::zero()).as_seconds_f64() / 60.0;
        (bucket.left + minutes * self.per_minute).min(self.per_minute)
    }

    /// Takes one attempt, or returns how long until the next is allowed.
    fn take(&mut self, key: K, now: DateTime<Utc>) -> Result<(), Duration> {
        if self.buckets.len() >= MAX_KEYS && !self.buckets.contains_key(&key) {
            let full: Vec<bool> = self.buckets.values().map(|b| self.refilled(*b, now) >= self.per_minute).collect();
            let mut full = full.into_iter();
            self.buckets.retain(|_, _| !full.next().unwrap_or(true));
            if self.buckets.len() >= MAX_KEYS {
                self.buckets.clear();
            }
        }
        let full_bucket = Bucket { left: self.per_minute, at: now };
        let left = self.refilled(self.buckets.get(&key).copied().unwrap_or(full_bucket), now);
        let allowed = left >= 1.0;
        self.buckets.insert(key, Bucket { left: if allowed { left - 1.0 } else { left }, at: now });
        if allowed { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - left) * 60.0 / self.per_minute)) }
    }

    fn give_back(&mut self, key: &K) {
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.left = (bucket.left + 1.0).min(self.per_minute);
        }
    }
}

#[derive(Debug)]
struct State {
    origins: Buckets<Origin>,
    usernames: Buckets<String>,
    /// Addresses from which a user name has logged in.
    familiar: HashSet<(String, IpAddr)>,
}

/// Limits log-in attempts. One per process; each replica counts separately.
#[derive(Debug)]
pub struct LoginThrottle(Mutex<State>);

impl LoginThrottle {
    /// Allows `per_minute` attempts for each user name and three times as many for each address, since people share addresses.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let per_minute = per_minute.max(1);
        Self(Mutex::new(State {
            origins: Buckets::new(per_minute.saturating_mul(3)),
            usernames: Buckets::new(per_minute),
            familiar: HashSet::new(),
        }))
    }

    /// Counts an attempt, before the password is verified.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub fn attempt(&self, username: &str, origin: Origin, now: DateTime<Utc>) -> Result<(), Duration> {
        let (username, origin) = (name_key(username), origin_key(origin));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.origins.take(origin, now)?;
        if let Origin::Address(address) = origin {
            let key = (username, address);
            if state.familiar.contains(&key) {
                return Ok(());
            }
            return state.usernames.take(key.0, now);
        }
        state.usernames.take(username, now)
    }

    /// The log-in succeeded: the attempt does not count, and the address is familiar from now on.
    pub fn succeeded(&self, username: &str, origin: Origin) {
        let (username, origin) = (name_key(username), origin_key(origin));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.origins.give_back(&origin);
        state.usernames.give_back(&username);
        let Origin::Address(address) = origin else { return };
        if state.familiar.len() >= MAX_KEYS {
            state.familiar.clear();
        }
        state.familiar.insert((username, address));
    }
}

/// The part of a user name that is kept.
fn name_key(username: &str) -> String {
    username.chars().take(NAME_LENGTH).collect()
}

/// The part of an origin that is kept.
fn origin_key(origin: Origin) -> Origin {
    match origin {
        Origin::Address(address) => Origin::Address(network(address)),
        Origin::Behind(proxy) => Origin::Behind(proxy.to_canonical()),
    }
}

/// The part of an address that is kept. For IPv6 the /64 network, since a client can choose among 2^64 addresses in it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Origin = Origin::Address(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn address(last: u8) -> Origin {
        IpAddr::from([198, 51, 100, last]).into()
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn attempts_for_a_user_name_are_limited_across_addresses() {
        let throttle = LoginThrottle::new(5);
        for n in 0..5 {
            assert!(throttle.attempt("ann", address(n), noon()).is_ok());
        }
        let wait = throttle.attempt("ann", address(9), noon()).unwrap_err();
        assert!(wait <= Duration::from_secs(12), "{wait:?}");
        assert!(throttle.attempt("bob", address(9), noon()).is_ok());
        assert!(throttle.attempt("ann", address(9), noon() + TimeDelta::seconds(13)).is_ok());
    }

    #[test]
    fn attempts_from_an_address_are_limited_across_user_names() {
        let throttle = LoginThrottle::new(2);
        let tried = (0..20).filter(|n| throttle.attempt(&format!("user{n}"), HOME, noon()).is_ok()).count();
        assert_eq!(tried, 6);
    }

    #[test]
    fn an_attack_does_not_lock_the_user_out_at_a_familiar_address() {
        let throttle = LoginThrottle::new(3);
        throttle.attempt("ann", HOME, noon()).unwrap();
        throttle.succeeded("ann", HOME);
        for n in 0..200 {
            let _ = throttle.attempt("ann", address(n), noon());
        }
        assert!(throttle.attempt("ann", address(201), noon()).is_err());
        assert!(throttle.attempt("ann", HOME, noon()).is_ok());
    }

    #[test]
    fn unknown_clients_behind_a_proxy_share_a_limit_separate_from_the_proxy() {
        let throttle = LoginThrottle::new(2);
        let (proxy, unknown) = (Origin::from(IpAddr::from([10, 0, 0, 1])), Origin::Behind([10, 0, 0, 1].into()));
        let tried = (0..20).filter(|n| throttle.attempt(&format!("user{n}"), unknown, noon()).is_ok()).count();
        assert_eq!(tried, 6);
        assert!(throttle.attempt("operator", proxy, noon()).is_ok());
        assert!(throttle.attempt("other", Origin::Behind([10, 0, 0, 2].into()), noon()).is_ok());
    }

    #[test]
    fn unknown_clients_behind_a_proxy_never_become_familiar() {
        let (throttle, unknown) = (LoginThrottle::new(3), Origin::Behind([10, 0, 0, 1].into()));
        throttle.attempt("ann", unknown, noon()).unwrap();
        throttle.succeeded("ann", unknown);
        let tried = (0..8).filter(|_| throttle.attempt("ann", unknown, noon()).is_ok()).count();
        assert_eq!(tried, 3, "as from an unfamiliar address");
    }

    #[test]
    fn a_successful_log_in_does_not_count() {
        let throttle = LoginThrottle::new(1);
        for _ in 0..50 {
            throttle.attempt("ann", HOME, noon()).unwrap();
            throttle.succeeded("ann", HOME);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = LoginThrottle::new(1);
        for n in 0..50_000u32 {
            let _ = throttle.attempt(&n.to_string(), IpAddr::from(n.to_be_bytes()).into(), noon());
        }
        let state = throttle.0.lock().unwrap();
        assert!(state.usernames.buckets.len() <= MAX_KEYS && state.origins.buckets.len() <= MAX_KEYS);
    }

    #[test]
    fn a_user_name_that_is_too_long_takes_no_more_memory() {
        let throttle = LoginThrottle::new(5);
        throttle.attempt(&"ä".repeat(1_000_000), HOME, noon()).unwrap();
        throttle.succeeded(&"ä".repeat(1_000_000), HOME);
        let state = throttle.0.lock().unwrap();
        assert!(state.usernames.buckets.keys().all(|name| name.len() <= 256));
        assert!(state.familiar.iter().all(|(name, _)| name.len() <= 256));
    }

    #[test]
    fn addresses_in_the_same_ipv6_network_share_a_limit() {
        let throttle = LoginThrottle::new(2);
        let tried = |prefix: u128, n: u32| {
            let address = IpAddr::from((0x2001_0db8_u128 << 96 | prefix << 64 | u128::from(n)).to_be_bytes());
            throttle.attempt(&format!("user{prefix}-{n}"), address.into(), noon()).is_ok()
        };
        assert_eq!((0..20).filter(|n| tried(1, *n)).count(), 6);
        assert_eq!((0..20).filter(|n| tried(2, *n)).count(), 6);
        // The same machine over both protocols.
        let mapped = IpAddr::from(std::net::Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets()).into();
        let both = (0..20)
            .filter(|n| throttle.attempt(&format!("u{n}"), if n % 2 == 0 { HOME } else { mapped }, noon()).is_ok());
        assert_eq!(both.count(), 6);
    }
}
