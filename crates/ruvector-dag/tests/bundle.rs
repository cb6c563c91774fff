//! Several states as one: round trips, and what must be refused.

use ruvector_dag::Error;
use ruvector_dag::bundle::{BUNDLE_VERSION, StateBundle};

fn bundle(states: &[(&str, &[u8])]) -> StateBundle {
    let owned = states
        .iter()
        .map(|(name, state)| ((*name).to_owned(), state.to_vec()));
    StateBundle::new(owned.collect())
}

#[test]
fn what_is_put_in_comes_out() {
    let bundle = bundle(&[("one", &[1, 2]), ("two", &[])]);
    let again = StateBundle::from_binary(&bundle.to_binary()).expect("a bundle");
    assert_eq!(again, bundle);
    assert_eq!(again.names().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(again.state("two"), Some(&[][..]));
    assert_eq!(again.state("three"), None);
}

#[test]
fn a_bundle_changed_in_any_byte_is_refused() {
    let bytes = bundle(&[("one", &[1, 2]), ("two", &[3])]).to_binary();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(StateBundle::from_binary(&damaged).is_err(), "byte {at}");
        assert!(StateBundle::from_binary(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_newer_bundle_is_refused_as_such() {
    let mut bytes = bundle(&[]).to_binary();
    bytes[4] = BUNDLE_VERSION + 1;
    let newer = Error::NewerState {
        given: BUNDLE_VERSION + 1,
        newest: BUNDLE_VERSION,
    };
    assert_eq!(StateBundle::from_binary(&bytes), Err(newer));
}

#[test]
fn a_bundle_with_two_states_of_one_name_is_refused() {
    let twice = bundle(&[("one", &[1]), ("two", &[]), ("one", &[2])]).to_binary();
    assert!(StateBundle::from_binary(&twice).is_err());
}
