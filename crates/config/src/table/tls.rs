//! Directives of TLS.

use crate::choice::{TlsAuthClients, TlsAuthClientsUser};
use crate::directive::{Directive, NAT32, TextRule, Unit, choice, flag, int, port, text};
use crate::id::Id;

pub(super) const NOTE: &str = "TLS is not available yet";

const fn file(id: Id, name: &'static str, doc: &'static str) -> Directive {
    text(id, name, "", TextRule::Nullable, doc).accepted(NOTE)
}

pub(super) const TABLE: &[Directive] = &[
    port(Id::TlsPort, "tls-port", "0", "TCP port for TLS clients; 0 opens none.").accepted(NOTE),
    flag(Id::TlsCluster, "tls-cluster", "no", "Uses TLS on the cluster bus.").accepted(NOTE),
    flag(Id::TlsReplication, "tls-replication", "no", "Uses TLS towards the primary.").accepted(NOTE),
    choice::<TlsAuthClients>("tls-auth-clients", "yes", "Whether clients must show a certificate.").accepted(NOTE),
    choice::<TlsAuthClientsUser>(
        "tls-auth-clients-user",
        "off",
        "Field of a client's certificate that names its user.",
    )
    .accepted(NOTE),
    int(
        Id::TlsAutoReloadInterval,
        "tls-auto-reload-interval",
        "0",
        NAT32,
        Unit::Seconds,
        "How often certificates are read again; 0 never.",
    )
    .accepted(NOTE),
    file(Id::TlsCertFile, "tls-cert-file", "The server's certificate."),
    file(Id::TlsKeyFile, "tls-key-file", "The key of the server's certificate."),
    text(Id::TlsKeyFilePass, "tls-key-file-pass", "", TextRule::Secret, "Password of the server's key.")
        .sensitive()
        .accepted(NOTE),
    file(Id::TlsClientCertFile, "tls-client-cert-file", "The certificate for outgoing connections."),
    file(Id::TlsClientKeyFile, "tls-client-key-file", "The key for outgoing connections."),
    text(Id::TlsClientKeyFilePass, "tls-client-key-file-pass", "", TextRule::Secret, "Password of the outgoing key.")
        .sensitive()
        .accepted(NOTE),
    file(Id::TlsDhParamsFile, "tls-dh-params-file", "Diffie-Hellman parameters."),
    file(Id::TlsCaCertFile, "tls-ca-cert-file", "Certificates that are trusted."),
    file(Id::TlsCaCertDir, "tls-ca-cert-dir", "Folder of certificates that are trusted."),
    file(Id::TlsProtocols, "tls-protocols", "Protocol versions that are offered."),
    file(Id::TlsCiphers, "tls-ciphers", "Ciphers up to TLS 1.2."),
    file(Id::TlsCiphersuites, "tls-ciphersuites", "Cipher suites of TLS 1.3."),
    flag(Id::TlsPreferServerCiphers, "tls-prefer-server-ciphers", "no", "The server's order of ciphers decides.")
        .accepted(NOTE),
    flag(Id::TlsSessionCaching, "tls-session-caching", "yes", "Lets clients resume sessions.").accepted(NOTE),
    int(
        Id::TlsSessionCacheSize,
        "tls-session-cache-size",
        "20480",
        NAT32,
        Unit::Count,
        "Sessions remembered; 0 is no limit.",
    )
    .accepted(NOTE),
    int(
        Id::TlsSessionCacheTimeout,
        "tls-session-cache-timeout",
        "300",
        NAT32,
        Unit::Seconds,
        "How long a session is remembered.",
    )
    .accepted(NOTE),
];
