//! All points of one system and resource and action, compared under both policies.
//!
//! Whether a line is among those that match at a point (`outcome` says what follows from that)
//! depends on its purpose, its constraints and its window, each on a coordinate of its own: the
//! purpose, the class of each parameter (`parameters`), the class of the instant (`moments`). So
//! the sets of lines that hold are worked out along each axis and meet at every point.

use std::collections::{BTreeMap, HashMap};

use super::bits::Bits;
use super::boxes;
use super::moments::Moments;
use super::outcome::{Answer, Outcome, outcomes};
use super::parameters::{Axis, Class, ParameterRange, axes};
use crate::catalog::Resource;
use crate::grant::Effect;
use crate::kernel::id::{GrantId, ParameterName, PurposeCode};
use crate::kernel::time::Timestamp;
use crate::policy::reading::Given;
use crate::policy::terms::Grant;

/// The most points that are looked at for one system, resource and action.
pub const MAX_POINTS: usize = 1 << 20;

/// One line that bears on the system, resource and action.
#[derive(Debug)]
pub(super) struct Line<'p> {
    pub(super) is_new: bool,
    pub(super) grant: &'p Grant,
    /// Equal for lines that mean the same.
    pub(super) meaning: u32,
    /// Its place in the file.
    pub(super) order: usize,
    pub(super) given: Given<'p>,
    /// Which of the purposes looked at it covers.
    pub(super) purposes: Bits,
    /// The number of its window among those of `moments`.
    pub(super) window: usize,
}

/// What is compared.
#[derive(Debug)]
pub(super) struct Space<'p> {
    pub(super) lines: Vec<Line<'p>>,
    pub(super) purposes: &'p [PurposeCode],
    /// The resource in the old and in the new catalogue.
    pub(super) resources: [Option<&'p Resource>; 2],
    pub(super) moments: &'p Moments,
    pub(super) now: Timestamp,
}

/// Where something happens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) outcome: Outcome,
    pub(super) causes: Vec<GrantId>,
    pub(super) purposes: Vec<PurposeCode>,
    pub(super) parameters: Vec<ParameterRange>,
    pub(super) stretches: Vec<super::Stretch>,
    pub(super) at: Timestamp,
    pub(super) sample: Vec<(ParameterName, Vec<String>)>,
    pub(super) purpose: PurposeCode,
}

type Causes = Vec<GrantId>;

/// The points and what was found there.
struct Walk<'s, 'p> {
    space: &'s Space<'p>,
    known: HashMap<Bits, Vec<usize>>,
    numbers: HashMap<(Outcome, Causes), usize>,
    atoms: Vec<(Outcome, Causes, Vec<Vec<u32>>)>,
}

impl<'p> Space<'p> {
    /// Everything that is different anywhere; `None` if there are more than [`MAX_POINTS`].
    pub(super) fn compare(&self) -> Option<Vec<Found>> {
        let axes = self.axes();
        let along_purposes = self.along_purposes();
        let values =
            self.along_parameters(&axes, along_purposes.len().checked_mul(self.moments.classes.len())?)?;
        let mut walk =
            Walk { space: self, known: HashMap::new(), numbers: HashMap::new(), atoms: Vec::new() };
        for (class, windows) in (0..).zip(&self.moments.classes) {
            let holding = self.lines_where(|line| windows.contains(line.window));
            if holding.is_empty() {
                continue;
            }
            for (coordinates, constrained) in &values {
                let holding = holding.and(constrained);
                for (number, (covering, _)) in (0..).zip(&along_purposes) {
                    let holding = holding.and(covering);
                    if !holding.is_empty() {
                        walk.visit(holding, || {
                            std::iter::once(class)
                                .chain(coordinates.iter().copied())
                                .chain([number])
                                .collect()
                        });
                    }
                }
            }
        }
        let atoms = walk.atoms;
        let found = atoms.into_iter().flat_map(|(outcome, causes, points)| {
            let products = boxes::fewest(&points);
            products
                .into_iter()
                .filter_map(|product| self.found((&outcome, &causes), &product, &axes, &along_purposes))
                .collect::<Vec<_>>()
        });
        Some(found.collect())
    }

    fn lines_where(&self, holds: impl Fn(&Line<'p>) -> bool) -> Bits {
        Bits::of(self.lines.len(), |index| self.lines.get(index).is_some_and(&holds))
    }

    fn declares(&self, line: &Line<'p>, name: &ParameterName) -> bool {
        let [old, new] = self.resources;
        let resource = if line.is_new { new } else { old };
        resource.is_some_and(|resource| resource.parameter(name.as_str()).is_some())
    }

    /// The parameters that tell points apart. One that the catalogue lacks never comes.
    fn axes(&self) -> Vec<Axis> {
        let constraints = self.lines.iter().flat_map(|line| {
            let constraints = line.grant.scope().constraints.iter();
            constraints.filter(|constraint| self.declares(line, &constraint.parameter))
        });
        axes(constraints)
    }

    /// The purposes that lines tell apart, with the lines that cover them. Those that none covers
    /// are left out.
    fn along_purposes(&self) -> Vec<(Bits, Vec<&'p PurposeCode>)> {
        let mut classes: Vec<(Bits, Vec<&PurposeCode>)> = Vec::new();
        for (number, code) in self.purposes.iter().enumerate() {
            let covering = self.lines_where(|line| line.purposes.contains(number));
            if covering.is_empty() {
                continue;
            }
            match classes.iter_mut().find(|(known, _)| *known == covering) {
                Some((_, codes)) => codes.push(code),
                None => classes.push((covering, vec![code])),
            }
        }
        classes
    }

    /// Every combination of classes of the parameters, with the lines whose constraints hold.
    fn along_parameters(&self, axes: &[Axis], others: usize) -> Option<Vec<(Vec<u32>, Bits)>> {
        let mut combinations = vec![(Vec::new(), self.lines_where(|line| self.lacking_hold(line)))];
        for axis in axes {
            let classes: Vec<Bits> = axis
                .samples
                .iter()
                .map(|values| self.lines_where(|line| self.axis_holds(line, axis, values)))
                .collect();
            let points = combinations.len().checked_mul(classes.len())?.checked_mul(others.max(1))?;
            if points > MAX_POINTS {
                return None;
            }
            combinations = combinations
                .iter()
                .flat_map(|(coordinates, holding)| {
                    (0..).zip(&classes).map(move |(class, constrained)| {
                        let mut coordinates = coordinates.clone();
                        coordinates.push(class);
                        (coordinates, holding.and(constrained))
                    })
                })
                .collect();
        }
        (combinations.len().checked_mul(others)? <= MAX_POINTS).then_some(combinations)
    }

    /// Whether the constraints hold that are about parameters which never come.
    fn lacking_hold(&self, line: &Line<'p>) -> bool {
        let mut constraints = line.grant.scope().constraints.iter();
        constraints.all(|constraint| {
            self.declares(line, &constraint.parameter) || constraint.holds(&[], line.grant.effect())
        })
    }

    fn axis_holds(&self, line: &Line<'p>, axis: &Axis, values: &[String]) -> bool {
        let mut constraints = line.grant.scope().constraints.iter().filter(|it| it.parameter == axis.name);
        let declared = self.declares(line, &axis.name);
        constraints.all(|constraint| !declared || constraint.holds(values, line.grant.effect()))
    }

    /// What a caller gets where `holding` match, under the new policy or the old one.
    fn answer(&self, holding: &Bits, is_new: bool) -> Option<Answer> {
        let lines = self.lines.iter().enumerate();
        let lines = lines.filter(|(index, line)| holding.contains(*index) && line.is_new == is_new);
        let lines: Vec<&Line<'p>> = lines.map(|(_, line)| line).collect();
        if lines.iter().any(|line| line.grant.effect() == Effect::Deny) {
            return None;
        }
        let lines: Vec<&Line<'p>> = lines.into_iter().filter(|line| line.given.is_something()).collect();
        let given: Vec<&Given<'p>> = lines.iter().map(|line| &line.given).collect();
        if given.is_empty() {
            return None;
        }
        let fields = Given::together(&given);
        let caps = |gives: &dyn Fn(&Line<'p>) -> bool| {
            let giving = lines.iter().filter(|line| gives(line)).map(|line| line.grant.scope());
            [
                giving.clone().filter_map(|scope| scope.rows_per_reply).min(),
                giving.filter_map(|scope| scope.rows_per_day).min(),
            ]
        };
        let caps = if fields.is_empty() {
            vec![caps(&|_| true)]
        } else {
            fields.iter().map(|field| caps(&|line| line.given.has(&field.path))).collect()
        };
        Some(Answer { fields, caps })
    }

    /// The lines that match under one policy and not, or not with the same meaning, under the other.
    fn causes(&self, holding: &Bits) -> Causes {
        let matching = self.lines.iter().enumerate().filter(|(index, _)| holding.contains(*index));
        let mut sides: BTreeMap<&GrantId, [Option<&Line<'p>>; 2]> = BTreeMap::new();
        for (_, line) in matching {
            let [old, new] = sides.entry(line.grant.id()).or_default();
            *if line.is_new { new } else { old } = Some(line);
        }
        let is_on_the_other_side = |line: &Line<'p>| {
            let mut others = sides.values().flatten().flatten();
            others.any(|other| other.is_new != line.is_new && other.meaning == line.meaning)
        };
        let differs = |sides: &[Option<&Line<'p>>; 2]| match sides {
            [Some(old), Some(new)] => {
                old.meaning != new.meaning
                    && (old.grant.effect() != new.grant.effect()
                        || old.grant.scope().to_string() != new.grant.scope().to_string())
            }
            [None, None] => false,
            // One that only has another id says the same.
            [Some(line), None] | [None, Some(line)] => !is_on_the_other_side(line),
        };
        let differing: Causes =
            sides.iter().filter(|(_, sides)| differs(sides)).map(|(id, _)| (*id).clone()).collect();
        if !differing.is_empty() {
            return differing;
        }
        // The same lines match: then their order may matter.
        let places: Vec<(&GrantId, [usize; 2])> = sides
            .iter()
            .filter_map(|(id, sides)| match sides {
                [Some(old), Some(new)] => Some((*id, [old.order, new.order])),
                _ => None,
            })
            .collect();
        let stands_otherwise = |[old, new]: [usize; 2]| {
            places.iter().any(|&(_, [other_old, other_new])| old.cmp(&other_old) != new.cmp(&other_new))
        };
        places.iter().filter(|&&(_, at)| stands_otherwise(at)).map(|&(id, _)| id.clone()).collect()
    }

    fn found(
        &self,
        (outcome, causes): (&Outcome, &Causes),
        product: &boxes::Product,
        axes: &[Axis],
        along_purposes: &[(Bits, Vec<&'p PurposeCode>)],
    ) -> Option<Found> {
        let (times, rest) = product.split_first()?;
        let (purposes, values) = rest.split_last()?;
        let index = |class: &u32| usize::try_from(*class).ok();
        let codes = purposes.iter().filter_map(|class| along_purposes.get(index(class)?));
        let mut codes: Vec<PurposeCode> =
            codes.flat_map(|(_, codes)| codes.iter().copied().cloned()).collect();
        codes.sort_unstable();
        let ranges = axes.iter().zip(values).filter_map(|(axis, classes)| axis.range(classes));
        let sample = axes.iter().zip(values).filter_map(|(axis, classes)| {
            // A request with a value says more than one without.
            let meant = || classes.iter().filter_map(index);
            let is_some = |at: &usize| axis.classes.get(*at).is_some_and(|class| *class != Class::Absent);
            let values = axis.samples.get(meant().find(is_some).or_else(|| meant().next())?)?;
            (!values.is_empty()).then(|| (axis.name.clone(), values.clone()))
        });
        Some(Found {
            outcome: outcome.clone(),
            causes: causes.clone(),
            purpose: codes.first()?.clone(),
            purposes: codes,
            parameters: ranges.collect(),
            stretches: self.moments.stretches(times),
            at: self.moments.instant(times, self.now)?,
            sample: sample.collect(),
        })
    }
}

impl Walk<'_, '_> {
    fn visit(&mut self, holding: Bits, point: impl Fn() -> Vec<u32>) {
        let Self { space, known, numbers, atoms } = self;
        let here = known.entry(holding).or_insert_with_key(|holding| {
            let (old, new) = (space.answer(holding, false), space.answer(holding, true));
            let outcomes = outcomes(old.as_ref(), new.as_ref()).into_iter();
            let number = |outcome: Outcome| {
                let atom = (outcome, space.causes(holding));
                *numbers.entry(atom).or_insert_with_key(|(outcome, causes)| {
                    atoms.push((outcome.clone(), causes.clone(), Vec::new()));
                    atoms.len() - 1
                })
            };
            outcomes.map(number).collect()
        });
        for &atom in &*here {
            if let Some((_, _, points)) = atoms.get_mut(atom) {
                points.push(point());
            }
        }
    }
}
