use axum::http::{HeaderMap, Uri};

use super::{Denied, Gate};

fn gate() -> Gate {
    Gate::new(&["mcp.example.org".into()], &["https://app.example.org".into()])
}

fn checked(uri: &str, headers: &[(&'static str, &str)]) -> Result<bool, Denied> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    gate().check(&uri.parse::<Uri>().unwrap(), &map).map(|page| page.is_some())
}

#[test]
fn loopback_and_listed_hosts_come_in() {
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:1",
        "127.1.2.3",
        "[::1]:80",
        "mcp.example.org",
        "MCP.example.org:443",
    ] {
        assert_eq!(checked("/mcp", &[("host", host)]), Ok(false), "{host}");
    }
    let foreign =
        ["evil.example.com", "localhost.evil.com", "127.0.0.1.evil.com", "x.mcp.example.org", "10.0.0.1", "", "a b"];
    for host in foreign {
        assert_eq!(checked("/mcp", &[("host", host)]), Err(Denied::Host), "{host}");
    }
    assert_eq!(checked("/mcp", &[]), Err(Denied::Host));
    assert_eq!(checked("/mcp", &[("host", "localhost"), ("host", "evil.com")]), Err(Denied::Host));
    assert_eq!(
        checked("http://evil.com/mcp", &[("host", "localhost")]),
        Err(Denied::Host),
        "the request line counts, too"
    );
    assert_eq!(checked("http://localhost/mcp", &[]), Ok(false));
}

#[test]
fn loopback_and_listed_pages_come_in() {
    let page = |origin: &str| checked("/mcp", &[("host", "localhost"), ("origin", origin)]);
    for origin in ["http://localhost", "http://127.0.0.1:6274", "https://[::1]:1", "https://app.example.org"] {
        assert_eq!(page(origin), Ok(true), "{origin}");
    }
    let foreign = [
        "null",
        "http://evil.example.com",
        "http://app.example.org",
        "https://app.example.org.evil.com",
        "https://app.example.org:8443",
        "http://localhost.evil.com",
        "http://localhost@evil.com",
        "http://evil.com@localhost",
        "file://localhost",
        "localhost",
        "",
    ];
    for origin in foreign {
        assert_eq!(page(origin), Err(Denied::Origin), "{origin}");
    }
    let two = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
    assert_eq!(checked("/mcp", &two), Err(Denied::Origin));
}

#[test]
fn a_listed_page_learns_what_it_may_send() {
    let mut asked = HeaderMap::new();
    asked.insert("origin", "https://app.example.org".parse().unwrap());
    asked
        .insert("access-control-request-headers", "Content-Type, MCP-Method,mcp-param-region, x-evil".parse().unwrap());
    let answer = gate().preflight(&asked);
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example.org");
    assert_eq!(answer.headers()["access-control-allow-headers"], "content-type, mcp-method, mcp-param-region");
    assert_eq!(answer.headers()["access-control-allow-methods"], "POST, GET, DELETE");
    assert_eq!(answer.headers()["vary"], "origin");

    asked.insert("origin", "https://evil.example.com".parse().unwrap());
    let answer = gate().preflight(&asked);
    assert_eq!(answer.status(), 403);
    assert!(answer.headers().get("access-control-allow-origin").is_none());
}
