//! FAILOVER: reads its arguments as upstream does (replication 7). What can be done is the control thread's to say.

use std::time::Duration;

use baton_base::num::parse_i64;
use baton_resp::Args;

use super::replication::ask_control;
use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::control::{ControlMessage, FailoverRequest};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds], and FAILOVER LOG [COUNT n], which is not upstream's
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    if args.len() > 1 && args.at(1).eq_ignore_ascii_case(b"log") {
        super::failovers::run(cx, client, args.skip(2))?;
        return Ok(Flow::Next);
    }
    if cx.world.hot.cluster {
        return Err("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.".into());
    }
    match parse(args.skip(1))? {
        None => ask_control(cx, client, ControlMessage::FailoverAbort),
        Some(request) => ask_control(cx, client, |reply| ControlMessage::Failover { request, reply }),
    }
}

/// None for ABORT. Words come in any order, each once.
fn parse(words: Args<'_>) -> Result<Option<FailoverRequest>, Refusal> {
    let is = |i: usize, word: &[u8]| words.get(i).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let integer = |i: usize| parse_i64(words.at(i)).ok_or(Refusal::from(NOT_INTEGER));
    if words.len() == 1 && is(0, b"abort") {
        return Ok(None);
    }
    let mut request = FailoverRequest::default();
    let mut i = 0;
    while i < words.len() {
        if is(i, b"timeout") && i + 1 < words.len() && request.timeout.is_none() {
            let ms = u64::try_from(integer(i + 1)?).unwrap_or(0);
            if ms == 0 {
                return Err("ERR FAILOVER timeout must be greater than 0".into());
            }
            request.timeout = Some(Duration::from_millis(ms));
            i += 2;
        } else if is(i, b"to") && i + 2 < words.len() && request.target.is_none() {
            let host = String::from_utf8_lossy(words.at(i + 1)).into_owned();
            request.target = Some((host, integer(i + 2)?));
            i += 3;
        } else if is(i, b"force") && !request.force {
            request.force = true;
            i += 1;
        } else {
            return Err(SYNTAX.into());
        }
    }
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    #[test]
    fn words_come_in_any_order_and_once() {
        let parse = |words: &str| parse(OwnedArgs::from_slices(&words.split(' ').collect::<Vec<_>>()).as_args());
        assert_eq!(parse("ABORT"), Ok(None));
        let target = Some(("h".to_owned(), 7000));
        let full = FailoverRequest { target, timeout: Some(Duration::from_millis(5)), force: true };
        assert_eq!(parse("TO h 7000 FORCE TIMEOUT 5"), Ok(Some(full.clone())));
        assert_eq!(parse("timeout 5 force to h 7000"), Ok(Some(full)));
        for bad in ["abort to h 1", "to h", "timeout", "force force", "timeout 1 timeout 2", "to a 1 to b 2", "later"] {
            assert_eq!(parse(bad), Err(SYNTAX.into()), "{bad}");
        }
        assert_eq!(parse("to h port"), Err(NOT_INTEGER.into()));
        assert_eq!(parse("timeout x"), Err(NOT_INTEGER.into()));
        for ms in ["0", "-1"] {
            let expected = Err("ERR FAILOVER timeout must be greater than 0".into());
            assert_eq!(parse(&format!("timeout {ms}")), expected);
        }
    }
}
