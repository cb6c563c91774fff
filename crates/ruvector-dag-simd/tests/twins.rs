//! The vector variants against their scalar twins.

use proptest::prelude::*;
use ruvector_dag_simd::{axpy, dot, dot_f64, dot_rows_i8, dot_tolerance, hamming, scalar};

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![4 => -1e3f32..1e3, 1 => Just(0.0), 1 => -1e-30f32..1e-30]
}

fn numbers() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(number(), 0..300)
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|number| f64::from(*number)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn dot_equals_its_twin(a in numbers(), b in numbers()) {
        let (vector, twin) = (dot(&a, &b), scalar::dot(&a, &b));
        prop_assert!(f64::from((vector - twin).abs()) <= dot_tolerance(&a, &b), "{vector} {twin}");
        prop_assert_eq!(vector.to_bits(), dot(&a, &b).to_bits());
    }

    #[test]
    fn dot_f64_equals_its_twin(a in numbers(), b in numbers()) {
        // The bound of single precision, scaled to double.
        let tolerance = dot_tolerance(&a, &b) * f64::EPSILON / f64::from(f32::EPSILON) + 1e-300;
        let (a, b) = (wide(&a), wide(&b));
        let (vector, twin) = (dot_f64(&a, &b), scalar::dot_f64(&a, &b));
        prop_assert!((vector - twin).abs() <= tolerance, "{vector} {twin}");
    }

    #[test]
    fn axpy_equals_its_twin(factor in number(), x in numbers(), y in numbers()) {
        let (mut vector, mut twin) = (y.clone(), y.clone());
        axpy(factor, &x, &mut vector);
        scalar::axpy(factor, &x, &mut twin);
        for (at, (vector, twin)) in vector.iter().zip(&twin).enumerate() {
            // FMA rounds once instead of twice.
            let product = x.get(at).map_or(0.0, |x| (factor * x).abs());
            prop_assert!((vector - twin).abs() <= f32::EPSILON * (product + twin.abs()) + f32::MIN_POSITIVE);
        }
        prop_assert_eq!(&vector[x.len().min(y.len())..], &y[x.len().min(y.len())..]);
    }

    #[test]
    fn dot_rows_i8_equals_its_twin(
        rows in proptest::collection::vec(any::<i8>(), 0..2000),
        query in proptest::collection::vec(any::<i16>(), 0..600),
        room in 0usize..20,
    ) {
        let (mut vector, mut twin) = (vec![7; room], vec![7; room]);
        dot_rows_i8(&rows, &query, &mut vector);
        scalar::dot_rows_i8(&rows, &query, &mut twin);
        prop_assert_eq!(vector, twin);
    }

    #[test]
    fn hamming_equals_its_twin(
        a in proptest::collection::vec(any::<u64>(), 0..300),
        b in proptest::collection::vec(any::<u64>(), 0..300),
    ) {
        prop_assert_eq!(hamming(&a, &b), scalar::hamming(&a, &b));
        let flipped: Vec<u64> = a.iter().map(|word| !word).collect();
        prop_assert_eq!(hamming(&a, &flipped), 64 * a.len() as u64);
    }
}

#[test]
fn the_greatest_codes_do_not_overflow() {
    let mut sums = [0; 2];
    dot_rows_i8(&[-128; 512], &[-32768; 256], &mut sums);
    assert_eq!(sums, [128 * 32768 * 256; 2]);
}

#[test]
fn every_length_around_a_vector_is_added_whole() {
    for length in 0..70 {
        let ones = vec![1.0; length];
        assert_eq!(dot(&ones, &ones), length as f32);
        assert_eq!(dot_f64(&wide(&ones), &wide(&ones)), length as f64);
        let mut sums = ones.clone();
        axpy(2.0, &ones, &mut sums);
        assert_eq!(sums, vec![3.0; length]);
    }
}

#[test]
fn slices_that_are_not_aligned_are_read_as_well() {
    let numbers: Vec<f32> = (0..64).map(|number| number as f32).collect();
    for offset in 0..8 {
        assert_eq!(
            dot(&numbers[offset..], &numbers[offset..]),
            scalar::dot(&numbers[offset..], &numbers[offset..])
        );
    }
}
