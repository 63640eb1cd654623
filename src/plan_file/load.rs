//! Finds plan files, reads them and makes one [`PlanFile`] of them, or says everything that is wrong.

use std::collections::BTreeMap;
use std::path::{Path as FsPath, PathBuf};

use super::diagnose::{Diagnostic, Diagnostics, Severity, Spot, sort};
use super::document::Document;
use super::union::Union;
use super::{PlanFile, index_lint};

/// A file larger than this is not a plan file but something named by mistake.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The text of one plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as the user named it, or as found below the folder named.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// The union of plan files that have no errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What should be.
    pub plan: PlanFile,
    /// The files read, sorted.
    pub files: Vec<PathBuf>,
    /// What is worth a look.
    pub warnings: Vec<Diagnostic>,
    /// Where each index of the plan is named, in the plan's order.
    index_spots: Vec<Spot>,
}

impl Loaded {
    /// Returns what can be said against the index plans without a server: redundant ones, unique ones that
    /// their partitioned table cannot have. Sorted by place.
    pub fn lint_indexes(&self) -> Vec<Diagnostic> {
        let mut found = index_lint::lint(&self.plan, &self.index_spots);
        sort(&mut found);
        found
    }
}

/// Loads plan files: each path is a file or a folder, whose `*.yaml` and `*.yml` are united.
///
/// Folders are searched to any depth, hidden files and folders are passed over. Without paths
/// `plans/` is searched, else `dbops.yaml` is read.
///
/// # Errors
/// Returns every problem found, over all files.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Diagnostics> {
    let mut problems = Vec::new();
    let files = if paths.is_empty() {
        default_files()
    } else {
        named_files(paths)
    };
    let mut sources = Vec::new();
    for file in files.unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    }) {
        match read_source(&file) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return parse(&sources);
    }
    if let Err(more) = parse(&sources) {
        problems.extend(more.list);
    }
    sort(&mut problems);
    Err(Diagnostics { list: problems })
}

/// Makes one plan of the texts of plan files; touches no disk.
///
/// # Errors
/// Returns every problem found, over all texts.
pub fn parse(sources: &[Source]) -> Result<Loaded, Diagnostics> {
    let mut union = Union::default();
    let mut problems = Vec::new();
    for source in sources {
        let document = Document::read(source, &mut problems);
        if let Some(document) = document {
            union.add(document, &mut problems);
        }
    }
    let (plan, index_spots) = union.finish(&mut problems);
    sort(&mut problems);
    // An alias leads to the same mistake from each place that uses it.
    problems.dedup();
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(Diagnostics { list: problems });
    }
    Ok(Loaded {
        plan,
        files: sources.iter().map(|source| source.path.clone()).collect(),
        warnings: problems,
        index_spots,
    })
}

fn default_files() -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let folder = FsPath::new("plans");
    if folder.is_dir() {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        collect(folder, &mut found, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        if !found.is_empty() {
            found.sort();
            return Ok(found);
        }
    }
    let file = FsPath::new("dbops.yaml");
    if file.is_file() {
        return Ok(vec![file.to_owned()]);
    }
    Err(vec![
        Diagnostic::error(
            "no plan file found: looked for `*.yaml` in `plans/`, then for `dbops.yaml`",
        )
        .help("name one with `--plan PATH`, or let `dbops init` write a first one"),
    ])
}

fn named_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            let known = problems.len();
            collect(path, &mut files, &mut problems);
            if files.len() == before && problems.len() == known {
                problems.push(
                    Diagnostic::error(format!("no plan file in `{}`", path.display()))
                        .help("plan files end with `.yaml` or `.yml`; hidden ones are passed over"),
                );
            }
        } else {
            files.push(path.clone());
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // A file named twice, or named and inside a folder named, is read once.
    let mut seen = BTreeMap::new();
    for file in files {
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        seen.entry(real).or_insert(file);
    }
    let mut files: Vec<PathBuf> = seen.into_values().collect();
    files.sort();
    Ok(files)
}

/// Collects the plan files below a folder.
fn collect(folder: &FsPath, files: &mut Vec<PathBuf>, problems: &mut Vec<Diagnostic>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(Diagnostic::error(format!(
                "cannot list `{}`: {error}",
                folder.display()
            )));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder is not followed: it may lead back here.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, files, problems);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
            && !path.is_dir()
        {
            files.push(path);
        }
    }
}

fn read_source(path: &FsPath) -> Result<Source, Diagnostic> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Diagnostic::error(format!("plan file `{shown}` does not exist"))
                .help("check the path; it is taken from the current folder")
        }
        _ => Diagnostic::error(format!("cannot read plan file `{shown}`: {error}")),
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        return Err(Diagnostic::error(format!(
            "`{shown}` has {} MiB and cannot be a plan file",
            length >> 20
        ))
        .help(format!(
            "a plan file has at most {} MiB",
            MAX_FILE_BYTES >> 20
        )));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let since = before.rsplit(|&byte| byte == b'\n').next();
        let column = String::from_utf8_lossy(since.unwrap_or_default())
            .chars()
            .count()
            + 1;
        Diagnostic::error(format!("{shown}:{line}:{column}: this byte is not UTF-8"))
            .help("save the file in UTF-8")
    })?;
    Ok(Source {
        path: path.to_owned(),
        text: text
            .strip_prefix('\u{feff}')
            .map_or(text.clone(), str::to_owned),
    })
}
