//! CLIENT MAINT_NOTIFICATIONS, and writing what the world has to tell to the connections that asked for it. Which message
//! belongs to which moment is in [`crate::notices`].

use baton_resp::{Args, Proto};

use super::{Outcome, Refusal, SYNTAX};
use crate::clients::ClientFlags;
use crate::notices::{MOVING_BLINDLY_SECONDS, MOVING_SECONDS, Notice, Numbered, SlotsMoved};
use crate::relay::can_carry;
use crate::worker::client::{Client, Waiting};
use crate::worker::context::{Context, Flow};
use crate::worker::routing::audience;
use crate::world::{Role, World};

/// A connection's wish to be told, and how far it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Place of the last message that it was told, or that was over when it came.
    heard: u64,
    /// MOVING names the other node to it. Nodes know one address of each other, so whether the client would like an address
    /// or a name, of the inside or the outside, makes no difference beyond that.
    names_endpoint: bool,
    /// It was told to go elsewhere.
    told_to_move: bool,
}

/// CLIENT MAINT_NOTIFICATIONS ON [MOVING-ENDPOINT-TYPE type] | OFF.
pub fn listen(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let listener = parse(args)?.map(|names_endpoint| Listener {
        heard: cx.world.notices.begin(),
        names_endpoint,
        told_to_move: false,
    });
    if listener.is_some() && client.out.proto == Proto::V2 {
        return Err(
            "ERR CLIENT MAINT_NOTIFICATIONS ON needs RESP3: push messages can't be told from replies in RESP2".into()
        );
    }
    set(client, listener);
    client.out.ok();
    Ok(Flow::Next)
}

/// Begins or ends listening.
pub fn set(client: &mut Client, listener: Option<Listener>) {
    client.listener = listener;
    client.meta.set_flags(ClientFlags::NOTIFIED, listener.is_some());
}

/// Whether MOVING is to name an endpoint; none for OFF.
fn parse(args: Args<'_>) -> Result<Option<bool>, Refusal> {
    let word = |at: usize| args.get(at).map(<[u8]>::to_ascii_lowercase);
    match (word(2).as_deref(), word(3).as_deref(), word(4).as_deref(), args.len()) {
        (Some(b"off"), None, None, 3) => Ok(None),
        (Some(b"on"), None, None, 3) => Ok(Some(true)),
        (Some(b"on"), Some(b"moving-endpoint-type"), Some(kind), 5) => match kind {
            b"internal-ip" | b"internal-fqdn" | b"external-ip" | b"external-fqdn" => Ok(Some(true)),
            b"none" => Ok(Some(false)),
            _ => Err(SYNTAX.into()),
        },
        _ => Err(SYNTAX.into()),
    }
}

/// Writes what the connection has not been told yet. Called before each of its commands runs, so that nobody is sent
/// elsewhere by a world whose messages it has not got.
#[inline]
pub fn catch_up(client: &mut Client, world: &World) {
    if let Some(listener) = client.listener
        && listener.heard < world.notices.end()
    {
        write_missed(client, world, listener);
    }
}

#[cold]
fn write_missed(client: &mut Client, world: &World, listener: Listener) {
    let mut listener = listener;
    for Numbered { place, sequence, notice } in world.notices.after(listener.heard) {
        listener.heard = *place;
        match notice {
            Notice::FailingOver { seconds } => {
                open(client, 3, "FAILING_OVER", *sequence);
                client.out.int(*seconds as i64);
            }
            Notice::FailedOver => open(client, 2, "FAILED_OVER", *sequence),
            Notice::SlotsMoved(moved) => slots_moved(client, *sequence, moved),
            Notice::Moving { host, port } => moving(client, &mut listener, *sequence, host, *port),
        }
    }
    client.listener = Some(listener);
}

/// A connection writes here although another node serves instead of this one since it handed over: it is told where, if it
/// wasn't, and carried there with its request until it goes by itself. Where that can't be it ends, because libraries that
/// take such messages go to the new place then and repeat what was not answered, while -READONLY is an error to them. Some come
/// back after a while: they expect the name under which they know this node to mean the other one by then.
pub fn send_on(client: &mut Client, world: &World) -> Flow {
    if let (Some(mut listener), Some(sequence), Role::Replica { host, port }) =
        (client.listener, world.notices.moved(), &world.role)
        && !listener.told_to_move
    {
        moving(client, &mut listener, sequence, host, *port);
        client.listener = Some(listener);
    }
    if can_carry(client) {
        client.relay = true;
        return Flow::Wait(Waiting::Hold);
    }
    client.closing = true;
    Flow::Stop
}

fn moving(client: &mut Client, listener: &mut Listener, sequence: i64, host: &str, port: u16) {
    listener.told_to_move = true;
    open(client, 4, "MOVING", sequence);
    if listener.names_endpoint {
        client.out.int(MOVING_SECONDS as i64);
        client.out.simple(&format!("{host}:{port}"));
    } else {
        client.out.int(MOVING_BLINDLY_SECONDS as i64);
        client.out.null();
    }
}

fn open(client: &mut Client, parts: usize, name: &str, sequence: i64) {
    client.out.push(parts);
    client.out.simple(name);
    client.out.int(sequence);
}

/// Says nothing where nodes have no name that clients could use: they find out by being redirected.
fn slots_moved(client: &mut Client, sequence: i64, moved: &SlotsMoved) {
    let audience = audience(client);
    let (from, to) = (moved.from.endpoint(moved.endpoint, audience), moved.to.endpoint(moved.endpoint, audience));
    if [from, to].iter().any(|name| name.is_empty() || *name == "?") {
        return;
    }
    let place = |host: &str, port: u16| format!("{host}:{port}");
    let from = place(from, moved.from.client_port(audience));
    let to = place(to, moved.to.client_port(audience));
    open(client, 3, "SMIGRATED", sequence);
    client.out.array(1);
    client.out.array(3);
    client.out.simple(&from);
    client.out.simple(&to);
    client.out.simple(&moved.slots);
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    fn parsed(line: &str) -> Result<Option<bool>, Refusal> {
        let words: Vec<&str> = line.split(' ').collect();
        parse(OwnedArgs::from_slices(&words).as_args())
    }

    #[test]
    fn what_clients_send_is_understood() {
        for kind in ["internal-ip", "internal-fqdn", "external-ip", "EXTERNAL-FQDN"] {
            assert_eq!(parsed(&format!("client maint_notifications ON moving-endpoint-type {kind}")), Ok(Some(true)));
        }
        assert_eq!(parsed("client maint_notifications on MOVING-ENDPOINT-TYPE none"), Ok(Some(false)));
        assert_eq!(parsed("client maint_notifications on"), Ok(Some(true)));
        assert_eq!(parsed("client maint_notifications off"), Ok(None));
    }

    #[test]
    fn anything_else_is_a_syntax_error() {
        for rest in [
            "maybe",
            "on x",
            "on moving-endpoint-type",
            "on moving-endpoint-type x",
            "off x",
            "on moving-endpoint-type none x",
        ] {
            assert_eq!(parsed(&format!("client maint_notifications {rest}")), Err(SYNTAX.into()), "{rest}");
        }
    }
}
