//! Cells of the earth's surface: each step halves longitude and latitude, and the halves chosen are the bits of a cell's
//! number, those of longitude at the odd places. A place's cell of the last step is its score in a sorted set. Every number
//! is taken: what is outside of the map is clipped, never refused.

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) lon: f64,
    pub(super) lat: f64,
}

/// From west to east and from south to north, in degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
}

/// A cell of some step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    step: u32,
}

/// Steps of the finest cells: 52 bits, which a score holds exactly.
pub(super) const STEPS: u32 = 26;

/// The part of the earth that scores can say: the square map of web maps.
pub(super) const MAP: Bounds = Bounds { west: -180.0, east: 180.0, south: -85.05112878, north: 85.05112878 };

/// All of it, as the geohash strings of other systems have it.
const EARTH: Bounds = Bounds { west: -180.0, east: 180.0, south: -90.0, north: 90.0 };

/// Digits of geohash strings.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

impl Bounds {
    pub(super) fn contain(&self, place: Place) -> bool {
        (self.west..=self.east).contains(&place.lon) && (self.south..=self.north).contains(&place.lat)
    }
}

impl Cell {
    /// The cell of this step that a place of the map is in.
    pub(super) fn of(place: Place, step: u32) -> Cell {
        Cell::within(MAP, place, step)
    }

    /// The finest cell that a score says.
    pub(super) fn of_score(score: f64) -> Cell {
        Cell { bits: score as u64, step: STEPS }
    }

    fn within(map: Bounds, place: Place, step: u32) -> Cell {
        let cells = (1u64 << step) as f64;
        let x = (place.lon - map.west) / (map.east - map.west) * cells;
        let y = (place.lat - map.south) / (map.north - map.south) * cells;
        Cell { bits: spread(y as u32) | spread(x as u32) << 1, step }
    }

    /// Its number as a score.
    pub(super) fn number(self) -> u64 {
        self.bits
    }

    /// Scores of the places in it: from the first to before the second.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS - self.step);
        ((self.bits << shift) as f64, (self.bits.wrapping_add(1) << shift) as f64)
    }

    pub(super) fn bounds(self) -> Bounds {
        let cells = (1u64 << self.step) as f64;
        let (x, y) = (f64::from(gathered(self.bits >> 1)), f64::from(gathered(self.bits)));
        let (width, height) = (MAP.east - MAP.west, MAP.north - MAP.south);
        Bounds {
            west: MAP.west + x / cells * width,
            east: MAP.west + (x + 1.0) / cells * width,
            south: MAP.south + y / cells * height,
            north: MAP.south + (y + 1.0) / cells * height,
        }
    }

    /// The place in its middle.
    pub(super) fn center(self) -> Place {
        let bounds = self.bounds();
        Place {
            lon: ((bounds.west + bounds.east) / 2.0).clamp(MAP.west, MAP.east),
            lat: ((bounds.south + bounds.north) / 2.0).clamp(MAP.south, MAP.north),
        }
    }

    /// The cell so many cells to the east and to the north; behind an edge of the map comes the opposite edge.
    pub(super) fn neighbour(self, east: i32, north: i32) -> Cell {
        let mask = (1u32 << self.step) - 1;
        let x = gathered(self.bits >> 1).wrapping_add_signed(east) & mask;
        let y = gathered(self.bits).wrapping_add_signed(north) & mask;
        Cell { bits: spread(y) | spread(x) << 1, step: self.step }
    }
}

/// The geohash string of a place: 50 bits of its cell on the whole earth, and a last digit that is always 0.
pub(super) fn geohash(place: Place) -> [u8; 11] {
    let bits = Cell::within(EARTH, place, STEPS).bits;
    let mut text = [DIGITS[0]; 11];
    for (i, digit) in text[..10].iter_mut().enumerate() {
        *digit = DIGITS[(bits >> (47 - 5 * i) & 31) as usize];
    }
    text
}

/// Puts the bits of a number at the even places.
fn spread(n: u32) -> u64 {
    let mut bits = u64::from(n);
    for (shift, mask) in [(16, 0x0000_ffff_0000_ffff), (8, 0x00ff_00ff_00ff_00ff), (4, 0x0f0f_0f0f_0f0f_0f0f)] {
        bits = (bits | bits << shift) & mask;
    }
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// The number whose bits are at the even places.
fn gathered(bits: u64) -> u32 {
    let mut n = bits & 0x5555_5555_5555_5555;
    n = (n | n >> 1) & 0x3333_3333_3333_3333;
    for (shift, mask) in [(2, 0x0f0f_0f0f_0f0f_0f0f), (4, 0x00ff_00ff_00ff_00ff), (8, 0x0000_ffff_0000_ffff)] {
        n = (n | n >> shift) & mask;
    }
    (n | n >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_spread_and_gathered(n: u32) {
            let slow = (0..32).fold(0u64, |bits, i| bits | u64::from(n >> i & 1) << (2 * i));
            prop_assert_eq!((spread(n), gathered(slow), gathered(slow | slow << 1)), (slow, n, n));
        }

        #[test]
        fn a_place_is_in_its_cell(lon in -180.0..180.0, lat in -85.0..85.0, step in 1u32..=26) {
            let place = Place { lon, lat };
            let cell = Cell::of(place, step);
            let bounds = cell.bounds();
            let slack = 1e-9;
            prop_assert!(lon >= bounds.west - slack && lon <= bounds.east + slack, "{:?}", bounds);
            prop_assert!(lat >= bounds.south - slack && lat <= bounds.north + slack, "{:?}", bounds);
            let (from, to) = cell.scores();
            let score = Cell::of(place, STEPS).number() as f64;
            prop_assert!(from <= score && score < to);
            prop_assert_eq!(cell.neighbour(1, -1).neighbour(-1, 1), cell);
        }
    }
}
