//! Performance targets, and whether they were met.

use serde::Serialize;

use super::report::Table;

/// A target.
#[derive(Debug, Clone, Serialize)]
pub struct Aim {
    pub what: String,
    pub figure: String,
    pub limit: String,
    pub reached: bool,
}

impl Aim {
    /// A share that should be large.
    #[must_use]
    pub fn at_least(what: String, share: f64, minimum: f64) -> Self {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        Self {
            what,
            figure: percent(share),
            limit: format!("at least {}", percent(minimum)),
            reached: share >= minimum,
        }
    }

    /// A figure that should be small.
    #[must_use]
    pub fn below(what: String, figure: f64, maximum: f64, unit: &str) -> Self {
        Self {
            what,
            figure: format!("{figure:.2}{unit}"),
            limit: format!("below {maximum}{unit}"),
            reached: figure < maximum,
        }
    }
}

/// A table of the targets and their results.
#[must_use]
pub fn table(aims: &[Aim]) -> Table {
    let mut table = Table::new(&["aim", "figure", "aimed at", ""]);
    for aim in aims {
        let verdict = if aim.reached { "reached" } else { "missed" };
        table.row(vec![aim.what.clone(), aim.figure.clone(), aim.limit.clone(), verdict.to_owned()]);
    }
    table
}
