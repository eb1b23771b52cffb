//! Values of the Kubernetes API with more than one type.

use kqueen_domain::kubernetes;
use poem_openapi::{Union, types::Any};
use serde::Serialize;
use serde_json::value::RawValue;

/// A part of an object that is passed on as Kubernetes describes it, with keys in `snake_case`.
pub type FragmentView = Any<Box<RawValue>>;

/// Passes on a part of an object.
pub(super) fn fragment(fragment: Option<kubernetes::Fragment>) -> Option<FragmentView> {
    fragment.map(|fragment| Any(fragment.into()))
}

/// An integer or a string: a port by number or name, or an amount as a number or a percentage.
#[derive(Debug, Union, Serialize)]
#[oai(one_of)]
#[serde(untagged)]
pub enum IntOrTextView {
    /// A number.
    Int(i64),
    /// Text.
    Text(String),
}

impl From<kubernetes::IntOrText> for IntOrTextView {
    fn from(it: kubernetes::IntOrText) -> Self {
        match it {
            kubernetes::IntOrText::Int(number) => Self::Int(number),
            kubernetes::IntOrText::Text(text) => Self::Text(text),
        }
    }
}
