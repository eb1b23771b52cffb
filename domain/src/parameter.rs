//! What an engine asks for.

/// The fields of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSchema;
