//! What becomes of the scores of a member that several sets have.

/// How the scores of one member are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Two scores as one. Infinities that cancel each other make zero.
    pub(super) fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Aggregate::Sum => number_or_zero(a + b),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// A score that counts so many times. No times infinity is zero.
pub(super) fn weighted(score: f64, weight: f64) -> f64 {
    number_or_zero(score * weight)
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}
