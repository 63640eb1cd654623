//! Values in, text out: one file per output format. No client, no clock, no terminal.
