//! systemd units: a service and a timer for each verb.

use super::{Schedule, Verb, When};

/// A unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its file name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Returns the units.
///
/// # Errors
/// Says that a cron expression has no counterpart in systemd.
pub fn units(schedule: &Schedule) -> Result<Vec<Unit>, String> {
    let mut units = Vec::new();
    for (verb, when) in schedule.times.each() {
        let name = format!("dbops-partitions-{}", verb.name());
        units.push(Unit {
            name: format!("{name}.service"),
            text: service(schedule, verb),
        });
        units.push(Unit {
            name: format!("{name}.timer"),
            text: timer(verb, when)?,
        });
    }
    Ok(units)
}

/// Returns all units in one text, each under a comment with its file name.
pub fn text(units: &[Unit]) -> String {
    let texts: Vec<String> = units
        .iter()
        .map(|unit| format!("# /etc/systemd/system/{}\n{}", unit.name, unit.text))
        .collect();
    texts.join("\n")
}

fn timer(verb: Verb, when: &When) -> Result<String, String> {
    Ok(format!(
        "[Unit]\n\
         Description=dbops: {}\n\
         \n\
         [Timer]\n\
         OnCalendar={}\n\
         # A time missed while the machine was off is caught up with.\n\
         Persistent=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n",
        verb.what(),
        when.on_calendar()?
    ))
}

fn service(schedule: &Schedule, verb: Verb) -> String {
    let command: Vec<String> = schedule
        .words(verb)
        .iter()
        .map(|word| quote(word))
        .collect();
    // An order, not a dependency: a failing ensure must not stop a prune, nor the other way round.
    let order = match verb {
        Verb::Ensure => "",
        Verb::Prune => "After=dbops-partitions-ensure.service\n",
    };
    let home = schedule
        .plans
        .iter()
        .any(|plan| plan.starts_with("/home/") || plan.starts_with("/root/"));
    let protect_home = if home { "read-only" } else { "yes" };
    format!(
        "[Unit]\n\
         Description=dbops: {what}\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         {order}\
         # Exit 6 (deferred: no gap in the locks) is tried again below; only the fourth in an hour\n\
         # leaves the unit failed, and that alone triggers an OnFailure= put here.\n\
         StartLimitIntervalSec=1h\n\
         StartLimitBurst=4\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={command}\n\
         # Only exit 6: systemd 252 refuses RestartForceExitStatus= for oneshot services.\n\
         Restart=on-failure\n\
         RestartPreventExitStatus=1 2 3 4 5 130\n\
         RestartSec=5min\n\
         TimeoutStartSec=1h\n\
         # NAME=value lines such as DATABASE_URL=…; owned by root, mode 0600: systemd reads it.\n\
         EnvironmentFile={env_file}\n\
         # Where the database takes no history, it goes to /var/lib/dbops/history.jsonl.\n\
         StateDirectory=dbops\n\
         Environment=XDG_STATE_HOME=%S\n\
         \n\
         # A user that exists only while this runs. For peer authentication on the server's own\n\
         # machine write User=NAME instead; the plan files must be readable to it either way.\n\
         DynamicUser=yes\n\
         UMask=0077\n\
         NoNewPrivileges=yes\n\
         CapabilityBoundingSet=\n\
         ProtectSystem=strict\n\
         ProtectHome={protect_home}\n\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectClock=yes\n\
         ProtectHostname=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectControlGroups=yes\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n",
        what = verb.what(),
        command = command.join(" "),
        env_file = schedule.env_file.replace('%', "%%"),
    )
}

/// Quotes a word of ExecStart=, where `%` and `$` mean something too.
/// Source: <https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html>, Command lines.
fn quote(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@=,%$".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::schedule;
    use super::*;

    #[test]
    fn each_verb_has_a_service_and_a_timer() {
        let units = units(&schedule()).unwrap();
        let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "dbops-partitions-ensure.service",
                "dbops-partitions-ensure.timer",
                "dbops-partitions-prune.service",
                "dbops-partitions-prune.timer"
            ]
        );
        assert!(units[0].text.contains(
            "ExecStart=/usr/local/bin/dbops partitions ensure --plan \"/etc/dbops/my plans/100%%.yaml\" --target main\n"
        ));
        assert!(units[1].text.contains("OnCalendar=*-*-* 03:07:00\n"));
        assert!(
            !units[2].text.contains("Requires="),
            "a prune waits for nothing to succeed"
        );
    }
}
