//! Parsers of typed values. A parser takes a TOML value, or text from the environment, and returns its type or what it would accept.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Display,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;
use toml::Value;
use url::Url;

/// The value, or what is accepted.
pub(super) type Parsed<T> = Result<T, Cow<'static, str>>;

/// Text that must not be empty.
pub(super) fn text(value: &Value) -> Parsed<String> {
    optional_text(value)?.ok_or_else(|| "it must not be empty".into())
}

/// Text; empty means none.
pub(super) fn optional_text(value: &Value) -> Parsed<Option<String>> {
    match value {
        Value::String(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)),
        _ => Err("use text in quotes".into()),
    }
}

/// A caption: one line of text.
pub(super) fn caption(value: &Value) -> Parsed<String> {
    let caption = text(value)?;
    if caption.chars().count() <= 64 && !caption.chars().any(char::is_control) {
        Ok(caption)
    } else {
        Err("use one line of at most 64 characters".into())
    }
}

/// A path; empty means none.
pub(super) fn optional_path(value: &Value) -> Parsed<Option<PathBuf>> {
    Ok(optional_text(value)?.map(PathBuf::from))
}

/// A type with its own validation.
pub(super) fn checked<T: TryFrom<String>>(value: &Value) -> Parsed<T>
where
    T::Error: Display,
{
    T::try_from(text(value)?).map_err(|error| format!("it {error}").into())
}

/// Like [`checked`]; empty means none.
pub(super) fn optional_checked<T: TryFrom<String>>(value: &Value) -> Parsed<Option<T>>
where
    T::Error: Display,
{
    optional_text(value)?.map(T::try_from).transpose().map_err(|error| format!("it {error}").into())
}

/// A boolean.
pub(super) fn boolean(value: &Value) -> Parsed<bool> {
    match value {
        Value::Boolean(boolean) => Ok(*boolean),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("use true or false".into()),
        },
        _ => Err("use true or false".into()),
    }
}

/// A whole number within `range`.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&Value) -> Parsed<T>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let number = match value {
            Value::Integer(number) => Some(*number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("use a whole number from {} to {}", range.start(), range.end()).into())
    }
}

/// One of several names.
pub(super) fn choice<T: Copy>(names: &'static [(&'static str, T)]) -> impl Fn(&Value) -> Parsed<T> {
    move |value| {
        let given = value.as_str().map(|text| text.trim().to_ascii_lowercase());
        names.iter().find(|(name, _)| given.as_deref() == Some(name)).map(|(_, it)| *it).ok_or_else(|| {
            let all: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            format!("use one of {}", all.join(", ")).into()
        })
    }
}

/// A duration within `range`: seconds, or text like `90s`, `1h 30m`, `1d`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Value) -> Parsed<Duration> {
    move |value| {
        let duration = match value {
            Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Value::String(text) => duration_of(text),
            _ => None,
        };
        duration.filter(|duration| range.contains(duration)).ok_or_else(|| {
            let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
            format!("use seconds, or text like \"90s\", \"5m\", \"1h 30m\", from {least} to {most}").into()
        })
    }
}

fn duration_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let amount: u64 = rest[..digits].parse().ok()?;
        let part = match &rest[digits..digits + letters] {
            "ms" => Duration::from_millis(amount),
            "s" => Duration::from_secs(amount),
            "m" | "min" => Duration::from_secs(amount.checked_mul(60)?),
            "h" => Duration::from_secs(amount.checked_mul(3600)?),
            "d" => Duration::from_secs(amount.checked_mul(86400)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = rest[digits + letters..].trim_start();
    }
    (!text.is_empty()).then_some(total)
}

fn duration_text(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (0, millis) if millis > 0 => format!("{millis}ms"),
        (seconds, _) if seconds > 0 && seconds % 86400 == 0 => format!("{}d", seconds / 86400),
        (seconds, _) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, _) => format!("{seconds}s"),
    }
}

/// A number of bytes within `range`, or text like `512KiB`.
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&Value) -> Parsed<usize> {
    const UNITS: [(&str, usize); 5] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];
    move |value| {
        let bytes = match value {
            Value::Integer(bytes) => usize::try_from(*bytes).ok(),
            Value::String(text) => UNITS.iter().find_map(|(unit, factor)| {
                text.trim().strip_suffix(unit)?.trim_end().parse::<usize>().ok()?.checked_mul(*factor)
            }),
            _ => None,
        };
        bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("use bytes, or text like \"512KiB\", \"1MiB\", from {least} to {most} bytes").into()
        })
    }
}

/// An address to listen on.
pub(super) fn listen_address(value: &Value) -> Parsed<IpAddr> {
    let text = text(value)?;
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.trim_matches(['[', ']'])
        .parse()
        .map_err(|_| "use an IP address of this machine, 0.0.0.0 or :: for all its addresses, or localhost".into())
}

/// A URL with one of `schemes`; empty means none. User names and passwords have separate settings.
pub(super) fn optional_url(schemes: &'static [&'static str]) -> impl Fn(&Value) -> Parsed<Option<Url>> {
    move |value| {
        let accepted =
            || format!("use an address like {}://host.example, without a user name and password", schemes[0]).into();
        let Some(text) = optional_text(value)? else { return Ok(None) };
        let url = Url::parse(&text).map_err(|_| accepted())?;
        let plain =
            schemes.contains(&url.scheme()) && url.has_host() && url.username().is_empty() && url.password().is_none();
        if plain { Ok(Some(url)) } else { Err(accepted()) }
    }
}

/// A list of `item`s: an array, or text separated by commas.
pub(super) fn list<T>(item: impl Fn(&Value) -> Parsed<T>) -> impl Fn(&Value) -> Parsed<Vec<T>> {
    move |value| items(value)?.iter().map(&item).collect()
}

fn items(value: &Value) -> Parsed<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items.clone()),
        Value::String(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).map_err(|_| "use a JSON array, or text separated by commas".into())
        }
        Value::String(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        _ => Err("use a list".into()),
    }
}

/// A network, or one address.
pub(super) fn network(value: &Value) -> Parsed<IpNet> {
    let parsed = value.as_str().and_then(|text| {
        IpNet::from_str(text).ok().or_else(|| IpAddr::from_str(text).ok().map(IpNet::from)).map(|net| net.trunc())
    });
    parsed.ok_or_else(|| "use networks like 10.0.0.0/8 or fd00::/8, or single addresses".into())
}

/// A table with any content: a TOML table, or a JSON object as text.
pub(super) fn object(value: &Value) -> Parsed<serde_json::Map<String, serde_json::Value>> {
    let parsed = match value {
        Value::String(text) if text.trim().is_empty() => Ok(serde_json::Map::new()),
        Value::String(text) => serde_json::from_str(text),
        other => serde_json::to_value(other).and_then(serde_json::from_value),
    };
    parsed.map_err(|_| "use a table (in the environment a JSON object)".into())
}

/// A map of names: a table of text, or a list of names that map to themselves.
pub(super) fn renames(value: &Value) -> Parsed<BTreeMap<String, String>> {
    const ACCEPTED: &str = "use a table of names (in the environment a JSON object), or a list of names";
    let is_object = value.is_table() || value.as_str().is_some_and(|text| text.trim_start().starts_with('{'));
    if is_object {
        let object = object(value).map_err(|_| ACCEPTED)?;
        let pair = |(name, value): (String, serde_json::Value)| Some((name, value.as_str()?.to_owned()));
        return object.into_iter().map(pair).collect::<Option<_>>().ok_or_else(|| ACCEPTED.into());
    }
    let names = list(text)(value).map_err(|_| ACCEPTED)?;
    Ok(names.into_iter().map(|name| (name.clone(), name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text<T>(parser: impl Fn(&Value) -> Parsed<T>, text: &str) -> Option<T> {
        parser(&Value::String(text.to_owned())).ok()
    }

    #[test]
    fn durations() {
        let any = || duration(Duration::ZERO..=Duration::MAX);
        let good =
            [("90", 90), ("90s", 90), ("1h", 3600), ("1h30m", 5400), ("1h 30m", 5400), (" 2d ", 172_800), ("0", 0)];
        for (text, seconds) in good {
            assert_eq!(from_text(any(), text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1x", "-1", "1.5h", "1h x", "99999999999999999999", "9999999999999999999d", "1ü"] {
            assert_eq!(from_text(any(), text), None, "{text}");
        }
        let short = duration(Duration::from_secs(1)..=Duration::from_secs(86400))(&Value::Integer(0)).unwrap_err();
        assert!(short.ends_with("from 1s to 1d"), "{short}");
        assert!(any()(&Value::Integer(-1)).is_err() && any()(&Value::Float(1.0)).is_err());
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("1MiB", 1 << 20), ("512 KiB", 512 << 10), ("7", 7), ("7B", 7)] {
            assert_eq!(from_text(size(0..=usize::MAX), text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1MB", "-1", "99999999999999GiB"] {
            assert_eq!(from_text(size(0..=usize::MAX), text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_checked_against_their_range() {
        assert_eq!(from_text(number(1..=u16::MAX), "65535"), Some(65535));
        for text in ["0", "65536", "-1", "1.0", "", "99999999999999999999"] {
            assert_eq!(from_text(number(1..=u16::MAX), text), None, "{text}");
        }
    }

    #[test]
    fn lists_are_arrays_json_or_text() {
        let expected = vec!["a".to_owned(), "b".to_owned()];
        for form in ["a,b", " a , b ,", r#"["a", "b"]"#] {
            assert_eq!(from_text(list(text), form), Some(expected.clone()), "{form}");
        }
        assert_eq!(from_text(list(text), ""), Some(vec![]));
        assert!(list(text)(&Value::Integer(1)).is_err() && from_text(list(text), "[1").is_none());
    }

    #[test]
    fn networks_may_be_single_addresses() {
        assert_eq!(from_text(network, "10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(from_text(network, "::1").unwrap().to_string(), "::1/128");
        assert!(from_text(network, "10.0.0.0/33").is_none() && from_text(network, "localhost").is_none());
    }

    #[test]
    fn urls_have_no_credentials() {
        let parser = || optional_url(&["https", "http"]);
        assert_eq!(from_text(parser(), "").unwrap(), None);
        assert!(from_text(parser(), "https://etcd:2379").unwrap().is_some());
        for text in ["https://me:secret@etcd", "https://me@etcd", "ftp://x", "etcd:2379", "https://"] {
            assert!(from_text(parser(), text).is_none(), "{text}");
        }
    }

    #[test]
    fn renames_are_a_table_or_a_list_of_names() {
        let expected = BTreeMap::from([("a".to_owned(), "B".to_owned())]);
        assert_eq!(from_text(renames, r#"{"a": "B"}"#), Some(expected));
        assert_eq!(from_text(renames, "a, b").unwrap().len(), 2);
        assert!(from_text(renames, r#"{"a": 1}"#).is_none());
    }
}
