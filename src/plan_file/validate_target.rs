//! Checks of one target: names, one way to reach each node, and no secret in the file.

use std::collections::BTreeSet;

use super::diagnose::Diagnostic;
use super::target::{TAKEN, Target, TargetNode};
use super::validate::Entry;
use super::{app_pool, mask, suggest};

/// Keys that only replicas have.
const OF_REPLICAS: &[&str] = &[
    "use",
    "upstream",
    "app_name",
    "required",
    "apply_delay",
    "labels",
];

/// Checks one target; `targets` is the section it stands in.
pub(super) fn target(
    targets: &Entry<'_>,
    name: &str,
    target: &Target,
    problems: &mut Vec<Diagnostic>,
) {
    if name == "all" {
        problems.push(
            targets
                .key_error(
                    name,
                    "a target cannot be called `all`",
                    "this name is taken",
                )
                .help("`--target all` means every target; choose another name"),
        );
    } else if !is_plain(name) {
        problems.push(
            targets
                .key_error(name, format!("`{name}` cannot be the name of a target"), "")
                .help("use letters, digits, `-`, `_` and `.`, so that it can be typed on a command line"),
        );
    }
    let entry = targets.below(name);
    let primary = entry.below("primary");
    node(&primary, &target.primary, problems);
    not_for(&primary, "a primary", &["kind", "fronts"], problems);
    not_for(&primary, "a primary", OF_REPLICAS, problems);

    let mut names = BTreeSet::from(["primary"]);
    for (replica, at) in target.replicas.iter().zip(entry.elements("replicas")) {
        node(&at, replica, problems);
        named(&at, "replica", replica, &mut names, problems);
        not_for(&at, "a replica", &["kind", "fronts"], problems);
        for key in replica
            .labels
            .keys()
            .filter(|key| TAKEN.contains(&key.as_str()))
        {
            problems.push(
                at.below("labels")
                    .key_error(key, format!("dbops itself gives the label `{key}`"), "")
                    .help("choose another name"),
            );
        }
    }
    app_pool::app_pools(&entry, &target.app_pools, &target.poolers, problems);
    for (replica, at) in target.replicas.iter().zip(entry.elements("replicas")) {
        upstream(&at, replica, &names, problems);
    }
    let fronted: Vec<&str> = names.iter().copied().collect();
    for (pooler, at) in target.poolers.iter().zip(entry.elements("poolers")) {
        node(&at, pooler, problems);
        named(&at, "pooler", pooler, &mut names, problems);
        not_for(&at, "a pooler", OF_REPLICAS, problems);
        kind(&at, pooler, problems);
        if let Some(fronts) = &pooler.fronts
            && !fronted.contains(&fronts.as_str())
        {
            let help = suggest::nearest(fronts, fronted.iter().copied()).map_or_else(
                || "write `primary`, or the name of a replica of this target".to_owned(),
                |found| format!("did you mean `{found}`?"),
            );
            problems.push(
                at.error(
                    "fronts",
                    format!("this target has no node `{fronts}`"),
                    "unknown node",
                )
                .help(help),
            );
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn upstream(
    at: &Entry<'_>,
    replica: &TargetNode,
    names: &BTreeSet<&str>,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(wanted) = replica.upstream.as_deref() else {
        return;
    };
    let own = replica.name.as_deref() == Some(wanted);
    if names.contains(wanted) && !own {
        return;
    }
    let others = names
        .iter()
        .copied()
        .filter(|name| replica.name.as_deref() != Some(*name));
    let help = suggest::nearest(wanted, others).map_or_else(
        || "write `primary`, or the name of another replica of this target".to_owned(),
        |found| format!("did you mean `{found}`?"),
    );
    let message = if own {
        "a replica cannot receive from itself".to_owned()
    } else {
        format!("this target has no node `{wanted}`")
    };
    problems.push(at.error("upstream", message, "unknown node").help(help));
}

fn kind(at: &Entry<'_>, pooler: &TargetNode, problems: &mut Vec<Diagnostic>) {
    match pooler.kind.as_deref() {
        Some("pgbouncer") => {}
        Some(other) => problems.push(
            at.error(
                "kind",
                format!("`{other}` is not a kind of pooler that dbops knows"),
                "expected `pgbouncer`",
            )
            .help("write `kind: pgbouncer`"),
        ),
        None if at.is_broken("kind") => {}
        None => problems.push(
            at.own_error("this pooler has no `kind`", "no `kind` in this entry")
                .help("add `kind: pgbouncer`"),
        ),
    }
}

fn named<'a>(
    at: &Entry<'_>,
    what: &str,
    node: &'a TargetNode,
    names: &mut BTreeSet<&'a str>,
    problems: &mut Vec<Diagnostic>,
) {
    match node.name.as_deref() {
        None if at.is_broken("name") => {}
        None => problems.push(
            at.own_error(
                format!("this {what} has no `name`"),
                "no `name` in this entry",
            )
            .help("reports call it by its name; add for example `name: menu`"),
        ),
        Some(name) if !is_plain(name) => problems.push(
            at.error("name", format!("`{name}` cannot be the name of a node"), "")
                .help("use letters, digits, `-`, `_` and `.`"),
        ),
        Some(name) => {
            if !names.insert(name) {
                problems.push(
                    at.error("name", format!("a node of this target is already called `{name}`"), "given again here")
                        .help("names of replicas and poolers differ within a target, and `primary` is taken"),
                );
            }
        }
    }
}

fn not_for(at: &Entry<'_>, what: &str, keys: &[&str], problems: &mut Vec<Diagnostic>) {
    for key in keys {
        if at.gives(key) {
            let owner = if OF_REPLICAS.contains(key) {
                "replicas"
            } else {
                "poolers"
            };
            problems.push(
                at.key_error(key, format!("{what} has no `{key}`"), "")
                    .help(format!("`{key}` is for {owner}; remove it here")),
            );
        }
    }
}

fn node(at: &Entry<'_>, node: &TargetNode, problems: &mut Vec<Diagnostic>) {
    let ways: Vec<&str> = ["url_env", "service", "url"]
        .into_iter()
        .filter(|key| at.gives(key))
        .collect();
    match ways.as_slice() {
        [] => problems.push(
            at.own_error(
                "nothing says how to reach this node",
                "needs one of `url_env`, `service`, `url`",
            )
            .help("name the environment variable that holds the connection url: `url_env: DATABASE_URL`"),
        ),
        [_] => {}
        [first, second, ..] => problems.push(
            at.key_error(
                second,
                format!("`{second}` beside `{first}`: both say how to reach this node"),
                "one of them is too many",
            )
            .help("keep exactly one of `url_env`, `service`, `url`"),
        ),
    }
    if let Some(name) = &node.url_env {
        environment(at, name, problems);
    }
    if let Some(service) = &node.service
        && service.trim().is_empty()
    {
        problems.push(
            at.error("service", "`service` is empty", "")
                .help("name a section of pg_service.conf"),
        );
    }
    if let Some(url) = &node.url {
        connection_url(at, url, problems);
    }
}

fn environment(at: &Entry<'_>, name: &str, problems: &mut Vec<Diagnostic>) {
    if name.contains("://") {
        problems.push(
            at.error(
                "url_env",
                "`url_env` takes the name of an environment variable, not the url itself",
                "this is a url",
            )
            .help(
                "put the url into an environment variable and name that: `url_env: DATABASE_URL`",
            ),
        );
        return;
    }
    let plain = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain {
        let diagnostic = at.error(
            "url_env",
            "this is not the name of an environment variable",
            "",
        );
        problems.push(
            match name.trim_start_matches('$').trim_matches(['{', '}']) {
                bare if bare != name && !bare.is_empty() => {
                    diagnostic.help(format!("write the bare name: `url_env: {bare}`"))
                }
                _ => diagnostic.help("use letters, digits and `_`: `url_env: DATABASE_URL`"),
            },
        );
    }
}

fn connection_url(at: &Entry<'_>, url: &str, problems: &mut Vec<Diagnostic>) {
    if let Err(message) = references(url) {
        problems.push(
            at.error("url", message, "")
                .help("write a reference as `${NAME}`, with letters, digits and `_`"),
        );
        return;
    }
    // A url that is a reference as a whole is known only at run time.
    if mask::is_reference(url) {
        return;
    }
    let Some(rest) = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
    else {
        problems.push(
            at.error(
                "url",
                "this is not a connection url",
                "expected `postgresql://…`",
            )
            .help("write `postgresql://user@host:5432/database`"),
        );
        return;
    };
    if has_password(rest) {
        problems.push(
            at.error(
                "url",
                "a password does not belong in a plan file",
                "holds a password",
            )
            .help("use `${NAME}` in its place, or `url_env: NAME` for the whole url")
            .help("plan files are in git: if this one was committed, change the password"),
        );
    }
}

/// Whether a url, without its scheme, holds a password that is not a reference.
fn has_password(rest: &str) -> bool {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // A password with `/` in it that was not encoded ends behind the first `/`.
    let user = match authority.rfind('@') {
        Some(at) => authority.get(..at),
        None => rest
            .rfind('@')
            .and_then(|at| rest.get(..at))
            .filter(|user| {
                user.split_once(':')
                    .is_some_and(|(_, secret)| !secret.starts_with(|c: char| c.is_ascii_digit()))
            }),
    };
    let in_user = user
        .and_then(|user| user.split_once(':'))
        .is_some_and(|(_, secret)| !secret.is_empty() && !mask::is_reference(secret));
    let in_query = tail.split_once('?').is_some_and(|(_, query)| {
        query.split('&').any(|pair| {
            pair.split_once('=').is_some_and(|(key, value)| {
                matches!(key, "password" | "sslpassword")
                    && !value.is_empty()
                    && !mask::is_reference(value)
            })
        })
    });
    in_user || in_query
}

/// Checks that each `${` begins a reference that is closed.
fn references(url: &str) -> Result<(), String> {
    let mut rest = url;
    while let Some((_, after)) = rest.split_once("${") {
        let (name, tail) = after
            .split_once('}')
            .ok_or("a `${` in the url is not closed")?;
        if !mask::is_reference(&format!("${{{name}}}")) {
            return Err("a reference in the url has no proper name".to_owned());
        }
        rest = tail;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_and_references_are_not_taken_for_them() {
        for (rest, expected) in [
            ("app:pw@host/x", true),
            ("app:p/w@host/x", true),
            ("app:${PW}@host/x", false),
            ("app@host:5432/x", false),
            ("host:5432/x?options=a@b", false),
            ("host/x?password=pw", true),
            ("host/x?sslmode=require&password=${PW}", false),
            ("a:5432,b:5432/x", false),
        ] {
            assert_eq!(has_password(rest), expected, "{rest}");
        }
    }
}
