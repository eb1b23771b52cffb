//! One field of a schema: its declaration, with `const` builder functions.

use serde_json::{Map, Value, json};

/// The kind of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// One line that is not displayed; secret.
    Password,
    /// Several lines.
    TextArea,
    /// A whole number.
    Integer,
    /// One of these values, each with its label.
    Select(&'static [(&'static str, &'static str)]),
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
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// An explicit null.
    Null,
    /// A text, or the value of a choice.
    Text(&'static str),
    /// A number.
    Number(i64),
    /// A checkbox.
    Flag(bool),
}

impl From<DefaultValue> for Value {
    fn from(default: DefaultValue) -> Self {
        match default {
            DefaultValue::Null => Self::Null,
            DefaultValue::Text(text) => Self::from(text),
            DefaultValue::Number(number) => Self::from(number),
            DefaultValue::Flag(flag) => Self::from(flag),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The key of its value.
    pub name: &'static str,
    /// Its label for people.
    pub label: &'static str,
    /// Its kind.
    pub kind: FieldKind,
    /// Whether it is required. `None`: it is not, and the API does not include the property, as in some engines of 2018.
    pub required: Option<bool>,
    /// Whether its value is masked in answers.
    pub secret: bool,
    /// Its default value.
    pub default: Option<DefaultValue>,
    /// A help text.
    pub help: Option<&'static str>,
    /// An example shown in the empty field.
    pub placeholder: Option<&'static str>,
    /// Its position in the form.
    pub order: Option<u32>,
    /// The class name for scripts and style sheets.
    pub class_name: Option<&'static str>,
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
    pub alias: Option<&'static str>,
    /// Keys that a file must contain.
    pub keys: &'static [&'static str],
}

impl Field {
    /// An optional field, whose `required` is not in the API.
    #[must_use]
    pub const fn new(name: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self {
            name,
            label,
            kind,
            required: None,
            secret: matches!(kind, FieldKind::Password | FieldKind::JsonFile),
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
            keys: &[],
        }
    }

    /// A required field.
    #[must_use]
    pub const fn required(name: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self { required: Some(true), ..Self::new(name, label, kind) }
    }

    /// An optional field, whose `required` is false in the API.
    #[must_use]
    pub const fn optional(name: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self { required: Some(false), ..Self::new(name, label, kind) }
    }

    /// Masks its value in answers.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Shows its value in answers: for a file without credentials.
    #[must_use]
    pub const fn public(self) -> Self {
        Self { secret: false, ..self }
    }

    /// Its default value.
    #[must_use]
    pub const fn default(self, default: DefaultValue) -> Self {
        Self { default: Some(default), ..self }
    }

    /// A help text.
    #[must_use]
    pub const fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    /// An example shown in the empty field.
    #[must_use]
    pub const fn placeholder(self, placeholder: &'static str) -> Self {
        Self { placeholder: Some(placeholder), ..self }
    }

    /// Its position in the form.
    #[must_use]
    pub const fn order(self, order: u32) -> Self {
        Self { order: Some(order), ..self }
    }

    /// The class name for scripts and style sheets.
    #[must_use]
    pub const fn class_name(self, class_name: &'static str) -> Self {
        Self { class_name: Some(class_name), ..self }
    }

    /// The minimum.
    #[must_use]
    pub const fn min(self, min: i64) -> Self {
        Self { min: Some(min), ..self }
    }

    /// The maximum.
    #[must_use]
    pub const fn max(self, max: i64) -> Self {
        Self { max: Some(max), ..self }
    }

    /// Must be a number, also as text.
    #[must_use]
    pub const fn number(self) -> Self {
        Self { number: true, ..self }
    }

    /// Must be a UUID.
    #[must_use]
    pub const fn uuid(self) -> Self {
        Self { uuid: true, ..self }
    }

    /// Must be an HTTP address.
    #[must_use]
    pub const fn url(self) -> Self {
        Self { url: true, ..self }
    }

    /// Must be a network: address and prefix length.
    #[must_use]
    pub const fn cidr(self) -> Self {
        Self { cidr: true, ..self }
    }

    /// Must be IP addresses, separated by commas.
    #[must_use]
    pub const fn ip_list(self) -> Self {
        Self { ip_list: true, ..self }
    }

    /// Must be odd, or even.
    #[must_use]
    pub const fn parity(self, parity: Parity) -> Self {
        Self { parity: Some(parity), ..self }
    }

    /// Keys that a file must contain.
    #[must_use]
    pub const fn keys(self, keys: &'static [&'static str]) -> Self {
        Self { keys, ..self }
    }

    /// Another name under which the value is accepted.
    #[must_use]
    pub const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// The field in the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("type".into(), self.kind.as_str().into());
        out.insert("label".into(), self.label.into());
        let texts = [
            ("help_message", self.help),
            ("placeholder", self.placeholder),
            ("class_name", self.class_name),
            ("alias", self.alias),
        ];
        out.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
        if let Some(order) = self.order {
            out.insert("order".into(), order.into());
        }
        if let Some(default) = self.default {
            out.insert("default".into(), default.into());
        }
        if let FieldKind::Select(choices) = self.kind {
            out.insert("choices".into(), choices.iter().map(|(value, label)| json!([value, label])).collect());
        }
        let validators = self.validators();
        if !validators.is_empty() {
            out.insert("validators".into(), Value::Object(validators));
        }
        Value::Object(out)
    }

    fn validators(&self) -> Map<String, Value> {
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
            out.insert(name.into(), self.keys.into());
        }
        out
    }
}
