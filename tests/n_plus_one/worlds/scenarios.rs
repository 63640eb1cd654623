//! What each kind of application asks: its pages, its loops, its jobs.

use fastrand::Rng;

use super::{App, Site, page};

/// Honest pages that every application has some of.
pub(super) fn background(site: &mut Site, app: &mut App) {
    let mut kinds: Vec<usize> = (0..7).collect();
    app.rng.shuffle(&mut kinds);
    for kind in kinds.into_iter().take(4) {
        let a = app.rng.usize(5..10);
        let b = (a - 5 + 1 + app.rng.usize(..4)) % 5 + 5;
        let weight = 0.5 + 2.0 * app.rng.f64();
        site.pages.push((
            weight,
            match kind {
                0 => page(move |app| {
                    app.once(&app.by_key(a), 1);
                    let rows = app.between(0, 6);
                    app.once(&app.by_reference(b, a), rows);
                }),
                1 => page(move |app| {
                    let rows = app.between(5, 25);
                    app.once(&app.list(a, "name"), rows);
                    app.once(&app.batch(b, &app.reference(a)), rows * 2);
                }),
                2 => page(move |app| {
                    app.once(&app.by_key(a), 1);
                    app.once(&app.update(a), 1);
                }),
                3 => page(move |app| app.once(&app.insert(b, a), 1)),
                4 => page(move |app| {
                    app.once(&app.by_key(a), 1);
                    app.once(&app.count(b, a), 1);
                    if app.chance(0.5) {
                        app.once(&app.by_key(b), 1);
                    }
                }),
                5 => page(move |app| {
                    let rows = app.between(10, 20);
                    app.once(&app.list(b, "created_at"), rows);
                }),
                _ => page(move |app| app.once("SELECT * FROM \"settings\" WHERE \"name\" = $1", 1)),
            },
        ));
    }
}

/// Adds the pages, loops and jobs of a scenario.
pub(super) fn scenarios(scenario: &str, site: &mut Site, app: &mut App, rng: &mut Rng) {
    let low = 3 + rng.usize(..8);
    let high = low + rng.usize(..20);
    let often = 0.3 + 0.9 * rng.f64();
    let (c, d, e) = (0usize, 1usize, 2usize);
    match scenario {
        "profile and feed share a look-up" => {
            site.pages.push((
                1.0 + 2.0 * rng.f64(),
                page(move |app| {
                    app.once(&app.by_key(c), 1);
                    if app.chance(0.5) {
                        app.once(&app.count(d, c), 1);
                    }
                }),
            ));
            site.pages.push((
                often,
                page(move |app| {
                    let rows = app.between(low, high);
                    let list = app.list(d, "created_at");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        app.each(&app.by_key(c), 1, &list);
                    }
                }),
            ));
        }
        "author shown once and in comments" => {
            site.pages.push((
                2.0 + rng.f64(),
                page(move |app| {
                    app.once(&app.by_key(d), 1);
                    app.once(&app.by_key(c), 1);
                    let comments = app.between(0, high);
                    let list = app.by_reference(e, d);
                    app.once(&list, comments);
                    for _ in 0..comments {
                        app.each(&app.by_key(c), 1, &list);
                    }
                }),
            ));
            site.pages
                .push((3.0, page(move |app| app.once(&app.by_key(c), 1))));
        }
        "nested, two to four each" | "three levels, two or three each" => {
            let deep = scenario.starts_with("three");
            let most = if deep { 3 } else { 4 };
            site.pages.push((
                often + 0.3,
                page(move |app| {
                    let outer = app.between(2, most);
                    let list = app.list(c, "name");
                    app.once(&list, outer);
                    for _ in 0..outer {
                        let rows = app.between(2, most);
                        let middle = app.by_reference(d, c);
                        app.each(&middle, rows, &list);
                        for _ in 0..rows {
                            let rows = app.between(1, most);
                            let inner = app.by_reference(e, d);
                            app.each(&inner, rows, &middle);
                            if deep {
                                for _ in 0..rows {
                                    app.each(&app.by_key(3), 1, &inner);
                                }
                            }
                        }
                    }
                }),
            ));
            site.pages.push((
                1.0,
                page(move |app| {
                    let rows = app.between(10, 20);
                    app.once(&app.list(d, "name"), rows);
                }),
            ));
        }
        "no foreign keys, many lists" | "odd names, no keys, one list text" => {
            app.odd = true;
            site.catalog = Some(false);
            let one = scenario.starts_with("odd");
            let order = if one { "name" } else { "created_at" };
            for (entity, order) in [(d, order), (e, "name"), (3, "name"), (4, "created_at")] {
                site.pages.push((
                    0.4 + rng.f64(),
                    page(move |app| {
                        let rows = app.between(5, 25);
                        app.once(&app.list(entity, order), rows);
                    }),
                ));
            }
            let belongs = rng.bool();
            site.pages.push((
                often,
                page(move |app| {
                    let rows = app.between(low, high);
                    let list = app.list(d, "name");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        if belongs {
                            app.each(&app.by_key(c), 1, &list);
                        } else {
                            let found = app.between(0, 4);
                            app.each(&app.by_reference(e, d), found, &list);
                        }
                    }
                }),
            ));
            site.pages.push((
                1.0,
                page(move |app| {
                    app.once(&app.by_key(c), 1);
                    let found = app.between(0, 4);
                    app.once(&app.by_reference(3, c), found);
                }),
            ));
        }
        "tenant in every predicate" | "tenant and soft deletion, no catalog" => {
            app.tenant = true;
            if scenario.ends_with("catalog") {
                app.soft = true;
                site.catalog = None;
            }
            site.pages.push((
                often,
                page(move |app| {
                    let rows = app.between(low, high);
                    let list = app.list(c, "name");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        let found = app.between(0, 3);
                        app.each(&app.by_reference(d, c), found, &list);
                        app.each(&app.count(e, c), 1, &list);
                    }
                }),
            ));
            site.pages.push((
                1.5,
                page(move |app| {
                    app.once(&app.by_key(c), 1);
                    app.once(&app.count(d, c), 1);
                }),
            ));
        }
        "pages of one object beside a list" | "detail page with the list it came from" => {
            let detail = scenario.starts_with("detail");
            site.pages.push((
                2.0 + 2.0 * rng.f64(),
                page(move |app| {
                    app.once(&app.by_key(c), 1);
                    let rows = app.between(low, high);
                    app.once(
                        &if detail {
                            app.by_reference(d, c)
                        } else {
                            app.list(d, "name")
                        },
                        rows,
                    );
                    app.once(&app.by_key(e), 1);
                    app.once(&app.count(3, c), 1);
                }),
            ));
            site.pages.push((
                1.0,
                page(move |app| {
                    let rows = app.between(low, high);
                    app.once(&app.list(c, "name"), rows);
                }),
            ));
        }
        "workers take batches" | "outbox is sent row by row" => {
            let outbox = scenario.starts_with("outbox");
            let most = 5 + rng.usize(..30);
            site.cron = Some((
                page(move |app| {
                    let rows = app.between(0, most);
                    let list = if outbox {
                        format!("{} FOR UPDATE SKIP LOCKED", app.list(d, "created_at"))
                    } else {
                        format!(
                            "UPDATE \"{0}\" SET \"taken\" = $1 WHERE \"id\" IN (SELECT \"id\" FROM \"{0}\" WHERE \"state\" = $2 LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING *",
                            app.table(d)
                        )
                    };
                    app.once(&list, rows);
                    for _ in 0..rows {
                        if !outbox {
                            app.each(&app.by_key(c), 1, &list);
                        }
                        app.each(&app.update(d), 1, &list);
                    }
                }),
                0.4 + rng.f64(),
            ));
            site.pages
                .push((1.0, page(move |app| app.once(&app.by_key(c), 1))));
        }
        "cache warms up" | "cache hits at random" => {
            let warms = scenario.starts_with("cache warms");
            site.pages.push((
                often + 0.2,
                page(move |app| {
                    let rows = app.between(low, high);
                    let list = app.list(d, "name");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        let miss = if warms {
                            0.3 + 0.7 * (-app.now / 5.0).exp()
                        } else {
                            0.5
                        };
                        if app.chance(miss) {
                            app.each(&app.by_key(c), 1, &list);
                        }
                    }
                }),
            ));
            site.pages.push((
                2.0,
                page(move |app| {
                    if app.chance(if warms {
                        0.3 + 0.7 * (-app.now / 5.0).exp()
                    } else {
                        0.6
                    }) {
                        app.once(&app.by_key(e), 1);
                    }
                    app.once(&app.count(3, e), 1);
                }),
            ));
        }
        "cron hits an honest page"
        | "load test of an honest page"
        | "crawler without a session" => {
            let session = !scenario.starts_with("crawler");
            if !session {
                site.before = None;
            }
            let honest = site.pages.len();
            site.pages.push((
                1.0,
                page(move |app| {
                    app.once(&app.by_key(c), 1);
                    let rows = app.between(0, 6);
                    app.once(&app.by_reference(d, c), rows);
                    app.once(&app.count(e, c), 1);
                }),
            ));
            site.pages.push((
                1.0,
                page(move |app| {
                    let rows = app.between(low, high);
                    app.once(&app.list(c, "name"), rows);
                }),
            ));
            site.burst = Some((
                honest,
                if scenario.starts_with("load") {
                    30.0
                } else {
                    10.0
                },
                3.0 + 3.0 * rng.f64(),
                0.7 + rng.f64(),
            ));
            if rng.bool() {
                site.pages.push((
                    often,
                    page(move |app| {
                        let rows = app.between(low, high);
                        let list = app.list(3, "name");
                        app.once(&list, rows);
                        for _ in 0..rows {
                            app.each(&app.by_key(4), 1, &list);
                        }
                    }),
                ));
            }
        }
        "cron loops over everything" => {
            let rows = 40 + rng.usize(..120);
            site.cron = Some((
                page(move |app| {
                    let list = app.list(c, "id");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        app.each(&app.count(d, c), 1, &list);
                    }
                }),
                2.0 + 3.0 * rng.f64(),
            ));
            site.pages.push((
                1.5,
                page(move |app| {
                    app.once(&app.by_key(c), 1);
                    app.once(&app.by_reference(e, c), 2);
                }),
            ));
        }
        "resolvers" | "resolvers with nullable keys" => {
            let null = if scenario == "resolvers" { 0.0 } else { 0.5 };
            site.pages.push((
                often,
                page(move |app| {
                    let rows = app.between(low, high);
                    let list = app.list(d, "name");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        if !app.chance(null) {
                            app.each(&app.by_key(c), 1, &list);
                        }
                        let found = app.between(0, 3);
                        app.each(&app.by_reference(e, d), found, &list);
                    }
                }),
            ));
        }
        "a few look-ups on every page" | "breadcrumbs of three" => {
            let times = if scenario.starts_with("a few") { 2 } else { 3 };
            site.pages.push((
                2.0,
                page(move |app| {
                    for _ in 0..times {
                        app.once(&app.by_key(c), 1);
                    }
                    let rows = app.between(low, high);
                    app.once(&app.list(d, "name"), rows);
                }),
            ));
        }
        "many requests, loop is rare" => {
            site.rate = 400.0;
            site.window_s = 1.0;
            site.pages.push((
                0.08,
                page(move |app| {
                    let rows = app.between(low, high);
                    let list = app.list(d, "name");
                    app.once(&list, rows);
                    for _ in 0..rows {
                        app.each(&app.by_reference(e, d), 1, &list);
                    }
                }),
            ));
        }
        _ => {
            site.pages.push((
                often,
                page(move |app| {
                    let rows = app.between(low, high);
                    app.once(&app.list(d, "name"), rows);
                    app.once(&app.batch(c, app.key()), rows);
                    app.once(&app.batch(e, &app.reference(d)), rows * 3);
                }),
            ));
            site.pages.push((
                1.0,
                page(move |app| {
                    app.once(&app.by_key(d), 1);
                    app.once(&app.by_key(c), 1);
                }),
            ));
        }
    }
}
