//! Entry point of the `baton` program.

/// Fine size classes, and an exact count.
#[global_allocator]
static ALLOCATOR: baton_server::os::CountingAllocator = baton_server::os::CountingAllocator;

fn main() -> std::process::ExitCode {
    baton_server::start::main(std::env::args_os().collect())
}
