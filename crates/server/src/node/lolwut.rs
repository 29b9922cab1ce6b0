//! LOLWUT: a small drawing, another one each time, and the version.

use baton_base::Rng;
use baton_base::num::parse_i64;
use baton_config::Id;
use baton_resp::Args;

use super::connection::{COMPATIBLE_VERSION, REDIS_VERSION};
use super::{NOT_INTEGER, Outcome, SYNTAX};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

const COLUMNS: usize = 64;
const LANES: usize = 5;

/// LOLWUT [VERSION version]: whatever version is asked for, the drawing is of the same kind.
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    if let Some(word) = args.get(1) {
        let version = args.get(2).filter(|_| word.eq_ignore_ascii_case(b"VERSION"));
        if version.is_none() && args.len() == 3 {
            return Err(SYNTAX.into());
        }
        if version.is_some_and(|version| parse_i64(version).is_none()) {
            return Err(NOT_INTEGER.into());
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let compatible = if cx.world.settings.bool(Id::ExtendedRedisCompatibility) {
        format!("Redis ver. {REDIS_VERSION}")
    } else {
        format!("Valkey ver. {COMPATIBLE_VERSION}")
    };
    let text = format!("{}\nA relay, run once. Baton ver. {version}, {compatible}\n", relay(&mut cx.local.rng));
    client.out.verbatim(b"txt", text.as_bytes());
    Ok(Flow::Next)
}

/// A baton on its way through the lanes: each runner carries it some of the way and hands it on to a lane beside his.
fn relay(rng: &mut Rng) -> String {
    let mut lanes = vec![vec![' '; COLUMNS]; LANES];
    let mut lane = rng.below(LANES as u64) as usize;
    let mut at = 0;
    while at < COLUMNS {
        let end = (at + rng.range(6, 16) as usize).min(COLUMNS);
        lanes[lane][at..end].fill('=');
        lanes[lane][at] = 'o';
        let down = lane == 0 || (lane + 1 < LANES && rng.chance(1, 2));
        if end < COLUMNS {
            lanes[lane][end - 1] = if down { '\\' } else { '/' };
        }
        lane = if down { lane + 1 } else { lane - 1 };
        at = end;
    }
    lanes.into_iter().map(|lane| lane.into_iter().collect::<String>().trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baton_is_in_one_lane_at_a_time() {
        for seed in 0..200 {
            let text = relay(&mut Rng::new(seed));
            let lanes: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
            assert_eq!(lanes.len(), LANES);
            let carried = |at: usize| lanes.iter().filter(|l| l.get(at).is_some_and(|c| *c != b' ')).count();
            assert!((0..COLUMNS).all(|at| carried(at) == 1), "{text}");
        }
    }
}
