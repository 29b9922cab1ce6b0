//! From registers to a number: the improved raw estimator of Otmar Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches" (arXiv:1702.01284), which needs no tables and no ranges.

use super::{REGISTERS, Registers};

/// Largest value of a register: the hash has so many bits beside those of the index, and one more.
const VALUE_MAX: usize = 51;
/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many distinct elements raised the registers to this.
pub(super) fn count(registers: &Registers) -> u64 {
    let mut histogram = [0u32; 64];
    registers.iter().for_each(|value| histogram[usize::from(value & 63)] += 1);
    let all = REGISTERS as f64;
    let mut z = all * tau((all - f64::from(histogram[VALUE_MAX])) / all);
    for value in (1..VALUE_MAX).rev() {
        z = 0.5 * (z + f64::from(histogram[value]));
    }
    z += all * sigma(f64::from(histogram[0]) / all);
    (ALPHA * all * all / z).round() as u64
}

/// x + the sum of x^(2^k) 2^(k-1) over all k from 1 on.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum == before {
            return sum;
        }
    }
}

/// A third of 1 - x - the sum of (1 - x^(2^-k))^2 2^-k over all k from 1 on.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut power, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * power;
        if sum == before {
            return sum / 3.0;
        }
    }
}
