//! A proxy that signs users in: its connections need no token, and nobody else can pretend to be it.

use super::client::{Server, registry};

#[test]
fn requests_of_the_sign_in_proxy_may_read_and_nothing_else() {
    let models = registry();
    let server = Server::start(models.path(), &["--sign-in-proxy", "127.0.0.1"]);
    for path in ["/predict?device=device_2", "/models", "/alerts", "/schedule"] {
        assert_eq!(server.ask("GET", path, &[], b"").status, 200, "{path}");
    }
    let page = server.ask("GET", "/", &["X-Ingress-Path: /api/hassio_ingress/abc"], b"").text();
    assert!(page.contains("data-open"), "the page must not ask for a token");
    for path in ["/readings", "/models/reload"] {
        let refused = server.ask("POST", path, &["Content-Type: application/json"], b"[]");
        assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"), "{path}");
    }
    // A token counts as it does elsewhere.
    let auth =
        |token: &str| server.ask("POST", "/models/reload", &[&format!("Authorization: Bearer {token}")], b"").status;
    assert_eq!((auth("a-token"), auth("r-token"), auth("no-token")), (200, 403, 401));
    // All users have the proxy's address: wrong tokens of one do not lock out the others.
    assert!((0..40).all(|_| auth("no-token") == 401));
    assert_eq!((server.ask("GET", "/devices", &[], b"").status, auth("a-token")), (200, 200));
}

#[test]
fn headers_make_no_client_the_sign_in_proxy() {
    let models = registry();
    let more = ["--sign-in-proxy", "172.30.32.2", "--trusted-proxy", "127.0.0.1"];
    let server = Server::start(models.path(), &more);
    for header in [
        "X-Forwarded-For: 172.30.32.2",
        "Forwarded: for=172.30.32.2",
        "X-Real-IP: 172.30.32.2",
        "X-Ingress-Path: /api/hassio_ingress/abc",
        "X-Remote-User-Id: admin",
    ] {
        assert_eq!(server.ask("GET", "/predict", &[header], b"").status, 401, "{header}");
        assert!(!server.ask("GET", "/", &[header], b"").text().contains("data-open"), "{header}");
    }
    assert_eq!(server.get("/predict?device=device_2").status, 200);
}
