//! One primary goes, and comes back: sends the signal, tells what is seen as it is seen, and sums up what the clients went
//! through. Decides nothing about the cluster; it only looks.

use std::process::ExitStatus;
use std::time::Duration;

use baton_base::Mono;
use baton_cli::{Connection, Statistics};
use rustix::process::Signal;

use crate::cluster::{Cluster, is_following};
use crate::error::Error;
use crate::patience::Patience;
use crate::screen::{Screen, Tone};
use crate::text::{self, counted, grouped, ms, news, ranges};
use crate::topology::View;
use crate::writers::{Account, Writers};

/// How often the cluster is looked at while something happens.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long things stay calm before an event counts as over.
const CALM: Duration = Duration::from_secs(1);
/// Longest wait for a successor, and for the process to end.
const EVENT_MAX: Duration = Duration::from_secs(45);
/// Longest wait for the node to be back as a replica.
const RETURN_MAX: Duration = Duration::from_secs(30);
/// How often a returning node is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Errors of clients that are shown with their words.
const ERRORS_SHOWN: usize = 3;

/// How a primary goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Stopped,
    Killed,
}

impl Way {
    fn signal(self) -> Signal {
        match self {
            Way::Stopped => Signal::TERM,
            Way::Killed => Signal::KILL,
        }
    }

    /// As people type it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Way::Stopped => "SIGTERM",
            Way::Killed => "kill -9",
        }
    }
}

/// What is known of an event when it is over.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) way: Way,
    pub(crate) account: Account,
    pub(crate) status: ExitStatus,
    /// Who owns the slots now.
    pub(crate) successor: u16,
}

/// What is seen while waiting.
struct Watch {
    began: Mono,
    pid: u32,
    view: View,
    status: Option<ExitStatus>,
    successor: Option<u16>,
    /// When the last of the two was seen.
    settled: Option<Mono>,
}

/// Ends the primary on `victim` and watches, through the node on `observer`, until another one has its slots, its process
/// has ended and all clients write again.
pub(crate) fn end_primary(
    cluster: &mut Cluster,
    writers: &Writers,
    (victim, observer): (u16, u16),
    way: Way,
    screen: &mut Screen,
    patience: &Patience,
) -> Result<Report, Error> {
    let mut eyes = Eyes { observer, connection: None };
    let view = eyes.look(cluster)?;
    let slots = view.0.get(&victim).map(|m| m.slots.clone()).unwrap_or_default();
    let slot = slots.first().map_or(0, |(first, _)| *first);
    let before = writers.statistics();
    let pid = cluster.server(victim).pid();
    screen.line(Tone::Deed, &format!("{} to {victim} (process {pid}), the primary of {}", way.word(), ranges(&slots)));
    let began = writers.now();
    cluster.server(victim).signal(way.signal())?;
    let mut watch = Watch { began, pid, view, status: None, successor: None, settled: None };
    let what = format!("another node takes over from {victim} and the clients write again");
    patience.until(&what, EVENT_MAX, LOOK_EVERY, || {
        let now_view = eyes.look(cluster)?;
        watch.tell_news(now_view, slot, victim, observer, writers.now(), screen);
        watch.tell_end(cluster.server(victim).status()?, writers.now(), screen);
        let now = writers.now();
        screen.progress(&progress(writers, now - Duration::from_secs(1), now));
        let Some(settled) = watch.settled else { return Ok(None) };
        Ok((now.since(settled) >= CALM && writers.all_wrote_since(settled)).then_some(()))
    })?;
    let account = writers.account(began, writers.now());
    if way == Way::Stopped
        && let Some(words) = cluster.server(victim).last_log("Handed over to")
    {
        screen.line(Tone::Plain, &format!("{victim} wrote into its log: {}", shortened(&words, &watch.view)));
    }
    tell_account(screen, &account, before, writers);
    // Both were seen, or the wait had not ended.
    let (Some(status), Some(successor)) = (watch.status, watch.successor) else {
        return Err(Error::Overdue { what, after: EVENT_MAX, last: None });
    };
    Ok(Report { way, account, status, successor })
}

/// A node through which the cluster is looked at, over one connection for as long as it answers.
struct Eyes {
    observer: u16,
    connection: Option<Connection>,
}

impl Eyes {
    fn look(&mut self, cluster: &mut Cluster) -> Result<View, Error> {
        let server = cluster.server(self.observer);
        // After a failure an answer that comes late must not be taken for that to the next question.
        let mut connection = self.connection.take().map_or_else(|| server.connect(), Ok)?;
        let view = Cluster::view_through(server, &mut connection)?;
        self.connection = Some(connection);
        Ok(view)
    }
}

impl Watch {
    fn tell_news(&mut self, view: View, slot: u16, victim: u16, observer: u16, now: Mono, screen: &mut Screen) {
        for item in view.news_since(&self.view) {
            screen.line_at(now, Tone::Plain, &format!("{} (+{})", news(&item, observer), ms(now.since(self.began))));
        }
        let owner = view.owner_of(slot).filter(|port| *port != victim);
        if self.successor.is_none() && owner.is_some() {
            self.successor = owner;
            self.settle(now);
        }
        self.view = view;
    }

    fn tell_end(&mut self, status: Option<ExitStatus>, now: Mono, screen: &mut Screen) {
        if let (None, Some(status)) = (self.status, status) {
            self.status = Some(status);
            let after = ms(now.since(self.began));
            screen.line_at(now, Tone::Plain, &format!("process {} ended: {status} (+{after})", self.pid));
            self.settle(now);
        }
    }

    fn settle(&mut self, now: Mono) {
        if self.status.is_some() && self.successor.is_some() {
            self.settled = Some(now);
        }
    }
}

/// How the clients fared between two moments.
pub(crate) fn progress(writers: &Writers, from: Mono, to: Mono) -> String {
    let account = writers.account(from, to);
    format!("{} writes/s, longest pause {}", grouped(account.rate as u64), ms(account.longest.length()))
}

fn tell_account(screen: &mut Screen, account: &Account, before: Statistics, writers: &Writers) {
    let after = writers.statistics();
    let each: Vec<String> = account.each.iter().map(|d| ms(*d)).collect();
    let tone = if account.errors == 0 { Tone::Good } else { Tone::Bad };
    screen.line(
        tone,
        &format!(
            "the clients could not write for at most {}; errors that an application would have seen: {}",
            ms(account.longest.length()),
            account.errors
        ),
    );
    screen.block(&[
        format!("longest pause of each client: {}", each.join(", ")),
        format!(
            "what their library did about it: {}, {}, {}, {}",
            counted(after.redirects_moved - before.redirects_moved, "redirect"),
            counted(after.refusals - before.refusals, "answer") + " to come back later",
            counted(after.links_lost - before.links_lost, "link") + " lost",
            counted(after.connect_failures - before.connect_failures, "connection") + " refused",
        ),
    ]);
    if account.errors > 0 {
        screen.block(&writers.reasons().iter().take(ERRORS_SHOWN).map(|r| format!("error: {r}")).collect::<Vec<_>>());
    }
}

/// A log line with the ids of nodes replaced by their ports.
fn shortened(words: &str, view: &View) -> String {
    view.0.iter().fold(words.to_owned(), |text, (port, member)| text.replace(&member.id, &port.to_string()))
}

/// Starts the node on `port` again and waits until it follows the node that took over.
pub(crate) fn bring_back(
    cluster: &mut Cluster,
    report: &Report,
    port: u16,
    screen: &mut Screen,
    patience: &Patience,
) -> Result<(), Error> {
    let successor = report.successor;
    let syncs = resyncs(cluster, successor)?;
    let began = patience.now();
    cluster.restart(port)?;
    screen.line(Tone::Deed, &format!("{port} is started again (process {})", cluster.server(port).pid()));
    let what = format!("{port} is back as a replica of {successor}");
    patience.until(&what, RETURN_MAX, ASK_EVERY, || {
        screen.progress(&format!("{port} is not back yet"));
        cluster.server(port).must_run()?;
        // Until it listens it can't be asked.
        let Ok(following) = is_following(cluster.server(port)) else { return Ok(None) };
        let view = cluster.view(successor)?;
        let id = view.0.get(&successor).map(|m| m.id.clone()).unwrap_or_default();
        Ok((following && view.replicas_of(&id).contains(&port)).then_some(()))
    })?;
    let took = ms(patience.now().since(began));
    let after = resyncs(cluster, successor)?;
    let kind = match (after.0 > syncs.0, after.1 > syncs.1) {
        (true, _) => "after a full synchronisation",
        (false, true) => "after a partial synchronisation",
        (false, false) => "without a synchronisation",
    };
    screen.line(Tone::Good, &format!("{what} {kind} (+{took})"));
    patience.until("every node sees the cluster whole", RETURN_MAX, ASK_EVERY, || {
        screen.progress("waiting until every node sees the cluster whole");
        Ok(cluster.is_healed()?.then_some(()))
    })?;
    let view = cluster.view(successor)?;
    screen.line(Tone::Plain, "every node sees the cluster whole:");
    screen.block(&text::table(&view));
    Ok(())
}

/// Full and partial synchronisations that a node has given.
fn resyncs(cluster: &mut Cluster, port: u16) -> Result<(u64, u64), Error> {
    let server = cluster.server(port);
    let number =
        |field| Ok::<u64, Error>(server.info("stats", field)?.and_then(|v| v.trim().parse().ok()).unwrap_or(0));
    Ok((number("sync_full")?, number("sync_partial_ok")?))
}
