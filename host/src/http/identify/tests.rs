use axum::http::{Request, Version};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Reach, Schemes, Unauthorized, identify};
use crate::access::{Access, Token};
use crate::manifest::{Manifest, Overrides};

/// A host that knows this token.
fn access(token: &Token) -> Access {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    let sha256: String = token.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&file, format!("memory: 512M\ntokens: {{ ann: {{ sha256: {sha256} }} }}")).unwrap();
    Access::new(&Manifest::load(&file, &Overrides::default()).unwrap(), None)
}

struct Asker {
    access: Access,
    token: String,
}

impl Asker {
    fn new() -> Self {
        let token = Token::fresh().unwrap();
        Self { access: access(&token), token: token.reveal().to_owned() }
    }

    /// Who is found; `TOKEN` in a header is the one that is known.
    fn found(&self, reach: Reach, uri: &str, headers: &[(&'static str, &str)]) -> Result<String, Unauthorized> {
        self.found_in(Version::HTTP_11, reach, uri, headers)
    }

    fn found_in(
        &self,
        version: Version,
        reach: Reach,
        uri: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<String, Unauthorized> {
        let mut request = Request::get(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, value.replace("TOKEN", &self.token));
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        identify(&self.access, reach, &parts, Schemes::Bearer).map(|principal| principal.name.to_string())
    }

    fn check(&self, headers: &[(&'static str, &str)], expected: Result<&str, Unauthorized>) {
        let headers = [headers, &[("host", "localhost")]].concat();
        assert_eq!(self.found(Reach::Loopback, "/mcp", &headers), expected.map(str::to_owned), "{headers:?}");
    }
}

#[test]
fn a_token_is_known_or_refused() {
    let asker = Asker::new();
    for right in ["Bearer TOKEN", "bearer TOKEN", "BEARER   TOKEN "] {
        asker.check(&[("authorization", right)], Ok("ann"));
    }
    for wrong in ["", "Bearer", "Bearer ", "Bearer a b", "Bearer \"TOKEN\"", "Basic TOKEN", "TOKEN", "Bearer\tTOKEN"] {
        asker.check(&[("authorization", wrong)], Err(Unauthorized::Malformed));
    }
    for unknown in ["Bearer TOKENx", "Bearer x", "Bearer anonymous", "Bearer ="] {
        asker.check(&[("authorization", unknown)], Err(Unauthorized::Unknown));
    }
    let twice = [("authorization", "Bearer TOKEN"), ("authorization", "Bearer TOKEN")];
    asker.check(&twice, Err(Unauthorized::Doubled));
    // Where it comes from does not matter then.
    let headers = [("host", "mcp.example.org"), ("x-forwarded-for", "10.0.0.1"), ("authorization", "Bearer TOKEN")];
    assert_eq!(asker.found(Reach::Network, "/mcp", &headers), Ok("ann".into()));
    assert_eq!(asker.found(Reach::Network, "/mcp?token=TOKEN", &headers[..2]), Err(Unauthorized::Missing));
}

#[test]
fn a_websocket_may_name_it_among_its_subprotocols() {
    let asker = Asker::new();
    let upgrade = ("upgrade", "WebSocket");
    let named = |protocols| ("sec-websocket-protocol", protocols);
    asker.check(&[upgrade, named("yjs, stockade.token.TOKEN")], Ok("ann"));
    asker.check(&[upgrade, named("yjs"), named("stockade.token.TOKEN")], Ok("ann"));
    asker.check(&[upgrade, named("yjs")], Ok("anonymous"));
    asker.check(&[named("stockade.token.TOKEN")], Ok("anonymous"));
    asker.check(&[upgrade, named("stockade.token.wrong")], Err(Unauthorized::Unknown));
    asker.check(&[upgrade, named("stockade.token.")], Err(Unauthorized::Malformed));
    asker.check(&[upgrade, named("stockade.token.TOKEN, stockade.token.TOKEN")], Err(Unauthorized::Doubled));
    asker.check(
        &[upgrade, named("stockade.token.TOKEN"), ("authorization", "Bearer TOKEN")],
        Err(Unauthorized::Doubled),
    );
}

#[test]
fn without_a_token_only_this_machine_may_call() {
    let asker = Asker::new();
    let local = [("host", "127.0.0.1:8080")];
    assert_eq!(asker.found(Reach::Loopback, "/mcp", &local), Ok("anonymous".into()));
    assert_eq!(asker.found(Reach::Loopback, "http://[::1]/mcp", &[]), Ok("anonymous".into()));
    assert_eq!(asker.found(Reach::Network, "/mcp", &local), Err(Unauthorized::Missing));
    for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"] {
        asker.check(&[(name, "127.0.0.1")], Err(Unauthorized::Missing));
    }
    for (uri, hosts) in [
        ("/mcp", &[][..]),
        ("/mcp", &[("host", "mcp.example.org")]),
        ("/mcp", &[("host", "localhost"), ("host", "mcp.example.org")]),
        ("/mcp", &[("host", "a b")]),
        ("http://mcp.example.org/mcp", &[("host", "localhost")]),
    ] {
        assert_eq!(asker.found(Reach::Loopback, uri, hosts), Err(Unauthorized::Missing), "{uri} {hosts:?}");
    }
}

#[test]
fn the_http_of_proxies_needs_a_token() {
    let (asker, local) = (Asker::new(), [("host", "localhost"), ("authorization", "Bearer TOKEN")]);
    let found = |headers| asker.found_in(Version::HTTP_10, Reach::Loopback, "/mcp", headers);
    assert_eq!(found(&local[..1]), Err(Unauthorized::Missing));
    assert_eq!(found(&local), Ok("ann".into()));
}

#[test]
fn clients_of_registries_send_it_as_a_password() {
    let asker = Asker::new();
    let found = |value: &str, schemes| {
        let request = Request::get("/v2/").header("host", "localhost").header("authorization", value);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        identify(&asker.access, Reach::Network, &parts, schemes).map(|principal| principal.name.to_string())
    };
    let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
    let token = &asker.token;
    for user in ["", "ann", "anybody"] {
        let said = basic(&format!("{user}:{token}"));
        assert_eq!(found(&said, Schemes::BearerAndBasic), Ok("ann".into()));
        assert_eq!(found(&said, Schemes::Bearer), Err(Unauthorized::Malformed), "elsewhere it says nothing");
    }
    assert_eq!(found(&format!("Bearer {token}"), Schemes::BearerAndBasic), Ok("ann".into()));
    assert_eq!(found(&basic("ann:wrong"), Schemes::BearerAndBasic), Err(Unauthorized::Unknown));
    for wrong in [basic("ann"), basic("ann:"), "Basic".into(), "Basic %%%".into(), basic("ann:a b"), "Digest x".into()]
    {
        assert_eq!(found(&wrong, Schemes::BearerAndBasic), Err(Unauthorized::Malformed), "{wrong}");
    }
}
