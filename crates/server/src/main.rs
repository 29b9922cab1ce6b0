//! Entry point of the `baton` program.

/// Fine size classes and honest statistics.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    baton_server::start::main(std::env::args_os().collect())
}
