//! Which endpoint a request goes to: of two that are drawn by weight, the one with less to do.

/// Whether an endpoint may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Ready,
    /// It failed of late: only where no other is ready.
    Ejected,
    /// Not at all: its checks fail, or it has as many connections as it may have.
    Out,
}

/// An endpoint as the draw sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its share beside others; above zero.
    pub weight: u32,
    /// How many requests it has in work.
    pub load: u32,
    /// Whether it may be asked.
    pub standing: Standing,
}

/// The place of the endpoint to ask, or none. `avoid` has just failed, and is asked again only if there is no other
/// of its standing; `draws` are two random numbers.
#[must_use]
pub fn pick(candidates: &[Candidate], avoid: Option<usize>, draws: [u64; 2]) -> Option<usize> {
    let ready = |others: bool| {
        move |at: usize, it: &Candidate| it.standing == Standing::Ready && !(others && avoid == Some(at))
    };
    let ejected = |others: bool| {
        move |at: usize, it: &Candidate| it.standing == Standing::Ejected && !(others && avoid == Some(at))
    };
    of_two(candidates, ready(true), draws)
        .or_else(|| of_two(candidates, ready(false), draws))
        .or_else(|| of_two(candidates, ejected(true), draws))
        .or_else(|| of_two(candidates, ejected(false), draws))
}

fn of_two(
    candidates: &[Candidate],
    may: impl Fn(usize, &Candidate) -> bool,
    [first, second]: [u64; 2],
) -> Option<usize> {
    let (one, one_is) = drawn(candidates, &may, first)?;
    let but_one = |at: usize, it: &Candidate| at != one && may(at, it);
    let Some((other, other_is)) = drawn(candidates, but_one, second) else { return Some(one) };
    // Requests by weight, the new one included, without a division.
    let has_less = |a: &Candidate, b: &Candidate| {
        (u64::from(a.load) + 1) * u64::from(b.weight) <= (u64::from(b.load) + 1) * u64::from(a.weight)
    };
    Some(if has_less(one_is, other_is) { one } else { other })
}

/// One of those that may, each by its weight.
fn drawn(
    candidates: &[Candidate],
    may: impl Fn(usize, &Candidate) -> bool,
    draw: u64,
) -> Option<(usize, &Candidate)> {
    let those = || candidates.iter().enumerate().filter(|&(at, it)| may(at, it));
    let all: u64 = those().map(|(_, it)| u64::from(it.weight)).sum();
    let mut left = draw.checked_rem(all)?;
    for (at, it) in those() {
        let weight = u64::from(it.weight);
        if left < weight {
            return Some((at, it));
        }
        left -= weight;
    }
    None
}

/// The `count`th number of a well-mixed sequence that begins anywhere (the finaliser of SplitMix64).
#[must_use]
pub fn mixed(count: u64) -> u64 {
    let mut z = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        let standing = prop_oneof![Just(Standing::Ready), Just(Standing::Ejected), Just(Standing::Out)];
        (1..=100_u32, 0..1_000_u32, standing).prop_map(|(weight, load, standing)| Candidate {
            weight,
            load,
            standing,
        })
    }

    proptest! {
        #[test]
        fn the_best_standing_is_picked_and_never_what_is_out(
            candidates in prop::collection::vec(candidate(), 0..9),
            avoid in prop::option::of(0..9_usize),
            draws in any::<[u64; 2]>(),
        ) {
            let has = |standing| candidates.iter().any(|it| it.standing == standing);
            let picked = pick(&candidates, avoid, draws);
            let standing = picked.map(|at| candidates[at].standing);
            let expected = [Standing::Ready, Standing::Ejected].into_iter().find(|&standing| has(standing));
            prop_assert_eq!(standing, expected);
            if let Some(at) = picked && avoid == Some(at) {
                let of_it = candidates.iter().filter(|it| Some(it.standing) == standing).count();
                prop_assert_eq!(of_it, 1, "there was another");
            }
        }

        #[test]
        fn of_two_the_one_with_less_to_do(
            weights in any::<[u8; 2]>(), loads in any::<[u16; 2]>(), draws in any::<[u64; 2]>(),
        ) {
            let two: Vec<Candidate> = weights.iter().zip(loads).map(|(&weight, load)| Candidate {
                weight: u32::from(weight) + 1,
                load: u32::from(load),
                standing: Standing::Ready,
            }).collect();
            let cost = |at: usize| f64::from(two[at].load + 1) / f64::from(two[at].weight);
            let picked = pick(&two, None, draws).unwrap();
            prop_assert!(cost(picked) <= cost(1 - picked));
        }
    }

    #[test]
    fn with_nothing_to_do_each_gets_its_share() {
        let it = |weight| Candidate { weight, load: 0, standing: Standing::Ready };
        // Of three equal ones each is drawn as often as the others.
        let three = [it(1), it(1), it(1)];
        let mut counts = [0_u32; 3];
        for round in 0..30_000 {
            counts[pick(&three, None, [mixed(2 * round), mixed(2 * round + 1)]).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn under_load_each_gets_its_weight() {
        let mut two = [1, 3].map(|weight| Candidate { weight, load: 0, standing: Standing::Ready });
        for round in 0..400 {
            let at = pick(&two, None, [mixed(2 * round), mixed(2 * round + 1)]).unwrap();
            two[at].load += 1;
        }
        assert!((98..=102).contains(&two[0].load), "{two:?}");
    }
}
