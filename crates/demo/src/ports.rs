//! Free ports for servers and their bus. Opens nothing for longer than the look takes.

use std::net::{Ipv4Addr, TcpListener};

use crate::error::Error;

/// Below the ports that systems hand out to outgoing connections, with the bus 10000 above.
const LOWEST: u16 = 11_000;
const HIGHEST: u16 = 21_000;
/// The bus of a node listens this far above its port (cluster-bus 1.1).
const BUS_ABOVE: u16 = 10_000;

/// As many ports as asked for, ascending, each free together with its bus port. The search begins at a place that
/// depends on `start`, so that demonstrations at the same time rarely meet.
pub(crate) fn free_ports(count: usize, start: u32) -> Result<Vec<u16>, Error> {
    free_among(count, start, is_free)
}

fn free_among(count: usize, start: u32, is_free: impl Fn(u16) -> bool) -> Result<Vec<u16>, Error> {
    let all = u32::from(HIGHEST - LOWEST);
    // A round number, so that the ports of one demonstration read well beside each other.
    let offset = start % (all / 10) * 10 + 1;
    let candidates = (0..all - offset).map(|i| LOWEST + (offset + i) as u16);
    let ports: Vec<u16> = candidates.filter(|p| is_free(*p) && is_free(p + BUS_ABOVE)).take(count).collect();
    if ports.len() == count { Ok(ports) } else { Err(Error::NoPorts) }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_ports_and_taken_bus_ports_are_left_out() {
        let first = LOWEST + 1;
        let taken = [first, first + 2 + BUS_ABOVE];
        let ports = free_among(3, 0, |p| !taken.contains(&p)).unwrap();
        assert_eq!(ports, [first + 1, first + 3, first + 4]);
        assert!(matches!(free_among(1, 7, |_| false), Err(Error::NoPorts)));
        assert!(free_among(6, u32::MAX, |_| true).is_ok());
    }
}
