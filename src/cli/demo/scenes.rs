//! The commands of the tour, in their order.

/// The server that a command is pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Primary,
    Standby,
}

/// One command of the tour.
pub(super) struct Scene {
    pub(super) says: &'static str,
    pub(super) on: On,
    pub(super) args: &'static [&'static str],
    /// Exit codes that it may end with.
    pub(super) exits: &'static [i32],
}

pub(super) const SCENES: &[Scene] = &[
    Scene {
        says: "What is there now. The runway is how long rows still find a partition.",
        on: On::Primary,
        args: &["partitions", "list"],
        exits: DONE,
    },
    Scene {
        says: "What is missing, and the locks that creating it takes (--output sql shows the statements).",
        on: On::Primary,
        args: &["partitions", "ensure", "--dry-run"],
        exits: DONE,
    },
    Scene {
        says: "Create it. Other sessions never wait longer than the lock budget.",
        on: On::Primary,
        args: &["partitions", "ensure"],
        exits: DONE,
    },
    Scene {
        says: "Once more: nothing to do, so a scheduler may run it as often as it likes.",
        on: On::Primary,
        args: &["partitions", "ensure"],
        exits: DONE,
    },
    Scene {
        says: "What has passed its retention. Pruning is a command of its own; ensure never drops.",
        on: On::Primary,
        args: &["partitions", "prune", "--dry-run"],
        exits: DONE,
    },
    Scene {
        says: "The standby has the new partitions too.",
        on: On::Standby,
        args: &["partitions", "list"],
        exits: DONE,
    },
    Scene {
        says: "On a standby ensure has nothing to do, so the same schedule may run on every server.",
        on: On::Standby,
        args: &["partitions", "ensure"],
        exits: DONE,
    },
    Scene {
        says: "The declared indexes, looked at without a database: one is covered by another.",
        on: On::Primary,
        args: &["indexes", "apply", "--dry-run", "--offline"],
        exits: DONE,
    },
    Scene {
        says: "What building them takes: locks, size, what they cost updates.",
        on: On::Primary,
        args: &["indexes", "apply", "--dry-run"],
        exits: DONE,
    },
    Scene {
        says: "Build them. Nobody's writes wait; on a terminal each build shows its progress.",
        on: On::Primary,
        args: &["indexes", "apply"],
        exits: DONE,
    },
    Scene {
        says: "All of them are as the plan files say, and running it again finds nothing to do.",
        on: On::Primary,
        args: &["indexes", "list", "--declared"],
        exits: DONE,
    },
    Scene {
        says: "What the server's own statistics say about indexes.",
        on: On::Primary,
        args: &["indexes", "advise"],
        exits: DONE,
    },
    Scene {
        says: "What dbops did here, kept in the database itself.",
        on: On::Primary,
        args: &["history"],
        exits: DONE,
    },
];

/// Commands shown on each of the other systems.
pub(super) const OTHERS: &[Scene] = &[
    Scene {
        says: "",
        on: On::Primary,
        args: &["indexes", "apply"],
        exits: DONE,
    },
    Scene {
        says: "",
        on: On::Primary,
        args: &["indexes", "list", "--declared"],
        exits: DONE,
    },
];

/// Commands shown on statistics of statements, while an application runs.
pub(super) const STATEMENTS: &[Scene] = &[
    Scene {
        says: "An application runs: three connections, some fifty requests a second. Which statements are loops?",
        on: On::Primary,
        args: &[
            "queries",
            "n-plus-one",
            "--windows",
            "16",
            "--window",
            "500ms",
        ],
        exits: DONE,
    },
    Scene {
        says: "Which statements take the time.",
        on: On::Primary,
        args: &["queries", "top", "--limit", "4"],
        exits: DONE,
    },
    Scene {
        says: "Which are slow, why, and with which plan; nothing of it is run.",
        on: On::Primary,
        args: &["queries", "slow", "--share", "20%", "--explain", "2"],
        exits: DONE,
    },
];

/// It is to succeed.
const DONE: &[i32] = &[0];

/// What stands well.
pub(super) const WATCHED: &[Scene] = &[
    Scene {
        says: "Rules over all of it, one verdict. The lag is that of a small commit, waited for on the standby.",
        on: On::Primary,
        args: &["check", "--plan", "watch.yaml", "-v"],
        exits: DONE,
    },
    Scene {
        says: "The servers of the target as one tree.",
        on: On::Primary,
        args: &["replication", "status", "--plan", "watch.yaml"],
        exits: DONE,
    },
    Scene {
        says: "Who takes the connections, and what is left of them.",
        on: On::Primary,
        args: &["pool", "status", "--plan", "watch.yaml"],
        exits: DONE,
    },
];

/// What was broken is found.
pub(super) const BROKEN: &[Scene] = &[
    Scene {
        says: "Three things are broken now. The exit code is 1, which stops a pipeline and wakes somebody up.",
        on: On::Primary,
        args: &["check", "--plan", "watch.yaml"],
        exits: &[1],
    },
    Scene {
        says: "Why the pool waits.",
        on: On::Primary,
        args: &["pool", "status", "--plan", "watch.yaml"],
        exits: &[0, 1],
    },
];

/// The same without a pooler.
pub(super) const BROKEN_WITHOUT_POOLER: &[Scene] = &[Scene {
    says: "Two things are broken now. The exit code is 1, which stops a pipeline and wakes somebody up.",
    on: On::Primary,
    args: &["check", "--plan", "watch.yaml"],
    exits: &[1],
}];

/// What was mended holds again.
pub(super) const MENDED: &[Scene] = &[Scene {
    says: "All of it is mended: the rules hold again.",
    on: On::Primary,
    args: &["check", "--plan", "watch.yaml"],
    exits: DONE,
}];
