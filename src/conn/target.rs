//! The connection of a node that a plan file names: by variable, by service, or by URL without secrets.

use anyhow::bail;

use super::Env;
use super::conninfo::{self, Params};
use super::settings::{Overrides, Settings, apply_overrides};
use crate::failure::Failure;
use crate::plan_file::{Target, TargetNode};

/// Which node of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// The primary.
    Primary,
    /// The replica of that name.
    Replica(&'a str),
    /// The pooler of that name.
    Pooler(&'a str),
}

/// Returns the settings for a node; without a target, those of the default connection.
///
/// A connection string on the command line takes the place of the primary's; replicas and poolers keep
/// theirs.
///
/// # Errors
/// A [`Failure`] that names the plan file's entry or the parameter.
pub fn resolve(
    target: Option<&Target>,
    node: Node<'_>,
    overrides: &Overrides,
    env: &Env,
) -> anyhow::Result<Settings> {
    let usage = |error: String| Failure::usage(error);
    let Some(target) = target else {
        if node != Node::Primary {
            bail!(Failure::usage(
                "replicas and poolers need a `targets` entry in a plan file"
            ));
        }
        return Ok(Settings::resolve(overrides, env).map_err(usage)?);
    };
    if node == Node::Primary && overrides.database_url.is_some() {
        return Ok(Settings::resolve(overrides, env).map_err(usage)?);
    }
    let at = |error: String| Failure::usage(format!("{}: {error}", target.origin));
    let found = find(target, node).map_err(at)?;
    let mut params = params(found, env).map_err(at)?;
    if node == Node::Primary {
        apply_overrides(&mut params, overrides).map_err(usage)?;
    }
    Ok(Settings::from_params(params, env).map_err(at)?)
}

fn find<'a>(target: &'a Target, node: Node<'_>) -> Result<&'a TargetNode, String> {
    let (nodes, what, wanted) = match node {
        Node::Primary => return Ok(&target.primary),
        Node::Replica(name) => (&target.replicas, "replica", name),
        Node::Pooler(name) => (&target.poolers, "pooler", name),
    };
    nodes
        .iter()
        .find(|node| node.name.as_deref() == Some(wanted))
        .ok_or_else(|| format!("the target has no {what} named `{wanted}`"))
}

fn params(node: &TargetNode, env: &Env) -> Result<Params, String> {
    match (&node.url_env, &node.service, &node.url) {
        (Some(name), None, None) => {
            let text = env
                .var(name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| {
                    format!("`url_env: {name}`: the environment variable `{name}` is not set")
                })?;
            conninfo::parse(text).map_err(|error| format!("environment variable `{name}`: {error}"))
        }
        (None, Some(service), None) => {
            let mut params = Params::default();
            params.set("service", service.as_str())?;
            Ok(params)
        }
        (None, None, Some(url)) => {
            refuse_literal_password(url)?;
            let text = expand(url, env)?;
            conninfo::parse(&text).map_err(|error| format!("`url`: {error}"))
        }
        _ => Err("a node needs exactly one of `url_env`, `service`, `url`".to_owned()),
    }
}

/// A password in a plan file ends up in git; only a reference to a variable may stand there.
fn refuse_literal_password(url: &str) -> Result<(), String> {
    let literal = "a password stands in the plan file; write `${NAME}` in its place and set the environment variable, \
                   or use `url_env`, `service` or ~/.pgpass";
    // With every reference taken out, a password that remains was written literally.
    let mut plain = String::with_capacity(url.len());
    split_references(url, &mut |piece| {
        if let Piece::Text(text) = piece {
            plain.push_str(text);
        }
        Ok(())
    })?;
    let params = conninfo::parse(&plain)
        .map_err(|error| format!("`url`: {error} (a `${{NAME}}` can stand for a value only)"))?;
    let written = ["password", "sslpassword", "oauth_client_secret"]
        .iter()
        .any(|name| params.given(name).is_some());
    if written {
        Err(literal.to_owned())
    } else {
        Ok(())
    }
}

/// Replaces `${NAME}`; in a URL the value is percent-encoded, unless it stands for the whole string.
fn expand(url: &str, env: &Env) -> Result<String, String> {
    let is_url = url.contains("://");
    let mut expanded = String::new();
    split_references(url, &mut |piece| {
        match piece {
            Piece::Text(text) => expanded.push_str(text),
            Piece::Reference(name) => {
                let value = env.var(name).ok_or_else(|| {
                    format!("`url`: the environment variable `{name}` is not set")
                })?;
                if is_url {
                    expanded.push_str(&percent_encode(value));
                } else if url.len() == name.len() + 3 {
                    expanded.push_str(value);
                } else {
                    let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
                    expanded.push_str(&format!("'{escaped}'"));
                }
            }
        }
        Ok(())
    })?;
    Ok(expanded)
}

enum Piece<'a> {
    Text(&'a str),
    Reference(&'a str),
}

fn split_references<'a>(
    text: &'a str,
    piece: &mut dyn FnMut(Piece<'a>) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        piece(Piece::Text(before))?;
        let (name, after) = after
            .split_once('}')
            .ok_or("`url`: `${` without `}`; a reference is written `${NAME}`")?;
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            return Err(
                "`url`: a reference is written `${NAME}`, of letters, digits and `_`".to_owned(),
            );
        }
        piece(Piece::Reference(name))?;
        rest = after;
    }
    piece(Piece::Text(rest))
}

/// Encodes all but what a URL leaves alone everywhere, so that a value is one part whatever it holds.
fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::Origin;

    fn env() -> Env {
        let vars = [
            ("PW", "p@ss/w:d'\\ x"),
            ("HOST", "db1"),
            ("EMPTY", ""),
            ("WHOLE", "postgres://u:secret@db9/d"),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Env::new(vars, Some("nobody".to_owned()))
    }

    fn target(primary: TargetNode) -> Target {
        Target {
            primary,
            replicas: Vec::new(),
            poolers: Vec::new(),
            app_pools: Vec::new(),
            origin: Origin {
                file: "plans/a.yaml".to_owned(),
                line: 3,
                column: 5,
            },
        }
    }

    fn by_url(url: &str) -> anyhow::Result<Settings> {
        let node = TargetNode {
            url: Some(url.to_owned()),
            ..TargetNode::default()
        };
        resolve(
            Some(&target(node)),
            Node::Primary,
            &Overrides::default(),
            &env(),
        )
    }

    #[test]
    fn references_are_replaced_whatever_they_hold() {
        for url in [
            "postgres://u:${PW}@${HOST}/d",
            "host=${HOST} user=u dbname=d password=${PW}",
        ] {
            let settings = by_url(url).unwrap();
            assert_eq!(settings.to_string(), "u@db1:5432/d");
            let password = settings.hosts[0].password.as_ref().unwrap();
            assert_eq!(password.expose(), "p@ss/w:d'\\ x");
        }
        assert_eq!(by_url("${WHOLE}").unwrap().to_string(), "u@db9:5432/d");
    }

    #[test]
    fn a_password_in_a_plan_file_is_an_error_that_does_not_repeat_it() {
        for url in [
            "postgres://u:secret@db1/d",
            "postgres://${HOST}:secret@db1/d",
            "postgres://u:secret${PW}@db1/d",
            "postgres://db1/d?password=secret",
            "host=db1 password=secret",
            "host=db1 password='secret'",
            "postgres://u:secret@db1/d?${HOST}=x",
        ] {
            let error = by_url(url).unwrap_err().to_string();
            assert!(error.starts_with("plans/a.yaml:3:5: "), "{error}");
            assert!(!error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |url: &str| by_url(url).unwrap_err().to_string();
        assert!(error("postgres://u:${NOPE}@h").contains("`NOPE` is not set"));
        assert!(error("postgres://u:${PW@h").contains("`${` without `}`"));
        assert!(error("postgres://u:${}@h").contains("`${NAME}`"));
        for name in ["NOPE", "EMPTY"] {
            let node = TargetNode {
                url_env: Some(name.to_owned()),
                ..TargetNode::default()
            };
            let error = resolve(
                Some(&target(node)),
                Node::Primary,
                &Overrides::default(),
                &env(),
            );
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}` is not set")), "{error}");
        }
        let none = resolve(
            Some(&target(TargetNode::default())),
            Node::Replica("x"),
            &Overrides::default(),
            &env(),
        );
        assert!(
            none.unwrap_err()
                .to_string()
                .contains("no replica named `x`")
        );
    }

    #[test]
    fn the_command_line_takes_the_place_of_the_primary() {
        let node = TargetNode {
            url: Some("postgres://u@db1/d".to_owned()),
            ..TargetNode::default()
        };
        let overrides = Overrides {
            database_url: Some("postgres://me@db2/x".to_owned()),
            ..Overrides::default()
        };
        let settings = resolve(Some(&target(node)), Node::Primary, &overrides, &env()).unwrap();
        assert_eq!(settings.to_string(), "me@db2:5432/x");
    }
}
