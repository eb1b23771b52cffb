//! Finds the client address in the forwarding headers of trusted proxies.
//!
//! Three headers name it. `Forwarded` (RFC 7239) and `X-Forwarded-For` list the hops of a request; each proxy appends the one before it
//! at the right. `X-Real-IP` names one hop. A client can send any value, and only what trusted proxies append at the right is reliable. So
//! a list is read from right to left up to the first hop that is not a trusted proxy: that is the client. A proxy may also forward a header
//! unchanged that it does not use itself, which looks like one it has set. So all headers present must agree. If they do not, or if the
//! deciding part cannot be parsed, the client is unknown; no header takes precedence over another.
//!
//! Other headers show that a request was forwarded but do not name the client: `Via`, and `X-Forwarded-Proto`, `-Host`, `-Port` and so on.
//! If there are only such headers, the client is unknown as well: it is certainly not the proxy itself.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use poem::http::{HeaderMap, HeaderName, header};

/// The headers besides `Forwarded`, parsed once and not at each request.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The result of reading the forwarding headers of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forwarding {
    /// There are none.
    Absent,
    /// The client's address.
    Client(IpAddr),
    /// They contradict each other, name no client, or cannot be parsed.
    Unknown,
}

/// Whether a request has any header that shows that it was forwarded, whether or not the header names the client.
pub(super) fn is_claimed(headers: &HeaderMap) -> bool {
    [&header::FORWARDED, &header::VIA, &REAL_IP].iter().any(|name| headers.contains_key(*name))
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded"))
}

/// The client that the headers name, if the request comes from a trusted proxy.
pub(super) fn client(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Forwarding {
    if !is_claimed(headers) {
        return Forwarding::Absent;
    }
    let trails = [
        trail(lines(headers, &header::FORWARDED), forwarded_hops, &is_trusted),
        trail(lines(headers, &FORWARDED_FOR), |line| Some(listed_hops(line)), &is_trusted),
        real_ip(lines(headers, &REAL_IP), &is_trusted),
    ];
    let trails: Option<Vec<Trail>> = trails.into_iter().flatten().collect();
    trails.and_then(|trails| agreed(&trails)).map_or(Forwarding::Unknown, Forwarding::Client)
}

/// The hops in one header, starting with the nearest.
#[derive(Debug)]
struct Trail {
    /// The first hop that is not a trusted proxy.
    client: Option<IpAddr>,
    /// The trusted proxies before it.
    proxies: Vec<IpAddr>,
}

/// The client, if all trails agree on it.
fn agreed(trails: &[Trail]) -> Option<IpAddr> {
    // Prefer a trail that names a client, then the longest, then the first.
    let leading = trails.iter().rev().max_by_key(|trail| (trail.client.is_some(), trail.proxies.len()))?;
    let agrees = |other: &Trail| match other.client {
        Some(client) => leading.client == Some(client),
        // It names no client, like that of a proxy that names only the hop before it. All its hops must be in the leading trail.
        None => other.proxies.iter().all(|proxy| leading.proxies.contains(proxy)),
    };
    // If all hops are trusted, the client is the farthest one.
    trails.iter().all(agrees).then(|| leading.client.or(leading.proxies.last().copied()))?
}

fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h [u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
}

/// The trail of a header that lists hops, in one or several lines. `None` if the header is absent, `Some(None)` if the relevant part
/// cannot be parsed.
fn trail<'h>(
    lines: Vec<&'h [u8]>,
    hops: impl Fn(&'h [u8]) -> Option<Vec<Hop<'h>>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<Option<Trail>> {
    if lines.is_empty() {
        return None;
    }
    let mut proxies = Vec::new();
    for line in lines.into_iter().rev() {
        let Some(hops) = hops(line) else { return Some(None) };
        for hop in hops.iter().rev() {
            let Some(address) = hop.as_deref().and_then(address) else { return Some(None) };
            if !is_trusted(address) {
                return Some(Some(Trail { client: Some(address), proxies }));
            }
            proxies.push(address);
        }
    }
    Some(Some(Trail { client: None, proxies }))
}

/// The trail of `X-Real-IP`, which is not a list: if it occurs more than once, all must name the same hop.
fn real_ip(lines: Vec<&[u8]>, is_trusted: impl Fn(IpAddr) -> bool) -> Option<Option<Trail>> {
    let first = lines.first()?;
    let named = address(first).filter(|named| lines.iter().all(|line| address(line) == Some(*named)));
    Some(named.map(|named| match is_trusted(named) {
        true => Trail { client: None, proxies: vec![named] },
        false => Trail { client: Some(named), proxies: Vec::new() },
    }))
}

/// A hop before parsing; `None` where a proxy did not name it.
type Hop<'h> = Option<Cow<'h, [u8]>>;

/// The hops of a line of `X-Forwarded-For`. A comma always ends a hop, whatever a client sent before it.
fn listed_hops(line: &[u8]) -> Vec<Hop<'_>> {
    line.split(|byte| *byte == b',').map(|hop| Some(Cow::Borrowed(hop))).collect()
}

/// The `for` of each element of a line of `Forwarded`; `None` if the line violates RFC 7239. The whole line is parsed strictly: otherwise
/// an unclosed quotation mark sent by a client would hide what a proxy appended, and a forged client would count.
fn forwarded_hops(line: &[u8]) -> Option<Vec<Hop<'_>>> {
    let mut hops = Vec::new();
    let mut rest = line;
    loop {
        let mut hop = None;
        loop {
            rest = rest.trim_ascii_start();
            // A parameter may be empty.
            if !matches!(rest.first(), None | Some(b',' | b';')) {
                let equals = rest.iter().position(|byte| !is_token(*byte)).filter(|end| *end > 0)?;
                let name = &rest[..equals];
                let value;
                (value, rest) = read_value(rest[equals..].strip_prefix(b"=")?)?;
                if name.eq_ignore_ascii_case(b"for") && hop.replace(value).is_some() {
                    return None;
                }
                rest = rest.trim_ascii_start();
            }
            match rest.strip_prefix(b";") {
                Some(more) => rest = more,
                None => break,
            }
        }
        hops.push(hop);
        match rest.split_first() {
            None => return Some(hops),
            Some((b',', more)) => rest = more,
            Some(_) => return None,
        }
    }
}

/// A token or a quoted string at the beginning of `text`, and what follows it.
fn read_value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        // Addresses with colons and brackets must be quoted, but not every proxy does so.
        let is_value = |byte: u8| is_token(byte) || matches!(byte, b':' | b'[' | b']');
        let end = text.iter().position(|byte| !is_value(*byte)).unwrap_or(text.len());
        return (end > 0).then(|| (Cow::Borrowed(&text[..end]), &text[end..]));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    loop {
        match bytes.next()? {
            (end, b'"') => return Some((Cow::Owned(value), &quoted[end + 1..])),
            (_, b'\\') => value.push(*bytes.next()?.1),
            (_, byte) => value.push(*byte),
        }
    }
}

/// A byte of a token, as defined in RFC 9110.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// The address of a hop: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`, quoted or not. `None` for
/// `unknown` and obfuscated identifiers, which RFC 7239 allows.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_ascii();
    let hop = hop.strip_prefix('"').and_then(|hop| hop.strip_suffix('"')).unwrap_or(hop);
    let is_port = |port: &str| {
        let hidden =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let number = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
        number || port.strip_prefix('_').is_some_and(hidden)
    };
    let address = if let Some(bracketed) = hop.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let is_good = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        address.parse::<Ipv6Addr>().ok().filter(|_| is_good)?.into()
    } else if let Ok(address) = hop.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = hop.split_once(':')?;
        address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port))?.into()
    };
    // An IPv4-mapped IPv6 address is the same client.
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
