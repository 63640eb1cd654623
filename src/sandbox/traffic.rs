//! A small application's load on the `gobapp` sample, in the SQL of its ORM: what the demo's statistics are made of.
//!
//! Most of it is as it should be: a look-up of the session with every request, pages by key, lists with a join. One
//! page reads its list and then each row's author by itself, and one report reads a whole table.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};

use super::cluster::Cluster;

const SESSION: &str = r#"SELECT "public"."User"."id", "public"."User"."email" FROM "public"."User" WHERE ("public"."User"."clerkId" = $1 AND 1=1) LIMIT $2 OFFSET $3"#;
const USER: &str = r#"SELECT "public"."User"."id", "public"."User"."displayName", "public"."User"."tribeId" FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3"#;
const FEED: &str = r#"SELECT "public"."Post"."id", "public"."Post"."authorId", "public"."Post"."content" FROM "public"."Post" WHERE "public"."Post"."flagged" = $1 ORDER BY "public"."Post"."createdAt" DESC LIMIT $2 OFFSET $3"#;
const TRIBE: &str = r#"SELECT "t0"."id", "t0"."content", "t1"."displayName" FROM "public"."Post" AS "t0" LEFT JOIN "public"."User" AS "t1" ON "t0"."authorId" = "t1"."id" WHERE "t0"."tribeId" = $1 ORDER BY "t0"."createdAt" DESC LIMIT $2"#;
const MATCHES: &str = r#"SELECT "public"."Match"."id", "public"."Match"."overallScore" FROM "public"."Match" WHERE "public"."Match"."userId" = $1 ORDER BY "public"."Match"."overallScore" DESC LIMIT $2 OFFSET $3"#;
const REPORT: &str = r#"SELECT "name", COUNT(*), COUNT(DISTINCT "userId") FROM "public"."events" GROUP BY "name" ORDER BY 2 DESC"#;

/// Connections that send requests.
const WORKERS: usize = 3;
/// Between a worker's requests, on average: people do not come in step.
const PAUSE: Duration = Duration::from_millis(50);

/// Load that lasts until it is dropped.
#[derive(Debug)]
pub struct Traffic {
    workers: Vec<JoinHandle<()>>,
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.abort();
        }
    }
}

impl Traffic {
    /// Starts the load on a database that holds the `gobapp` sample, and returns once each page was read.
    ///
    /// # Errors
    /// With the server's message.
    pub async fn start(cluster: &Cluster, database: &str) -> Result<Self> {
        let mut traffic = Self {
            workers: Vec::new(),
        };
        for number in 0..WORKERS {
            let client = cluster.connect(database).await?;
            let mut worker = Worker::new(client, number as u64).await?;
            for page in PAGES {
                worker.page(*page).await?;
            }
            traffic.workers.push(tokio::spawn(async move {
                // A worker ends with its server.
                while worker.request().await.is_ok() {
                    let pause = PAUSE.mul_f64(-(1.0 - worker.random.f64()).ln());
                    tokio::time::sleep(pause).await;
                }
            }));
        }
        Ok(traffic)
    }
}

#[derive(Debug, Clone, Copy)]
enum Page {
    /// The latest posts, and then the author of each.
    Feed,
    /// The posts of a tribe with their authors, joined.
    Tribe,
    /// A person and their matches.
    Profile,
    /// All events, counted.
    Report,
}

const PAGES: &[Page] = &[Page::Feed, Page::Tribe, Page::Profile, Page::Report];

struct Worker {
    client: Client,
    random: fastrand::Rng,
    users: Vec<(String, String)>,
    tribes: Vec<String>,
    session: Statement,
    user: Statement,
    feed: Statement,
    tribe: Statement,
    matches: Statement,
    report: Statement,
}

impl Worker {
    async fn new(client: Client, seed: u64) -> Result<Self> {
        let users = client
            .query(
                r#"select id, "clerkId" from "User" order by id limit 500"#,
                &[],
            )
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<Vec<_>>>()?;
        let tribes = client
            .query(r#"select id from "Tribe" order by id"#, &[])
            .await?
            .iter()
            .map(|row| Ok(row.try_get(0)?))
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            !users.is_empty() && !tribes.is_empty(),
            "the sample has no users or no tribes"
        );
        let prepare = async |text: &str| client.prepare(text).await.context("preparing the load");
        Ok(Self {
            session: prepare(SESSION).await?,
            user: prepare(USER).await?,
            feed: prepare(FEED).await?,
            tribe: prepare(TRIBE).await?,
            matches: prepare(MATCHES).await?,
            report: prepare(REPORT).await?,
            random: fastrand::Rng::with_seed(seed),
            users,
            tribes,
            client,
        })
    }

    async fn request(&mut self) -> Result<()> {
        let page = match self.random.u32(0..100) {
            0..15 => Page::Feed,
            15..55 => Page::Tribe,
            55..98 => Page::Profile,
            _ => Page::Report,
        };
        self.page(page).await
    }

    async fn page(&mut self, page: Page) -> Result<()> {
        let one = self.random.usize(0..self.users.len());
        let (Some((id, clerk)), Some(tribe)) = (
            self.users.get(one),
            self.tribes.get(self.random.usize(0..self.tribes.len())),
        ) else {
            return Ok(());
        };
        self.client
            .query(&self.session, &[clerk, &1_i64, &0_i64])
            .await?;
        match page {
            Page::Feed => {
                let posts = self
                    .client
                    .query(&self.feed, &[&false, &20_i64, &0_i64])
                    .await?;
                for post in posts {
                    let author: String = post.try_get("authorId")?;
                    self.client
                        .query(&self.user, &[&author, &1_i64, &0_i64])
                        .await?;
                }
            }
            Page::Tribe => {
                self.client.query(&self.tribe, &[tribe, &20_i64]).await?;
            }
            Page::Profile => {
                self.client.query(&self.user, &[id, &1_i64, &0_i64]).await?;
                self.client
                    .query(&self.matches, &[id, &10_i64, &0_i64])
                    .await?;
            }
            Page::Report => {
                self.client.query(&self.report, &[]).await?;
            }
        }
        Ok(())
    }
}
