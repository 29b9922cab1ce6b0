//! Which key decides where a command goes. A client's guess only: a wrong one costs a redirect, never a wrong answer,
//! so unknown commands are taken to have their key first.

use baton_base::Slot;

/// The slot of the command's first key, or `None` if it has none and any node will do.
pub(crate) fn slot_of(args: &[&[u8]]) -> Option<Slot> {
    Some(Slot::of_key(first_key(args)?))
}

fn first_key<'a>(args: &[&'a [u8]]) -> Option<&'a [u8]> {
    let name = args.first()?.to_ascii_uppercase();
    let position = match name.as_slice() {
        b"PING" | b"ECHO" | b"HELLO" | b"AUTH" | b"SELECT" | b"QUIT" | b"RESET" | b"CLIENT" | b"COMMAND"
        | b"CONFIG" | b"CLUSTER" | b"INFO" | b"DBSIZE" | b"FLUSHALL" | b"FLUSHDB" | b"KEYS" | b"SCAN"
        | b"RANDOMKEY" | b"ROLE" | b"TIME" | b"WAIT" | b"WAITAOF" | b"PUBLISH" | b"SUBSCRIBE" | b"PSUBSCRIBE"
        | b"UNSUBSCRIBE" | b"MULTI" | b"PUNSUBSCRIBE" | b"EXEC" | b"DISCARD" | b"UNWATCH" | b"SCRIPT" | b"FUNCTION"
        | b"ACL" | b"LATENCY" | b"SLOWLOG" | b"SAVE" | b"BGSAVE" | b"BGREWRITEAOF" | b"LASTSAVE" | b"SHUTDOWN"
        | b"REPLICAOF" | b"FAILOVER" | b"READONLY" | b"READWRITE" | b"LOLWUT" | b"MONITOR" | b"PUBSUB" | b"SWAPDB" => {
            return None;
        }
        b"OBJECT" | b"XINFO" | b"XGROUP" | b"MEMORY" | b"BITOP" | b"DEBUG" => 2,
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" => {
            return keys_after_count(args, 2);
        }
        b"ZUNION" | b"ZINTER" | b"ZDIFF" | b"ZINTERCARD" | b"SINTERCARD" | b"LMPOP" | b"ZMPOP" => {
            return keys_after_count(args, 1);
        }
        b"BLMPOP" | b"BZMPOP" => return keys_after_count(args, 2),
        b"XREAD" | b"XREADGROUP" => 1 + args.iter().position(|a| a.eq_ignore_ascii_case(b"STREAMS"))?,
        _ => 1,
    };
    args.get(position).copied()
}

/// The argument after the count at `position`, unless the count says that there are no keys.
fn keys_after_count<'a>(args: &[&'a [u8]], position: usize) -> Option<&'a [u8]> {
    if args.get(position).is_some_and(|count| *count == b"0") { None } else { args.get(position + 1).copied() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_decides() {
        let key = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            first_key(&words).map(|k| String::from_utf8_lossy(k).into_owned())
        };
        for (line, expected) in [
            ("get k", Some("k")),
            ("PING", None),
            ("ping hello", None),
            ("object encoding k", Some("k")),
            ("eval return 0 k", None),
            ("eval return 1 k a", Some("k")),
            ("zunion 2 a b", Some("a")),
            ("xread count 2 streams s 0", Some("s")),
            ("get", None),
        ] {
            assert_eq!(key(line).as_deref(), expected, "{line}");
        }
    }
}
