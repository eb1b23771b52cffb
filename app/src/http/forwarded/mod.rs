//! Whom the proxies in front of us name as the client.
//!
//! Three headers say it. `Forwarded` (RFC 7239) and `X-Forwarded-For` list the hops of a request, each proxy adding the one before it at
//! the right; `X-Real-IP` names one hop. A client sends what it likes, and only what trusted proxies add at the right is theirs. So a list
//! is read from right to left up to the first hop that is no trusted proxy: that is the client. A proxy may also hand on, untouched, a
//! header that it does not use itself, and nothing tells it from the one it set. So all headers that are there must agree. Where they do
//! not, or where what decides cannot be read, the client is unknown; never is one header believed against another.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use poem::http::{HeaderMap, HeaderName, header};

/// The headers besides `Forwarded`. As names, which need no parsing at each request.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What the forwarding headers of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forwarding {
    /// Nothing: none is there.
    Absent,
    /// This is the client.
    Client(IpAddr),
    /// They contradict each other, name nobody, or cannot be read.
    Unknown,
}

/// Whether a request says that it was forwarded.
pub(super) fn is_claimed(headers: &HeaderMap) -> bool {
    [&FORWARDED_FOR, &REAL_IP, &header::FORWARDED].iter().any(|name| headers.contains_key(*name))
}

/// The client that the headers name, read as coming from a trusted proxy.
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

/// The hops one header names, from us outwards.
#[derive(Debug)]
struct Trail {
    /// The first one that is no trusted proxy.
    client: Option<IpAddr>,
    /// The trusted ones before it.
    proxies: Vec<IpAddr>,
}

/// The client that all trails agree on.
fn agreed(trails: &[Trail]) -> Option<IpAddr> {
    // One that names a client, else the longest; of equals the first.
    let leading = trails.iter().rev().max_by_key(|trail| (trail.client.is_some(), trail.proxies.len()))?;
    let agrees = |other: &Trail| match other.client {
        Some(client) => leading.client == Some(client),
        // It ends before it comes to a client: a proxy that names only the one before it. All it names must be on the way.
        None => other.proxies.iter().all(|proxy| leading.proxies.contains(proxy)),
    };
    // A client among the trusted networks is the hop that is farthest out.
    trails.iter().all(agrees).then(|| leading.client.or(leading.proxies.last().copied()))?
}

fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h [u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
}

/// The trail of a header that lists hops, in several lines or in one. `None` if the header is not there, `Some(None)` if it cannot be
/// read as far as it matters.
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

/// The trail of `X-Real-IP`, which is no list: where it is there more than once, all must name the same hop.
fn real_ip(lines: Vec<&[u8]>, is_trusted: impl Fn(IpAddr) -> bool) -> Option<Option<Trail>> {
    let first = lines.first()?;
    let named = address(first).filter(|named| lines.iter().all(|line| address(line) == Some(*named)));
    Some(named.map(|named| match is_trusted(named) {
        true => Trail { client: None, proxies: vec![named] },
        false => Trail { client: Some(named), proxies: Vec::new() },
    }))
}

/// A hop as it is written; `None` where a proxy did not say.
type Hop<'h> = Option<Cow<'h, [u8]>>;

/// The hops of a line of `X-Forwarded-For`. A comma always ends one, whatever a client wrote before it.
fn listed_hops(line: &[u8]) -> Vec<Hop<'_>> {
    line.split(|byte| *byte == b',').map(|hop| Some(Cow::Borrowed(hop))).collect()
}

/// The `for` of each element of a line of `Forwarded`; `None` if the line is not as RFC 7239 has it. It is read whole and strictly: a
/// quotation mark that a client left open would otherwise swallow what a proxy added, and with it a client it makes up counts.
fn forwarded_hops(line: &[u8]) -> Option<Vec<Hop<'_>>> {
    let mut hops = Vec::new();
    let mut rest = line;
    loop {
        let mut hop = None;
        loop {
            rest = rest.trim_ascii_start();
            // Between semicolons there may be nothing.
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
        // Addresses with colons and brackets ought to be quoted; not every proxy does so.
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

/// A byte of a token, as RFC 9110 has it.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// The address of a hop: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`, in quotation marks or
/// not. `unknown` and made-up names, which RFC 7239 allows, are none.
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
    // The same machine over both protocols is one client.
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
