//! What one client was promised: every acknowledged value of each of its keys, and what is found of it at the end. Pure.

/// The values of one key, each greater than the one before.
#[derive(Clone, Debug, Default)]
struct KeyRecord {
    /// Acknowledged, ascending.
    acknowledged: Vec<u64>,
    /// The greatest that was ever sent.
    sent: u64,
}

/// The promises made to one client.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    keys: Vec<KeyRecord>,
}

/// What became of the promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Values acknowledged.
    pub(crate) acknowledged: u64,
    /// Acknowledged values newer than what is found.
    pub(crate) lost: u64,
    /// Keys that hold what was never sent.
    pub(crate) wrong: u64,
}

impl Verdict {
    /// Nothing is lost or wrong.
    pub(crate) fn is_good(self) -> bool {
        self.lost == 0 && self.wrong == 0
    }

    /// Both together.
    pub(crate) fn plus(self, other: Verdict) -> Verdict {
        Verdict {
            acknowledged: self.acknowledged + other.acknowledged,
            lost: self.lost + other.lost,
            wrong: self.wrong + other.wrong,
        }
    }
}

/// What is found under a key at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No value.
    Nothing,
    /// A number.
    Value(u64),
    /// Something that no client wrote.
    Foreign,
}

impl Ledger {
    /// A client with this many keys that has written nothing.
    pub(crate) fn new(keys: usize) -> Ledger {
        Ledger { keys: vec![KeyRecord::default(); keys] }
    }

    /// How many keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// A value is about to be sent.
    pub(crate) fn send(&mut self, key: usize, value: u64) {
        self.keys[key].sent = value;
    }

    /// The value was acknowledged.
    pub(crate) fn acknowledge(&mut self, key: usize, value: u64) {
        self.keys[key].acknowledged.push(value);
    }

    /// Judges one key. A value that was sent and never acknowledged may be there or not; a later one replaces all before.
    pub(crate) fn judge(&self, key: usize, found: Found) -> Verdict {
        let record = &self.keys[key];
        let acknowledged = record.acknowledged.len() as u64;
        let (value, wrong) = match found {
            Found::Nothing => (0, false),
            Found::Value(value) => (value, value == 0 || value > record.sent),
            Found::Foreign => (0, true),
        };
        let kept = record.acknowledged.partition_point(|v| *v <= value) as u64;
        Verdict { acknowledged, lost: acknowledged - kept, wrong: u64::from(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2);
        for value in [1, 3, 5] {
            ledger.send(0, value);
            ledger.acknowledge(0, value);
        }
        ledger.send(0, 7);
        ledger
    }

    fn verdict(acknowledged: u64, lost: u64, wrong: u64) -> Verdict {
        Verdict { acknowledged, lost, wrong }
    }

    #[test]
    fn what_was_acknowledged_must_be_there_or_be_replaced() {
        let l = ledger();
        assert_eq!(l.judge(0, Found::Value(5)), verdict(3, 0, 0));
        assert_eq!(l.judge(0, Found::Value(7)), verdict(3, 0, 0), "sent, and perhaps executed");
        assert_eq!(l.judge(0, Found::Value(3)), verdict(3, 1, 0));
        assert_eq!(l.judge(0, Found::Nothing), verdict(3, 3, 0));
        assert_eq!(l.judge(0, Found::Value(9)), verdict(3, 0, 1), "never sent");
        assert_eq!(l.judge(0, Found::Foreign), verdict(3, 3, 1));
        assert_eq!(l.judge(1, Found::Nothing), verdict(0, 0, 0));
        assert_eq!(l.judge(1, Found::Value(0)), verdict(0, 0, 1), "values begin at one");
    }

    #[test]
    fn sums_are_good_only_if_all_parts_are() {
        let l = ledger();
        let sum = l.judge(0, Found::Value(5)).plus(l.judge(1, Found::Nothing));
        assert!(sum.is_good());
        assert!(!sum.plus(l.judge(0, Found::Value(1))).is_good());
    }
}
