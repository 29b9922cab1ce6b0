//! What the servers tell of changed keys: both must tell the same, in the same order.

use crate::check::{Stories, words};
use crate::finding::{Finding, Summary, line};
use crate::pair::Pair;
use baton_cli::{Endpoint, Error, Reply};

/// Where the end of a batch is told.
const END: &str = "differ:end";

/// An event: what happened, in which database, and the key.
type Event = (Vec<u8>, Vec<u8>);

/// Listens to both servers.
#[derive(Debug)]
pub(crate) struct Listener {
    pair: Pair,
    batches: u64,
}

impl Listener {
    pub(crate) fn open(a: &Endpoint, b: &Endpoint) -> Result<Self, Error> {
        let mut pair = Pair::open(a, b, false)?;
        pair.tell(&[
            words(&["CONFIG", "SET", "notify-keyspace-events", "EAn"]),
            words(&["PSUBSCRIBE", "__keyevent@*__:*"]),
            words(&["SUBSCRIBE", END]),
        ])?;
        Ok(Listener { pair, batches: 0 })
    }

    /// All that was told of what `main` said up to now.
    pub(crate) fn hear(&mut self, main: &mut Pair) -> Result<[Vec<Event>; 2], Error> {
        self.batches += 1;
        let batch = self.batches.to_string().into_bytes();
        main.tell(&[vec![b"PUBLISH".to_vec(), END.into(), batch.clone()]])?;
        let mut heard = [Vec::new(), Vec::new()];
        for (heard, side) in heard.iter_mut().zip(self.pair.sides()) {
            loop {
                let Reply::Array(message) = side.receive()? else { continue };
                match message.as_slice() {
                    [_, _, Reply::Bulk(channel), Reply::Bulk(key)] => heard.push((channel.clone(), key.clone())),
                    [_, Reply::Bulk(channel), Reply::Bulk(text)] if channel == END.as_bytes() && *text == batch => {
                        break;
                    }
                    _ => {}
                }
            }
        }
        Ok(heard)
    }

    /// The same, and a finding where the two differ.
    pub(crate) fn compare(&mut self, main: &mut Pair, stories: &Stories, summary: &mut Summary) -> Result<(), Error> {
        let [a, b] = self.hear(main)?;
        summary.events += a.len() as u64;
        let Some(at) = first_difference(&a, &b) else { return Ok(()) };
        let (channel, key) = a.get(at).or(b.get(at)).cloned().unwrap_or_default();
        let (name, number) = (String::from_utf8_lossy(&channel).into_owned(), summary.commands);
        let what = format!("events: {}", name.rsplit(':').next().unwrap_or_default());
        let around = |events: &[Event]| {
            let events: Vec<_> = events.iter().skip(at.saturating_sub(3)).take(8).collect();
            events.iter().map(|(channel, key)| line(&[channel.clone(), key.clone()])).collect::<Vec<_>>().join(", ")
        };
        let (a, b) = (around(&a), around(&b));
        summary.note(&what.clone(), || Finding { what, times: 0, at: number, story: stories.of(&key), a, b });
        Ok(())
    }
}

fn first_difference(a: &[Event], b: &[Event]) -> Option<usize> {
    (0..a.len().max(b.len())).find(|&at| a.get(at) != b.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_ends_early_differs_at_its_end() {
        let event = |key: &str| (b"set".to_vec(), key.as_bytes().to_vec());
        let (a, b) = (vec![event("a"), event("b")], vec![event("a")]);
        assert_eq!(first_difference(&a, &b), Some(1));
        assert_eq!(first_difference(&a, &a), None);
        assert_eq!(first_difference(&a, &[event("a"), event("c")]), Some(1));
    }
}
