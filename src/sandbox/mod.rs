//! A throw-away cluster (primary, standby, PgBouncer): used by `dbops demo` and by the tests.
