//! Queries for lists: scope, filter, order and page.

use memchr::memmem::Finder;

use crate::id::{OrganizationId, UserId};

/// Which organizations a query covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole installation.
    All,
    /// One organization.
    Organization(OrganizationId),
}

/// Which of the records in scope the caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// All of them.
    All,
    /// Those the user owns.
    OwnedBy(UserId),
    /// None.
    Nothing,
}

/// The order of a list. Texts are compared case-insensitively; ties are broken by creation time, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By creation time, then id.
    #[default]
    Created = 0,
    /// By name.
    Name = 1,
    /// By the provisioner's name.
    Provisioner = 2,
    /// By the engine's name.
    Engine = 3,
    /// By state.
    State = 4,
}

impl Sort {
    /// Every order, at its index.
    pub(super) const ALL: [Self; 5] = [Self::Created, Self::Name, Self::Provisioner, Self::Engine, Self::State];
}

/// A filter: records must meet all conditions. Texts must contain the given text, case-insensitively.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Text in the name.
    pub name: Option<String>,
    /// Text in the provisioner's name.
    pub provisioner: Option<String>,
    /// Text in the engine's name.
    pub engine: Option<String>,
    /// One of these phases, as in the API.
    pub phases: Option<Vec<&'static str>>,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many records to skip.
    pub offset: usize,
    /// How many records to return at most.
    pub limit: usize,
}

/// A query for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which organizations.
    pub scope: Scope,
    /// What the caller may see.
    pub visibility: Visibility,
    /// Which records.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// Whether the order is descending.
    pub descending: bool,
    /// Which part of the list.
    pub window: Window,
}

impl Query {
    /// Everything in `scope`, in order of creation.
    #[must_use]
    pub fn everything(scope: Scope) -> Self {
        Self {
            scope,
            visibility: Visibility::All,
            filter: Filter::default(),
            sort: Sort::default(),
            descending: false,
            window: Window { offset: 0, limit: usize::MAX },
        }
    }
}

/// A part of a list, and the length of the whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The records in this part.
    pub items: Vec<T>,
    /// How many records match the filter and are visible to the caller.
    pub total: usize,
}

/// A [`Filter`], compiled for many records. Their texts are in lower case.
pub(super) struct Matcher {
    name: Option<Finder<'static>>,
    provisioner: Option<Finder<'static>>,
    engine: Option<Finder<'static>>,
    phases: Option<Vec<&'static str>>,
}

impl Matcher {
    /// `None` if the filter matches everything.
    pub(super) fn of(filter: &Filter) -> Option<Self> {
        let finder = |text: &Option<String>| {
            text.as_ref()
                .filter(|text| !text.is_empty())
                .map(|text| Finder::new(text.to_lowercase().as_bytes()).into_owned())
        };
        let matcher = Self {
            name: finder(&filter.name),
            provisioner: finder(&filter.provisioner),
            engine: finder(&filter.engine),
            phases: filter.phases.clone(),
        };
        (matcher.name.is_some() || !matcher.filters_only_names()).then_some(matcher)
    }

    /// The text that names must contain, if any.
    pub(super) const fn name(&self) -> Option<&Finder<'static>> {
        self.name.as_ref()
    }

    /// Whether only names are filtered.
    pub(super) const fn filters_only_names(&self) -> bool {
        self.provisioner.is_none() && self.engine.is_none() && self.phases.is_none()
    }

    pub(super) fn matches(&self, name: &str, provisioner: &str, engine: &str, phase: &str) -> bool {
        let passes = |finder: &Option<Finder<'static>>, text: &str| {
            finder.as_ref().is_none_or(|finder| finder.find(text.as_bytes()).is_some())
        };
        // Phases first: the cheapest check.
        self.phases.as_ref().is_none_or(|phases| phases.contains(&phase))
            && passes(&self.name, name)
            && passes(&self.provisioner, provisioner)
            && passes(&self.engine, engine)
    }
}
