//! Leadership where only one process can use the store.

use kqueen_domain::port::leader::{Leadership, Term};

/// Always leads.
pub(super) struct Single;

impl Leadership for Single {
    fn term(&self) -> Option<Term> {
        Some(Term::Single)
    }
}
