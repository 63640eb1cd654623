//! The TLS connector for a set of settings: authorities, client certificate, versions.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{RootCert, SslMode, Tls, TlsVersion};
use super::verify::{self, Names};

/// Makes the connector.
///
/// # Errors
/// A file cannot be read or used; the message names it.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(tls))
        .map_err(|error| format!("setting up TLS: {error}"))?
        .dangerous();
    let builder = match roots(&tls.root)? {
        None => builder.with_custom_certificate_verifier(verify::accept_any(&provider)),
        Some((store, files)) => {
            let names = if tls.mode == SslMode::VerifyFull {
                Names::Checked
            } else {
                Names::Ignored
            };
            let crls = tls.crl.as_deref().map(read_crls).transpose()?;
            builder.with_custom_certificate_verifier(verify::against(
                store,
                files,
                crls.unwrap_or_default(),
                names,
                &provider,
            )?)
        }
    };
    let mut config = match client_certificate(tls)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("client certificate and key do not fit: {error}"))?,
    };
    config.enable_sni = tls.sni;
    if tls.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    [
        (TlsVersion::V1_3, &rustls::version::TLS13),
        (TlsVersion::V1_2, &rustls::version::TLS12),
    ]
    .into_iter()
    .filter(|(version, _)| (tls.min_version..=tls.max_version).contains(version))
    .map(|(_, version)| version)
    .collect()
}

type Roots = (RootCertStore, Vec<CertificateDer<'static>>);

fn roots(root: &RootCert) -> Result<Option<Roots>, String> {
    let certificates = match root {
        RootCert::None => return Ok(None),
        RootCert::File(path) => read_certificates(path, "root certificate file")?,
        RootCert::System => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(match root {
            RootCert::File(path) => format!(
                "root certificate file `{}` holds no usable certificate",
                path.display()
            ),
            _ => "the operating system has no certificate authorities; install ca-certificates"
                .to_owned(),
        });
    }
    Ok(Some((store, certificates)))
}

fn read_certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("reading {what} `{}`: {error}", path.display()))
}

fn read_crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("reading revocation list `{}`: {error}", path.display()))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(tls: &Tls) -> Result<Option<Identity>, String> {
    let Some(cert) = &tls.cert else {
        return Ok(None);
    };
    // libpq goes on without a certificate when the file is not there.
    if !cert.exists() {
        return Ok(None);
    }
    let key = tls.key.as_ref().ok_or_else(|| {
        format!(
            "there is a client certificate `{}` and no private key; set sslkey (PGSSLKEY)",
            cert.display()
        )
    })?;
    check_key_permissions(key)?;
    let chain = read_certificates(cert, "client certificate file")?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("reading private key file `{}`: {error}", key.display()))?;
    Ok(Some((chain, key)))
}

/// The rule of libpq: 0600, or 0640 when the file belongs to root.
fn check_key_permissions(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("reading private key file `{}`: {error}", path.display()))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(format!(
            "private key file `{}` has permissions {:04o}, so that others may read it; make it 0600",
            path.display(),
            metadata.mode() & 0o777
        ));
    }
    Ok(())
}
