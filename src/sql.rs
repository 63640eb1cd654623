//! Index of `sql/catalog/`: every query by name, the variant for a server, the columns it returns.
