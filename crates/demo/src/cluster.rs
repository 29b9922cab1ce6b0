//! The cluster: six servers in a temporary folder, formed over the same commands that anybody would send. Whatever way the
//! demonstration ends, dropping it ends the servers and removes the folder, unless it was told otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_cli::{Connection, Endpoint};

use crate::error::Error;
use crate::patience::Patience;
use crate::ports::free_ports;
use crate::process::{Program, Server};
use crate::screen::{Screen, Tone};
use crate::topology::View;

/// Primaries; each has one replica.
pub(crate) const PRIMARIES: usize = 3;
const NODES: usize = PRIMARIES * 2;
const SLOTS: u32 = 16384;
/// Folders tried before giving up on a name.
const FOLDERS_TRIED: u32 = 10;
/// Longest wait for servers to answer.
const START_MAX: Duration = Duration::from_secs(15);
/// Longest wait for a step of the forming.
const FORM_MAX: Duration = Duration::from_secs(30);
/// How often servers are asked while waiting.
const ASK_EVERY: Duration = Duration::from_millis(25);

/// All servers.
pub(crate) struct Cluster {
    program: Program,
    node_timeout: Duration,
    root: PathBuf,
    servers: Vec<Server>,
    at_end: AtEnd,
}

/// What dropping the cluster does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtEnd {
    Remove,
    KeepLogs,
    LeaveRunning,
}

impl Cluster {
    /// Starts the servers and waits until all answer.
    pub(crate) fn start(
        program: Program,
        node_timeout: Duration,
        screen: &mut Screen,
        patience: &Patience,
    ) -> Result<Cluster, Error> {
        let ports = free_ports(NODES, std::process::id())?;
        let root = make_folder(&std::env::temp_dir())?;
        let mut cluster = Cluster { program, node_timeout, root, servers: Vec::new(), at_end: AtEnd::Remove };
        for port in ports {
            let server = Server::start(&cluster.program, &cluster.root, port, node_timeout)?;
            cluster.servers.push(server);
        }
        screen.line(Tone::Plain, &format!("{NODES} servers are starting, their folder is {}", cluster.root.display()));
        let servers = &mut cluster.servers;
        patience.until("all servers answer", START_MAX, ASK_EVERY, || {
            let answering = answering(servers)?;
            screen.progress(&format!("{answering} of {NODES} answer"));
            Ok((answering == NODES).then_some(()))
        })?;
        screen.line(Tone::Plain, &format!("all {NODES} answer"));
        Ok(cluster)
    }

    /// Makes one cluster of the servers: epochs, slots, introductions, replicas.
    pub(crate) fn form(&self, screen: &mut Screen, patience: &Patience) -> Result<(), Error> {
        for (i, server) in self.servers.iter().enumerate() {
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()])?;
        }
        for (i, server) in self.servers[..PRIMARIES].iter().enumerate() {
            let (first, last) = (i * SLOTS as usize / PRIMARIES, (i + 1) * SLOTS as usize / PRIMARIES - 1);
            server.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        for server in &self.servers[1..] {
            self.servers[0].command(&["CLUSTER", "MEET", "127.0.0.1", &server.port().to_string()])?;
        }
        patience.until("all nodes know each other", FORM_MAX, ASK_EVERY, || {
            let views = self.views()?;
            let whole = views.iter().filter(|v| v.is_whole(NODES) && v.slots_owned() == SLOTS).count();
            screen.progress(&format!("{whole} of {NODES} nodes know all others and every slot's owner"));
            Ok((whole == NODES).then_some(()))
        })?;
        screen.line(Tone::Plain, "all nodes know each other");
        let view = self.view_from(&self.servers[0])?;
        for (primary, replica) in self.servers[..PRIMARIES].iter().zip(&self.servers[PRIMARIES..]) {
            let id = view.0.get(&primary.port()).map_or("", |m| &m.id);
            replica.command(&["CLUSTER", "REPLICATE", id])?;
        }
        patience.until("every primary has its replica", FORM_MAX, ASK_EVERY, || {
            let views = self.views()?;
            let agreed = views.iter().filter(|v| is_formed(v)).count();
            let linked = self.links_up(&self.servers[PRIMARIES..])?;
            let served = self.serving()?;
            screen.progress(&format!(
                "{linked} of {PRIMARIES} replicas follow, {agreed} of {NODES} nodes agree, {served} say that all is well"
            ));
            Ok((agreed == NODES && linked == PRIMARIES && served == NODES).then_some(()))
        })?;
        screen.line(Tone::Good, "every slot is served and every primary has a replica");
        Ok(())
    }

    /// The server on this port.
    ///
    /// # Panics
    /// If there is none: ports come from this cluster's own views.
    pub(crate) fn server(&mut self, port: u16) -> &mut Server {
        self.servers.iter_mut().find(|s| s.port() == port).expect("a port of this cluster")
    }

    /// Starts a server that has ended again.
    pub(crate) fn restart(&mut self, port: u16) -> Result<(), Error> {
        let (program, node_timeout) = (self.program.clone(), self.node_timeout);
        self.server(port).restart(&program, node_timeout)
    }

    /// Where clients may start from.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.servers.iter().map(|s| Endpoint::tcp("127.0.0.1", s.port())).collect()
    }

    /// The cluster as the node on this port sees it.
    pub(crate) fn view(&mut self, port: u16) -> Result<View, Error> {
        let server = self.server(port);
        let mut connection = server.connect()?;
        Cluster::view_through(server, &mut connection)
    }

    /// The cluster as seen through a connection to this server.
    pub(crate) fn view_through(server: &Server, connection: &mut Connection) -> Result<View, Error> {
        let reply = connection.query(&["CLUSTER", "NODES"]).map_err(|e| server.link_error(e))?;
        Ok(View::parse(&reply.to_text().unwrap_or_default()))
    }

    /// Every node sees all shards as they should be, and says that the cluster is well.
    pub(crate) fn is_healed(&self) -> Result<bool, Error> {
        Ok(self.views()?.iter().all(is_formed) && self.serving()? == NODES)
    }

    /// Ports and process ids.
    pub(crate) fn processes(&self) -> Vec<(u16, u32)> {
        self.servers.iter().map(|s| (s.port(), s.pid())).collect()
    }

    /// Where the servers keep their files and logs.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Dropping it will leave the servers running.
    pub(crate) fn leave_running(&mut self) {
        self.at_end = AtEnd::LeaveRunning;
    }

    /// Dropping it will end the servers and leave their logs.
    pub(crate) fn keep_logs(&mut self) {
        self.at_end = AtEnd::KeepLogs;
    }

    fn view_from(&self, server: &Server) -> Result<View, Error> {
        Cluster::view_through(server, &mut server.connect()?)
    }

    fn views(&self) -> Result<Vec<View>, Error> {
        self.servers.iter().map(|s| self.view_from(s)).collect()
    }

    /// Nodes that call the cluster well.
    fn serving(&self) -> Result<usize, Error> {
        let mut count = 0;
        for server in &self.servers {
            let text = server.command(&["CLUSTER", "INFO"])?.to_text().unwrap_or_default();
            count += usize::from(text.lines().any(|line| line == "cluster_state:ok"));
        }
        Ok(count)
    }

    fn links_up(&self, replicas: &[Server]) -> Result<usize, Error> {
        let mut count = 0;
        for server in replicas {
            count += usize::from(is_following(server)?);
        }
        Ok(count)
    }
}

/// Its link to its primary is up and its data complete.
pub(crate) fn is_following(server: &Server) -> Result<bool, Error> {
    Ok(server.info("replication", "master_link_status")?.as_deref() == Some("up"))
}

fn is_formed(view: &View) -> bool {
    let shards = view.shards();
    let complete = shards.len() == PRIMARIES && shards.iter().all(|(_, replicas)| replicas.len() == 1);
    complete && view.slots_owned() == SLOTS && view.is_whole(NODES)
}

/// How many servers answer. One that does not yet is no error; one that has ended is.
fn answering(servers: &mut [Server]) -> Result<usize, Error> {
    let mut answering = BTreeSet::new();
    for server in servers {
        server.must_run()?;
        if let Ok(reply) = server.command(&["PING"])
            && reply.as_bytes() == Some(b"PONG")
        {
            answering.insert(server.port());
        }
    }
    Ok(answering.len())
}

fn make_folder(parent: &Path) -> Result<PathBuf, Error> {
    let pid = std::process::id();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for n in 0..FOLDERS_TRIED {
        // The plain name may be left over from a demonstration that was killed under the same process id.
        let suffix = if n == 0 { String::new() } else { format!("-{n}") };
        let folder = parent.join(format!("baton-demo-{pid}{suffix}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => last = e,
            Err(source) => return Err(Error::Local { doing: format!("make {}", folder.display()), source }),
        }
    }
    Err(Error::Local { doing: format!("make a folder in {}", parent.display()), source: last })
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.at_end == AtEnd::LeaveRunning {
            return;
        }
        self.servers.iter_mut().for_each(Server::destroy);
        if self.at_end == AtEnd::Remove {
            // What can't be removed is in the system's temporary folder, which is emptied in time.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}
