//! Waits inside a server until it has replayed a position: one statement, however often it looks.
//!
//! A block of PL/pgSQL that commits between looks holds no snapshot while it waits, so that on a standby it never stands
//! in the way of what it waits for. Asking from outside needs a statement for each look.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::session::Session;

/// What became of the wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Waited {
    /// It looked until it saw the position or the time was over.
    Looked(Looks),
    /// The server takes writes: its positions are of a history of its own.
    Promoted,
}

/// What the server saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks {
    /// The last look that did not show it, since the statement came in; `None`: the first look showed it.
    pub not_yet: Option<Duration>,
    /// Whether it was seen.
    pub seen: bool,
}

/// Waits until a standby has replayed a position, for at most `most`; `passed` is the time since it
/// was made, by which it is told how often to look.
///
/// # Errors
/// The position is none, there is no PL/pgSQL, the pooler in between is shared, or the connection.
pub async fn replayed(
    session: &Session,
    position: &str,
    passed: Duration,
    most: Duration,
) -> Result<Waited> {
    let is_position = position
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'/');
    anyhow::ensure!(is_position, "`{position}` is no position in the WAL");
    anyhow::ensure!(
        session.keeps_settings(),
        "a pooler in transaction mode is in between"
    );
    // Whatever was said before is of no use here.
    session.take_notices();
    run(session, &block(position, passed, most)).await?;
    session
        .take_notices()
        .iter()
        .filter(|notice| notice.severity == "INFO")
        .find_map(|notice| parsed(&notice.message))
        .context("the server did not say what it saw")
}

/// `DO` takes no values, so they stand in its text: a position and two numbers.
fn block(position: &str, passed: Duration, most: Duration) -> String {
    let (passed, most) = (passed.as_secs_f64(), most.as_secs_f64());
    format!(
        "do /* dbops */ $dbops$
declare
    begun constant timestamptz := pg_catalog.clock_timestamp();
    looked float8;
    not_yet float8;
    seen bool;
begin
    loop
        looked := extract(epoch from pg_catalog.clock_timestamp() - begun);
        seen := pg_catalog.pg_last_wal_replay_lsn() >= '{position}'::pg_catalog.pg_lsn;
        -- Asked after the position: what was replayed until then was replayed as a standby.
        if not pg_catalog.pg_is_in_recovery() then
            raise info 'dbops looked: promoted';
            return;
        end if;
        exit when seen or looked >= {most:.6};
        not_yet := looked;
        perform pg_catalog.pg_sleep(least(greatest(({passed:.6} + looked) / 50, 0.001), 0.1, {most:.6} - looked));
        commit;
    end loop;
    raise info 'dbops looked: % %', coalesce(not_yet::text, '-'), coalesce(seen, false);
end
$dbops$"
    )
}

fn parsed(message: &str) -> Option<Waited> {
    let told = message.strip_prefix("dbops looked: ")?;
    if told == "promoted" {
        return Some(Waited::Promoted);
    }
    let (not_yet, seen) = told.split_once(' ')?;
    let not_yet = match not_yet {
        "-" => None,
        seconds => Some(Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?),
    };
    Some(Waited::Looked(Looks {
        not_yet,
        seen: seen == "t",
    }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a block that only looks and waits"
)]
async fn run(session: &Session, sql: &str) -> Result<()> {
    session
        .batch_execute(sql)
        .await
        .context("waiting inside the server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_saw_is_read_back() {
        let seen = Waited::Looked(Looks {
            not_yet: None,
            seen: true,
        });
        assert_eq!(parsed("dbops looked: - t"), Some(seen));
        let waited = Waited::Looked(Looks {
            not_yet: Some(Duration::from_millis(1_250)),
            seen: false,
        });
        assert_eq!(parsed("dbops looked: 1.25 f"), Some(waited));
        assert_eq!(parsed("dbops looked: promoted"), Some(Waited::Promoted));
        for other in [
            "",
            "dbops looked: ",
            "dbops looked: x t",
            "dbops looked: -1 t",
            "hello",
        ] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }

    #[test]
    fn the_block_holds_a_position_and_numbers() {
        let text = block("1/F0", Duration::from_millis(2), Duration::from_secs(3));
        assert!(text.contains(">= '1/F0'::pg_catalog.pg_lsn"));
        assert!(text.contains("looked >= 3.000000"), "{text}");
    }
}
