//! Samples for the tests of this room.

use crate::sample::pool::model::{DatabaseLimit, Process, RoleLimit, ServerSample};

pub(super) fn sample(max: i64, superuser: i64, reserved: Option<i64>) -> ServerSample {
    ServerSample {
        version_num: 170_010,
        version: "17.10".to_owned(),
        max_connections: max,
        superuser_reserved: superuser,
        reserved,
        sees_all: true,
        ..ServerSample::default()
    }
}

pub(super) fn process(pid: i32, kind: &str, role: &str, database: &str, state: &str) -> Process {
    Process {
        pid,
        kind: Some(kind.to_owned()),
        role: Some(role.to_owned()),
        database: Some(database.to_owned()),
        application: Some(format!("{role}-app")),
        state: Some(state.to_owned()),
        ..Process::default()
    }
}

pub(super) fn role(name: &str, limit: i32) -> RoleLimit {
    RoleLimit {
        name: name.to_owned(),
        superuser: false,
        limit,
    }
}

pub(super) fn database(name: &str, limit: i32) -> DatabaseLimit {
    DatabaseLimit {
        name: name.to_owned(),
        limit,
        allows: true,
        churn: None,
    }
}
