//! The result of a measurement.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A histogram of latencies up to a minute in microseconds, with three significant digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}

/// The responses within a span of time.
#[derive(Debug, Clone)]
pub struct Sample {
    pub answers: u64,
    pub span: Duration,
    /// In microseconds, from before a request is sent until its response is read.
    pub latencies: Histogram<u64>,
    /// The CPU time of the measured process in that span.
    pub cpu: Duration,
}

impl Sample {
    /// Responses per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.span.as_secs_f64()
    }
}

/// The summary of several samples of one case.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figures {
    /// Responses per second: the median of the samples.
    pub rate: f64,
    /// The median latency of all responses.
    pub p50_ms: f64,
    /// The 99th percentile of the latencies.
    pub p99_ms: f64,
    /// CPU time of the measured process per response.
    pub cpu_us: f64,
}

impl Figures {
    /// Summarizes samples, of which there must be at least one.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Self {
        let mut latencies = histogram();
        samples.iter().for_each(|sample| latencies.add(&sample.latencies).unwrap());
        let ms = |share: f64| latencies.value_at_quantile(share) as f64 / 1000.0;
        let answers: u64 = samples.iter().map(|sample| sample.answers).sum();
        let cpu: Duration = samples.iter().map(|sample| sample.cpu).sum();
        Self {
            rate: median(samples.iter().map(Sample::rate)),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            cpu_us: cpu.as_secs_f64() * 1e6 / answers.max(1) as f64,
        }
    }
}

/// The middle value, or the mean of the two middle values.
#[must_use]
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), 3.0);
    }

    #[test]
    fn figures_are_of_all_samples_together() {
        let sample = |answers: u64, ms: u64| {
            let mut latencies = histogram();
            (0..answers).for_each(|_| latencies.record(ms * 1000).unwrap());
            Sample { answers, span: Duration::from_secs(1), latencies, cpu: Duration::from_millis(answers) }
        };
        let figures = Figures::of(&[sample(100, 1), sample(300, 2), sample(200, 4)]);
        assert_eq!(figures.rate, 200.0);
        assert!((figures.cpu_us - 1000.0).abs() < 1e-6);
        assert!((figures.p50_ms - 2.0).abs() < 0.01 && (figures.p99_ms - 4.0).abs() < 0.01);
    }
}
