//! From the command line to running threads, and back to the exit code.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use baton_base::{ReplId, Rng};
use baton_config::{Action, Id, Settings};
use baton_journal::Journal;
use baton_replication::History;
use baton_store::{Store, StoreSettings};
use mio::Poll;
use parking_lot::Mutex;

use crate::aof::Aof;
use crate::apply::OTHER_FILES;
use crate::blocked::Blocked;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::command_log::CommandLogs;
use crate::control;
use crate::first_load::FirstLoad;
use crate::gate::Gate;
use crate::keeper::Keeper;
use crate::latency::Latencies;
use crate::lease::LeaseEnd;
use crate::listen::Listeners;
use crate::log::{Level, Log, LogSettings};
use crate::migrate::Movers;
use crate::monitor::Monitors;
use crate::persist::PersistState;
use crate::pubsub::PubSub;
use crate::renames::Renames;
use crate::repl::{self, ReplState};
use crate::running::Running;
use crate::scripts::Scripts;
use crate::seen::Seen;
use crate::shared::{Shared, Threads};
use crate::slot_jobs::SlotJobs;
use crate::stats::Stats;
use crate::tracking::Tracking;
use crate::worker::{self, Worker};
use crate::world::{World, WorldCell};
use crate::write_acks::WriteAcks;
use crate::written_here::WrittenHere;

pub use crate::listen::listen_tcp;

/// Runs the program for this command line.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let program = args.first().map_or_else(String::new, |a| a.to_string_lossy().into_owned());
    if program.ends_with("-server") {
        return server(&program, &args[1..]);
    }
    let command = args.get(1).map(|a| a.to_string_lossy().into_owned());
    match command.as_deref() {
        Some("server") => server(&program, &args[2..]),
        Some("cli") => baton_cli::run(&args[2..]),
        Some("demo") => baton_demo::run(&args[2..]),
        Some("--version" | "-v") => {
            println!("baton {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        None | Some("--help" | "-h" | "help") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("baton: unknown command '{other}'\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
Usage: baton <command> [arguments]

  baton server [file|-] [--directive value ...]   run a server; takes valkey-server's command line
  baton cli [-h host] [-p port] [-c] [command]    send a command, or open a prompt
  baton demo [--keep]                             watch a cluster lose primaries, on this machine

A program whose name ends in -server behaves as 'baton server'.";

/// `baton server`.
fn server(program: &str, args: &[OsString]) -> ExitCode {
    use std::os::unix::ffi::OsStrExt;
    let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
    let started = match baton_config::parse_command_line(&args, &mut ConfigFiles) {
        Ok(Action::Start(started)) => *started,
        Ok(other) => return side_action(program, &other),
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    match serve(program, started) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line may ask for besides starting.
fn side_action(program: &str, action: &Action) -> ExitCode {
    match action {
        Action::Version => {
            let compatible = crate::node::connection::COMPATIBLE_VERSION;
            let own = env!("CARGO_PKG_VERSION");
            println!("Valkey server v={compatible} sha=00000000:0 malloc=jemalloc bits=64 build=baton-{own}");
            ExitCode::SUCCESS
        }
        Action::Help => {
            println!("{}", baton_config::usage(program));
            ExitCode::SUCCESS
        }
        Action::CheckSystem => ExitCode::SUCCESS,
        Action::TestMemory(_) => {
            eprintln!("--test-memory is not part of this program; use a memory tester of your system");
            ExitCode::FAILURE
        }
        Action::Sentinel | Action::Start(_) => {
            eprintln!("this program does not run as a sentinel; redis-sentinel and valkey-sentinel can watch it");
            ExitCode::FAILURE
        }
    }
}

/// The file system as configuration is read from it.
struct ConfigFiles;

impl baton_config::Files for ConfigFiles {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn read_stdin(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut text)?;
        Ok(text)
    }

    fn list(&mut self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }

    fn absolute(&self, path: &str) -> String {
        std::path::absolute(path).map_or_else(|_| path.to_owned(), |p| p.to_string_lossy().into_owned())
    }
}

fn serve(program: &str, started: baton_config::Started) -> Result<ExitCode, StartError> {
    let program = &full_path(program);
    let mut settings = started.loaded.settings;
    let config_file = started.config_file.map(Into::into);
    let log = open_log(&settings);
    let dir = settings.text(Id::Dir);
    std::env::set_current_dir(dir).map_err(|e| StartError(format!("Can't chdir to '{dir}': {e}")))?;
    settings = crate::apply::with_current_dir(settings);
    if settings.bool(Id::Daemonize) {
        crate::os::daemonize().map_err(|e| StartError(format!("Can't go to the background: {e}")))?;
    }
    log.notice("oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo");
    if !crate::os::return_pages_soon() {
        log.warning("The allocator keeps unused memory for as long as it likes.");
    }
    log.notice(&format!(
        "Baton version={}, compatible with Valkey {}, bits=64, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        crate::node::connection::COMPATIBLE_VERSION,
        std::process::id()
    ));
    log.notice(if config_file.is_some() {
        "Configuration loaded"
    } else {
        "Warning: no config file specified, using the default config."
    });
    started.loaded.notes.iter().for_each(|note| log.notice(note));
    let renames = Renames::of_lines(&started.loaded.renames)
        .map_err(|(origin, text)| StartError(baton_config::StartError::at(&origin, text).to_string()))?;
    let users = crate::acl::users_at_start(&settings, &started.loaded.users, &log)?;
    let settings = fit_open_files(settings, &log);
    say_where(&settings, &log);
    if started.clean_cluster_config {
        control::boot::put_cluster_state_aside(&settings, &log)?;
    }
    let poll = Poll::new()?;
    let listeners = Listeners::open(&settings, poll.registry().try_clone()?, &log)?;
    write_pid_file(&settings, &log);
    let world = World::new(Arc::new(settings)).with_users(users).with_renames(renames);
    run_threads(program, world, config_file, log, listeners, poll)
}

/// Why the server did not start; shown to the operator.
#[derive(Debug)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(e: io::Error) -> StartError {
        StartError(format!("Starting failed: {e}"))
    }
}

fn open_log(settings: &Settings) -> Log {
    let file = settings.text(Id::LogFile);
    let level = Level::parse(&crate::apply::text_of(settings, Id::LogLevel)).unwrap_or(Level::Notice);
    let json = crate::apply::text_of(settings, Id::LogFormat) == "json";
    let file = (!file.is_empty()).then(|| std::path::absolute(file).unwrap_or_else(|_| file.into()));
    Log::new(level, LogSettings { file, json })
}

/// Raises the limit of open files to what `maxclients` needs, or lowers `maxclients` to what the limit allows.
fn fit_open_files(settings: Settings, log: &Log) -> Settings {
    let clients = settings.uint(Id::MaxClients);
    let wanted = clients + OTHER_FILES;
    let limit = crate::os::raise_open_files(wanted);
    if limit >= wanted {
        return settings;
    }
    let reduced = limit.saturating_sub(OTHER_FILES).max(1);
    log.warning(&format!("You requested maxclients of {clients} requiring at least {wanted} max file descriptors."));
    log.warning(&format!("Server can't set maximum open files to {wanted} because of the limit of the system."));
    log.warning(&format!(
        "Current maximum open files is {limit}. maxclients has been reduced to {reduced} to compensate for low ulimit. \
         If you need higher maxclients increase 'ulimit -n'."
    ));
    settings.with_clients_max(u32::try_from(reduced).unwrap_or(u32::MAX))
}

/// Says in which mode and where the server runs: one line, or the block that people and test suites look for the
/// process id in.
fn say_where(settings: &Settings, log: &Log) {
    let mode = if settings.bool(Id::ClusterEnabled) { "cluster" } else { "standalone" };
    let port = settings.port();
    let to_terminal = settings.text(Id::LogFile).is_empty() && io::IsTerminal::is_terminal(&io::stdout());
    if !to_terminal && !settings.bool(Id::AlwaysShowLogo) {
        log.notice(&format!("Running mode={mode}, port={port}."));
        return;
    }
    log.plain(&format!(
        "\n    Baton {} (compatible with Valkey {}) 64 bit\n\n    Running in {mode} mode\n    Port: {port}\n    PID: {}\n\n",
        env!("CARGO_PKG_VERSION"),
        crate::node::connection::COMPATIBLE_VERSION,
        std::process::id()
    ));
}

fn write_pid_file(settings: &Settings, log: &Log) {
    let named = settings.text(Id::PidFile);
    let path = match (named.is_empty(), settings.bool(Id::Daemonize)) {
        (false, _) => named,
        (true, true) => "/var/run/valkey.pid",
        (true, false) => return,
    };
    if let Err(e) = std::fs::write(path, format!("{}\n", std::process::id())) {
        log.warning(&format!("Failed to write PID file '{path}': {e}"));
    }
}

fn run_threads(
    program: &str,
    world: World,
    config_file: Option<std::path::PathBuf>,
    log: Log,
    listeners: Listeners,
    accepting: Poll,
) -> Result<ExitCode, StartError> {
    let workers = worker_count(&world.settings);
    let seed = random_seed();
    let shared = Arc::new(make_shared(program, world, config_file, log, workers, seed, listeners));
    let seeds: Vec<_> = (0..workers).map(|_| worker::seed()).collect::<io::Result<_>>()?;
    let (boxes, worker_seeds): (Vec<_>, Vec<_>) = seeds.into_iter().unzip();
    let (control_box, control_seed) = control::seed()?;
    let (feeder_box, feeder_seed) = repl::feeder::seed()?;
    let (link_box, link_seed) = repl::link::seed()?;
    let threads = Threads { workers: boxes.into(), control: control_box, feeder: feeder_box, link: link_box };
    assert!(shared.threads.set(threads).is_ok(), "mailboxes are set once");

    shared.persist.key_delay.store(shared.world.peek().settings.int(Id::RdbKeySaveDelay), Ordering::Relaxed);
    let mut control = control::Control::start(Arc::clone(&shared), control_seed, seed)?;
    // Whoever watches the log takes this for the sign that the process runs, before its files are read.
    shared.log.notice("Server initialized");
    shared.stats.memory_startup.set(shared.memory_used());
    serve_clients(&shared, worker_seeds, accepting)?;
    load(&shared)?;
    let (for_feeder, for_link) = (Arc::clone(&shared), Arc::clone(&shared));
    thread("baton-feeder").spawn(move || repl::feeder::run(for_feeder, feeder_seed))?;
    thread("baton-link").spawn(move || repl::link::run(for_link, link_seed))?;
    crate::metrics::start(&shared)?;
    control.take_up_role();
    shared.first_load.end(&shared);
    announce(&shared);
    Ok(control.run())
}

/// A thread that may run scripts, or load libraries of functions as the link does. Only what is used of a stack takes memory.
fn thread(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned()).stack_size(baton_script::STACK_BYTES)
}

/// Starts who serves clients and who accepts them, which waits for the dataset for a moment.
fn serve_clients(shared: &Arc<Shared>, workers: Vec<worker::WorkerSeed>, accepting: Poll) -> Result<(), StartError> {
    for (i, seed) in workers.into_iter().enumerate() {
        let shared = Arc::clone(shared);
        // A worker can't change its thread: its scripts run where their machine was made.
        thread(&format!("baton-worker-{i}")).spawn(move || Worker::new(shared, i, seed).run())?;
    }
    let shared = Arc::clone(shared);
    thread("baton-keeper").spawn(move || {
        shared.first_load.await_or_tell(&shared);
        Keeper::new(shared, accepting).run();
    })?;
    Ok(())
}

/// Loads the dataset and takes up the configured role and the log that it belongs to. Nobody gets at the data meanwhile.
fn load(shared: &Arc<Shared>) -> Result<(), StartError> {
    let opened = crate::aof::load::at_start(shared)?;
    refuse_data_of_witness(shared)?;
    repl::role::follow_configured(shared);
    if let Some(opened) = opened {
        shared.aof.resume(shared, opened);
    }
    Ok(())
}

fn announce(shared: &Shared) {
    let settings = &shared.world.load().settings;
    if settings.port() != 0 {
        shared.log.notice("Ready to accept connections tcp");
    }
    if !settings.text(Id::UnixSocket).is_empty() {
        shared.log.notice("Ready to accept connections unix");
    }
}

/// The program's file by its full path, as far as it can be known.
fn full_path(program: &str) -> String {
    let path = if program.contains('/') { std::path::absolute(program) } else { std::env::current_exe() };
    path.map_or_else(|_| program.to_owned(), |p| p.to_string_lossy().into_owned())
}

/// A witness has nothing to do with keys: some that it found would be neither served nor replicated, and yet be saved.
fn refuse_data_of_witness(shared: &Shared) -> Result<(), StartError> {
    if shared.store.is_empty() || !shared.world.load().settings.bool(Id::ClusterWitness) {
        return Ok(());
    }
    let text = "A witness holds no data, but its files have keys. Give it a folder of its own.";
    shared.log.warning(text);
    Err(StartError(text.to_owned()))
}

fn worker_count(settings: &Settings) -> usize {
    if settings.bool(Id::ClusterWitness) {
        return 1;
    }
    match settings.worker_threads() {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
    .min(128)
}

/// Sixty-four bits that differ between processes and starts.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

fn make_shared(
    program: &str,
    world: World,
    config_file: Option<std::path::PathBuf>,
    log: Log,
    workers: usize,
    seed: u64,
    listeners: Listeners,
) -> Shared {
    let settings = &Arc::clone(&world.settings);
    let databases = if settings.bool(Id::ClusterEnabled) { Id::ClusterDatabases } else { Id::Databases };
    let store = Store::new(StoreSettings { databases: settings.uint(databases) as u32, seed });
    crate::eviction::configure(&store, settings);
    crate::events::configure(&store, settings);
    let running = Arc::new(Running::new(Shared::stand_in_lanes(workers)));
    let asked = Arc::clone(&running);
    store.set_patience(Box::new(move |slot| asked.holds(slot)));
    let lanes = Shared::lanes(workers);
    let mut rng = Rng::new(seed);
    let journal = baton_journal::Settings { backlog_bytes: settings.repl_backlog_bytes() };
    Shared {
        store: Arc::new(store),
        gate: Gate::new(lanes),
        journal: Journal::new(journal),
        world: WorldCell::new(world),
        clients: Clients::default(),
        pubsub: PubSub::default(),
        tracking: Tracking::default(),
        stats: Stats::new(lanes, baton_commands::count()),
        memory: Arc::default(),
        acl_log: Mutex::default(),
        command_logs: CommandLogs::default(),
        monitors: Monitors::default(),
        latencies: Latencies::default(),
        log,
        clock: Clock::start(),
        repl: ReplState::new(History::fresh(ReplId::random(&mut rng))),
        seen: Seen::default(),
        aof: Aof::default(),
        first_load: FirstLoad::default(),
        persist: PersistState::default(),
        threads: OnceLock::new(),
        waiters: AtomicUsize::new(0),
        lease: LeaseEnd::default(),
        good_replicas: AtomicU64::new(0),
        written_here: WrittenHere::default(),
        carried: AtomicUsize::new(0),
        movers: Movers::default(),
        slot_jobs: SlotJobs::default(),
        exports: AtomicUsize::new(0),
        write_acks: WriteAcks::new(workers, settings.uint(Id::WriteAckReplicas)),
        blocked: Blocked::default(),
        run_id: ReplId::random(&mut rng).to_string(),
        config_file,
        executable: program.to_owned(),
        stopping: AtomicBool::new(false),
        shutdown_deadline: ArcSwap::default(),
        config_write: Mutex::new(()),
        listeners,
        scripts: Scripts::default(),
        running,
        unwatched: Mutex::default(),
        standstill: Mutex::default(),
        slot_tags: OnceLock::new(),
    }
}
