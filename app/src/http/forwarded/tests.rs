use ipnet::IpNet;
use poem::http::HeaderValue;
use proptest::prelude::*;

use super::*;

#[test]
fn a_client_that_no_header_names_is_unknown() {
    for (name, value) in [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "kqueen.example"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/kqueen"),
        ("via", "1.1 proxy"),
    ] {
        assert_eq!(client_of(&[(name, value.into())]), Forwarding::Unknown, "{name}");
        let named = [(name, value.into()), (XFF, b"203.0.113.9".to_vec())];
        assert_eq!(client_of(&named), Forwarding::Client("203.0.113.9".parse().unwrap()), "{name}");
    }
    assert_eq!(client_of(&[("x-forward", b"x".to_vec())]), Forwarding::Absent);
}

/// A header's name and value.
type Line = (&'static str, Vec<u8>);

const XFF: &str = "x-forwarded-for";
const REAL: &str = "x-real-ip";
const FORWARDED: &str = "forwarded";

fn headers(lines: &[Line]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// The client behind proxies in 10.0.0.0/8 and fd00::/8.
fn client_of(lines: &[Line]) -> Forwarding {
    let trusted: [IpNet; 2] = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    client(&headers(lines), |address| trusted.iter().any(|network| network.contains(&address)))
}

/// Checks a table of headers and the client they name; an empty text means unknown.
fn check(table: &[(&[(&'static str, &str)], &str)]) {
    for (lines, expected) in table {
        let expected = match *expected {
            "" => Forwarding::Unknown,
            address => Forwarding::Client(address.parse().unwrap()),
        };
        let bytes: Vec<Line> = lines.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        assert_eq!(client_of(&bytes), expected, "{lines:?}");
    }
    assert_eq!(client_of(&[]), Forwarding::Absent);
}

#[test]
fn addresses_are_read_with_and_without_ports_and_brackets() {
    for (text, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]:_hidden", "2001:db8::1"),
        ("\"[2001:db8::1]:443\"", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
    ] {
        assert_eq!(address(text.as_bytes()), Some(expected.parse().unwrap()), "{text}");
    }
    for text in [
        "",
        "unknown",
        "_hidden",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        "192.0.2.1:",
        "192.0.2.1:http",
        "192.0.2.1:123456",
        "192.0.2.1 192.0.2.2",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]:1",
        "[2001:db8::1]443",
        "[2001:db8::1]:",
        "fe80::1%eth0",
        "\"192.0.2.1",
        "192.0.2.1\u{e4}",
    ] {
        assert_eq!(address(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn the_client_is_the_rightmost_hop_that_is_not_a_trusted_proxy() {
    check(&[
        (&[(XFF, "203.0.113.9")], "203.0.113.9"),
        (&[(XFF, "203.0.113.9:51234")], "203.0.113.9"),
        (&[(XFF, "[2001:db8::9]:443")], "2001:db8::9"),
        (&[(XFF, "127.0.0.1, 203.0.113.9, 10.0.0.2:80,[fd00::1]:80")], "203.0.113.9"),
        (&[(XFF, "127.0.0.1"), (XFF, "203.0.113.9"), (XFF, "10.0.0.2")], "203.0.113.9"),
        // What is to the left of it was sent by the client and is not parsed.
        (&[(XFF, "nonsense, \u{e4}, , 203.0.113.9")], "203.0.113.9"),
        (&[(XFF, "\"127.0.0.1, 203.0.113.9")], "203.0.113.9"),
        (&[(REAL, "203.0.113.9")], "203.0.113.9"),
        (&[(REAL, "2001:db8::9")], "2001:db8::9"),
        (&[(FORWARDED, "for=203.0.113.9")], "203.0.113.9"),
        (&[(FORWARDED, "For=203.0.113.9;proto=https;by=10.0.0.1")], "203.0.113.9"),
        (&[(FORWARDED, "proto=https; host=\"a, b;c\\\"d\u{e4}\" ;for=\"203.0.113.9:51234\"")], "203.0.113.9"),
        (&[(FORWARDED, "for=\"[2001:db8::9]:4711\"")], "2001:db8::9"),
        (&[(FORWARDED, "for=[2001:db8::9]:4711")], "2001:db8::9"),
        (&[(FORWARDED, "for=\"\\2\\0\\3.0.113.9\"")], "203.0.113.9"),
        (&[(FORWARDED, "for=127.0.0.1, for=203.0.113.9;by=_x, For=10.0.0.2;")], "203.0.113.9"),
        (&[(FORWARDED, "for=\"127.0.0.1"), (FORWARDED, "for=203.0.113.9"), (FORWARDED, "for=10.0.0.2")], "203.0.113.9"),
        // Only trusted proxies: the request comes from one of them.
        (&[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        (&[(REAL, "10.0.0.3")], "10.0.0.3"),
    ]);
}

#[test]
fn a_client_that_cannot_be_parsed_is_unknown() {
    check(&[
        (&[(XFF, "")], ""),
        (&[(XFF, "203.0.113.9,")], ""),
        (&[(XFF, "203.0.113.9, unknown")], ""),
        (&[(XFF, "203.0.113.9, , 10.0.0.2")], ""),
        (&[(XFF, "203.0.113.9\u{e4}")], ""),
        (&[(XFF, "203.0.113.9"), (XFF, "\u{e4}")], ""),
        (&[(REAL, "203.0.113.9, 203.0.113.9")], ""),
        (&[(REAL, "localhost")], ""),
        (&[(FORWARDED, "")], ""),
        (&[(FORWARDED, "for=unknown")], ""),
        (&[(FORWARDED, "for=_hidden")], ""),
        (&[(FORWARDED, "for=203.0.113.9, proto=https")], ""),
        (&[(FORWARDED, "for=203.0.113.9,")], ""),
        (&[(FORWARDED, "for=203.0.113.9;for=203.0.113.9")], ""),
        (&[(FORWARDED, "for = 203.0.113.9")], ""),
        (&[(FORWARDED, "for")], ""),
        (&[(FORWARDED, "for=")], ""),
        (&[(FORWARDED, "=203.0.113.9")], ""),
        (&[(FORWARDED, "203.0.113.9")], ""),
        (&[(FORWARDED, "for=203.0.113.9 for=203.0.113.9")], ""),
        (&[(FORWARDED, "for=203.0.113.9\u{e4}")], ""),
        (&[(FORWARDED, "for=\"203.0.113.9")], ""),
        (&[(FORWARDED, "for=\"203.0.113.9\\")], ""),
        // An unclosed quotation mark of a client hides nothing.
        (&[(FORWARDED, "for=127.0.0.1;x=\", for=203.0.113.9")], ""),
        (&[(FORWARDED, "for=127.0.0.1;x=\", for=\"203.0.113.9\"")], ""),
        (&[(FORWARDED, "for=127.0.0.1;x=\"\\, for=\"203.0.113.9\";by=\"_x\"")], ""),
    ]);
}

#[test]
fn the_client_is_unknown_if_headers_contradict_each_other() {
    check(&[
        (&[(XFF, "203.0.113.9"), (REAL, "203.0.113.9"), (FORWARDED, "for=203.0.113.9")], "203.0.113.9"),
        (&[(XFF, "127.0.0.1, 203.0.113.9:1"), (FORWARDED, "for=\"203.0.113.9:2\"")], "203.0.113.9"),
        (&[(XFF, "203.0.113.9"), (REAL, "127.0.0.1")], ""),
        (&[(XFF, "127.0.0.1"), (REAL, "203.0.113.9")], ""),
        (&[(XFF, "203.0.113.9"), (FORWARDED, "for=127.0.0.1")], ""),
        (&[(REAL, "203.0.113.9"), (FORWARDED, "for=127.0.0.1")], ""),
        (&[(REAL, "203.0.113.9"), (REAL, "127.0.0.1")], ""),
        (&[(XFF, "203.0.113.9"), (FORWARDED, "nonsense")], ""),
        (&[(XFF, "nonsense"), (FORWARDED, "for=203.0.113.9")], ""),
        // The nearest proxy names the one before it, which is in the list.
        (&[(XFF, "203.0.113.9, 10.0.0.2"), (REAL, "10.0.0.2")], "203.0.113.9"),
        (&[(XFF, "10.0.0.3, 10.0.0.2"), (REAL, "10.0.0.2")], "10.0.0.3"),
        // It is not in the list: the two headers do not describe the same path.
        (&[(XFF, "127.0.0.1"), (REAL, "10.0.0.2")], ""),
        (&[(XFF, "203.0.113.9"), (FORWARDED, "for=10.0.0.2")], ""),
        (&[(XFF, "10.0.0.3"), (REAL, "10.0.0.2")], ""),
    ]);
}

/// Any bytes that are allowed in a header.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("not in a header", |byte| *byte == b'\t' || (*byte >= 32 && *byte != 127));
    prop::collection::vec(byte, 0..40)
}

/// Bytes with a meaning in these headers, often nearly valid.
fn crafted() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "for=",
        "For=",
        "by=",
        "host=",
        "127.0.0.1",
        "10.0.0.9",
        "192.0.2.7",
        "[::1]",
        "[fd00::9]",
        ":80",
        ":_x",
        "\"",
        "\\",
        "\"127.0.0.1\"",
        "\"[::1]:1\"",
        ",",
        ", ",
        ";",
        "=",
        " ",
        "x",
        "unknown",
        "\u{e4}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Forwarding headers that a client sends.
fn claims() -> impl Strategy<Value = Vec<Line>> {
    let name = prop::sample::select(vec![XFF, REAL, FORWARDED]);
    prop::collection::vec((name, prop_oneof![bytes(), crafted()]), 0..5)
}

/// How a proxy treats one of the headers.
#[derive(Debug, Clone, Copy)]
enum Behavior {
    /// It forwards it unchanged.
    Forwards,
    /// It appends the hop before it to the last line.
    Appends,
    /// It adds the hop before it as a separate line.
    AddsLine,
}

/// How the proxies of an installation write the headers.
#[derive(Debug, Clone)]
struct Style {
    xff: Behavior,
    forwarded: Behavior,
    /// The first proxy sets X-Real-IP; later ones overwrite it, or forward it unchanged.
    real: Option<bool>,
    ports: bool,
    quotes: bool,
}

fn style() -> impl Strategy<Value = Style> {
    let behavior = prop::sample::select(vec![Behavior::Forwards, Behavior::Appends, Behavior::AddsLine]);
    let real = prop::sample::select(vec![None, Some(false), Some(true)]);
    (behavior.clone(), behavior, real, any::<bool>(), any::<bool>())
        .prop_map(|(xff, forwarded, real, ports, quotes)| Style { xff, forwarded, real, ports, quotes })
        .prop_filter("the client must be named somewhere", |style| {
            let lists = !matches!((style.xff, style.forwarded), (Behavior::Forwards, Behavior::Forwards));
            lists || style.real == Some(false)
        })
}

fn written(hop: IpAddr, style: &Style, name: &str) -> Vec<u8> {
    let text = match (hop, style.ports) {
        (hop, true) => std::net::SocketAddr::new(hop, 4711).to_string(),
        (IpAddr::V6(hop), false) if name == FORWARDED => format!("[{hop}]"),
        (hop, false) => hop.to_string(),
    };
    match name {
        FORWARDED if style.quotes || text.contains(':') => format!("for=\"{text}\";host=\"kqueen.example:443\""),
        FORWARDED => format!("proto=https;for={text}"),
        _ => text,
    }
    .into_bytes()
}

/// Adds a proxy, which received the request from `hop`.
fn forward(lines: &mut Vec<Line>, hop: IpAddr, is_first: bool, style: &Style) {
    for (name, behavior) in [(XFF, style.xff), (FORWARDED, style.forwarded)] {
        let value = written(hop, style, name);
        let last = lines.iter_mut().rev().find(|(of, _)| *of == name);
        match (behavior, last) {
            (Behavior::Forwards, _) => {}
            (Behavior::Appends, Some((_, line))) => {
                line.extend_from_slice(b", ");
                line.extend(value);
            }
            (Behavior::Appends, None) | (Behavior::AddsLine, _) => lines.push((name, value)),
        }
    }
    if style.real.is_some_and(|overwrites| overwrites || is_first) {
        lines.retain(|(name, _)| *name != REAL);
        lines.push((REAL, hop.to_string().into_bytes()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_input_panics(lines in claims()) {
        let _ = client_of(&lines);
        for (_, line) in &lines {
            let _ = address(line);
        }
    }

    #[test]
    fn a_client_cannot_forge_its_address(
        claims in claims(),
        is_v6 in any::<bool>(),
        style in style(),
        more in prop::collection::vec(1u8..250, 0..3),
    ) {
        let actual: IpAddr = if is_v6 { "2001:db8::77".parse().unwrap() } else { "203.0.113.77".parse().unwrap() };
        let mut lines = claims.clone();
        forward(&mut lines, actual, true, &style);
        for proxy in &more {
            forward(&mut lines, IpAddr::from([10, 1, 0, *proxy]), false, &style);
        }
        match client_of(&lines) {
            Forwarding::Client(address) => prop_assert_eq!(address, actual, "{:?}", lines),
            Forwarding::Unknown => prop_assert!(!claims.is_empty(), "an honest client is known: {:?}", lines),
            Forwarding::Absent => prop_assert!(false, "{:?}", lines),
        }
    }
}
