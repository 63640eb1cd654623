//! Reads plan files from disk, keeps the place of each entry, and words every error.
