//! Adding places, and reading them and their distances.

use baton_resp::OwnedArgs;
use baton_values::ZSetRef;

use super::cell::{Cell, Place, STEPS, geohash as geohash_of};
use super::shape::distance;
use super::{place, reply_distance, reply_place, unit};
use crate::exec::Exec;
use crate::fail::Fail;
use crate::zset;

/// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]. It is a ZADD, and goes into the stream
/// as one (replication 3.2).
pub(crate) fn geoadd(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (mut first, mut only_new, mut only_there) = (2, false, false);
    while let Some(word) = x.args.get(first) {
        match word {
            _ if word.eq_ignore_ascii_case(b"NX") => only_new = true,
            _ if word.eq_ignore_ascii_case(b"XX") => only_there = true,
            _ if word.eq_ignore_ascii_case(b"CH") => {}
            _ => break,
        }
        first += 1;
    }
    let triples = x.args.skip(first);
    if triples.is_empty() || !triples.len().is_multiple_of(3) || (only_new && only_there) {
        return Err(Fail::Syntax);
    }
    let mut scores = Vec::with_capacity(triples.len() / 3);
    for i in (0..triples.len()).step_by(3) {
        let place = place(triples.at(i), triples.at(i + 1))?;
        scores.push(Cell::of(place, STEPS).number().to_string());
    }
    let options = (1..first).map(|i| x.args.at(i));
    let pairs = scores.iter().enumerate().flat_map(|(i, score)| [score.as_bytes(), triples.at(3 * i + 2)]);
    let words: Vec<&[u8]> = std::iter::once(&b"ZADD"[..]).chain(options).chain(pairs).collect();
    let request = OwnedArgs::from_slices(&words);
    let mut zadd = Exec {
        view: x.view,
        args: request.as_args(),
        keys: x.keys,
        out: x.out,
        effects: x.effects,
        rng: x.rng,
        env: x.env,
        touch: x.touch,
        waits: x.waits,
        in_script: x.in_script,
    };
    if zset::zadd_changes(&mut zadd)? {
        x.effects.replace(&words);
    }
    Ok(())
}

/// GEODIST key member1 member2 [M | KM | FT | MI].
pub(crate) fn geodist(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let unit = match x.args.len() {
        4 => 1.0,
        5 => unit(x.args.at(4))?,
        _ => return Err(Fail::Syntax),
    };
    let (key, a, b) = (x.key(0, 1), x.args.at(2), x.args.at(3));
    let found = zset::read(x, &key, None, |zset| {
        let (a, b) = (place_of(zset, a)?, place_of(zset, b)?);
        Some(distance(a, b) / unit)
    })?;
    match found {
        Some(distance) => reply_distance(x.out, distance),
        None => x.out.null(),
    }
    Ok(())
}

/// GEOHASH key [member ...].
pub(crate) fn geohash(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let places = places(x)?;
    x.out.array(places.len());
    for place in places {
        match place {
            Some(place) => x.out.bulk(&geohash_of(place)),
            None => x.out.null(),
        }
    }
    Ok(())
}

/// GEOPOS key [member ...].
pub(crate) fn geopos(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let places = places(x)?;
    x.out.array(places.len());
    for place in places {
        match place {
            Some(place) => reply_place(x.out, place),
            None => x.out.null_array(),
        }
    }
    Ok(())
}

/// Where the members among the arguments are.
fn places(x: &mut Exec<'_, '_>) -> Result<Vec<Option<Place>>, Fail> {
    let (key, members) = (x.key(0, 1), x.args.skip(2));
    zset::read(x, &key, vec![None; members.len()], |zset| members.iter().map(|member| place_of(zset, member)).collect())
}

/// Where a member is.
pub(super) fn place_of(zset: ZSetRef<'_>, member: &[u8]) -> Option<Place> {
    zset.score(member).map(|score| Cell::of_score(score).center())
}
