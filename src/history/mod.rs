//! dbops's own schema in the database, through refinery: runs and their steps.
