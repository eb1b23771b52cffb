//! How often somebody may try to log in: per address, and per user name from addresses that have not logged in as that user before.
//!
//! The second exception is what keeps an attacker from locking a user out: guessing at a name slows down strangers, not the address the
//! user works from.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

/// Characters of a name that are counted by: as many as the longest user name has. Whoever tries to log in may send anything.
const COUNTED: usize = 128;

/// Keys remembered of each kind; when there are more, those that are back at their full allowance are forgotten, then all.
const REMEMBERED: usize = 20_000;

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This address.
    Address(IpAddr),
    /// Somewhere behind the trusted proxy at this address, which does not tell where. All of these count as one, apart from the proxy
    /// itself, and none becomes familiar: it could be anybody.
    Behind(IpAddr),
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

/// Attempts left at a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: DateTime<Utc>,
}

/// Allowances that refill with time.
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

    /// Takes one attempt, or tells how long until there is one.
    fn take(&mut self, key: K, now: DateTime<Utc>) -> Result<(), Duration> {
        if self.buckets.len() >= REMEMBERED && !self.buckets.contains_key(&key) {
            let full: Vec<bool> = self.buckets.values().map(|b| self.refilled(*b, now) >= self.per_minute).collect();
            let mut full = full.into_iter();
            self.buckets.retain(|_, _| !full.next().unwrap_or(true));
            if self.buckets.len() >= REMEMBERED {
                self.buckets.clear();
            }
        }
        let fresh = Bucket { left: self.per_minute, at: now };
        let left = self.refilled(self.buckets.get(&key).copied().unwrap_or(fresh), now);
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

/// Slows down guessing. One per process; replicas count for themselves.
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

    /// Counts an attempt before the password is looked at.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub fn attempt(&self, username: &str, origin: Origin, now: DateTime<Utc>) -> Result<(), Duration> {
        let (username, origin) = (counted(username), remembered(origin));
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

    /// The attempt was good: it does not count, and the address is familiar from now on.
    pub fn succeeded(&self, username: &str, origin: Origin) {
        let (username, origin) = (counted(username), remembered(origin));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.origins.give_back(&origin);
        state.usernames.give_back(&username);
        let Origin::Address(address) = origin else { return };
        if state.familiar.len() >= REMEMBERED {
            state.familiar.clear();
        }
        state.familiar.insert((username, address));
    }
}

/// What is remembered of a name.
fn counted(username: &str) -> String {
    username.chars().take(COUNTED).collect()
}

/// What is remembered of an origin.
fn remembered(origin: Origin) -> Origin {
    match origin {
        Origin::Address(address) => Origin::Address(network(address)),
        Origin::Behind(proxy) => Origin::Behind(proxy.to_canonical()),
    }
}

/// What is remembered of an address: of an IPv6 address the network, since everybody has 2^64 addresses in it to choose from.
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
    fn a_name_is_guessed_at_only_so_often_from_anywhere() {
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
    fn an_address_tries_many_names_only_so_often() {
        let throttle = LoginThrottle::new(2);
        let tried = (0..20).filter(|n| throttle.attempt(&format!("user{n}"), HOME, noon()).is_ok()).count();
        assert_eq!(tried, 6);
    }

    #[test]
    fn an_attack_does_not_keep_the_user_out_of_the_usual_place() {
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
    fn whoever_a_proxy_does_not_name_counts_as_one_and_not_as_the_proxy() {
        let throttle = LoginThrottle::new(2);
        let (proxy, unnamed) = (Origin::from(IpAddr::from([10, 0, 0, 1])), Origin::Behind([10, 0, 0, 1].into()));
        let tried = (0..20).filter(|n| throttle.attempt(&format!("user{n}"), unnamed, noon()).is_ok()).count();
        assert_eq!(tried, 6);
        assert!(throttle.attempt("operator", proxy, noon()).is_ok());
        assert!(throttle.attempt("other", Origin::Behind([10, 0, 0, 2].into()), noon()).is_ok());
    }

    #[test]
    fn whoever_a_proxy_does_not_name_is_never_familiar() {
        let (throttle, unnamed) = (LoginThrottle::new(3), Origin::Behind([10, 0, 0, 1].into()));
        throttle.attempt("ann", unnamed, noon()).unwrap();
        throttle.succeeded("ann", unnamed);
        let tried = (0..8).filter(|_| throttle.attempt("ann", unnamed, noon()).is_ok()).count();
        assert_eq!(tried, 3, "as from a stranger");
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
        assert!(state.usernames.buckets.len() <= REMEMBERED && state.origins.buckets.len() <= REMEMBERED);
    }

    #[test]
    fn a_name_longer_than_any_user_s_takes_no_more_memory() {
        let throttle = LoginThrottle::new(5);
        throttle.attempt(&"ä".repeat(1_000_000), HOME, noon()).unwrap();
        throttle.succeeded(&"ä".repeat(1_000_000), HOME);
        let state = throttle.0.lock().unwrap();
        assert!(state.usernames.buckets.keys().all(|name| name.len() <= 256));
        assert!(state.familiar.iter().all(|(name, _)| name.len() <= 256));
    }

    #[test]
    fn another_address_in_the_same_network_is_no_new_start() {
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
