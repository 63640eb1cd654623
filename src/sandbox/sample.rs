//! The four reference systems as data for a throw-away cluster: schema, rows and plan files, all
//! embedded, so that the built command needs no folder beside it.
#![expect(
    clippy::disallowed_methods,
    reason = "fills a throw-away database that was just made"
)]

use anyhow::{Context as _, Result, anyhow};
use tokio_postgres::Client;

use super::cluster::describe;

/// A reference system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    name: &'static str,
    about: &'static str,
    schema: &'static str,
    data: &'static str,
    partitions: &'static str,
    indexes: &'static str,
}

macro_rules! system {
    ($name:literal, $about:literal) => {
        System {
            name: $name,
            about: $about,
            schema: include_str!(concat!("../../sql/samples/", $name, ".sql")),
            data: include_str!(concat!("../../sql/samples/", $name, "_data.sql")),
            partitions: include_str!(concat!("../../plans/", $name, "/partitions.yaml")),
            indexes: include_str!(concat!("../../plans/", $name, "/indexes.yaml")),
        }
    };
}

const SYSTEMS: &[System] = &[
    system!(
        "gobapp",
        "a civic application: one stream of events by month"
    ),
    system!(
        "agents",
        "conversations, money and logs: by month and by day"
    ),
    system!(
        "cafeteria",
        "a café: by month and by week in its own time zone"
    ),
    system!("rural24", "classified ads: by quarter and by year"),
];

/// How much there is to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// Months of rows, the current one counted.
    pub months: u32,
    /// Rows of the biggest partitioned table; the others follow.
    pub rows: u32,
    /// The instant before which all rows lie, as a timestamp text; the server's now without it.
    pub end: Option<String>,
}

impl System {
    /// Returns every reference system, the usual one first.
    pub fn all() -> &'static [Self] {
        SYSTEMS
    }

    /// Finds a system by its name.
    pub fn named(name: &str) -> Option<Self> {
        SYSTEMS.iter().find(|system| system.name == name).copied()
    }

    /// Returns the name, which is also that of its database.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Says what it is, in a few words.
    pub fn about(self) -> &'static str {
        self.about
    }

    /// Returns the sample plan file of its partitions.
    pub fn partitions(self) -> &'static str {
        self.partitions
    }

    /// Returns the sample plan file of its indexes.
    pub fn indexes(self) -> &'static str {
        self.indexes
    }

    /// Creates the tables and their rows in the empty database that the client is connected to.
    ///
    /// # Errors
    /// With the server's message.
    pub async fn load(self, client: &Client, amount: &Amount) -> Result<()> {
        let settings = [
            ("dbops.sample_months", amount.months.to_string()),
            ("dbops.sample_rows", amount.rows.to_string()),
            ("dbops.sample_end", amount.end.clone().unwrap_or_default()),
        ];
        for (name, value) in settings {
            client
                .query_one(
                    "select pg_catalog.set_config($1, $2, false)",
                    &[&name, &value],
                )
                .await
                .map_err(|error| anyhow!(describe(&error)))?;
        }
        for (what, sql) in [("tables", self.schema), ("rows", self.data)] {
            client
                .batch_execute(sql)
                .await
                .map_err(|error| anyhow!(describe(&error)))
                .with_context(|| format!("creating the {what} of `{}`", self.name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_found_by_their_names() {
        for system in System::all() {
            assert_eq!(System::named(system.name()), Some(*system));
            for plan in [system.partitions(), system.indexes()] {
                assert!(plan.contains("version: 1"), "{}", system.name());
            }
        }
        assert_eq!(System::named("nothing"), None);
    }
}
