//! What stands for several measurements.

use std::time::Duration;

/// The middle one, in seconds; of an even number, the mean of the two in the middle. 0 where there are none.
pub(super) fn median(times: &[Duration]) -> f64 {
    let mut seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    let half = seconds.len() / 2;
    match seconds.len() {
        0 => 0.0,
        n if n % 2 == 1 => seconds[half],
        _ => (seconds[half - 1] + seconds[half]) / 2.0,
    }
}

/// The largest over the smallest: by how much values differ. 1 where there are none.
pub(super) fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::MIN, f64::max);
    let smallest = values.fold(f64::MAX, f64::min);
    if largest < smallest { 1.0 } else { largest / smallest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let of =
            |seconds: &[u64]| median(&seconds.iter().map(|&s| Duration::from_secs(s)).collect::<Vec<_>>());
        assert_eq!(of(&[9, 1, 4]), 4.0);
        assert_eq!(of(&[9, 1, 4, 6]), 5.0);
        assert_eq!(of(&[]), 0.0);
    }

    #[test]
    fn the_spread_is_of_the_ends() {
        assert_eq!(spread([2.0, 3.0, 1.0].into_iter()), 3.0);
        assert_eq!(spread([].into_iter()), 1.0);
    }
}
