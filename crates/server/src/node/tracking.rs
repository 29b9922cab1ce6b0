//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO, and telling a connection that keys changed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use baton_base::num::parse_i64;
use baton_commands::NodeCommand as N;
use baton_resp::{Args, Proto};

use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::clients::{ClientFlags, ClientId};
use crate::pubsub::{Push, Subscriber};
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// Where RESP2 connections hear of changed keys.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Which changes a connection is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Of keys that it read.
    #[default]
    Read,
    /// Of keys that it read behind CLIENT CACHING YES.
    OptIn,
    /// Of keys that it read, but not behind CLIENT CACHING NO.
    OptOut,
    /// Of all keys under its prefixes.
    Broadcast,
}

/// How a connection is told of changed keys.
#[derive(Debug, Default)]
pub struct Tracked {
    /// Which.
    mode: Mode,
    /// Who is told in its place.
    redirect: Option<ClientId>,
    /// It does not hear of its own changes.
    noloop: bool,
    /// CLIENT CACHING was sent just before.
    pub caching: bool,
    /// Who was to be told in its place is gone.
    broken: bool,
    /// In order.
    prefixes: Vec<Arc<[u8]>>,
}

impl Tracked {
    /// Whether keys that are read now are to be followed.
    #[inline]
    pub fn follows_reads(&self) -> bool {
        match self.mode {
            Mode::Read => true,
            Mode::OptIn => self.caching,
            Mode::OptOut => !self.caching,
            Mode::Broadcast => false,
        }
    }
}

/// CLIENT subcommands about tracking.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    match command {
        N::ClientTracking => track(cx, client, args)?,
        N::ClientCaching => caching(client, args)?,
        N::ClientGetredir => client.out.int(redirect_shown(client.tracking.as_deref())),
        _ => write_info(client),
    }
    Ok(Flow::Next)
}

/// The options of CLIENT TRACKING.
#[derive(Default)]
struct Options<'a> {
    redirect: Option<ClientId>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    noloop: bool,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(shared: &Shared, args: Args<'a>) -> Result<Options<'a>, Refusal> {
        let mut options = Options::default();
        let mut at = 0;
        while let Some(word) = args.get(at) {
            match (word.to_ascii_lowercase().as_slice(), args.get(at + 1)) {
                (b"redirect", Some(id)) => {
                    at += 1;
                    if options.redirect.is_some() {
                        return Err("ERR A client can only redirect to a single other client".into());
                    }
                    let id = parse_i64(id).ok_or(NOT_INTEGER)?;
                    let id = u64::try_from(id).ok().map(ClientId).filter(|id| shared.clients.find(*id).is_some());
                    let unknown = "ERR The client ID you want redirect to does not exist";
                    options.redirect = Some(id.ok_or(unknown)?);
                }
                (b"prefix", Some(prefix)) => {
                    at += 1;
                    options.prefixes.push(prefix);
                }
                (b"bcast", _) => options.broadcast = true,
                (b"optin", _) => options.opt_in = true,
                (b"optout", _) => options.opt_out = true,
                (b"noloop", _) => options.noloop = true,
                _ => return Err(SYNTAX.into()),
            }
            at += 1;
        }
        Ok(options)
    }

    /// Refuses options that don't go together, or not with what holds already; gives the mode.
    fn mode(&self, old: Option<&Tracked>) -> Result<Mode, Refusal> {
        let old_mode = old.map(|t| t.mode);
        let switched = |to: bool, from: Mode| to && old_mode == Some(from);
        let refusal = if !self.broadcast && !self.prefixes.is_empty() {
            "ERR PREFIX option requires BCAST mode to be enabled"
        } else if old.is_some_and(|t| (t.mode == Mode::Broadcast) != self.broadcast) {
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with \
             a different mode."
        } else if self.broadcast && (self.opt_in || self.opt_out) {
            "ERR OPTIN and OPTOUT are not compatible with BCAST"
        } else if self.opt_in && self.opt_out {
            "ERR You can't specify both OPTIN mode and OPTOUT mode"
        } else if switched(self.opt_in, Mode::OptOut) || switched(self.opt_out, Mode::OptIn) {
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with \
             a different mode."
        } else {
            return Ok(match (self.broadcast, self.opt_in, self.opt_out) {
                (true, ..) => Mode::Broadcast,
                (_, true, _) => Mode::OptIn,
                (_, _, true) => Mode::OptOut,
                _ => Mode::Read,
            });
        };
        Err(refusal.into())
    }

    /// Refuses prefixes of which one covers another.
    fn check_prefixes(&self, old: &[Arc<[u8]>]) -> Result<(), Refusal> {
        let covers = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        for (n, prefix) in self.prefixes.iter().enumerate() {
            let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            let end = "Prefixes for a single client must not overlap.";
            if let Some(other) = old.iter().find(|other| covers(prefix, other)) {
                let (a, b) = (shown(prefix), shown(other));
                return Err(format!("ERR Prefix '{a}' overlaps with an existing prefix '{b}'. {end}").into());
            }
            if let Some(other) = self.prefixes[n + 1..].iter().find(|other| covers(prefix, other)) {
                let (a, b) = (shown(prefix), shown(other));
                return Err(format!("ERR Prefix '{a}' overlaps with another provided prefix '{b}'. {end}").into());
            }
        }
        Ok(())
    }
}

fn track(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let options = Options::parse(cx.shared, args.skip(3))?;
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => begin(cx, client, &options)?,
        b"off" => end(cx.shared, client, cx.local.index),
        _ => return Err(SYNTAX.into()),
    }
    client.out.ok();
    Ok(())
}

fn begin(cx: &Context<'_>, client: &mut Client, options: &Options<'_>) -> Result<(), Refusal> {
    let mode = options.mode(client.tracking.as_deref())?;
    let tracked = client.tracking.get_or_insert_default();
    if mode == Mode::Broadcast {
        if let Err(refusal) = options.check_prefixes(&tracked.prefixes) {
            // Who listens to nothing yet was not followed before this command either.
            if tracked.mode != Mode::Broadcast {
                client.tracking = None;
            }
            return Err(refusal);
        }
        tracked.prefixes.extend(options.prefixes.iter().map(|prefix| Arc::from(*prefix)));
        if options.prefixes.is_empty() && !tracked.prefixes.iter().any(|prefix| prefix.is_empty()) {
            tracked.prefixes.push(Arc::from(&b""[..]));
        }
        tracked.prefixes.sort_unstable();
    }
    let prefixes = std::mem::take(&mut tracked.prefixes);
    let (redirect, noloop) = (options.redirect, options.noloop);
    let who = Subscriber { client: client.meta.id, worker: cx.local.index };
    cx.shared.tracking.enter(&cx.shared.store, who, &prefixes, !noloop);
    **tracked = Tracked { mode, redirect, noloop, caching: tracked.caching, broken: false, prefixes };
    publish(client);
    Ok(())
}

/// Ends what CLIENT TRACKING began.
pub fn end(shared: &Shared, client: &mut Client, worker: u32) {
    if let Some(tracked) = client.tracking.take() {
        let who = Subscriber { client: client.meta.id, worker };
        shared.tracking.leave(&shared.store, who, &tracked.prefixes);
        publish(client);
    }
}

/// Mirrors what others see.
fn publish(client: &Client) {
    let (meta, tracked) = (&client.meta, client.tracking.as_deref());
    meta.set_flags(ClientFlags::TRACKING, tracked.is_some());
    meta.set_flags(ClientFlags::TRACKING_BROKEN, tracked.is_some_and(|t| t.broken));
    meta.set_flags(ClientFlags::TRACKING_BROADCAST, tracked.is_some_and(|t| t.mode == Mode::Broadcast));
    meta.redirect.store(redirect_shown(tracked), Relaxed);
    let bytes = tracked.map_or(0, |t| size_of::<Tracked>() + t.prefixes.len() * size_of::<Arc<[u8]>>());
    meta.tracking_bytes.store(bytes as u64, Relaxed);
}

/// The connection that is told instead; 0 if it is this one, -1 if nobody is told.
fn redirect_shown(tracked: Option<&Tracked>) -> i64 {
    tracked.map_or(-1, |t| t.redirect.map_or(0, |id| id.0 as i64))
}

fn caching(client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let Some(tracked) = client.tracking.as_deref_mut() else {
        return Err(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
                    enabled"
                .into(),
        );
    };
    match (args.at(2).to_ascii_lowercase().as_slice(), tracked.mode) {
        (b"yes", Mode::OptIn) | (b"no", Mode::OptOut) => tracked.caching = true,
        (b"yes", _) => {
            return Err("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.".into());
        }
        (b"no", _) => {
            return Err("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.".into());
        }
        _ => return Err(SYNTAX.into()),
    }
    client.out.ok();
    Ok(())
}

fn write_info(client: &mut Client) {
    let (out, tracked) = (&mut client.out, client.tracking.as_deref());
    let has = |condition: fn(&Tracked) -> bool| tracked.is_some_and(condition);
    let flags = [
        ("off", tracked.is_none()),
        ("on", tracked.is_some()),
        ("bcast", has(|t| t.mode == Mode::Broadcast)),
        ("optin", has(|t| t.mode == Mode::OptIn)),
        ("caching-yes", has(|t| t.mode == Mode::OptIn && t.caching)),
        ("optout", has(|t| t.mode == Mode::OptOut)),
        ("caching-no", has(|t| t.mode == Mode::OptOut && t.caching)),
        ("noloop", has(|t| t.noloop)),
        ("broken_redirect", has(|t| t.broken)),
    ];
    out.map(3);
    out.bulk(b"flags");
    out.set(flags.iter().filter(|(_, on)| *on).count());
    flags.iter().filter(|(_, on)| *on).for_each(|(word, _)| out.bulk(word.as_bytes()));
    out.bulk(b"redirect");
    out.int(redirect_shown(tracked));
    out.bulk(b"prefixes");
    let prefixes = tracked.map_or(&[][..], |t| &t.prefixes);
    out.array(prefixes.len());
    prefixes.iter().for_each(|prefix| out.bulk(prefix));
}

/// Tells a connection, or who is told in its place, that keys changed.
pub fn write_change(shared: &Shared, client: &mut Client, push: &Push) {
    let Some(tracked) = client.tracking.as_deref() else { return };
    let null: &[u8] = if client.out.proto == Proto::V3 { b"_\r\n" } else { b"$-1\r\n" };
    let names = match push {
        // It listens to prefixes by now: what it read before that is not followed any more.
        Push::KeyChanged(_) if tracked.mode == Mode::Broadcast => return,
        Push::KeyChanged(names) | Push::KeysChanged(names) => Arc::clone(names),
        _ => null.into(),
    };
    match tracked.redirect {
        None => write_names(client, &names),
        Some(to) => {
            let found = shared.clients.find(to);
            match found.filter(|meta| !meta.flags().contains(ClientFlags::CLOSE_AFTER_REPLY)) {
                Some(meta) => {
                    let to = Subscriber { client: to, worker: meta.worker.load(Relaxed) };
                    shared.deliver(to, Push::Redirected(names));
                }
                None => break_redirect(client, to),
            }
        }
    }
}

/// Writes a message that the connection's own command caused.
pub fn write_own_push(shared: &Shared, client: &mut Client, push: &Push) {
    let noloop = client.tracking.as_deref().is_some_and(|t| t.noloop);
    if !(noloop && matches!(push, Push::KeyChanged(_))) {
        super::pubsub::write_push(shared, client, push);
    }
}

/// Nobody can be told any more of what this connection reads: it is told that.
fn break_redirect(client: &mut Client, to: ClientId) {
    if let Some(tracked) = client.tracking.as_deref_mut() {
        tracked.broken = true;
    }
    publish(client);
    if client.out.proto == Proto::V3 {
        client.out.push(2);
        client.out.bulk(b"tracking-redir-broken");
        client.out.int(to.0 as i64);
    }
}

fn write_names(client: &mut Client, names: &[u8]) {
    if client.out.proto == Proto::V3 {
        client.out.push(2);
        client.out.bulk(b"invalidate");
        client.out.buf.extend_from_slice(names);
    }
}

/// Writes what another connection wants this one to be told. In RESP2 only subscribers can be told anything.
pub fn write_redirected(client: &mut Client, names: &[u8]) {
    if client.out.proto == Proto::V3 {
        write_names(client, names);
    } else if client.subscriptions.is_some() {
        client.out.array(3);
        client.out.bulk(b"message");
        client.out.bulk(CHANNEL);
        client.out.buf.extend_from_slice(names);
    }
}
