//! The demonstration from beginning to end: form a cluster, write, stop a primary, bring it back, kill another one, bring
//! that back, and compare what is there with what was promised.

use std::time::Duration;

use crate::cluster::{Cluster, PRIMARIES};
use crate::error::Error;
use crate::event::{self, Report, Way};
use crate::ledger::Verdict;
use crate::options::Options;
use crate::patience::Patience;
use crate::process::Program;
use crate::screen::{Screen, Tone};
use crate::text::{self, counted, grouped, ms};
use crate::writers::{Account, WRITERS, Writers};

/// The bound of everything together.
pub(crate) const LONGEST: Duration = Duration::from_secs(110);
/// Clients find their connections before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long nothing happens, to compare with.
const QUIET: Duration = Duration::from_secs(2);

/// Runs the demonstration. True if nothing acknowledged is lost and the cluster is whole again.
pub(crate) fn run(program: Program, options: Options, screen: &mut Screen, patience: &Patience) -> Result<bool, Error> {
    let path = program.path.display().to_string();
    screen.heading(&format!("A cluster of {PRIMARIES} primaries and {PRIMARIES} replicas, default settings"));
    let timeout = options.node_timeout.as_millis();
    screen.line(
        Tone::Plain,
        &format!("cluster-node-timeout is {timeout} ms here, so that you don't wait long for the kill"),
    );
    let mut cluster = Cluster::start(program, options.node_timeout, screen, patience)?;
    let result = acts(&mut cluster, screen, patience);
    match &result {
        Ok(_) if options.keep => {
            cluster.leave_running();
            tell_how_to_go_on(&cluster, &path, screen);
        }
        Ok(true) | Err(Error::Interrupted) => {}
        Ok(false) | Err(_) => {
            cluster.keep_logs();
            let root = cluster.root().display();
            screen.line(Tone::Bad, &format!("the servers are stopped; their logs are kept: {root}/node-*.log"));
        }
    }
    result
}

fn acts(cluster: &mut Cluster, screen: &mut Screen, patience: &Patience) -> Result<bool, Error> {
    cluster.form(screen, patience)?;
    let view = cluster.view(cluster.processes()[0].0)?;
    screen.block(&text::table(&view));
    let owners: Vec<u16> = view.shards().iter().map(|(port, _)| *port).collect();
    let [first, second, observer, ..] = owners[..] else {
        return Err(Error::Overdue { what: "three primaries".into(), after: Duration::ZERO, last: None });
    };
    let seeds = cluster.endpoints();

    screen.heading(&format!("{WRITERS} clients write, each one value after the other, to all primaries"));
    let writers = Writers::start(&seeds, patience.clock())?;
    let quiet = quiet_time(&writers, screen, patience)?;

    screen.heading("A primary is told to stop: the planned end");
    let stopped = event::end_primary(cluster, &writers, (first, observer), Way::Stopped, screen, patience)?;
    event::bring_back(cluster, &stopped, first, screen, patience)?;

    screen.heading("A primary is killed: the unplanned end");
    let killed = event::end_primary(cluster, &writers, (second, observer), Way::Killed, screen, patience)?;
    event::bring_back(cluster, &killed, second, screen, patience)?;

    screen.heading("What the clients went through");
    screen.block(&summary(&quiet, &[&stopped, &killed]));
    let verdict = writers.verify(&seeds);
    Ok(tell_verdict(&verdict, screen))
}

fn quiet_time(writers: &Writers, screen: &mut Screen, patience: &Patience) -> Result<Account, Error> {
    patience.pass(WARM_UP)?;
    let began = writers.now();
    patience.until("the clients' writes", QUIET * 2, Duration::from_millis(50), || {
        let now = writers.now();
        screen.progress(&event::progress(writers, began, now));
        Ok((now.since(began) >= QUIET).then_some(()))
    })?;
    let account = writers.account(began, writers.now());
    let (rate, longest) = (grouped(account.rate as u64), ms(account.longest.length()));
    screen.line(Tone::Plain, &format!("{rate} writes/s; while nothing happens the longest pause is {longest}"));
    Ok(account)
}

fn summary(quiet: &Account, reports: &[&Report]) -> Vec<String> {
    let row = |what: &str, pause: &str, errors: &str, process: &str| {
        format!("{what:<10} {pause:>14} {errors:>8}   {process}").trim_end().to_owned()
    };
    let mut lines = vec![row("event", "longest pause", "errors", "process")];
    lines.push(row("none", &ms(quiet.longest.length()), &quiet.errors.to_string(), ""));
    for report in reports {
        let (pause, errors) = (ms(report.account.longest.length()), report.account.errors.to_string());
        lines.push(row(report.way.word(), &pause, &errors, &report.status.to_string()));
    }
    lines
}

fn tell_verdict(verdict: &Result<Verdict, String>, screen: &mut Screen) -> bool {
    match verdict {
        Ok(v) => {
            let tone = if v.is_good() { Tone::Good } else { Tone::Bad };
            let wrong = if v.wrong == 0 { String::new() } else { format!(", wrong {}", grouped(v.wrong)) };
            let writes = counted(v.acknowledged, "write");
            screen.line(tone, &format!("acknowledged {writes}, lost {}{wrong}", grouped(v.lost)));
            v.is_good()
        }
        Err(reason) => {
            screen.line(Tone::Bad, &format!("what was written could not be read back: {reason}"));
            false
        }
    }
}

fn tell_how_to_go_on(cluster: &Cluster, program: &str, screen: &mut Screen) {
    let processes = cluster.processes();
    let pids: Vec<String> = processes.iter().map(|(_, pid)| pid.to_string()).collect();
    let ports: Vec<String> = processes.iter().map(|(port, _)| port.to_string()).collect();
    let folder = cluster.root().display();
    screen.heading("The cluster keeps running");
    screen.block(&[
        format!("ports      {}", ports.join(" ")),
        format!("use it     {program} cli -c -p {}", ports[0]),
        format!("stop it    kill -9 {}; rm -r {folder}", pids.join(" ")),
        format!("logs       {folder}/node-*.log"),
    ]);
}
