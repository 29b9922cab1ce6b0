//! The cluster as one node describes it (`CLUSTER NODES`), and the news between two descriptions. Pure; nodes are named
//! by their ports, because all of them are on this machine.

use std::collections::BTreeMap;

/// A node as another one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its id.
    pub(crate) id: String,
    /// It owns slots, or could.
    pub(crate) is_primary: bool,
    /// The id of its primary.
    pub(crate) follows: Option<String>,
    /// How it fares.
    pub(crate) health: Health,
    /// The bus link to it is up, or it is the one that describes.
    pub(crate) linked: bool,
    /// It has not been admitted yet.
    pub(crate) handshake: bool,
    /// Ranges of slots, both ends included.
    pub(crate) slots: Vec<(u16, u16)>,
}

/// How a node fares in the eyes of the one that describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    Up,
    /// `fail?`: this one node thinks so.
    Suspected,
    /// `fail`: a majority thinks so.
    Failed,
}

/// All nodes, by port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View(pub(crate) BTreeMap<u16, Member>);

/// Something that changed between two views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Suspected(u16),
    Failed(u16),
    /// No longer suspected or failed.
    Reachable(u16),
    /// It is the primary of these slots now.
    Primary(u16, Vec<(u16, u16)>),
    /// It follows the node on the other port now.
    Replica(u16, Option<u16>),
}

impl View {
    /// Reads the reply of `CLUSTER NODES`; leaves out lines that can't be read.
    pub(crate) fn parse(text: &str) -> View {
        View(text.lines().filter_map(member).collect())
    }

    /// The port of the node with this id.
    pub(crate) fn port_of(&self, id: &str) -> Option<u16> {
        self.0.iter().find(|(_, m)| m.id == id).map(|(port, _)| *port)
    }

    /// Primaries that own slots, with the ports of their replicas.
    pub(crate) fn shards(&self) -> Vec<(u16, Vec<u16>)> {
        let owners = self.0.iter().filter(|(_, m)| m.is_primary && !m.slots.is_empty());
        owners.map(|(port, m)| (*port, self.replicas_of(&m.id))).collect()
    }

    /// Ports of the replicas of the node with this id.
    pub(crate) fn replicas_of(&self, id: &str) -> Vec<u16> {
        self.0.iter().filter(|(_, m)| m.follows.as_deref() == Some(id)).map(|(port, _)| *port).collect()
    }

    /// The primary that owns the slot.
    pub(crate) fn owner_of(&self, slot: u16) -> Option<u16> {
        let owns = |m: &Member| m.is_primary && m.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        self.0.iter().find(|(_, m)| owns(m)).map(|(port, _)| *port)
    }

    /// How many slots have an owner.
    pub(crate) fn slots_owned(&self) -> u32 {
        let ranges = self.0.values().filter(|m| m.is_primary).flat_map(|m| &m.slots);
        ranges.map(|(first, last)| u32::from(last - first) + 1).sum()
    }

    /// Every node admitted, linked and well.
    pub(crate) fn is_whole(&self, nodes: usize) -> bool {
        let well = |m: &Member| !m.handshake && m.linked && m.health == Health::Up;
        self.0.len() == nodes && self.0.values().all(well)
    }

    /// What is new here compared with an earlier view, by port.
    pub(crate) fn news_since(&self, before: &View) -> Vec<News> {
        let mut news = Vec::new();
        for (&port, now) in &self.0 {
            let Some(then) = before.0.get(&port) else { continue };
            if now.health != then.health {
                news.push(match now.health {
                    Health::Up => News::Reachable(port),
                    Health::Suspected => News::Suspected(port),
                    Health::Failed => News::Failed(port),
                });
            }
            let gained = now.is_primary && !now.slots.is_empty() && now.slots != then.slots;
            if gained || (now.is_primary && !then.is_primary) {
                news.push(News::Primary(port, now.slots.clone()));
            } else if !now.is_primary && now.follows != then.follows {
                news.push(News::Replica(port, now.follows.as_deref().and_then(|id| self.port_of(id))));
            }
        }
        news
    }
}

fn member(line: &str) -> Option<(u16, Member)> {
    let mut words = line.split_ascii_whitespace();
    let id = words.next()?.to_owned();
    let address = words.next()?.split('@').next()?;
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    let flags: Vec<&str> = words.next()?.split(',').collect();
    let follows = words.next().filter(|id| *id != "-").map(str::to_owned);
    // Two times and the epoch come before the state of the link.
    let link = words.nth(3)?;
    let health = match () {
        () if flags.contains(&"fail") => Health::Failed,
        () if flags.contains(&"fail?") => Health::Suspected,
        () => Health::Up,
    };
    let member = Member {
        id,
        is_primary: flags.contains(&"master") || flags.contains(&"primary"),
        follows,
        health,
        linked: link == "connected" || flags.contains(&"myself"),
        handshake: flags.contains(&"handshake"),
        slots: words.filter_map(range).collect(),
    };
    Some((port, member))
}

/// `7`, `0-5460`; a slot on its way (`[7->-id]`) is no range.
fn range(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let range = (first.parse().ok()?, last.parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
aa 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-5460 5461 [7->-bb]
bb 127.0.0.1:7002@17002,host,shard-id=x master - 0 1700 2 connected 5462-16383
cc 127.0.0.1:7003@17003 slave aa 0 1700 1 connected
dd :0@0 handshake - 0 0 0 disconnected
not a line
";

    #[test]
    fn lines_of_cluster_nodes_are_read() {
        let view = View::parse(BEFORE);
        assert_eq!(view.0.keys().copied().collect::<Vec<_>>(), [0, 7001, 7002, 7003]);
        assert_eq!(view.0[&7001].slots, [(0, 5460), (5461, 5461)]);
        assert_eq!(view.shards(), [(7001, vec![7003]), (7002, vec![])]);
        assert_eq!((view.owner_of(5461), view.owner_of(16383)), (Some(7001), Some(7002)));
        assert_eq!(view.slots_owned(), 16384);
        assert!(!view.is_whole(4));
        assert!(View::parse(&BEFORE.replace("dd :0@0 handshake", "")).is_whole(3));
        assert!(
            !View::parse(&BEFORE.replace("bb 127.0.0.1:7002@17002,host,shard-id=x master", "bb :7002@1 master,fail?"))
                .is_whole(3)
        );
    }

    #[test]
    fn news_are_what_changed() {
        let before = View::parse(BEFORE);
        let after = View::parse(
            "aa 127.0.0.1:7001@17001 myself,slave,fail cc 0 0 3 connected\n\
             bb 127.0.0.1:7002@17002 master,fail? - 0 1 2 connected 5462-16383\n\
             cc 127.0.0.1:7003@17003 master - 0 1 3 connected 0-5461\n",
        );
        assert_eq!(after.news_since(&after), []);
        assert_eq!(
            after.news_since(&before),
            [
                News::Failed(7001),
                News::Replica(7001, Some(7003)),
                News::Suspected(7002),
                News::Primary(7003, vec![(0, 5461)]),
            ]
        );
        assert!(before.news_since(&after).contains(&News::Reachable(7002)));
    }
}
