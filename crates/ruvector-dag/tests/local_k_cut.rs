//! LocalKCut against the definition: all sets of operators of small graphs.

mod network;

use network::{Network, Random, SHAPES};
use ruvector_dag::OperatorId;
use ruvector_dag::mincut::{LocalCut, LocalKCut};

/// The value and volume of a set of operators, and whether it is without sinks.
fn measure(network: &Network, members: u32) -> (f64, usize, bool) {
    let is_member = |node: u32| members >> node & 1 == 1;
    let leaving = network.edges.iter().filter(|((from, _), _)| is_member(*from));
    let (mut value, mut volume, mut feeding) = (0, 0, 0u32);
    for (&(from, to), capacity) in leaving {
        volume += 1;
        feeding |= 1 << from;
        value += if is_member(to) { 0 } else { *capacity };
    }
    (value as f64, volume, feeding == members)
}

fn exists(network: &Network, around: u32, limit: LocalKCut) -> bool {
    let sets = (0..1u32 << network.nodes).filter(|members| members >> around & 1 == 1);
    sets.map(|members| measure(network, members))
        .any(|(value, volume, is_sinkless)| is_sinkless && value <= limit.value && volume <= limit.volume)
}

fn is_right(network: &Network, around: u32, limit: LocalKCut, cut: &LocalCut) -> bool {
    let members = cut
        .operators
        .iter()
        .fold(0, |members, operator| members | 1 << operator.0);
    let (value, volume, is_sinkless) = measure(network, members);
    let capacities = cut.edges.iter().map(|(from, to)| network.edges[&(from.0, to.0)]);
    let is_small = value <= limit.value && volume <= limit.volume;
    let is_told = (cut.value, cut.volume) == (value, volume) && capacities.sum::<u64>() as f64 == value;
    members >> around & 1 == 1 && is_sinkless && is_small && is_told
}

#[test]
fn a_cut_is_found_exactly_when_there_is_one() {
    let mut random = Random(11);
    let (mut found, mut missing) = (0, 0);
    for case in 0..2000 {
        let nodes = 2 + random.below(8);
        let network = Network::random(case % SHAPES, nodes, &mut random);
        let engine = network.engine();
        let around = random.below(nodes);
        let limit = LocalKCut {
            value: f64::from(random.below([5, 60, 1500][case as usize % 3])),
            volume: random.below(2 * nodes) as usize,
        };
        match limit.find(&engine, OperatorId(around)).expect("an operator") {
            Some(cut) => {
                assert!(is_right(&network, around, limit, &cut), "{cut:?} of {network:?}");
                found += 1;
            }
            None => {
                assert!(
                    !exists(&network, around, limit),
                    "{limit:?} around {around} of {network:?}"
                );
                missing += 1;
            }
        }
    }
    assert!(found > 300 && missing > 300, "{found} found, {missing} missing");
}

#[test]
fn the_search_stays_within_its_volume() {
    // A chain of a million operators: the narrow edge is the third after the operator.
    let mut random = Random(1);
    let mut network = Network::random(0, 100_000, &mut random);
    network.edges.values_mut().for_each(|capacity| *capacity = 10);
    network.edges.insert((50_000, 49_999), 1);
    let engine = network.engine();
    let around = OperatorId(50_002);
    let limit = |volume| LocalKCut { value: 1.0, volume };
    assert_eq!(limit(2).find(&engine, around), Ok(None));
    let cut = limit(3)
        .find(&engine, around)
        .expect("an operator")
        .expect("a cut");
    assert_eq!(cut.operators, [50_000, 50_001, 50_002].map(OperatorId));
    assert_eq!((cut.value, cut.volume), (1.0, 3));
}

#[test]
fn around_the_sources_the_narrow_places_are_found_once_the_narrowest_first() {
    let mut random = Random(2);
    let mut shared = 0;
    for _ in 0..300 {
        let network = Network::random(4, 12, &mut random);
        let engine = network.engine();
        let limit = LocalKCut {
            value: 60.0,
            volume: 8,
        };
        let cuts = engine.local_cuts(limit);
        assert!(cuts.windows(2).all(|pair| pair[0].value <= pair[1].value));
        let mut edges: Vec<_> = cuts.iter().map(|cut| &cut.edges).collect();
        edges.sort();
        edges.dedup();
        assert_eq!(edges.len(), cuts.len(), "each once");
        for cut in &cuts {
            assert!(cut.value <= limit.value && cut.volume <= limit.volume);
            shared += usize::from(cut.operators.len() > 1);
        }
    }
    assert!(shared > 20, "{shared} of several operators");
}
