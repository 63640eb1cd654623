//! Recorded answers of the console, by version; columns from `admin.c` of each.

use super::*;

/// `show pools` of 1.12 to 1.15, of 1.16 and 1.17, of 1.18 to 1.23, and of 1.24 and newer.
const POOLS_BY_VERSION: [(&str, &str, usize); 4] = [
    (
        "1.12.0",
        "database,user,cl_active,cl_waiting,sv_active,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode",
        12,
    ),
    (
        "1.16.1",
        "database,user,cl_active,cl_waiting,cl_cancel_req,sv_active,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode",
        13,
    ),
    (
        "1.18.0",
        "database,user,cl_active,cl_waiting,cl_active_cancel_req,cl_waiting_cancel_req,sv_active,sv_active_cancel,sv_being_canceled,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode",
        16,
    ),
    (
        "1.24.1",
        "database,user,cl_active,cl_waiting,cl_active_cancel_req,cl_waiting_cancel_req,sv_active,sv_active_cancel,sv_being_canceled,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode,load_balance_hosts",
        17,
    ),
];

const DATABASES_1_18: &str = "name,host,port,database,force_user,pool_size,min_pool_size,reserve_pool,pool_mode,max_connections,current_connections,paused,disabled";
const DATABASES_1_24: &str = "name,host,port,database,force_user,pool_size,min_pool_size,reserve_pool_size,server_lifetime,pool_mode,load_balance_hosts,max_connections,current_connections,max_client_connections,current_client_connections,paused,disabled";
const USERS_1_24: &str = "name,pool_size,reserve_pool_size,pool_mode,max_user_connections,current_connections,max_user_client_connections,current_client_connections";

/// A table with one row, in which every column that is not named holds `0`.
fn table(columns: &str, values: &[(&str, &str)]) -> ShowTable {
    let columns: Vec<String> = columns.split(',').map(str::to_owned).collect();
    let row = columns.iter().map(|column| {
        let given = values.iter().find(|(name, _)| name == column);
        Some(given.map_or("0", |(_, value)| value).to_owned())
    });
    ShowTable {
        rows: vec![row.collect()],
        columns: columns.clone(),
    }
}

const POOL: [(&str, &str); 9] = [
    ("database", "shop"),
    ("user", "app"),
    ("cl_active", "5"),
    ("cl_waiting", "2"),
    ("sv_active", "3"),
    ("sv_idle", "1"),
    ("maxwait", "2"),
    ("maxwait_us", "951446"),
    ("pool_mode", "transaction"),
];

fn pools(columns: &str) -> Answers {
    Answers {
        pools: table(columns, &POOL),
        ..Answers::default()
    }
}

#[test]
fn every_version_gives_the_same_figures() {
    for (version, columns, count) in POOLS_BY_VERSION {
        assert_eq!(columns.split(',').count(), count, "{version}");
        let sample = parse(version, &pools(columns));
        assert_eq!(sample.unknown_columns, [""; 0], "{version}");
        assert_eq!(sample.missing_columns, [""; 0], "{version}");
        let pool = &sample.pools[0];
        assert_eq!((pool.cl_active, pool.cl_waiting), (Some(5), Some(2)));
        assert_eq!((pool.sv_active, pool.sv_idle), (Some(3), Some(1)));
        assert_eq!(pool.sv_used, Some(0));
        assert_eq!(pool.maxwait_s, Some(2.951446), "{version}");
        assert_eq!(pool.sv_cancel.is_some(), count >= 16, "{version}");
    }
}

#[test]
fn one_column_more_is_noted_and_shifts_nothing_wherever_it_stands() {
    for (version, columns, count) in POOLS_BY_VERSION {
        let known: Vec<&str> = columns.split(',').collect();
        for at in 0..=count {
            let mut more = known.clone();
            more.insert(at, "sv_new");
            let sample = parse(version, &pools(&more.join(",")));
            assert_eq!(sample.unknown_columns, ["pools.sv_new"]);
            assert_eq!(sample.missing_columns, [""; 0]);
            let plain = parse(version, &pools(columns));
            assert_eq!(sample.pools, plain.pools, "{version}, at {at}");
        }
    }
}

#[test]
fn one_column_less_costs_its_own_figure_and_no_other() {
    for (version, columns, _) in POOLS_BY_VERSION {
        let plain = parse(version, &pools(columns)).pools[0].clone();
        for gone in [
            "cl_waiting",
            "sv_active",
            "sv_idle",
            "sv_login",
            "maxwait",
            "pool_mode",
        ] {
            let fewer: Vec<&str> = columns.split(',').filter(|one| *one != gone).collect();
            let sample = parse(version, &pools(&fewer.join(",")));
            assert_eq!(sample.missing_columns, [format!("pools.{gone}")]);
            let mut expected = plain.clone();
            match gone {
                "cl_waiting" => expected.cl_waiting = None,
                "sv_active" => expected.sv_active = None,
                "sv_idle" => expected.sv_idle = None,
                "sv_login" => expected.sv_login = None,
                "maxwait" => expected.maxwait_s = None,
                _ => expected.mode = None,
            }
            assert_eq!(sample.pools, [expected], "{version} without {gone}");
        }
        // Without the finer part whole seconds are left.
        let fewer: Vec<&str> = columns
            .split(',')
            .filter(|one| *one != "maxwait_us")
            .collect();
        let sample = parse(version, &pools(&fewer.join(",")));
        assert_eq!(sample.pools[0].maxwait_s, Some(2.0));
        assert_eq!(sample.missing_columns, [""; 0]);
    }
}

#[test]
fn limits_are_read_under_their_old_and_new_names() {
    for (columns, reserve) in [
        (DATABASES_1_18, "reserve_pool"),
        (DATABASES_1_24, "reserve_pool_size"),
    ] {
        let values = [
            ("name", "shop"),
            ("host", "10.0.0.1"),
            ("port", "5432"),
            ("pool_size", "20"),
            (reserve, "5"),
            ("max_connections", "30"),
            ("paused", "1"),
        ];
        let answers = Answers {
            databases: table(columns, &values),
            ..Answers::default()
        };
        let sample = parse("x", &answers);
        assert_eq!(sample.unknown_columns, [""; 0]);
        assert_eq!(sample.missing_columns, [""; 0]);
        let shop = &sample.databases["shop"];
        assert_eq!((shop.pool_size, shop.reserve), (Some(20), Some(5)));
        assert_eq!((shop.paused, shop.disabled), (Some(true), Some(false)));
        assert_eq!(shop.max_connections, Some(30));
    }
    // Numbers of users are padded, and empty where nothing is set.
    for (written, expected) in [("        7", Some(7)), ("", None)] {
        let answers = Answers {
            users: table(USERS_1_24, &[("name", "app"), ("pool_size", written)]),
            ..Answers::default()
        };
        let sample = parse("1.24.1", &answers);
        assert_eq!(sample.users["app"].pool_size, expected);
    }
}

#[test]
fn the_console_is_no_pool_and_the_state_is_the_one_that_holds() {
    let mut answers = pools(POOLS_BY_VERSION[2].1);
    let console = table(
        POOLS_BY_VERSION[2].1,
        &[
            ("database", "pgbouncer"),
            ("user", "pgbouncer"),
            ("cl_active", "3"),
        ],
    );
    answers.pools.rows.extend(console.rows);
    let text = |text: &str| Some(text.to_owned());
    answers.state = ShowTable {
        columns: vec!["key".to_owned(), "value".to_owned()],
        rows: vec![
            vec![text("active"), text("no")],
            vec![text("paused"), text("yes")],
            vec![text("suspended"), text("no")],
        ],
    };
    answers.lists = ShowTable {
        columns: vec!["list".to_owned(), "items".to_owned()],
        rows: vec![
            vec![text("free_clients"), text("47")],
            vec![text("used_clients"), text("13")],
        ],
    };
    let sample = parse("1.25.2", &answers);
    assert_eq!((sample.pools.len(), sample.consoles), (1, Some(3)));
    assert_eq!(sample.state.as_deref(), Some("paused"));
    assert_eq!(sample.clients, Some(13));
}

#[test]
fn a_console_that_says_nothing_is_no_panic() {
    let empty = Answers::default();
    let sample = parse("", &empty);
    assert_eq!(sample.pools, []);
    let mut short = pools(POOLS_BY_VERSION[2].1);
    short.pools.rows.push(vec![None]);
    assert_eq!(parse("x", &short).pools.len(), 2);
}
