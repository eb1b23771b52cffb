//! Results for people and for programs: tables on standard output, and a JSON file.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

/// Rows under headings. Columns are as wide as their longest cell; the first is left-aligned, the others right-aligned.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table with a line below its headings.
    #[must_use]
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
            if number == 0 {
                text += &"-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1));
                text.push('\n');
            }
        }
        text
    }
}

/// A number with three significant digits and a thousands separator.
#[must_use]
pub fn number(value: f64) -> String {
    if value >= 1000.0 {
        let whole = format!("{value:.0}");
        let (thousands, rest) = whole.split_at(whole.len() - 3);
        format!("{thousands},{rest}")
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Writes the results of a benchmark into the file, keeping those of others.
pub fn write(file: &Path, benchmark: &str, results: &impl Serialize) {
    let old = std::fs::read(file).ok().and_then(|text| serde_json::from_slice::<Map<String, Value>>(&text).ok());
    let mut all = old.unwrap_or_default();
    all.insert(benchmark.to_owned(), serde_json::to_value(results).unwrap());
    std::fs::write(file, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut table = Table::new(&["what", "a second"]);
        table.row(vec!["list".into(), "7".into()]);
        table.row(vec!["whoami, etc.".into(), "12,345".into()]);
        assert_eq!(
            table.text(),
            "what          a second\n----------------------\nlist                 7\nwhoami, etc.    12,345\n"
        );
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [123_456.0, 1234.4, 345.6, 12.34, 0.123].map(number);
        assert_eq!(texts, ["123,456", "1,234", "346", "12.3", "0.12"]);
    }

    #[test]
    fn results_of_other_benchmarks_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        write(&file, "one", &1);
        write(&file, "other", &2);
        write(&file, "one", &3);
        let all: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(all, serde_json::json!({"one": 3, "other": 2}));
    }
}
