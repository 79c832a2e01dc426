//! Which issuers a service may be told to trust: those that nobody on the way can speak for.

use orgledger::auth::oidc::Oidc;

#[test]
fn an_issuer_is_encrypted_or_on_this_machine() {
    for issuer in [
        "https://accounts.example.com",
        "https://accounts.example.com/",
        "https://example.com:8443/realms/acme",
        "http://localhost:3000",
        "http://127.0.0.1:3000/",
        "http://[::1]:3000",
    ] {
        assert!(Oidc::new(issuer, "orgledger").is_ok(), "{issuer}");
    }
    for issuer in [
        "",
        "accounts.example.com",
        "http://accounts.example.com",
        "http://localhost.example.com",
        "http://192.168.0.7",
        "ftp://accounts.example.com",
        "file:///etc/passwd",
        "https://user:secret@accounts.example.com",
        "https://accounts.example.com?tenant=7",
        "https://accounts.example.com#here",
    ] {
        assert!(Oidc::new(issuer, "orgledger").is_err(), "{issuer}");
    }
    assert!(Oidc::new("https://accounts.example.com", "").is_err());
}
