//! Shapes to search in, distances, and the few cells that cover a shape: a search looks at no other scores. Distances are in
//! metres on a ball.

use super::cell::{Bounds, Cell, MAP, Place, STEPS};

/// Radius of the ball, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Half of the map's width at the equator, in metres.
const MAP_RADIUS: f64 = 20_037_726.37;

/// What a search looks for places in; lengths are in metres.
#[derive(Clone, Debug)]
pub(super) enum Area {
    /// Around the center.
    Circle { radius: f64 },
    /// With the center in its middle.
    Box { width: f64, height: f64 },
    /// Of these corners.
    Polygon(Vec<Place>),
}

/// The cells that cover a shape, the center's first; None for those that have no part of it.
pub(super) type Cover = [Option<Cell>; 9];

/// Where the other cells are, in the order in which they are searched.
const AROUND: [(i32, i32); 8] = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// The distance of two places.
pub(super) fn distance(a: Place, b: Place) -> f64 {
    let v = ((b.lon.to_radians() - a.lon.to_radians()) / 2.0).sin();
    if v == 0.0 {
        return lat_distance(a.lat, b.lat);
    }
    let (a_lat, b_lat) = (a.lat.to_radians(), b.lat.to_radians());
    let u = ((b_lat - a_lat) / 2.0).sin();
    2.0 * EARTH_RADIUS * (u * u + a_lat.cos() * b_lat.cos() * v * v).sqrt().asin()
}

fn lat_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS * (b.to_radians() - a.to_radians()).abs()
}

/// The middle of a polygon: where the mean of its corners, as points in space, is below.
pub(super) fn middle(corners: &[Place]) -> Place {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for corner in corners {
        let (lon, lat) = (corner.lon.to_radians(), corner.lat.to_radians());
        x += lat.cos() * lon.cos();
        y += lat.cos() * lon.sin();
        z += lat.sin();
    }
    let count = corners.len() as f64;
    let (x, y, z) = (x / count, y / count, z / count);
    Place { lon: y.atan2(x).to_degrees(), lat: z.atan2((x * x + y * y).sqrt()).to_degrees() }
}

impl Area {
    /// The distance of a place from the center, if it is inside.
    pub(super) fn distance_inside(&self, center: Place, place: Place) -> Option<f64> {
        let is_inside = match self {
            Area::Circle { radius } => return Some(distance(center, place)).filter(|distance| distance <= radius),
            Area::Box { width, height } => {
                lat_distance(place.lat, center.lat) <= height / 2.0
                    && distance(place, Place { lon: center.lon, lat: place.lat }) <= width / 2.0
            }
            Area::Polygon(corners) => is_within(corners, place),
        };
        is_inside.then(|| distance(center, place))
    }

    /// The cells to search.
    pub(super) fn cover(&self, center: Place) -> Cover {
        let bounds = self.bounds(center);
        let mut step = step_of(self.reach(center, &bounds), center.lat);
        let mut cell = Cell::of(center, step);
        let too_small = cell.neighbour(0, 1).bounds().north < bounds.north
            || cell.neighbour(0, -1).bounds().south > bounds.south
            || cell.neighbour(1, 0).bounds().east < bounds.east
            || cell.neighbour(-1, 0).bounds().west > bounds.west;
        if step > 1 && too_small {
            step -= 1;
            cell = Cell::of(center, step);
        }
        let own = cell.bounds();
        let is_needless = |(east, north): (i32, i32)| {
            (north < 0 && own.south < bounds.south)
                || (north > 0 && own.north > bounds.north)
                || (east < 0 && own.west < bounds.west)
                || (east > 0 && own.east > bounds.east)
        };
        let mut cover = [Some(cell); 9];
        for (covered, at) in cover[1..].iter_mut().zip(AROUND) {
            let is_left_out = step >= 2 && is_needless(at);
            *covered = (!is_left_out).then(|| cell.neighbour(at.0, at.1));
        }
        cover
    }

    /// How far from the center it may go.
    fn reach(&self, center: Place, bounds: &Bounds) -> f64 {
        match self {
            Area::Circle { radius } => *radius,
            Area::Box { width, height } => (width / 2.0).hypot(height / 2.0),
            Area::Polygon(_) => [bounds.west, bounds.east]
                .into_iter()
                .flat_map(|lon| [bounds.south, bounds.north].map(|lat| distance(center, Place { lon, lat })))
                .fold(0.0, f64::max),
        }
    }

    /// Degrees that enclose it.
    fn bounds(&self, center: Place) -> Bounds {
        let (half_width, half_height) = match self {
            Area::Circle { radius } => (*radius, *radius),
            Area::Box { width, height } => (width / 2.0, height / 2.0),
            Area::Polygon(corners) => return enclosing(corners),
        };
        let lat_delta = (half_height / EARTH_RADIUS).to_degrees();
        let widest_lat = if center.lat < 0.0 { center.lat - lat_delta } else { center.lat + lat_delta };
        let lon_delta = (half_width / EARTH_RADIUS / widest_lat.to_radians().cos()).to_degrees();
        Bounds {
            west: center.lon - lon_delta,
            east: center.lon + lon_delta,
            south: center.lat - lat_delta,
            north: center.lat + lat_delta,
        }
    }
}

fn enclosing(corners: &[Place]) -> Bounds {
    let none = Bounds { west: MAP.east, east: MAP.west, south: MAP.north, north: MAP.south };
    corners.iter().fold(none, |all, corner| Bounds {
        west: all.west.min(corner.lon),
        east: all.east.max(corner.lon),
        south: all.south.min(corner.lat),
        north: all.north.max(corner.lat),
    })
}

/// Whether a line from a place to the east crosses the sides of a polygon an odd number of times.
fn is_within(corners: &[Place], place: Place) -> bool {
    let before = corners.iter().cycle().skip(corners.len().saturating_sub(1));
    corners.iter().zip(before).fold(false, |inside, (a, b)| {
        let crosses = (a.lat > place.lat) != (b.lat > place.lat)
            && place.lon < (b.lon - a.lon) * (place.lat - a.lat) / (b.lat - a.lat) + a.lon;
        inside != crosses
    })
}

/// The step whose cells are about as large as a distance. Near the poles cells are narrow, and larger ones are taken.
fn step_of(reach: f64, lat: f64) -> u32 {
    if reach == 0.0 {
        return STEPS;
    }
    let (mut reach, mut step) = (reach, -1i32);
    while reach < MAP_RADIUS && step <= 2 * STEPS as i32 {
        reach *= 2.0;
        step += 1;
    }
    step -= i32::from(lat.abs() > 66.0) + i32::from(lat.abs() > 80.0);
    step.clamp(1, STEPS as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Place> {
        (-150.0..150.0, -65.0..65.0).prop_map(|(lon, lat)| Place { lon, lat })
    }

    fn area() -> impl Strategy<Value = Area> {
        let length = || (0.0f64..14.0).prop_map(f64::exp);
        prop_oneof![
            length().prop_map(|radius| Area::Circle { radius }),
            (length(), length()).prop_map(|(width, height)| Area::Box { width, height }),
        ]
    }

    fn check(area: &Area, center: Place, other: Place) {
        let place = Cell::of(other, STEPS).center();
        let score = Cell::of(other, STEPS).number() as f64;
        let is_covered = area.cover(center).into_iter().flatten().any(|cell| {
            let (from, to) = cell.scores();
            (from..to).contains(&score)
        });
        assert!(is_covered || area.distance_inside(center, place).is_none(), "{area:?} at {center:?}: {other:?}");
    }

    proptest! {
        #[test]
        fn what_is_inside_is_covered(area in area(), center in place(), east in -1.0f64..1.0, north in -1.0f64..1.0) {
            let bounds = area.bounds(center);
            let lon = center.lon + (bounds.east - center.lon) * east;
            let lat = center.lat + (bounds.north - center.lat) * north;
            check(&area, center, Place { lon: lon.clamp(-180.0, 180.0), lat: lat.clamp(-85.0, 85.0) });
        }

        #[test]
        fn what_is_inside_a_polygon_is_covered(
            center in place(),
            corners in prop::collection::vec((-9.0..9.0, -9.0..9.0), 3..8),
            at in (-9.0..9.0, -9.0..9.0),
        ) {
            let near = |(east, north): (f64, f64)| Place { lon: center.lon + east, lat: center.lat + north };
            let corners: Vec<Place> = corners.into_iter().map(near).collect();
            let center = middle(&corners);
            check(&Area::Polygon(corners), center, near(at));
        }
    }
}
