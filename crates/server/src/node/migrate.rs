//! MIGRATE (rdb 8). It runs twice: first to see what there is to move, and again, judged anew, when that is done. What
//! happens between the two is `crate::migrate`.

use std::time::Duration;

use baton_base::num;
use baton_commands::key_positions;
use baton_resp::Args;

use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::migrate::{Order, Transferred, transfer};
use crate::worker::client::{Client, Waiting};
use crate::worker::context::{Context, Flow};
use crate::worker::exec;

const KEY_AND_KEYS: &str = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
/// Where the options begin.
const OPTIONS: usize = 6;
/// Longest time without progress where none is given.
const TIMEOUT_DEFAULT: Duration = Duration::from_millis(1000);

/// MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS key ...].
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let mut order = order(cx, client, args)?;
    if let Some(moved) = client.moved.take() {
        let outcome = finish(cx, client, &order, moved.transferred);
        // Whoever waited finds the keys gone.
        drop(moved.hold);
        return outcome;
    }
    exec::keep_existing(cx, client, &mut order.names);
    if order.names.is_empty() {
        client.out.simple("NOKEY");
        return Ok(Flow::Next);
    }
    if cx.in_transaction {
        // What a transaction does is seen at once or not at all, so everybody waits for the target.
        let transferred = transfer::run(cx.shared, &order);
        return finish(cx, client, &order, transferred);
    }
    cx.shared.movers.submit(cx.shared, cx.local.index, client.meta.id, order);
    Ok(Flow::Wait(Waiting::Move))
}

/// Deletes what has arrived.
fn finish(cx: &mut Context<'_>, client: &mut Client, order: &Order, transferred: Transferred) -> Outcome {
    if !order.copy && !transferred.arrived.is_empty() {
        exec::delete(cx, client, &transferred.arrived);
    }
    match transferred.error {
        None => client.out.ok(),
        Some(text) => return Err(text.into()),
    }
    Ok(Flow::Next)
}

fn order(cx: &Context<'_>, client: &Client, args: Args<'_>) -> Result<Order, Refusal> {
    let text = |at: usize| String::from_utf8_lossy(args.at(at)).into_owned();
    let mut order = Order {
        host: text(1),
        port: text(2),
        to: 0,
        timeout: TIMEOUT_DEFAULT,
        copy: false,
        replace: false,
        auth: None,
        asking: cx.world.env.cluster,
        compress: cx.world.env.rdb_compress,
        from: client.db,
        names: Vec::new(),
    };
    options(&mut order, args)?;
    let timeout_ms = num::parse_i64(args.at(5)).ok_or(NOT_INTEGER)?;
    order.to = num::parse_i64(args.at(4)).ok_or(NOT_INTEGER)?;
    if let Some(ms) = u64::try_from(timeout_ms).ok().filter(|ms| *ms > 0) {
        order.timeout = Duration::from_millis(ms);
    }
    let migrate = baton_commands::lookup(b"migrate");
    let keys = migrate.and_then(|spec| key_positions(spec, args).ok()).unwrap_or_default();
    order.names = keys.iter().map(|key| args.at(key.index as usize).into()).collect();
    Ok(order)
}

fn options(order: &mut Order, args: Args<'_>) -> Result<(), Refusal> {
    let mut at = OPTIONS;
    while let Some(word) = args.get(at) {
        let is = |option: &[u8]| word.eq_ignore_ascii_case(option);
        let value = |behind: usize| args.get(at + behind).map(<[u8]>::to_vec).ok_or(SYNTAX);
        if is(b"COPY") {
            order.copy = true;
        } else if is(b"REPLACE") {
            order.replace = true;
        } else if is(b"AUTH") {
            order.auth = Some((None, value(1)?));
            at += 1;
        } else if is(b"AUTH2") {
            let password = value(2)?;
            order.auth = Some((Some(value(1)?), password));
            at += 2;
        } else if is(b"KEYS") {
            return if args.at(3).is_empty() { Ok(()) } else { Err(KEY_AND_KEYS.into()) };
        } else {
            return Err(SYNTAX.into());
        }
        at += 1;
    }
    Ok(())
}
