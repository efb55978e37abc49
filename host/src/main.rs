//! The `stockade` executable: reads the arguments, and does what they say.

fn main() -> std::process::ExitCode {
    stockade::cli::main()
}
