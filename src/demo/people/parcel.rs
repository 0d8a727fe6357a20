//! The geometry of a parcel, in whole millionths of a degree so that every machine makes the same.

use super::random::Random;
use super::records::Point;

/// Sixteen directions, in thousandths, counter-clockwise from east.
const DIRECTIONS: [(i32, i32); 16] = [
    (1000, 0),
    (924, 383),
    (707, 707),
    (383, 924),
    (0, 1000),
    (-383, 924),
    (-707, 707),
    (-924, 383),
    (-1000, 0),
    (-924, -383),
    (-707, -707),
    (-383, -924),
    (0, -1000),
    (383, -924),
    (707, -707),
    (924, -383),
];

/// Square metres in a square millionth of a degree at 29.7° north: 0.1113 m by 0.0967 m.
const SQM: f64 = 0.1113 * 0.0967;

/// What a parcel covers.
pub(super) struct Shape {
    pub(super) centroid: Point,
    /// Closed: the last point is the first.
    pub(super) boundary: Vec<[f64; 2]>,
    pub(super) area_sqm: f64,
}

/// A star-shaped ring around a place near the home city.
pub(super) fn shape(random: &mut Random) -> Shape {
    let mut near = |origin: i32| origin + i32::try_from(random.below(400_000)).unwrap_or(0);
    let (east, north) = (near(118_100_000), near(29_550_000));
    let stride = random.pick(&[1_usize, 2, 4]);
    let radius = random.below(1_600) + 200;
    let ring: Vec<(i32, i32)> = DIRECTIONS
        .iter()
        .step_by(stride)
        .map(|(dx, dy)| {
            let length = i32::try_from(radius + random.below(radius / 4 + 1)).unwrap_or(0);
            (dx * length / 1000, dy * length / 1000)
        })
        .collect();
    let next = ring.iter().cycle().skip(1);
    let doubled: i32 = ring.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
    let boundary = ring.iter().cycle().take(ring.len() + 1);
    Shape {
        centroid: Point { lon: degrees(east), lat: degrees(north) },
        boundary: boundary.map(|(dx, dy)| [degrees(east + dx), degrees(north + dy)]).collect(),
        area_sqm: (f64::from(doubled) * SQM / 2.0 * 10.0).round() / 10.0,
    }
}

fn degrees(millionths: i32) -> f64 {
    f64::from(millionths) / 1e6
}
