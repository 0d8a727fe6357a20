//! A set of points as few products of sets: "these purposes, these values, these times".

use std::collections::{BTreeMap, BTreeSet};

/// A product: the points whose first coordinate is in the first set, and so on.
pub(super) type Product = Vec<BTreeSet<u32>>;

/// Products that hold each of `points` once and nothing else. All points have the same number of
/// coordinates.
///
/// Points with the same first coordinate are taken apart by the others; first coordinates whose
/// rests are the same set share their products. Which products come out depends on the order of
/// the coordinates; that they cover the points exactly does not.
pub(super) fn products(points: &BTreeSet<&[u32]>) -> Vec<Product> {
    let mut rests: BTreeMap<u32, BTreeSet<&[u32]>> = BTreeMap::new();
    for point in points {
        let Some((&first, rest)) = point.split_first() else { return vec![Vec::new()] };
        rests.entry(first).or_default().insert(rest);
    }
    let mut alike: BTreeMap<BTreeSet<&[u32]>, BTreeSet<u32>> = BTreeMap::new();
    for (first, rest) in rests {
        alike.entry(rest).or_default().insert(first);
    }
    let mut found: Vec<Product> = Vec::new();
    for (rest, firsts) in alike {
        for product in products(&rest) {
            found.push(std::iter::once(firsts.clone()).chain(product).collect());
        }
    }
    found.sort();
    found
}

/// The fewer of the products that come out of taking the coordinates in their order and in the
/// reverse, the latter where they are as many.
pub(super) fn fewest(points: &[Vec<u32>]) -> Vec<Product> {
    let forwards = products(&points.iter().map(Vec::as_slice).collect());
    if forwards.len() == 1 {
        return forwards;
    }
    let turned = |point: &Vec<u32>| point.iter().rev().copied().collect::<Vec<u32>>();
    let turned: Vec<Vec<u32>> = points.iter().map(turned).collect();
    let mut backwards = products(&turned.iter().map(Vec::as_slice).collect());
    if forwards.len() < backwards.len() {
        return forwards;
    }
    for product in &mut backwards {
        product.reverse();
    }
    backwards.sort();
    backwards
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(points: &[Vec<u32>]) -> Vec<Product> {
        products(&points.iter().map(Vec::as_slice).collect())
    }

    #[test]
    fn a_product_stays_one() {
        let points: Vec<Vec<u32>> =
            (0..3).flat_map(|a| (0..2).flat_map(move |b| [5, 7].map(|c| vec![a, b, c]))).collect();
        assert_eq!(of(&points), [vec![[0, 1, 2].into(), [0, 1].into(), [5, 7].into()]]);
    }

    proptest! {
        #[test]
        fn products_cover_the_points_once(points in prop::collection::btree_set(prop::collection::vec(0..4_u32, 3), 1..40)) {
            let points: Vec<Vec<u32>> = points.into_iter().collect();
            let mut covered = Vec::new();
            for product in of(&points) {
                for &a in &product[0] {
                    for &b in &product[1] {
                        covered.extend(product[2].iter().map(|&c| vec![a, b, c]));
                    }
                }
            }
            covered.sort();
            prop_assert_eq!(&covered, &points);
            let count = |products: &[Product]| -> usize {
                products.iter().map(|product| product.iter().map(BTreeSet::len).product::<usize>()).sum()
            };
            let few = fewest(&points);
            prop_assert!(few.len() <= of(&points).len());
            prop_assert_eq!(count(&few), points.len());
            for point in &points {
                let is_in = |product: &&Product| product.iter().zip(point).all(|(set, at)| set.contains(at));
                prop_assert_eq!(few.iter().filter(is_in).count(), 1);
            }
        }
    }
}
