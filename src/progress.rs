//! Progress on stderr while a changeset runs; silent unless stderr is a terminal.
