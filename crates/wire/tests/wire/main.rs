//! The bus codec from outside: packets that Valkey 9.1.2 sent, every field's place, framing, and what foreign bytes may
//! never do.

mod framing;
mod layout;
mod mutations;
mod observed;
mod oracle;
mod properties;
mod rejects;

use baton_base::{Epoch, NodeId, Offset, Slot};
use baton_wire::{Body, Header, IpText, Message, MsgFlags, NodeFlags, Packet, PingBody};

fn id(letter: u8) -> NodeId {
    NodeId::new([letter; 40]).unwrap()
}

/// A header in which every field differs from every other and from zero.
fn header() -> Header {
    Header {
        port: 0x0102,
        port_other: 0x0304,
        port_bus: 0x0506,
        current_epoch: Epoch(0x1112_1314_1516_1718),
        config_epoch: Epoch(0x2122_2324_2526_2728),
        offset: Offset(0x3132_3334_3536_3738),
        slots: [0, 9, 16383].into_iter().filter_map(Slot::new).collect(),
        replica_of: Some(id(b'p')),
        ip: IpText::new("10.0.0.7").unwrap(),
        flags: NodeFlags::REPLICA | NodeFlags::MYSELF | NodeFlags::MY_PRIMARY_FAIL,
        cluster_failed: true,
        mflags: MsgFlags::PAUSED,
        ..Header::new(id(b's'))
    }
}

fn message(body: Body) -> Message {
    Message { header: header(), body }
}

fn ping(body: PingBody) -> Message {
    let mut message = message(Body::Ping(body));
    message.header.mflags |= MsgFlags::EXT_DATA;
    message
}

fn full(packet: Packet) -> Message {
    match packet {
        Packet::Full(message) => message,
        Packet::Light(body) => panic!("a light packet: {body:?}"),
    }
}
