//! The positions of events in a timeline: an ascending scan of keys gives the newest first.

use std::fmt;

use chrono::{DateTime, Utc};
use kqueen_domain::timeline::TimelineEvent;
use uuid::Uuid;

/// Digits of the time, of the index among events written together, and of the number that distinguishes writers.
const DIGITS: [usize; 3] = [16, 4, 8];

/// A position in a timeline: `<inverted time>-<inverted index among events written together><random number>`. Two writers in the same
/// microsecond get different positions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(Box<str>);

impl Position {
    fn new(at: DateTime<Utc>, index: usize, number: u32) -> Self {
        // Counted backwards from the end of time. Times before 1970 are possible too; they come last.
        let time = u64::MAX - (i64::MIN.abs_diff(at.timestamp_micros()));
        let index = u16::MAX - u16::try_from(index).unwrap_or(u16::MAX);
        Self(format!("{time:016x}-{index:04x}{number:08x}").into_boxed_str())
    }

    /// Parses the output of [`Display`](fmt::Display). It comes from clients, so it may be anything.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [time, index, number] = DIGITS;
        let (first, second) = text.split_once('-')?;
        let is_hex = |part: &str| part.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let fits = first.len() == time && second.len() == index + number && is_hex(first) && is_hex(second);
        fits.then(|| Self(text.into()))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The positions of events that are written together. They keep their order, even if the clock was set back between them.
pub(crate) fn positions(events: &[TimelineEvent]) -> Vec<Position> {
    let number = Uuid::new_v4().as_fields().0;
    let mut newest = DateTime::<Utc>::MIN_UTC;
    let positioned = events.iter().enumerate().map(|(index, event)| {
        newest = newest.max(event.at);
        Position::new(newest, index, number)
    });
    positioned.collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use kqueen_domain::{id::ClusterId, timeline::EventKind};

    use super::*;

    fn event(micros: i64) -> TimelineEvent {
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
        let long_ago = TimelineEvent { at: DateTime::from_timestamp(-5, 0).unwrap(), ..event(0) };
        let of = |event: TimelineEvent| positions(&[event]).remove(0);
        let ordered = [of(event(1_000_000)), of(event(1)), of(event(0)), of(long_ago)];
        assert!(ordered.is_sorted(), "{ordered:?}");
    }

    #[test]
    fn events_written_together_keep_their_order() {
        for times in [[7, 7, 7], [7, 8, 9], [9, 8, 7], [7, 9, 8]] {
            let mut ordered = positions(&times.map(event));
            ordered.reverse();
            assert!(ordered.is_sorted(), "{ordered:?}");
        }
    }

    #[test]
    fn two_writers_in_one_microsecond_do_not_collide() {
        assert_ne!(positions(&[event(0)]), positions(&[event(0)]));
    }

    #[test]
    fn only_displayed_positions_are_parsed() {
        let position = positions(&[event(0)]).remove(0);
        assert_eq!(Position::parse(&position.to_string()), Some(position.clone()));
        let text = position.to_string();
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
            assert_eq!(Position::parse(&other), None, "{other}");
        }
    }
}
