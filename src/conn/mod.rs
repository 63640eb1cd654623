//! Connections: settings in the libpq vocabulary, TLS, and the settings of each kind of session.
