//! Strings combined bit by bit.

use baton_store::Expire;

use super::with_bytes;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(word: &[u8]) -> Result<Operation, Fail> {
        match word.to_ascii_uppercase().as_slice() {
            b"AND" => Ok(Operation::And),
            b"OR" => Ok(Operation::Or),
            b"XOR" => Ok(Operation::Xor),
            b"NOT" => Ok(Operation::Not),
            _ => Err(Fail::Syntax),
        }
    }

    /// Combines another source with the ones before, whose result this is. The shorter of the two counts as followed by
    /// zeroes.
    fn add(self, result: &mut Vec<u8>, source: &[u8]) {
        let common = result.len().min(source.len());
        let (both, rest) = source.split_at(common);
        let pairs = result.iter_mut().zip(both);
        match self {
            Operation::And => {
                pairs.for_each(|(a, b)| *a &= b);
                result.truncate(common);
                result.resize(common.max(source.len()), 0);
            }
            Operation::Or => pairs.for_each(|(a, b)| *a |= b),
            Operation::Xor => pairs.for_each(|(a, b)| *a ^= b),
            Operation::Not => {}
        }
        if self != Operation::And {
            result.extend_from_slice(rest);
        }
    }
}

/// BITOP AND|OR|XOR|NOT destination key [key ...].
pub(crate) fn bitop(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let operation = Operation::parse(&x.args[1])?;
    if operation == Operation::Not && x.args.len() != 4 {
        return Err(Fail::Text("ERR BITOP NOT must be called with a single source key."));
    }
    let mut result: Option<Vec<u8>> = None;
    let mut len = 0;
    for arg in 3..x.args.len() {
        let key = x.key(arg - 2, arg);
        with_bytes(x, &key, |bytes| {
            let bytes = bytes.unwrap_or_default();
            len = len.max(bytes.len());
            match &mut result {
                Some(result) => operation.add(result, bytes),
                None => result = Some(bytes.to_vec()),
            }
        })?;
    }
    let mut result = result.unwrap_or_default();
    result.resize(len, 0);
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let key = x.key(0, 2);
    if result.is_empty() {
        if x.view.remove(&key) {
            x.notify(EventClass::GENERIC, "del", &key);
        }
    } else {
        x.notify_if_new(&key);
        x.view.set_raw(&key, &result, Expire::Never);
        x.notify(EventClass::STRING, "set", &key);
    }
    x.out.int(result.len() as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_if_all_were_equally_long(
            sources in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..5),
            which in 0usize..3,
        ) {
            let operation = [Operation::And, Operation::Or, Operation::Xor][which];
            let len = sources.iter().map(Vec::len).max().unwrap_or(0);
            let byte = |source: &Vec<u8>, i: usize| source.get(i).copied().unwrap_or(0);
            let combine: fn(u8, u8) -> u8 = [|a, b| a & b, |a, b| a | b, |a, b| a ^ b][which];
            let naive: Vec<u8> =
                (0..len).map(|i| sources.iter().map(|source| byte(source, i)).reduce(combine).unwrap()).collect();
            let mut result = sources[0].clone();
            sources[1..].iter().for_each(|source| operation.add(&mut result, source));
            result.resize(len, 0);
            prop_assert_eq!(result, naive);
        }
    }
}
