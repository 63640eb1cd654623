//! How the server's certificate is checked: not at all, its authority, or its name as well.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::ext::pkix::SubjectAltName;

/// Whether the certificate must name the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// `verify-full`.
    Checked,
    /// `verify-ca`, and `require` with a root certificate.
    Ignored,
}

/// Accepts every certificate: `prefer` and `require` without a root certificate encrypt only.
pub(super) fn accept_any(provider: &CryptoProvider) -> Arc<dyn ServerCertVerifier> {
    Arc::new(AcceptAny(provider.signature_verification_algorithms))
}

/// Accepts what one of the authorities has signed.
pub(super) fn against(
    store: RootCertStore,
    files: Vec<CertificateDer<'static>>,
    crls: Vec<CertificateRevocationListDer<'static>>,
    names: Names,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .with_crls(crls)
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| format!("using the root certificates: {error}"))?;
    Ok(Arc::new(Against {
        chain,
        trusted: files,
        names,
    }))
}

#[derive(Debug)]
struct AcceptAny(rustls::crypto::WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Whoever answers must hold the key of the certificate shown, or channel binding means nothing.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[derive(Debug)]
struct Against {
    chain: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
    names: Names,
}

impl ServerCertVerifier for Against {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // webpki refuses a self-signed server certificate that is its own authority, which is the first
        // recipe of PostgreSQL's documentation and which OpenSSL accepts. Trusted byte for byte, only its
        // time and name are left to check.
        if self.trusted.iter().any(|trusted| trusted == end_entity) {
            let certificate = decode(end_entity)?;
            check_time(&certificate, now)?;
            if self.names == Names::Checked {
                check_name(&certificate, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        // The name is what webpki checks last, so a complaint about it says that the chain is sound.
        let error = match self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let only_the_name = matches!(
            error,
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            )
        );
        match self.names {
            Names::Ignored if only_the_name => Ok(ServerCertVerified::assertion()),
            // libpq takes the common name of a certificate without alternative names.
            Names::Checked if only_the_name => check_name(&decode(end_entity)?, server_name)
                .map(|()| ServerCertVerified::assertion())
                .map_err(|_| error),
            _ => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

fn decode(der: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(der).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn check_time(certificate: &Certificate, now: UnixTime) -> Result<(), Error> {
    let validity = &certificate.tbs_certificate.validity;
    let seconds = now.as_secs();
    if seconds < validity.not_before.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if seconds > validity.not_after.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// Checks the alternative names, or the common name of a certificate without any.
fn check_name(certificate: &Certificate, wanted: &ServerName<'_>) -> Result<(), Error> {
    let wrong = || Error::InvalidCertificate(CertificateError::NotValidForName);
    let alternatives = certificate
        .tbs_certificate
        .get::<SubjectAltName>()
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let wanted_text = wanted.to_str();
    let matches = match alternatives {
        Some((_, names)) => names.0.iter().any(|name| match (name, wanted) {
            (x509_cert::ext::pkix::name::GeneralName::DnsName(name), ServerName::DnsName(_)) => {
                name_matches(name.as_str(), &wanted_text)
            }
            (
                x509_cert::ext::pkix::name::GeneralName::IpAddress(bytes),
                ServerName::IpAddress(address),
            ) => match std::net::IpAddr::from(*address) {
                std::net::IpAddr::V4(address) => address.octets() == bytes.as_bytes(),
                std::net::IpAddr::V6(address) => address.octets() == bytes.as_bytes(),
            },
            _ => false,
        }),
        None => common_names(certificate).any(|name| name_matches(&name, &wanted_text)),
    };
    if matches { Ok(()) } else { Err(wrong()) }
}

fn common_names(certificate: &Certificate) -> impl Iterator<Item = String> {
    certificate
        .tbs_certificate
        .subject
        .0
        .iter()
        .flat_map(|name| name.0.iter())
        .filter(|part| part.oid == CN)
        .filter_map(|part| String::from_utf8(part.value.value().to_vec()).ok())
}

/// The wildcard rule of libpq: `*.` stands for exactly one label.
fn name_matches(pattern: &str, wanted: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    same(pattern, wanted)
        || pattern.strip_prefix("*.").is_some_and(|suffix| {
            wanted
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && same(rest, suffix))
        })
}
