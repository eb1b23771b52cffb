//! Query parameters of lists.

use kqueen_domain::{
    catalog::{Filter, Sort, Window},
    invalid::{Findings, Invalid},
    service::ListRequest,
};
use poem::{FromRequest, Request, RequestBody, Result};
use url::form_urlencoded;

use crate::error::ApiError;

/// Default number of items of a page.
const DEFAULT_LIMIT: usize = 20;
/// Maximum number of items of a page.
pub const MAX_LIMIT: usize = 1_000;

/// Maximum number of items to skip.
pub const MAX_OFFSET: usize = 1_000_000_000;

/// The query of a list. The parameters are declared by [`super::document()`].
#[derive(Debug)]
pub struct ListQuery {
    /// The requested items.
    pub list: ListRequest,
    /// Whether the response includes the total; true if `offset` is given.
    pub paged: bool,
}

impl<'a> FromRequest<'a> for ListQuery {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(read(request.uri().query().unwrap_or_default(), &[]).map_err(ApiError::from)?)
    }
}

/// The unparsed query of a list of objects with phases; parsing needs the phases and their captions.
#[derive(Debug)]
pub struct PhasedQuery(String);

impl<'a> FromRequest<'a> for PhasedQuery {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(Self(request.uri().query().unwrap_or_default().to_owned()))
    }
}

impl PhasedQuery {
    /// Parses the query; `phases` has the name and the caption of each phase.
    ///
    /// # Errors
    /// All invalid parameters.
    pub fn read(&self, phases: &[(&'static str, &str)]) -> Result<ListQuery, Invalid> {
        read(&self.0, phases)
    }
}

/// Parses a query string, from which undeclared names and empty values were already removed.
fn read(query: &str, phases: &[(&'static str, &str)]) -> Result<ListQuery, Invalid> {
    let mut list = ListRequest::default();
    let mut findings = Findings::default();
    let (mut offset, mut limit) = (None, None);
    let (mut by_phase, mut by_state) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = || (!value.is_empty()).then(|| value.to_string());
        match &*name {
            "name" => list.filter = Filter { name: text(), ..list.filter },
            "provisioner" => list.filter = Filter { provisioner: text(), ..list.filter },
            "engine" => list.filter = Filter { engine: text(), ..list.filter },
            "phase" => by_phase = findings.take("phase", matching(&value, phases, |(text, _)| *text)),
            "state" => by_state = findings.take("state", matching(&value, phases, |(_, caption)| *caption)),
            "sortby" => list.sort = findings.take("sortby", sort(&value)).unwrap_or_default(),
            "order" => list.descending = findings.take("order", descending(&value)).unwrap_or_default(),
            "offset" => offset = findings.take("offset", number(&value, 0, MAX_OFFSET)),
            "limit" => limit = findings.take("limit", number(&value, 1, MAX_LIMIT)),
            "namespace" => list.namespace = text(),
            "all_namespaces" => {
                list.all_namespaces = findings.take("all_namespaces", flag(&value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    list.filter.phases = match (by_phase, by_state) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|phase| other.contains(phase)).collect()),
        (one, other) => one.or(other),
    };
    let paged = offset.is_some();
    list.window = match (offset, limit) {
        (Some(offset), limit) => Some(Window { offset, limit: limit.unwrap_or(DEFAULT_LIMIT) }),
        (None, Some(limit)) => Some(Window { offset: 0, limit }),
        (None, None) => None,
    };
    findings.finish(Some(ListQuery { list, paged }))
}

/// The phases whose name or caption is `wanted`, ignoring case; several phases may have the same caption.
fn matching<'p>(
    wanted: &str,
    phases: &'p [(&'static str, &'p str)],
    name: impl Fn(&(&'static str, &'p str)) -> &'p str,
) -> Result<Vec<&'static str>, String> {
    let wanted = wanted.to_lowercase();
    let found: Vec<_> =
        phases.iter().filter(|phase| name(phase).to_lowercase() == wanted).map(|(text, _)| *text).collect();
    if found.is_empty() {
        let mut names: Vec<_> = phases.iter().map(name).collect();
        names.dedup();
        return Err(format!("must be one of {}", names.join(", ")));
    }
    Ok(found)
}

fn sort(text: &str) -> Result<Sort, &'static str> {
    match text {
        "name" => Ok(Sort::Name),
        "provisioner" => Ok(Sort::Provisioner),
        "engine" => Ok(Sort::Engine),
        "created_at" | "created" => Ok(Sort::Created),
        "state" | "status" => Ok(Sort::State),
        _ => Err("must be one of name, provisioner, engine, created_at, created, state, status"),
    }
}

fn descending(text: &str) -> Result<bool, &'static str> {
    match text {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err("must be asc or desc"),
    }
}

fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        text if text.eq_ignore_ascii_case("true") => Ok(true),
        text if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err("must be true or false"),
    }
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_selects_a_page_of_twenty() {
        let ListQuery { list, paged } =
            read("offset=40&sortby=name&order=desc&name=Web%20x&all_namespaces=True", &[]).unwrap();
        assert!(paged);
        assert_eq!(list.window, Some(Window { offset: 40, limit: 20 }));
        assert_eq!((list.sort, list.descending, list.all_namespaces), (Sort::Name, true, true));
        assert_eq!(list.filter.name.as_deref(), Some("Web x"));
    }

    #[test]
    fn a_limit_without_offset_truncates_the_list() {
        let ListQuery { list, paged } = read("limit=5", &[]).unwrap();
        assert_eq!(list.window, Some(Window { offset: 0, limit: 5 }));
        assert!(!paged);
    }

    #[test]
    fn all_invalid_parameters_are_reported() {
        let wrong = read("offset=-1&limit=1001&sortby=owner&order=up&all_namespaces=maybe", &[]).unwrap_err();
        let fields: Vec<_> = wrong.0.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["offset", "limit", "sortby", "order", "all_namespaces"]);
    }

    #[test]
    fn phases_are_filtered_by_name_and_by_caption() {
        let phases = [("OK", "Läuft"), ("Error", "Gestört"), ("Unknown", "Gestört")];
        let phases_of = |query: &str| read(query, &phases).map(|query| query.list.filter.phases);
        for (query, expected) in [
            ("phase=ok", vec!["OK"]),
            ("state=l%C3%84UFT", vec!["OK"]),
            ("state=gest%C3%B6rt", vec!["Error", "Unknown"]),
            ("state=gest%C3%B6rt&phase=Unknown", vec!["Unknown"]),
            ("phase=OK&state=gest%C3%B6rt", vec![]),
        ] {
            assert_eq!(phases_of(query), Ok(Some(expected)), "{query}");
        }
        assert_eq!(phases_of("name=x"), Ok(None));
        let wrong = Invalid::field("phase", "must be one of OK, Error, Unknown");
        assert_eq!(phases_of("phase=Err"), Err(wrong));
        let wrong = Invalid::field("state", "must be one of Läuft, Gestört");
        assert_eq!(phases_of("state=OK"), Err(wrong));
    }
}
