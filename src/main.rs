//! The thin shell: hands the process's arguments, clock and terminal to the library and turns
//! what comes back into an exit code. Nothing testable lives here.

use std::process::ExitCode;

fn main() -> ExitCode {
    dbops::cli::main()
}
