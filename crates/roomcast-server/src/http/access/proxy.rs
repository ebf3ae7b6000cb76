//! The client of a request: the peer, or the address that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, X_FORWARDED_FOR};
use ipnet::IpNet;

/// Addresses of proxies: a network such as `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        network
            .map(Network)
            .map_err(|_| format!("expected an address, or a network such as 10.0.0.0/8, found {text:?}"))
    }
}

/// The address of the client of a request, kept with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// Returns the address a request counts for: the rightmost that is not a trusted proxy's. The client may have written
/// anything left of it. When a proxy names no address, the proxy's own counts.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Client {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.0.contains(&address));
    let mut client = peer.to_canonical();
    if is_trusted(client) {
        for named in forwarded(headers).into_iter().rev() {
            let Some(named) = named.filter(|_| is_trusted(client)) else { break };
            client = named;
        }
    }
    Client(client)
}

/// Returns the addresses of `X-Forwarded-For`, or else of `Forwarded`, from the client to the last proxy but one. An
/// invalid entry is `None`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    if headers.contains_key(X_FORWARDED_FOR) {
        return entries(headers, X_FORWARDED_FOR).map(|entry| address(&entry)).collect();
    }
    let named = |entry: String| {
        let of = |pair: &str| {
            pair.split_once('=')
                .filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
                .and_then(|(_, of)| address(of))
        };
        entry.split(';').find_map(of)
    };
    entries(headers, FORWARDED).map(named).collect()
}

fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let lines: Vec<String> = headers.get_all(name).map(text).collect();
    lines.into_iter().flat_map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
}

/// Parses an address, with or without quotes, brackets and a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_str(name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
        client(peer.parse().unwrap(), &map, &trusted).0.to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let header = |value| [("x-forwarded-for", value)];
        assert_eq!(found("192.0.2.9", &header("198.51.100.1")), "192.0.2.9");
        assert_eq!(found("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(found("127.0.0.1", &header("198.51.100.1")), "198.51.100.1");
        assert_eq!(found("::ffff:127.0.0.1", &header("::ffff:198.51.100.1")), "198.51.100.1");
        // The addresses a client writes in front are ignored.
        assert_eq!(found("127.0.0.1", &header("1.2.3.4, 198.51.100.1, 10.1.1.1")), "198.51.100.1");
        let lines = [("x-forwarded-for", "1.2.3.4, 198.51.100.1"), ("x-forwarded-for", "[fd00::1]:80")];
        assert_eq!(found("10.2.2.2", &lines), "198.51.100.1");
        assert_eq!(found("127.0.0.1", &header("198.51.100.1, unknown")), "127.0.0.1");
        assert_eq!(found("127.0.0.1", &header("198.51.100.1,unknown,10.1.1.1")), "10.1.1.1");
        assert_eq!(found("127.0.0.1", &header("10.3.3.3, 10.1.1.1")), "10.3.3.3");
    }

    #[test]
    fn forwarded_is_read_where_it_stands_alone() {
        let header = |value| [("forwarded", value)];
        assert_eq!(found("127.0.0.1", &header("for=198.51.100.1;proto=https")), "198.51.100.1");
        assert_eq!(found("127.0.0.1", &header("for=1.2.3.4, proto=https;For=\"[2001:db8::1]:47011\"")), "2001:db8::1");
        assert_eq!(found("127.0.0.1", &header("for=198.51.100.1, for=_hidden")), "127.0.0.1");
        let both = [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(found("127.0.0.1", &both), "198.51.100.1");
    }

    #[test]
    fn networks_are_read() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().0.contains(&address.parse::<IpAddr>().unwrap())
        };
        assert!(holds("0.0.0.0/0", "9.9.9.9") && !holds("0.0.0.0/0", "::1") && holds("::/0", "::1"));
        assert!(holds("10.1.0.0/15", "10.0.255.255") && !holds("10.1.0.0/16", "10.2.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7/32", "192.0.2.6"));
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
