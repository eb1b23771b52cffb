//! The results, for people and for programs.

use kqueen_tests::bench::{
    aim::Aim,
    machine::Machine,
    report::{Table, number},
};
use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The aim, if there is one.
    pub(crate) aim: Option<Aim>,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, aim: None }
    }

    /// With the aim that it stays below `most`.
    pub(crate) fn below(self, most: f64) -> Self {
        let unit = format!(" {}", self.unit);
        Self { aim: Some(Aim::below(self.what.clone(), self.value, most, unit.trim_end())), ..self }
    }
}

/// The results of one part.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// What was measured, and how.
    pub(crate) how: String,
    pub(crate) figures: Vec<Figure>,
}

impl Part {
    /// Its aims, with the name of the part.
    pub(crate) fn aims(&self) -> impl Iterator<Item = Aim> {
        let aims = self.figures.iter().filter_map(|figure| figure.aim.as_ref());
        aims.map(|aim| Aim { what: format!("{}: {}", self.name, aim.what.trim_start()), ..aim.clone() })
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Table::new(&[self.name, "figure", "", "aimed at", ""]);
        for Figure { what, value, unit, aim } in &self.figures {
            let (limit, verdict) = match aim {
                None => ("", ""),
                Some(Aim { limit, reached: true, .. }) => (&**limit, "reached"),
                Some(Aim { limit, .. }) => (&**limit, "missed"),
            };
            table.row(vec![what.clone(), number(*value), (*unit).to_owned(), limit.to_owned(), verdict.to_owned()]);
        }
        format!("{}\n\n{}", self.how, table.text())
    }
}

/// All results.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    pub(crate) parts: Vec<Part>,
}
