//! The parameters all lists take.

use kqueen_domain::{
    catalog::{Filter, Sort, Window},
    invalid::{Findings, Invalid},
    service::ListRequest,
};
use poem::{FromRequest, Request, RequestBody, Result};
use url::form_urlencoded;

use crate::error::ApiError;

/// How many items a page has where `limit` is not given.
const DEFAULT_LIMIT: usize = 20;
/// How many items a page has at most.
pub const MAX_LIMIT: usize = 1_000;

/// How many items can be left out at most.
pub const MAX_OFFSET: usize = 1_000_000_000;

/// What a list is asked for. The parameters are declared by [`super::document()`].
#[derive(Debug)]
pub struct ListQuery {
    /// Which items.
    pub list: ListRequest,
    /// Whether the answer tells the total; it does where `offset` is given.
    pub paged: bool,
}

impl<'a> FromRequest<'a> for ListQuery {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(read(request.uri().query().unwrap_or_default(), &[]).map_err(ApiError::from)?)
    }
}

/// What a list of things that have phases is asked for. It is read when the phases are known, and what they are called.
#[derive(Debug)]
pub struct PhasedQuery(String);

impl<'a> FromRequest<'a> for PhasedQuery {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(Self(request.uri().query().unwrap_or_default().to_owned()))
    }
}

impl PhasedQuery {
    /// What is asked for, where each of `phases` is a word and a caption.
    ///
    /// # Errors
    /// Every parameter that is wrong.
    pub fn read(&self, phases: &[(&'static str, &str)]) -> Result<ListQuery, Invalid> {
        read(&self.0, phases)
    }
}

/// Reads a query string, of which names that are not declared and empty values were taken out before.
fn read(query: &str, phases: &[(&'static str, &str)]) -> Result<ListQuery, Invalid> {
    let mut list = ListRequest::default();
    let mut findings = Findings::default();
    let (mut offset, mut limit) = (None, None);
    let (mut in_phase, mut in_state) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = || (!value.is_empty()).then(|| value.to_string());
        match &*name {
            "name" => list.filter = Filter { name: text(), ..list.filter },
            "provisioner" => list.filter = Filter { provisioner: text(), ..list.filter },
            "engine" => list.filter = Filter { engine: text(), ..list.filter },
            "phase" => in_phase = findings.take("phase", called(&value, phases, |(word, _)| *word)),
            "state" => in_state = findings.take("state", called(&value, phases, |(_, caption)| *caption)),
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
    list.filter.phases = match (in_phase, in_state) {
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

/// The phases that are called `wanted`, without regard to capitals; several may have one caption.
fn called<'p>(
    wanted: &str,
    phases: &'p [(&'static str, &'p str)],
    name: impl Fn(&(&'static str, &'p str)) -> &'p str,
) -> Result<Vec<&'static str>, String> {
    let wanted = wanted.to_lowercase();
    let found: Vec<_> =
        phases.iter().filter(|phase| name(phase).to_lowercase() == wanted).map(|(word, _)| *word).collect();
    if found.is_empty() {
        let mut names: Vec<_> = phases.iter().map(name).collect();
        names.dedup();
        return Err(format!("must be one of {}", names.join(", ")));
    }
    Ok(found)
}

fn sort(word: &str) -> Result<Sort, &'static str> {
    match word {
        "name" => Ok(Sort::Name),
        "provisioner" => Ok(Sort::Provisioner),
        "engine" => Ok(Sort::Engine),
        "created_at" | "created" => Ok(Sort::Created),
        "state" | "status" => Ok(Sort::State),
        _ => Err("must be one of name, provisioner, engine, created_at, created, state, status"),
    }
}

fn descending(word: &str) -> Result<bool, &'static str> {
    match word {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err("must be asc or desc"),
    }
}

fn flag(word: &str) -> Result<bool, &'static str> {
    match word {
        "1" => Ok(true),
        "0" => Ok(false),
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
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
    fn an_offset_makes_a_page_of_twenty() {
        let ListQuery { list, paged } =
            read("offset=40&sortby=name&order=desc&name=Web%20x&all_namespaces=True", &[]).unwrap();
        assert!(paged);
        assert_eq!(list.window, Some(Window { offset: 40, limit: 20 }));
        assert_eq!((list.sort, list.descending, list.all_namespaces), (Sort::Name, true, true));
        assert_eq!(list.filter.name.as_deref(), Some("Web x"));
    }

    #[test]
    fn a_limit_alone_cuts_the_list_and_keeps_its_shape() {
        let ListQuery { list, paged } = read("limit=5", &[]).unwrap();
        assert_eq!(list.window, Some(Window { offset: 0, limit: 5 }));
        assert!(!paged);
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let wrong = read("offset=-1&limit=1001&sortby=owner&order=up&all_namespaces=maybe", &[]).unwrap_err();
        let fields: Vec<_> = wrong.0.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["offset", "limit", "sortby", "order", "all_namespaces"]);
    }

    #[test]
    fn phases_are_asked_for_by_word_and_by_caption() {
        let phases = [("OK", "Läuft"), ("Error", "Gestört"), ("Unknown", "Gestört")];
        let asked = |query: &str| read(query, &phases).map(|query| query.list.filter.phases);
        for (query, expected) in [
            ("phase=ok", vec!["OK"]),
            ("state=l%C3%84UFT", vec!["OK"]),
            ("state=gest%C3%B6rt", vec!["Error", "Unknown"]),
            ("state=gest%C3%B6rt&phase=Unknown", vec!["Unknown"]),
            ("phase=OK&state=gest%C3%B6rt", vec![]),
        ] {
            assert_eq!(asked(query), Ok(Some(expected)), "{query}");
        }
        assert_eq!(asked("name=x"), Ok(None));
        let wrong = Invalid::field("phase", "must be one of OK, Error, Unknown");
        assert_eq!(asked("phase=Err"), Err(wrong));
        let wrong = Invalid::field("state", "must be one of Läuft, Gestört");
        assert_eq!(asked("state=OK"), Err(wrong));
    }
}
