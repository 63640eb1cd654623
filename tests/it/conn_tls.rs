//! TLS: which certificates each sslmode accepts, client certificates, channel binding.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, ensure};
use dbops::conn::{Env, Overrides, Purpose, Session, Settings, connect, failure};
use dbops::sandbox::{Auth, Builder, Cluster};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use crate::common::{Ctx, eventually, tests};

tests!(
    Ends: verify_full_wants_authority_and_name,
    an_expired_certificate_is_refused_as_such,
    a_certificate_that_is_its_own_authority_is_accepted,
    a_common_name_is_enough_without_alternative_names,
    a_root_file_makes_require_check_the_authority,
    prefer_falls_back_and_require_does_not,
    a_server_that_wants_tls_is_met_by_allow,
    a_client_certificate_lets_in,
    channel_binding_works_with_scram,
    a_statement_is_cancelled_over_tls,
    direct_negotiation_works_from_17_on,
);

/// A certificate authority of the test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// Returns certificate and key.
    fn issue(&self, params: &CertificateParams) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn named(name: &str) -> Result<CertificateParams> {
    Ok(CertificateParams::new(vec![name.to_owned()])?)
}

fn common_name(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn with_tls(ctx: &Ctx, (cert, key): &(String, String)) -> Result<Builder<'static>> {
    Ok(ctx
        .private_cluster()?
        .auth(Auth::Scram)
        .config("ssl", "on")
        .config("ssl_cert_file", "server.crt")
        .config("ssl_key_file", "server.key")
        .file("server.crt", cert.as_bytes())
        .file("server.key", key.as_bytes()))
}

fn write(ctx: &Ctx, name: &str, text: &str) -> Result<PathBuf> {
    let path = ctx.dir().join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

fn settings(cluster: &Cluster, extra: &str) -> Result<Settings> {
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname=postgres password={} {extra}",
        cluster.port(),
        cluster.password().unwrap_or_default(),
    );
    let overrides = Overrides {
        database_url: Some(conninfo),
        ..Overrides::default()
    };
    Settings::resolve(&overrides, &Env::default()).map_err(|error| anyhow!(error))
}

async fn open(cluster: &Cluster, extra: &str) -> Result<Session> {
    connect(&settings(cluster, extra)?, Purpose::Read)
        .await
        .with_context(|| extra.to_owned())
}

async fn fails(cluster: &Cluster, extra: &str, wanted: &str) -> Result<()> {
    match connect(&settings(cluster, extra)?, Purpose::Read).await {
        Ok(_) => Err(anyhow!("`{extra}` was let in")),
        Err(error) => {
            let text = failure::describe_error(&error);
            ensure!(text.contains(wanted), "`{extra}`: {text}");
            Ok(())
        }
    }
}

async fn encrypted(session: &Session) -> Result<bool> {
    let rows = session
        .query_typed(
            "select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()",
            &[],
        )
        .await?;
    Ok(rows.first().context("no row")?.get(0))
}

async fn verify_full_wants_authority_and_name(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let other = write(ctx, "other.crt", &Authority::new("two")?.pem)?;
    let (root, other) = (root.display(), other.display());

    let right = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .start()
        .await?;
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let session = open(&right, &format!("sslmode={mode} sslrootcert={root}")).await?;
        ensure!(encrypted(&session).await?, "{mode} is not encrypted");
    }
    for mode in ["prefer", "require"] {
        let session = open(&right, &format!("sslmode={mode} sslrootcert=/nowhere")).await?;
        ensure!(encrypted(&session).await?, "{mode} is not encrypted");
    }
    ensure!(!encrypted(&open(&right, "sslmode=disable").await?).await?);
    ensure!(!encrypted(&open(&right, "sslmode=allow").await?).await?);
    for mode in ["require", "verify-ca", "verify-full"] {
        let extra = format!("sslmode={mode} sslrootcert={other}");
        fails(&right, &extra, "unknown authority").await?;
    }
    for mode in ["verify-ca", "verify-full"] {
        let error = settings(&right, &format!("sslmode={mode} sslrootcert=/nowhere"))
            .err()
            .context("it went without a root certificate")?;
        ensure!(error.to_string().contains("`/nowhere` does not exist"));
    }
    fails(&right, "sslrootcert=system", "unknown authority").await?;

    let wrong = with_tls(ctx, &authority.issue(&named("db.example")?)?)?
        .start()
        .await?;
    open(&wrong, &format!("sslmode=verify-ca sslrootcert={root}")).await?;
    let extra = format!("sslmode=verify-full sslrootcert={root}");
    fails(&wrong, &extra, "for another host").await?;
    // A wrong name must not hide that the authority is unknown.
    let extra = format!("sslmode=verify-ca sslrootcert={other}");
    fails(&wrong, &extra, "unknown authority").await
}

async fn an_expired_certificate_is_refused_as_such(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let mut params = named("localhost")?;
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    let cluster = with_tls(ctx, &authority.issue(&params)?)?.start().await?;
    for mode in ["verify-ca", "verify-full"] {
        let extra = format!("sslmode={mode} sslrootcert={}", root.display());
        fails(&cluster, &extra, "has expired").await?;
    }
    open(&cluster, "sslmode=require").await?;
    Ok(())
}

/// The first recipe of PostgreSQL's documentation: `openssl req -new -x509`, and `root.crt` a copy of it.
async fn a_certificate_that_is_its_own_authority_is_accepted(ctx: &Ctx) -> Result<()> {
    for (params, name_fits, valid) in [
        (named("localhost")?, true, true),
        (common_name("localhost")?, true, true),
        (named("db.example")?, false, true),
        (named("localhost")?, true, false),
    ] {
        let mut params = params;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if !valid {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let root = write(ctx, "root.crt", &pem)?;
        let cluster = with_tls(ctx, &(pem, key.serialize_pem()))?.start().await?;
        let ca = format!("sslmode=verify-ca sslrootcert={}", root.display());
        let full = format!("sslmode=verify-full sslrootcert={}", root.display());
        if !valid {
            fails(&cluster, &ca, "has expired").await?;
            continue;
        }
        open(&cluster, &ca).await?;
        if name_fits {
            open(&cluster, &full).await?;
        } else {
            fails(&cluster, &full, "for another host").await?;
        }
    }
    Ok(())
}

async fn a_common_name_is_enough_without_alternative_names(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let full = format!("sslmode=verify-full sslrootcert={}", root.display());
    let right = with_tls(ctx, &authority.issue(&common_name("localhost")?)?)?
        .start()
        .await?;
    open(&right, &full).await?;
    let mut both = common_name("localhost")?;
    both.subject_alt_names = named("db.example")?.subject_alt_names;
    let wrong = with_tls(ctx, &authority.issue(&both)?)?.start().await?;
    fails(&wrong, &full, "for another host").await
}

async fn a_root_file_makes_require_check_the_authority(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let cluster = with_tls(ctx, &authority.issue(&named("db.example")?)?)?
        .start()
        .await?;
    let home = ctx.dir();
    fs::create_dir(home.join(".postgresql"))?;
    let root = home.join(".postgresql/root.crt");
    let env = Env::default().with_home(home);
    let overrides = Overrides {
        database_url: Some(format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=postgres password={} sslmode=require",
            cluster.port(),
            cluster.password().unwrap_or_default()
        )),
        ..Overrides::default()
    };
    let resolve = || Settings::resolve(&overrides, &env).map_err(|error| anyhow!(error));
    fs::write(&root, &authority.pem)?;
    connect(&resolve()?, Purpose::Read).await?;
    fs::write(&root, Authority::new("two")?.pem)?;
    let error = connect(&resolve()?, Purpose::Read)
        .await
        .err()
        .context("any authority was accepted")?;
    ensure!(error.to_string().contains("unknown authority"), "{error:?}");
    Ok(())
}

async fn prefer_falls_back_and_require_does_not(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    ensure!(!encrypted(&open(&cluster, "sslmode=prefer").await?).await?);
    fails(&cluster, "sslmode=require", "does not speak TLS").await?;
    // The server speaks TLS and takes this role only without it.
    let authority = Authority::new("one")?;
    let plain_only = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .hba("hostssl all all all reject")
        .start()
        .await?;
    ensure!(!encrypted(&open(&plain_only, "sslmode=prefer").await?).await?);
    fails(&plain_only, "sslmode=require", "SQLSTATE 28000").await
}

async fn a_server_that_wants_tls_is_met_by_allow(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let cluster = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .hba("hostnossl all all all reject")
        .start()
        .await?;
    ensure!(encrypted(&open(&cluster, "sslmode=allow").await?).await?);
    fails(&cluster, "sslmode=disable", "SQLSTATE 28000").await
}

async fn a_client_certificate_lets_in(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let cluster = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .config("ssl_ca_file", "clients.crt")
        .file("clients.crt", authority.pem.as_bytes())
        .hba("hostssl all all 127.0.0.1/32 cert")
        .start()
        .await?;
    let (cert, key) = authority.issue(&common_name("postgres")?)?;
    let cert = write(ctx, "me.crt", &cert)?;
    let key = write(ctx, "me.key", &key)?;
    let extra = format!(
        "sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        root.display(),
        cert.display(),
        key.display()
    );
    open(&cluster, &extra).await?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    fails(&cluster, &extra, "permissions 0644").await?;
    let without = format!("sslmode=verify-full sslrootcert={}", root.display());
    fails(&cluster, &without, "certificate").await
}

async fn channel_binding_works_with_scram(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let cluster = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .start()
        .await?;
    let extra = format!(
        "sslmode=verify-full sslrootcert={} channel_binding=require",
        root.display()
    );
    open(&cluster, &extra).await?;
    fails(
        &cluster,
        "sslmode=disable channel_binding=require",
        "channel binding",
    )
    .await
}

async fn a_statement_is_cancelled_over_tls(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let cluster = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .start()
        .await?;
    let extra = format!("sslmode=verify-full sslrootcert={}", root.display());
    let session = open(&cluster, &extra).await?;
    ensure!(session.pooler().is_none(), "TLS was taken for a pooler");
    let watcher = cluster.connect("postgres").await?;
    let pid = session.backend_pid();
    let canceller = session.canceller();
    let sleep = session.query_typed("select pg_catalog.pg_sleep(50)", &[]);
    let cancel = async {
        eventually("the statement runs", async || {
            let row = watcher
                .query_one(
                    "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')",
                    &[&pid],
                )
                .await?;
            Ok(row.get(0))
        })
        .await?;
        canceller.cancel().await
    };
    let (slept, cancelled) = tokio::join!(sleep, cancel);
    cancelled?;
    let error = slept.err().context("it slept on")?;
    ensure!(error.code().map(|code| code.code()) == Some("57014"));
    Ok(())
}

async fn direct_negotiation_works_from_17_on(ctx: &Ctx) -> Result<()> {
    let authority = Authority::new("one")?;
    let root = write(ctx, "root.crt", &authority.pem)?;
    let cluster = with_tls(ctx, &authority.issue(&named("localhost")?)?)?
        .start()
        .await?;
    let extra = format!(
        "sslmode=verify-full sslrootcert={} sslnegotiation=direct",
        root.display()
    );
    if ctx.major >= 17 {
        let session = open(&cluster, &extra).await?;
        ensure!(encrypted(&session).await? && session.pooler().is_none());
        Ok(())
    } else {
        fails(&cluster, &extra, "sslnegotiation=direct").await
    }
}
