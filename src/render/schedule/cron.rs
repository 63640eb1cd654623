//! A crontab fragment.

use super::Schedule;

/// Returns lines for `crontab -e`.
pub fn fragment(schedule: &Schedule) -> String {
    let mut text = format!(
        "# dbops: PostgreSQL partitions. Lines for `crontab -e` of the user that may read {env}.\n\
         #\n\
         # Secrets stand in that file (NAME=value lines such as DATABASE_URL=…, mode 0600), never here.\n\
         # Creating and removing are entries of their own: a prune that fails never stops a create.\n\
         # No flock is needed: two runs never overlap, because dbops tries an advisory lock in the\n\
         # database itself, which also holds against a run on another machine.\n\
         #\n\
         # Exit codes: 0 done or nothing to do; 6 deferred, no gap in the locks was found, the next run\n\
         # tries again; 4 refused and 5 stopped part-way, read the mail; 2 the plan file or the connection.\n\
         # cron mails what is printed; MAILTO=\"\" in front stops that.\n",
        env = schedule.env_file
    );
    for (verb, when) in schedule.times.each() {
        let words: Vec<String> = schedule
            .words(verb)
            .iter()
            .map(|word| shell(word))
            .collect();
        let line = format!(
            "set -a; . {}; set +a; exec {}",
            shell(&schedule.env_file),
            words.join(" ")
        );
        text.push_str(&format!(
            "\n# {}, in the machine's time zone\n{when} {}\n",
            verb.what(),
            // cron reads % as the end of the line.
            line.replace('%', "\\%")
        ));
    }
    if schedule.times.prune.is_none() {
        text.push_str("\n# No policy has `retain`: there is nothing to prune.\n");
    }
    text
}

/// Quotes a word for sh where it needs it.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::schedule;
    use super::*;

    #[test]
    fn ensure_and_prune_are_lines_of_their_own() {
        let text = fragment(&schedule());
        let jobs: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert_eq!(
            jobs,
            [
                "7 3 * * * set -a; . /etc/dbops/dbops.env; set +a; exec /usr/local/bin/dbops partitions ensure --plan '/etc/dbops/my plans/100\\%.yaml' --target main",
                "37 3 * * * set -a; . /etc/dbops/dbops.env; set +a; exec /usr/local/bin/dbops partitions prune --plan '/etc/dbops/my plans/100\\%.yaml' --target main",
            ]
        );
    }

    #[test]
    fn without_retain_there_is_no_prune() {
        let mut schedule = schedule();
        schedule.times.prune = None;
        assert!(!fragment(&schedule).contains("partitions prune"));
    }
}
