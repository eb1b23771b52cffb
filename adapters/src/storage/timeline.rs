//! Where the entries of a timeline stand: an ascending scan of keys gives the newest first.

use std::fmt;

use chrono::{DateTime, Utc};
use kqueen_domain::timeline::TimelineEvent;
use uuid::Uuid;

/// Digits of the time, of the place among what was written together, and of the number that tells writers apart.
const DIGITS: [usize; 3] = [16, 4, 8];

/// A place in a timeline: `<inverted time>-<inverted place among what was written together><a random number>`. Two writers in the same
/// microsecond do not take each other's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(Box<str>);

impl Place {
    fn new(at: DateTime<Utc>, among: usize, number: u32) -> Self {
        // From the end of time backwards. Times before 1970 are possible too: they come last.
        let time = u64::MAX - (i64::MIN.abs_diff(at.timestamp_micros()));
        let among = u16::MAX - u16::try_from(among).unwrap_or(u16::MAX);
        Self(format!("{time:016x}-{among:04x}{number:08x}").into_boxed_str())
    }

    /// Takes back what [`Display`](fmt::Display) gave: people hand it back to us, so that it may be anything.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [time, among, number] = DIGITS;
        let (first, second) = text.split_once('-')?;
        let is_hex = |part: &str| part.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let fits = first.len() == time && second.len() == among + number && is_hex(first) && is_hex(second);
        fits.then(|| Self(text.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where entries that are written together stand. They keep their order, also if the clock was put back between them.
pub(crate) fn places(entries: &[TimelineEvent]) -> Vec<Place> {
    let number = Uuid::new_v4().as_fields().0;
    let mut newest = DateTime::<Utc>::MIN_UTC;
    let placed = entries.iter().enumerate().map(|(among, entry)| {
        newest = newest.max(entry.at);
        Place::new(newest, among, number)
    });
    placed.collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use kqueen_domain::{id::ClusterId, timeline::EventKind};

    use super::*;

    fn entry(micros: i64) -> TimelineEvent {
        TimelineEvent {
            cluster: ClusterId::random(),
            at: DateTime::from_timestamp_micros(1_790_000_000_000_000).unwrap() + TimeDelta::microseconds(micros),
            kind: EventKind::Step,
            message: String::new(),
            operation: None,
            by: None,
            reason: None,
        }
    }

    #[test]
    fn the_newest_comes_first() {
        let long_ago = TimelineEvent { at: DateTime::from_timestamp(-5, 0).unwrap(), ..entry(0) };
        let of = |entry: TimelineEvent| places(&[entry]).remove(0);
        let placed = [of(entry(1_000_000)), of(entry(1)), of(entry(0)), of(long_ago)];
        assert!(placed.is_sorted(), "{placed:?}");
    }

    #[test]
    fn what_is_written_together_keeps_its_order() {
        for times in [[7, 7, 7], [7, 8, 9], [9, 8, 7], [7, 9, 8]] {
            let mut placed = places(&times.map(entry));
            placed.reverse();
            assert!(placed.is_sorted(), "{placed:?}");
        }
    }

    #[test]
    fn two_writers_in_one_microsecond_do_not_collide() {
        assert_ne!(places(&[entry(0)]), places(&[entry(0)]));
    }

    #[test]
    fn only_what_was_given_is_taken_back() {
        let place = places(&[entry(0)]).remove(0);
        assert_eq!(Place::parse(&place.to_string()), Some(place.clone()));
        let text = place.to_string();
        let others = [
            String::new(),
            "-".to_owned(),
            text.to_uppercase(),
            text[1..].to_owned(),
            text[..text.len() - 1].to_owned(),
            format!("{text}0"),
            format!("{text}/"),
            text.replace('-', "_"),
            format!("../{}", &text[3..]),
            text.replacen(|digit: char| digit.is_ascii_digit(), "ü", 1),
        ];
        for other in others.into_iter().filter(|other| *other != text) {
            assert_eq!(Place::parse(&other), None, "{other}");
        }
    }
}
