//! What the detector says: suspects with their reasons, and what it passed over with the reason why.

use super::evidence::Evidence;
use super::gate::{Kind, Quiet};
use super::orm::Orm;
use super::schema::ColumnClass;
use super::score::{Term, Verdict};

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Usable windows.
    pub windows: usize,
    /// Statements that may be the child of a loop, whatever their verdict; costliest first among equal verdicts.
    pub suspects: Vec<Suspect>,
    /// The others.
    pub quiet: Vec<QuietStatement>,
    /// Groups, with what tells the number of requests.
    pub groups: Vec<GroupSummary>,
}

/// A role in a database.
#[derive(Debug, Clone)]
pub struct GroupSummary {
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// Statements seen.
    pub statements: usize,
    /// Executions of all of them.
    pub calls: f64,
    /// Text of the statement that runs once per request, where one does.
    pub anchor: Option<String>,
    /// How much the traffic comes in bursts; 1: not at all.
    pub bursts: f64,
    /// Columns that most statements compare and that are no keys: of the tenant.
    pub ambient: Vec<String>,
    /// The ORM of most statements.
    pub orm: Orm,
}

/// A statement that may be the child of a loop.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// dbops's own hash of the text.
    pub fingerprint: String,
    /// The server's hashes.
    pub queryids: Vec<i64>,
    /// The statement.
    pub text: String,
    /// 0 to 100.
    pub score: f64,
    /// What the score means.
    pub verdict: Verdict,
    /// What the statement does.
    pub kind: Kind,
    /// Keys that it asks for at once, where they are a few.
    pub batch: Option<usize>,
    /// Table and column that it looks for.
    pub column: Option<(String, String)>,
    /// What that column is.
    pub class: ColumnClass,
    /// Who wrote it.
    pub orm: Orm,
    /// The list whose rows it runs for.
    pub parent: Option<Parent>,
    /// Texts of the lists above the parent, outermost first.
    pub chain: Vec<String>,
    /// Why.
    pub terms: Vec<Term>,
    /// Why the score was held down, if it was.
    pub held: Option<String>,
    /// The figures.
    pub evidence: Evidence,
    /// Part of its calls that behave once per request, 0 to 1.
    pub once_share: f64,
    /// Milliseconds of an execution on the server, planning included where it is tracked.
    pub mean_ms: f64,
    /// Calls that one query per execution of the parent would save, in the whole observation.
    pub avoidable_calls: f64,
    /// Milliseconds that they took, round trips included.
    pub avoidable_ms: f64,
    /// What to do.
    pub fix: String,
}

/// The list that a child's calls follow.
#[derive(Debug, Clone)]
pub struct Parent {
    /// dbops's own hash of the text.
    pub fingerprint: String,
    /// The statement.
    pub text: String,
    /// Name of the foreign key that ties them; `None`: a join or names say so, or the counts alone.
    pub foreign_key: Option<String>,
    /// Whether keys, joins or names tie them, and not the counts alone.
    pub tied: bool,
    /// Calls of the child per execution of the list.
    pub amplification: f64,
    /// Part of the child's calls that it accounts for.
    pub share: f64,
}

/// A statement that cannot be the child of a loop.
#[derive(Debug, Clone)]
pub struct QuietStatement {
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// dbops's own hash of the text.
    pub fingerprint: String,
    /// The statement.
    pub text: String,
    /// Executions.
    pub calls: f64,
    /// Why not.
    pub reason: Quiet,
}

impl Kind {
    /// As it is written in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::BelongsTo => "belongs-to",
            Self::HasMany => "has-many",
            Self::ManyToMany => "many-to-many",
            Self::Count => "count",
            Self::Insert => "insert-loop",
            Self::Update => "update-loop",
            Self::Delete => "delete-loop",
        }
    }
}

impl Quiet {
    /// The reason in words.
    pub fn says(self) -> &'static str {
        match self {
            Self::FewCalls => "too few calls to say anything",
            Self::NotData => "no query of data",
            Self::ForeignKeyCheck => "the server's own check of a foreign key",
            Self::Batched => "asks for many keys at once",
            Self::NoKey => "compares no key with a single value",
            Self::NaturalKey => {
                "looks up a key with a meaning of its own (--natural-keys and --any-column take these too)"
            }
            Self::Queue => "takes the next piece of work of a queue",
        }
    }
}
