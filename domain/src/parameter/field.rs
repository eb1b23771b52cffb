//! One field of a schema: its declaration, with builder functions. Engines declare most fields in code; others, such as those of a template
//! that a user uploads, or choices that a provider offers, are known only while the program runs.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// A text of a field: declared in code, or read while the program runs.
pub type FieldText = Cow<'static, str>;

/// A value of a field with choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The value.
    pub value: FieldText,
    /// What people read.
    pub label: FieldText,
}

impl Choice {
    /// A value with its label.
    #[must_use]
    pub fn new(value: impl Into<FieldText>, label: impl Into<FieldText>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// The kind of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// One line that is not displayed; secret.
    Password,
    /// Several lines.
    TextArea,
    /// A whole number.
    Integer,
    /// One of these values.
    Select(Vec<Choice>),
    /// Yes or no.
    Checkbox,
    /// An object uploaded as JSON; secret, since such files contain credentials.
    JsonFile,
    /// An object uploaded as YAML.
    YamlFile,
    /// An object with any names and values.
    Parameters,
}

impl FieldKind {
    /// One of these values, each with its label.
    #[must_use]
    pub fn select(choices: &[(&'static str, &'static str)]) -> Self {
        Self::Select(choices.iter().map(|(value, label)| Choice::new(*value, *label)).collect())
    }

    /// The value in the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Password => "password",
            Self::TextArea => "text_area",
            Self::Integer => "integer",
            Self::Select(_) => "select",
            Self::Checkbox => "checkbox",
            Self::JsonFile => "json_file",
            Self::YamlFile => "yaml_file",
            Self::Parameters => "parameters",
        }
    }
}

/// The default value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultValue {
    /// An explicit null.
    Null,
    /// A text, or the value of a choice.
    Text(FieldText),
    /// A number.
    Number(i64),
    /// A checkbox.
    Flag(bool),
}

impl DefaultValue {
    /// A text, or the value of a choice.
    #[must_use]
    pub fn text(text: impl Into<FieldText>) -> Self {
        Self::Text(text.into())
    }
}

impl From<&DefaultValue> for Value {
    fn from(default: &DefaultValue) -> Self {
        match default {
            DefaultValue::Null => Self::Null,
            DefaultValue::Text(text) => Self::from(text.as_ref()),
            DefaultValue::Number(number) => Self::from(*number),
            DefaultValue::Flag(flag) => Self::from(*flag),
        }
    }
}

/// Which numbers are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// 1, 3, 5 …
    Odd,
    /// 0, 2, 4 …
    Even,
}

impl Parity {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Odd => "odd",
            Self::Even => "even",
        }
    }
}

/// One field of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key of its value.
    pub name: FieldText,
    /// Its label for people.
    pub label: FieldText,
    /// Its kind.
    pub kind: FieldKind,
    /// Whether it is required. `None`: it is not, and the API does not include the property, as in some engines of 2018.
    pub required: Option<bool>,
    /// Whether its value is masked in answers.
    pub secret: bool,
    /// Its default value.
    pub default: Option<DefaultValue>,
    /// A help text.
    pub help: Option<FieldText>,
    /// An example shown in the empty field.
    pub placeholder: Option<FieldText>,
    /// Its position in the form.
    pub order: Option<u32>,
    /// The class name for scripts and style sheets.
    pub class_name: Option<FieldText>,
    /// The minimum.
    pub min: Option<i64>,
    /// The maximum.
    pub max: Option<i64>,
    /// Must be a number, also as text.
    pub number: bool,
    /// Must be a UUID.
    pub uuid: bool,
    /// Must be an HTTP address.
    pub url: bool,
    /// Must be a network: address and prefix length.
    pub cidr: bool,
    /// Must be IP addresses, separated by commas.
    pub ip_list: bool,
    /// Must be odd, or even.
    pub parity: Option<Parity>,
    /// Another name under which the value is accepted, such as that of 2018.
    pub alias: Option<FieldText>,
    /// Keys that a file must contain.
    pub keys: Vec<FieldText>,
    /// Whether its choices are what the provider offers the credentials of a provisioner. They are known only in the form of a provisioner.
    pub offered: bool,
    /// The fields whose values decide about the choices.
    pub depends_on: Vec<FieldText>,
}

impl Field {
    /// An optional field, whose `required` is not in the API.
    #[must_use]
    pub fn new(name: impl Into<FieldText>, label: impl Into<FieldText>, kind: FieldKind) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            required: None,
            secret: matches!(kind, FieldKind::Password | FieldKind::JsonFile),
            kind,
            default: None,
            help: None,
            placeholder: None,
            order: None,
            class_name: None,
            min: None,
            max: None,
            number: false,
            uuid: false,
            url: false,
            cidr: false,
            ip_list: false,
            parity: None,
            alias: None,
            keys: Vec::new(),
            offered: false,
            depends_on: Vec::new(),
        }
    }

    /// A required field.
    #[must_use]
    pub fn required(name: impl Into<FieldText>, label: impl Into<FieldText>, kind: FieldKind) -> Self {
        Self { required: Some(true), ..Self::new(name, label, kind) }
    }

    /// An optional field, whose `required` is false in the API.
    #[must_use]
    pub fn optional(name: impl Into<FieldText>, label: impl Into<FieldText>, kind: FieldKind) -> Self {
        Self { required: Some(false), ..Self::new(name, label, kind) }
    }

    /// Masks its value in answers.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Shows its value in answers: for a file without credentials.
    #[must_use]
    pub fn public(self) -> Self {
        Self { secret: false, ..self }
    }

    /// Its default value.
    #[must_use]
    pub fn default(self, default: DefaultValue) -> Self {
        Self { default: Some(default), ..self }
    }

    /// A help text.
    #[must_use]
    pub fn help(self, help: impl Into<FieldText>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// An example shown in the empty field.
    #[must_use]
    pub fn placeholder(self, placeholder: impl Into<FieldText>) -> Self {
        Self { placeholder: Some(placeholder.into()), ..self }
    }

    /// Its position in the form.
    #[must_use]
    pub fn order(self, order: u32) -> Self {
        Self { order: Some(order), ..self }
    }

    /// The class name for scripts and style sheets.
    #[must_use]
    pub fn class_name(self, class_name: impl Into<FieldText>) -> Self {
        Self { class_name: Some(class_name.into()), ..self }
    }

    /// The minimum.
    #[must_use]
    pub fn min(self, min: i64) -> Self {
        Self { min: Some(min), ..self }
    }

    /// The maximum.
    #[must_use]
    pub fn max(self, max: i64) -> Self {
        Self { max: Some(max), ..self }
    }

    /// Must be a number, also as text.
    #[must_use]
    pub fn number(self) -> Self {
        Self { number: true, ..self }
    }

    /// Must be a UUID.
    #[must_use]
    pub fn uuid(self) -> Self {
        Self { uuid: true, ..self }
    }

    /// Must be an HTTP address.
    #[must_use]
    pub fn url(self) -> Self {
        Self { url: true, ..self }
    }

    /// Must be a network: address and prefix length.
    #[must_use]
    pub fn cidr(self) -> Self {
        Self { cidr: true, ..self }
    }

    /// Must be IP addresses, separated by commas.
    #[must_use]
    pub fn ip_list(self) -> Self {
        Self { ip_list: true, ..self }
    }

    /// Must be odd, or even.
    #[must_use]
    pub fn parity(self, parity: Parity) -> Self {
        Self { parity: Some(parity), ..self }
    }

    /// Keys that a file must contain.
    #[must_use]
    pub fn keys(self, keys: &[&'static str]) -> Self {
        Self { keys: keys.iter().map(|key| FieldText::from(*key)).collect(), ..self }
    }

    /// Its choices are what the provider offers, given the values of the fields in `depends_on`.
    #[must_use]
    pub fn offered(self, depends_on: &[&'static str]) -> Self {
        let depends_on = depends_on.iter().map(|name| FieldText::from(*name)).collect();
        Self { offered: true, depends_on, ..self }
    }

    /// Another name under which the value is accepted.
    #[must_use]
    pub fn alias(self, alias: impl Into<FieldText>) -> Self {
        Self { alias: Some(alias.into()), ..self }
    }

    /// The field in the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("type".into(), self.kind.as_str().into());
        out.insert("label".into(), self.label.as_ref().into());
        let texts = [
            ("help_message", &self.help),
            ("placeholder", &self.placeholder),
            ("class_name", &self.class_name),
            ("alias", &self.alias),
        ];
        out.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.as_deref()?.into()))));
        if let Some(order) = self.order {
            out.insert("order".into(), order.into());
        }
        if let Some(default) = &self.default {
            out.insert("default".into(), default.into());
        }
        if let FieldKind::Select(choices) = &self.kind {
            out.insert("choices".into(), choices.iter().map(|choice| json!([choice.value, choice.label])).collect());
        }
        if self.offered {
            out.insert("offered".into(), true.into());
        }
        if !self.depends_on.is_empty() {
            out.insert("depends_on".into(), self.depends_on.iter().map(AsRef::<str>::as_ref).collect());
        }
        let validators = self.validators();
        if !validators.is_empty() {
            out.insert("validators".into(), Value::Object(validators));
        }
        Value::Object(out)
    }

    /// The rules for its value, by name.
    #[must_use]
    pub fn validators(&self) -> Map<String, Value> {
        let flags = [
            ("number", self.number),
            ("uuid", self.uuid),
            ("url", self.url),
            ("cidr", self.cidr),
            ("ip_list", self.ip_list),
        ];
        let mut out: Map<String, Value> =
            flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name.to_owned(), true.into())).collect();
        let optional = [
            ("required", self.required.map(Value::from)),
            ("min", self.min.map(Value::from)),
            ("max", self.max.map(Value::from)),
            ("parity", self.parity.map(|parity| parity.as_str().into())),
        ];
        out.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if !self.keys.is_empty() {
            let name = if matches!(self.kind, FieldKind::YamlFile) { "yamlfile" } else { "jsonfile" };
            out.insert(name.into(), self.keys.iter().map(AsRef::<str>::as_ref).collect());
        }
        out
    }
}
