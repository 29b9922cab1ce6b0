//! The connection family: PING, ECHO, AUTH, HELLO, RESET, SELECT, QUIT, TIME, READONLY, READWRITE, ASKING; and MONITOR.

use baton_acl::User;
use baton_base::num::parse_i64;
use baton_resp::{Args, Proto};
use baton_store::DbIndex;

use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::acl::{begin_anew, log_in};
use crate::clients::ClientFlags;
use crate::pubsub::Subscriber;
use crate::shared::Shared;
use crate::worker::client::{Client, ReplyMode};
use crate::worker::context::{Context, Flow};

/// Version that this server speaks the protocol and file formats of.
pub const COMPATIBLE_VERSION: &str = "9.1.2";
/// Version of Redis that INFO and HELLO name for old clients.
pub const REDIS_VERSION: &str = "7.2.4";

/// PING [message].
pub fn ping(client: &mut Client, args: Args<'_>) -> Outcome {
    if args.len() > 2 {
        return Err("ERR wrong number of arguments for 'ping' command".into());
    }
    if client.in_subscribed_mode() {
        client.out.array(2);
        client.out.bulk(b"pong");
        client.out.bulk(args.get(1).unwrap_or_default());
    } else {
        match args.get(1) {
            Some(text) => client.out.bulk(text),
            None => client.out.simple("PONG"),
        }
    }
    Ok(Flow::Next)
}

/// SELECT index.
pub fn select(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let Some(index) = parse_i64(args.at(1)) else { return Err(NOT_INTEGER.into()) };
    match u32::try_from(index) {
        Ok(db) if db < cx.shared.store.databases() => client.db = DbIndex(db),
        _ => return Err("ERR DB index is out of range".into()),
    }
    client.publish_state();
    client.out.ok();
    Ok(Flow::Next)
}

/// TIME.
pub fn time(cx: &Context<'_>, client: &mut Client) -> Outcome {
    // In a script or a transaction time stands still.
    let wall = if cx.in_transaction { cx.now.wall } else { cx.shared.clock.wall() };
    client.out.array(2);
    client.out.bulk_int(wall.as_secs() as i64);
    client.out.bulk_int((wall.0 % 1000 * 1000) as i64);
    Ok(Flow::Next)
}

/// Makes a connection this user.
fn authenticate(
    cx: &Context<'_>,
    client: &mut Client,
    args: Args<'_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), Refusal> {
    if log_in(cx, client, user, password, args.name()) {
        return Ok(());
    }
    Err("WRONGPASS invalid username-password pair or user is disabled.".into())
}

/// AUTH [user] password.
pub fn auth(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let (user, password) = match args.len() {
        2 => {
            if cx.world.users.default_user().is_open() {
                return Err(
                    "ERR AUTH <password> called without any password configured for the default user. Are you \
                            sure your configuration is correct?"
                        .into(),
                );
            }
            (User::DEFAULT, args.at(1))
        }
        3 => (args.at(1), args.at(2)),
        _ => return Err(SYNTAX.into()),
    };
    authenticate(cx, client, args, user, password)?;
    client.out.ok();
    Ok(Flow::Next)
}

/// HELLO [version [AUTH user password] [SETNAME name]].
pub fn hello(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let mut proto = client.out.proto;
    let (mut name, mut credentials) = (None, None);
    let mut next = 1;
    if let Some(version) = args.get(1) {
        proto = match parse_i64(version) {
            Some(2) => Proto::V2,
            Some(3) => Proto::V3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
            None => return Err("ERR Protocol version is not an integer or out of range".into()),
        };
        next = 2;
    }
    while let Some(option) = args.get(next) {
        let left = args.len() - next - 1;
        if option.eq_ignore_ascii_case(b"auth") && left >= 2 {
            credentials = Some((args.at(next + 1), args.at(next + 2)));
            next += 3;
        } else if option.eq_ignore_ascii_case(b"setname") && left >= 1 {
            name = Some(super::client_cmd::checked_name(args.at(next + 1), "Client names")?);
            next += 2;
        } else {
            let shown = String::from_utf8_lossy(option).into_owned();
            return Err(format!("ERR Syntax error in HELLO option '{shown}'").into());
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(cx, client, args, user, password)?;
    }
    if !client.who.is_in {
        return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
                    <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
                    the same time"
            .into());
    }
    if let Some(name) = name {
        client.meta.labels.lock().name = name;
    }
    client.out.proto = proto;
    if proto == Proto::V2 {
        super::notices::set(client, None);
    }
    client.publish_state();
    write_hello(cx, client);
    Ok(Flow::Next)
}

fn write_hello(cx: &Context<'_>, client: &mut Client) {
    let zone = cx.world.settings.text(baton_config::Id::AvailabilityZone).to_owned();
    let out = &mut client.out;
    out.map(if zone.is_empty() { 7 } else { 8 });
    let redis = cx.world.settings.bool(baton_config::Id::ExtendedRedisCompatibility);
    out.bulk(b"server");
    out.bulk(if redis { b"redis" } else { b"valkey" });
    out.bulk(b"version");
    out.bulk(if redis { REDIS_VERSION } else { COMPATIBLE_VERSION }.as_bytes());
    out.bulk(b"proto");
    out.int(out.proto.number());
    out.bulk(b"id");
    out.int(client.meta.id.0 as i64);
    out.bulk(b"mode");
    out.bulk(if cx.world.hot.cluster { b"cluster" } else { b"standalone" });
    out.bulk(b"role");
    out.bulk(if cx.world.role.is_replica() { b"replica" } else { b"master" });
    out.bulk(b"modules");
    out.array(0);
    if !zone.is_empty() {
        out.bulk(b"availability_zone");
        out.bulk(zone.as_bytes());
    }
}

/// RESET: as if the connection had just been made.
pub fn reset(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    client.transaction = None;
    crate::worker::transaction::unwatch(cx.shared, client);
    super::pubsub::leave_all(cx.shared, client, cx.local.index);
    super::tracking::end(cx.shared, client, cx.local.index);
    end_monitor(cx.shared, client, cx.local.index);
    client.db = DbIndex(0);
    client.asking = false;
    client.readonly = false;
    client.capa_redirect = false;
    super::notices::set(client, None);
    client.no_touch = false;
    client.import_source = false;
    client.reply_mode = ReplyMode::On;
    client.out.proto = Proto::V2;
    begin_anew(&cx.world, client);
    client.meta.labels.lock().name.clear();
    client.publish_state();
    client.out.simple("RESET");
    Ok(Flow::Next)
}

/// MONITOR. Who watches already hears nothing of a second one.
pub fn monitor(cx: &mut Context<'_>, client: &mut Client) -> Outcome {
    if cx.in_transaction {
        return Err("ERR MONITOR isn't allowed for DENY BLOCKING client".into());
    }
    if !client.monitors {
        client.monitors = true;
        client.meta.set_flags(ClientFlags::MONITOR, true);
        cx.shared.monitors.enter(Subscriber { client: client.meta.id, worker: cx.local.index });
        cx.monitored = true;
        client.out.ok();
    }
    Ok(Flow::Next)
}

/// Ends what MONITOR began.
pub fn end_monitor(shared: &Shared, client: &mut Client, worker: u32) {
    if std::mem::take(&mut client.monitors) {
        client.meta.set_flags(ClientFlags::MONITOR, false);
        shared.monitors.leave(Subscriber { client: client.meta.id, worker });
    }
}

/// QUIT.
pub fn quit(client: &mut Client) -> Outcome {
    client.out.ok();
    client.closing = true;
    client.publish_state();
    Ok(Flow::Stop)
}

/// READONLY and READWRITE.
pub fn set_readonly(client: &mut Client, on: bool) -> Outcome {
    client.readonly = on;
    client.publish_state();
    client.out.ok();
    Ok(Flow::Next)
}

/// ASKING.
pub fn asking(cx: &Context<'_>, client: &mut Client) -> Outcome {
    if cx.world.topology.is_none() {
        return Err("ERR This instance has cluster support disabled".into());
    }
    client.asking = true;
    client.out.ok();
    Ok(Flow::Next)
}
