//! The only writer: lock budget, observer, steps, recovery.
