//! How things look: durations, numbers, ranges of slots, tables. Pure.

use std::time::Duration;

use baton_base::Mono;

use crate::topology::{Health, News, View};

/// Milliseconds with as many digits as mean something.
pub(crate) fn ms(d: Duration) -> String {
    let ms = d.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{} ms", grouped(ms.round() as u64)) }
}

/// Seconds since the start, for the left margin.
pub(crate) fn stamp(at: Mono) -> String {
    format!("{:9.3}", at.as_micros() as f64 / 1e6)
}

/// A number with its thousands apart.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 write`, `2 writes`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Ranges of slots as `CLUSTER NODES` writes them.
pub(crate) fn ranges(slots: &[(u16, u16)]) -> String {
    let words = slots.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    words.collect::<Vec<_>>().join(" ")
}

/// The shards, one a line: primary, slots, replicas, and who is not well.
pub(crate) fn table(view: &View) -> Vec<String> {
    let mut lines = vec![format!("{:<10} {:<14} replicas", "primary", "slots")];
    for (port, replicas) in view.shards() {
        let replicas = replicas.iter().map(|r| named(view, *r)).collect::<Vec<_>>().join(" ");
        let replicas = if replicas.is_empty() { "none".to_owned() } else { replicas };
        lines.push(format!("{:<10} {:<14} {replicas}", named(view, port), ranges(&view.0[&port].slots)));
    }
    for (port, member) in view.0.iter().filter(|(_, m)| m.is_primary && m.slots.is_empty()) {
        lines.push(format!(
            "{:<10} {:<14} none",
            named(view, *port),
            if member.handshake { "handshake" } else { "none" }
        ));
    }
    lines
}

fn named(view: &View, port: u16) -> String {
    let mark = match view.0.get(&port).map(|m| m.health) {
        Some(Health::Failed) => " (down)",
        Some(Health::Suspected) => " (down?)",
        _ => "",
    };
    format!("{port}{mark}")
}

/// A piece of news as a sentence, as the node on `observer` tells it.
pub(crate) fn news(news: &News, observer: u16) -> String {
    match news {
        News::Suspected(port) => format!("{observer} gets no answer from {port} (fail?)"),
        News::Failed(port) => format!("{port} is taken for dead by a majority (fail)"),
        News::Reachable(port) => format!("{port} is reachable again"),
        News::Primary(port, slots) if slots.is_empty() => format!("{port} is a primary without slots"),
        News::Primary(port, slots) => format!("{port} is the primary of {}", ranges(slots)),
        News::Replica(port, Some(of)) => format!("{port} is a replica of {of}"),
        News::Replica(port, None) => format!("{port} is a replica of a node that {observer} does not know"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(ms(Duration::from_micros(2_349)), "2.3 ms");
        assert_eq!(ms(Duration::from_micros(1_234_499)), "1,234 ms");
        assert_eq!(stamp(Mono::from_micros(12_345_678)), "   12.346");
        assert_eq!(counted(1, "error"), "1 error");
        assert_eq!(counted(1_000, "error"), "1,000 errors");
    }

    #[test]
    fn tables_line_up() {
        let view = View::parse(
            "a :7001@1 myself,master - 0 0 1 connected 0-8191\n\
             b :7002@1 master - 0 0 2 connected 8192-16383\n\
             c :7003@1 slave,fail a 0 0 1 disconnected\n\
             d :7004@1 master - 0 0 0 connected\n",
        );
        assert_eq!(
            table(&view),
            [
                "primary    slots          replicas",
                "7001       0-8191         7003 (down)",
                "7002       8192-16383     none",
                "7004       none           none",
            ]
        );
        assert_eq!(news(&News::Primary(7004, vec![(0, 1), (7, 7)]), 7002), "7004 is the primary of 0-1 7");
    }
}
