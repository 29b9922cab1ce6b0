//! What the arguments of a search say.

use baton_resp::Args;
use baton_values::ZSetRef;

use super::cell::Place;
use super::place::place_of;
use super::shape::{Area, middle};
use super::{float, place, unit};
use crate::fail::Fail;
use crate::key_spec::key_flags;
use crate::number::int;
use crate::{KeyPosition, KeyPositions};

/// Where a command takes the center from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The second argument is the key, the next two are longitude and latitude, then come radius and unit.
    Place,
    /// The second argument is the key, the next is a member, then come radius and unit.
    Member,
    /// Options say it; the first of them is this argument.
    Options(usize),
}

/// What a command is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) from: From,
    /// Whether options may name a key to store in.
    pub(super) may_store: bool,
    /// Whether it stores always.
    pub(super) is_stored: bool,
}

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Store {
    /// The argument that is the key.
    pub(super) arg: usize,
    /// Whether distances become the scores.
    pub(super) distances: bool,
}

/// The order of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Nearest,
    Farthest,
}

/// What is searched for, and what of it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// The center; none if it is a member of a set that is not there.
    pub(super) center: Option<Place>,
    pub(super) area: Area,
    /// In which distances are told, in metres.
    pub(super) unit: f64,
    pub(super) order: Option<Order>,
    /// Places at most.
    pub(super) count: Option<usize>,
    /// Whether any places will do.
    pub(super) any: bool,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_place: bool,
    pub(super) store: Option<Store>,
}

/// What says where the center is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Place,
    Member,
    Polygon,
}

/// What was read so far. An option may come again, but none that contradicts it.
#[derive(Debug, Default)]
struct Parts {
    center: Option<Place>,
    by: Option<By>,
    area: Option<Area>,
    unit: f64,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    store: Option<Store>,
}

/// The keys of GEORADIUS and GEORADIUSBYMEMBER, whose options begin at argument `first`: of several to store in the last counts.
fn keys_from(args: Args<'_>, first: usize) -> KeyPositions {
    let mut keys = KeyPositions::new();
    keys.push(KeyPosition { index: 1, flags: key_flags!(RO | ACCESS) });
    let (mut store, mut at) = (None, first);
    while at + 1 < args.len() {
        if args[at].eq_ignore_ascii_case(b"STORE") || args[at].eq_ignore_ascii_case(b"STOREDIST") {
            at += 1;
            store = Some(at);
        }
        at += 1;
    }
    keys.extend(store.map(|at| KeyPosition { index: at as u32, flags: key_flags!(OW | UPDATE) }));
    keys
}

/// The keys of a search that may be told where to store.
pub(crate) fn store_keys(args: Args<'_>) -> KeyPositions {
    keys_from(args, if args.name().len() == b"GEORADIUS".len() { 6 } else { 5 })
}

impl Search {
    /// Reads the arguments. `zset` is what is searched, if it is there.
    pub(super) fn parse(args: Args<'_>, fixed: Fixed, zset: Option<ZSetRef<'_>>) -> Result<Search, Fail> {
        let mut parts = Parts { unit: 1.0, ..Parts::default() };
        let mut at = match fixed.from {
            From::Place => {
                parts.put_center(By::Place, place(args.at(2), args.at(3))?);
                parts.put_radius(args.at(4), args.at(5))?;
                6
            }
            From::Member => {
                parts.by = Some(By::Member);
                parts.area = Some(Area::Circle { radius: 0.0 });
                if let Some(zset) = zset {
                    parts.put_center(By::Member, member(zset, args.at(2))?);
                    parts.put_radius(args.at(3), args.at(4))?;
                }
                5
            }
            From::Options(first) => first,
        };
        while at < args.len() {
            at += parts.option(args, at, fixed, zset)?;
        }
        parts.finish(fixed)
    }
}

impl Parts {
    fn put_center(&mut self, by: By, center: Place) {
        (self.center, self.by) = (Some(center), Some(by));
    }

    fn may_be_from(&self, by: By) -> bool {
        self.by.is_none_or(|known| known == by)
    }

    fn may_be_in(&self, is_same: fn(&Area) -> bool) -> bool {
        self.area.as_ref().is_none_or(is_same)
    }

    fn put_radius(&mut self, radius: &[u8], unit_name: &[u8]) -> Result<(), Fail> {
        let radius = float(radius).map_err(|_| Fail::Text("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(Fail::Text("ERR radius cannot be negative"));
        }
        self.unit = unit(unit_name)?;
        self.area = Some(Area::Circle { radius: radius * self.unit });
        Ok(())
    }

    fn put_box(&mut self, width: &[u8], height: &[u8], unit_name: &[u8]) -> Result<(), Fail> {
        let width = float(width).map_err(|_| Fail::Text("ERR need numeric width"))?;
        let height = float(height).map_err(|_| Fail::Text("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(Fail::Text("ERR height or width cannot be negative"));
        }
        self.unit = unit(unit_name)?;
        self.area = Some(Area::Box { width: width * self.unit, height: height * self.unit });
        Ok(())
    }

    /// Reads the corners of a polygon; tells how many arguments they are, with their number.
    fn put_polygon(&mut self, args: Args<'_>) -> Result<usize, Fail> {
        let count = int(args.at(0)).ok().and_then(|count| i32::try_from(count).ok());
        let count = count.ok_or(Fail::Text("ERR invalid number of vertices"))?;
        let count = usize::try_from(count).ok().filter(|count| *count >= 3 && *count <= (args.len() - 1) / 2);
        let count = count.ok_or(Fail::Text("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"))?;
        let corner = |i: usize| place(args.at(2 * i + 1), args.at(2 * i + 2));
        let corners = (0..count).map(corner).collect::<Result<Vec<_>, _>>()?;
        self.put_center(By::Polygon, middle(&corners));
        self.area = Some(Area::Polygon(corners));
        Ok(1 + 2 * count)
    }

    /// Reads the option at a place; tells how many arguments it is.
    fn option(&mut self, args: Args<'_>, at: usize, fixed: Fixed, zset: Option<ZSetRef<'_>>) -> Result<usize, Fail> {
        let word = args.at(at).to_ascii_uppercase();
        let more = args.len() - at - 1;
        let by_options = matches!(fixed.from, From::Options(_));
        match word.as_slice() {
            b"WITHDIST" => self.with_distance = true,
            b"WITHHASH" => self.with_hash = true,
            b"WITHCOORD" => self.with_place = true,
            b"ANY" => self.any = true,
            b"ASC" => self.order = Some(Order::Nearest),
            b"DESC" => self.order = Some(Order::Farthest),
            b"COUNT" if more >= 1 => {
                let count = usize::try_from(int(args.at(at + 1))?).ok().filter(|count| *count > 0);
                self.count = Some(count.ok_or(Fail::Text("ERR COUNT must be > 0"))?);
                return Ok(2);
            }
            b"STORE" | b"STOREDIST" if fixed.may_store && more >= 1 => {
                self.store = Some(Store { arg: at + 1, distances: word.as_slice() == b"STOREDIST" });
                return Ok(2);
            }
            b"STOREDIST" if fixed.is_stored => self.store = Some(Store { arg: 1, distances: true }),
            b"FROMMEMBER" if by_options && more >= 1 && self.may_be_from(By::Member) => {
                self.by = Some(By::Member);
                if let Some(zset) = zset {
                    self.put_center(By::Member, member(zset, args.at(at + 1))?);
                }
                return Ok(2);
            }
            b"FROMLONLAT" if by_options && more >= 2 && self.may_be_from(By::Place) => {
                self.put_center(By::Place, place(args.at(at + 1), args.at(at + 2))?);
                return Ok(3);
            }
            b"BYRADIUS" if by_options && more >= 2 && self.may_be_in(|area| matches!(area, Area::Circle { .. })) => {
                self.put_radius(args.at(at + 1), args.at(at + 2))?;
                return Ok(3);
            }
            b"BYBOX" if by_options && more >= 3 && self.may_be_in(|area| matches!(area, Area::Box { .. })) => {
                self.put_box(args.at(at + 1), args.at(at + 2), args.at(at + 3))?;
                return Ok(4);
            }
            b"BYPOLYGON"
                if by_options
                    && more >= 1
                    && self.may_be_in(|area| matches!(area, Area::Polygon(_)))
                    && self.may_be_from(By::Polygon) =>
            {
                return Ok(1 + self.put_polygon(args.skip(at + 1))?);
            }
            _ => return Err(Fail::Syntax),
        }
        Ok(1)
    }

    fn finish(mut self, fixed: Fixed) -> Result<Search, Fail> {
        if fixed.is_stored && self.store.is_none() {
            self.store = Some(Store { arg: 1, distances: false });
        }
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            return Err(Fail::Text(if fixed.is_stored {
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }));
        }
        if self.by.is_none() {
            return Err(Fail::Text(if fixed.is_stored { NO_CENTER_STORED } else { NO_CENTER }));
        }
        let Some(area) = self.area else {
            return Err(Fail::Text(if fixed.is_stored { NO_AREA_STORED } else { NO_AREA }));
        };
        if self.any && self.count.is_none() {
            return Err(Fail::Text("ERR the ANY argument requires COUNT argument"));
        }
        let nearest = (self.count.is_some() && !self.any).then_some(Order::Nearest);
        Ok(Search {
            center: self.center,
            area,
            unit: self.unit,
            order: self.order.or(nearest),
            count: self.count,
            any: self.any,
            with_distance: self.with_distance,
            with_hash: self.with_hash,
            with_place: self.with_place,
            store: self.store,
        })
    }
}

const NO_CENTER: &str = "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH";
const NO_CENTER_STORED: &str = "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCHSTORE";
const NO_AREA: &str = "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for GEOSEARCH";
const NO_AREA_STORED: &str = "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for GEOSEARCHSTORE";

/// Where a member is that has to be there.
fn member(zset: ZSetRef<'_>, name: &[u8]) -> Result<Place, Fail> {
    place_of(zset, name).ok_or_else(|| Fail::Bytes([b"ERR member ", name, b" does not exist"].concat()))
}
