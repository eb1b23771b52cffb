//! What a list is asked: where, which, in which order, which part.

use memchr::memmem::Finder;

use crate::id::{OrganizationId, UserId};

/// Where to look.
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

/// The orders a list can have. Texts are compared without regard to capitals; ties are broken by creation, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By time of creation, then id.
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
    /// Every order, each at the index it is kept at.
    pub(super) const ALL: [Self; 5] = [Self::Created, Self::Name, Self::Provisioner, Self::Engine, Self::State];
}

/// Only records that pass all of these. Texts contain what is asked for, without regard to capitals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In the name.
    pub name: Option<String>,
    /// In the provisioner's name.
    pub provisioner: Option<String>,
    /// In the engine's name.
    pub engine: Option<String>,
    /// In one of these phases, by the words programs use.
    pub phases: Option<Vec<&'static str>>,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many to leave out at the front.
    pub offset: usize,
    /// How many to give at most.
    pub limit: usize,
}

/// A question for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where.
    pub scope: Scope,
    /// What the caller may see.
    pub visibility: Visibility,
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Whether the order is turned around.
    pub descending: bool,
    /// Which part.
    pub window: Window,
}

impl Query {
    /// Everything in `scope` in the order of creation.
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

/// A part of a list and how long the whole of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// How many the caller may see that pass the filter.
    pub total: usize,
}

/// A [`Filter`] prepared for many records, whose texts are in lower case.
pub(super) struct Matcher {
    name: Option<Finder<'static>>,
    provisioner: Option<Finder<'static>>,
    engine: Option<Finder<'static>>,
    phases: Option<Vec<&'static str>>,
}

impl Matcher {
    /// `None` if the filter lets everything pass.
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
        (matcher.name.is_some() || !matcher.is_about_names_alone()).then_some(matcher)
    }

    /// What names must contain, if anything.
    pub(super) const fn name(&self) -> Option<&Finder<'static>> {
        self.name.as_ref()
    }

    /// Whether nothing but names is filtered by.
    pub(super) const fn is_about_names_alone(&self) -> bool {
        self.provisioner.is_none() && self.engine.is_none() && self.phases.is_none()
    }

    pub(super) fn matches(&self, name: &str, provisioner: &str, engine: &str, phase: &str) -> bool {
        let passes = |finder: &Option<Finder<'static>>, text: &str| {
            finder.as_ref().is_none_or(|finder| finder.find(text.as_bytes()).is_some())
        };
        // First: nothing is cheaper to tell.
        self.phases.as_ref().is_none_or(|phases| phases.contains(&phase))
            && passes(&self.name, name)
            && passes(&self.provisioner, provisioner)
            && passes(&self.engine, engine)
    }
}
