//! The `stockade` executable: reads the arguments, and does what they say.

/// Gives back what is freed (see `memory::allocator`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    stockade::cli::main()
}
