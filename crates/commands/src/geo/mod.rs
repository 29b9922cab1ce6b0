//! Commands on places, which are sorted sets whose scores are cells of the map.

mod cell;
mod options;
mod place;
mod search;
mod shape;

pub(crate) use options::store_keys;
pub(crate) use place::{geoadd, geodist, geohash, geopos};
pub(crate) use search::{georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, geosearch, geosearchstore};

use baton_base::num;
use baton_resp::{Out, Proto};

use crate::fail::Fail;
use cell::{MAP, Place};

/// A floating-point number.
fn float(arg: &[u8]) -> Result<f64, Fail> {
    num::parse_f64(arg).ok_or(Fail::NotFloat)
}

/// A place of the map.
fn place(lon: &[u8], lat: &[u8]) -> Result<Place, Fail> {
    let place = Place { lon: float(lon)?, lat: float(lat)? };
    if MAP.contain(place) {
        return Ok(place);
    }
    let refusal = format!("ERR invalid longitude,latitude pair {:.6},{:.6}", place.lon, place.lat);
    Err(Fail::Bytes(refusal.into_bytes()))
}

/// A unit of distances, in metres.
fn unit(name: &[u8]) -> Result<f64, Fail> {
    match name.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(Fail::Text("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A distance, with four decimals.
fn reply_distance(out: &mut Out, distance: f64) {
    let ten_thousandths = (distance * 10_000.0).round_ties_even() as u64;
    out.bulk(format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000).as_bytes());
}

/// Longitude and latitude, with up to 17 decimals.
fn reply_place(out: &mut Out, place: Place) {
    out.array(2);
    for degrees in [place.lon, place.lat] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        match out.proto {
            Proto::V2 => out.bulk(text.as_bytes()),
            Proto::V3 => out.raw(format!(",{text}\r\n").as_bytes()),
        }
    }
}
