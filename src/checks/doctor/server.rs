//! The server itself: version, recovery, poolers, read-only sessions.

use super::{Check, Facts};
use crate::catalog::Server;
use crate::changes::minors::detach_loses_foreign_keys;
use crate::conn::PoolMode;
use crate::ident::quote_ident;
use crate::sql::SUPPORTED;

pub(super) fn checks(facts: Facts<'_>) -> Vec<Check> {
    let server = &facts.catalog.server;
    vec![
        version(server),
        recovery(server),
        read_only(server),
        pooler(facts.pooler),
    ]
}

fn version(server: &Server) -> Check {
    let id = "server-version";
    let found = format!("PostgreSQL {}", server.version);
    let major = server.version_num / 10_000;
    if !SUPPORTED.contains(&major) {
        return Check::warning(
            id,
            format!(
                "{found}; tested are {} to {}",
                SUPPORTED.start(),
                SUPPORTED.end()
            ),
        )
        .why("the catalog of another major may mean something else; dry runs are safe, runs were never tried")
        .fix("use a version of dbops that names this major in its release notes");
    }
    if detach_loses_foreign_keys(server.version_num) {
        return Check::warning(id, found)
            .why(
                "in this minor version a detached partition with a foreign key to a partitioned \
                 table is no longer checked; prune refuses such a detach \
                 (https://www.postgresql.org/docs/release/17.1/)",
            )
            .fix(format!(
                "install the newest minor version of PostgreSQL {major} and restart the server; the data directory stays"
            ));
    }
    Check::ok(id, found)
}

fn recovery(server: &Server) -> Check {
    let id = "primary";
    if server.in_recovery {
        Check::warning(id, "this server is a standby")
            .why("partitions are kept on the primary and arrive here by replication: writing commands do nothing here")
            .fix("point dbops at the primary: several hosts in the URL and target_session_attrs=read-write follow a failover")
    } else {
        Check::ok(id, "not in recovery")
    }
}

fn read_only(server: &Server) -> Check {
    let id = "writable";
    if server.default_read_only {
        Check::problem(
            id,
            format!(
                "default_transaction_read_only is on for role {}",
                server.role
            ),
        )
        .why("ensure and prune refuse to run")
        .fix(format!(
            "alter role {} set default_transaction_read_only = off;",
            quote_ident(&server.role)
        ))
    } else {
        Check::ok(id, "transactions of the role may write")
    }
}

fn pooler(mode: Option<PoolMode>) -> Check {
    let id = "pooler";
    match mode {
        None => Check::ok(id, "no pooler in between"),
        Some(PoolMode::Session) => Check::ok(id, "a pooler in session mode"),
        Some(mode) => Check::problem(
            id,
            match mode {
                PoolMode::Transaction => "a pooler in transaction mode",
                _ => "a pooler whose mode could not be found out",
            },
        )
        .why("session locks and settings do not survive there: reading works, writing commands refuse")
        .fix("give dbops the server's own host and port, past the pooler"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn a_supported_version_without_known_faults_is_ok() {
        let mut case = Case::healthy();
        assert_eq!(case.state("server-version"), State::Ok);
        case.catalog.server.version_num = 150_008;
        assert_eq!(case.state("server-version"), State::Warning);
        case.catalog.server.version_num = 190_000;
        assert_eq!(case.state("server-version"), State::Warning);
    }

    #[test]
    fn a_standby_is_named() {
        let mut case = Case::healthy();
        assert_eq!(case.state("primary"), State::Ok);
        case.catalog.server.in_recovery = true;
        assert_eq!(case.state("primary"), State::Warning);
    }

    #[test]
    fn a_read_only_role_is_a_problem() {
        let mut case = Case::healthy();
        assert_eq!(case.state("writable"), State::Ok);
        case.catalog.server.default_read_only = true;
        assert_eq!(case.state("writable"), State::Problem);
        assert_eq!(
            case.of("writable")[0].fix,
            ["alter role \"dba\" set default_transaction_read_only = off;"]
        );
    }

    #[test]
    fn a_pooler_is_fine_in_session_mode_only() {
        let mut case = Case::healthy();
        for (mode, state) in [
            (None, State::Ok),
            (Some(PoolMode::Session), State::Ok),
            (Some(PoolMode::Transaction), State::Problem),
            (Some(PoolMode::Unknown), State::Problem),
        ] {
            case.pooler = mode;
            assert_eq!(case.state("pooler"), state, "{mode:?}");
        }
    }
}
