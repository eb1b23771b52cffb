//! How many calls a provider takes in which time: a token bucket, as the providers publish them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// A published limit.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// What shares it: a project and a kind of call.
    pub key: String,
    /// How many calls may come at once.
    pub burst: f64,
    /// How many more may come every second.
    pub per_second: f64,
}

impl RateLimit {
    #[must_use]
    pub fn new(key: impl Into<String>, burst: f64, per_second: f64) -> Self {
        Self { key: key.into(), burst, per_second }
    }

    /// So many calls in a minute.
    #[must_use]
    pub fn per_minute(key: impl Into<String>, calls: u32) -> Self {
        Self::new(key, f64::from(calls), f64::from(calls) / 60.0)
    }
}

/// What is left of each limit.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<String, (f64, DateTime<Utc>)>);

impl Buckets {
    /// Takes one call from each limit, or from none; then the seconds to wait.
    pub(super) fn take(&mut self, limits: &[RateLimit], now: DateTime<Utc>) -> Result<(), u32> {
        let mut wait: f64 = 0.0;
        for limit in limits {
            let (tokens, since) = self.0.entry(limit.key.clone()).or_insert((limit.burst, now));
            #[expect(clippy::cast_precision_loss, reason = "milliseconds between two calls")]
            let passed = (now - *since).num_milliseconds().max(0) as f64 / 1_000.0;
            *tokens = (*tokens + passed * limit.per_second).min(limit.burst);
            *since = now;
            // Sums of many small parts fall short of whole numbers.
            if *tokens < 0.999_999 {
                wait = wait.max((1.0 - *tokens) / limit.per_second.max(f64::MIN_POSITIVE));
            }
        }
        if wait > 0.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive number of seconds"
            )]
            return Err(wait.ceil().min(86_400.0) as u32);
        }
        for limit in limits {
            if let Some((tokens, _)) = self.0.get_mut(&limit.key) {
                *tokens -= 1.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_bucket_is_emptied_by_calls_and_filled_by_time() {
        let mut buckets = Buckets::default();
        let limits = [RateLimit::new("put", 20.0, 1.0 / 60.0)];
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for _ in 0..20 {
            assert_eq!(buckets.take(&limits, start), Ok(()));
        }
        assert_eq!(buckets.take(&limits, start), Err(60));
        assert_eq!(buckets.take(&limits, start + TimeDelta::seconds(45)), Err(15));
        assert_eq!(buckets.take(&limits, start + TimeDelta::seconds(60)), Ok(()));
        assert_eq!(buckets.take(&limits, start + TimeDelta::seconds(60)), Err(60));
        let later = start + TimeDelta::hours(5);
        assert_eq!((0..30).filter(|_| buckets.take(&limits, later).is_ok()).count(), 20);
    }

    #[test]
    fn a_call_that_one_limit_refuses_costs_nothing_of_the_others() {
        let mut buckets = Buckets::default();
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let both = [RateLimit::per_minute("all", 3), RateLimit::per_minute("lists", 1)];
        assert_eq!(buckets.take(&both, start), Ok(()));
        assert_eq!(buckets.take(&both, start), Err(60));
        assert_eq!(buckets.take(&both[..1], start), Ok(()));
        assert_eq!(buckets.take(&both[..1], start), Ok(()));
        assert_eq!(buckets.take(&both[..1], start), Err(20));
    }
}
