//! The cryptography of TLS, which no test speaks: a stock client brings TLS along, and then every client of its library wants to
//! know what it would use.

/// Chooses it, if nobody has. Whoever starts a host calls this, so that it is done before anybody connects.
pub fn choose() {
    // Fails if it is chosen already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
