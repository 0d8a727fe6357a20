//! Who and what there is to count for: every id that can be part of a counter's key.

use foldhash::HashMap;

use super::limit::Dimension;
use crate::kernel::id::{DepartmentId, GrantId, ResourceId, SystemId};

/// All ids that calls can have, as one snapshot knows them.
#[derive(Debug, Clone, Default)]
pub struct Population {
    /// Every system with its department.
    pub systems: Vec<(SystemId, DepartmentId)>,
    /// Every resource.
    pub resources: Vec<ResourceId>,
    /// Every grant, with its `rows/day` duty if it has one.
    pub grants: Vec<(GrantId, Option<u64>)>,
}

/// The ids of one dimension and the number of each.
#[derive(Debug, Default)]
pub(super) struct Roll {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Roll {
    fn enter(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(Box::from(name));
        self.numbers.insert(Box::from(name), number);
        number
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(super) fn name(&self, number: u32) -> Option<&str> {
        self.names.get(usize::try_from(number).ok()?).map(AsRef::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// A [`Population`] made ready for looking up.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) systems: Roll,
    pub(super) departments: Roll,
    pub(super) resources: Roll,
    pub(super) grants: Roll,
    department_of: Vec<u32>,
    rows_per_day: Vec<Option<u64>>,
}

impl Index {
    pub(super) fn new(population: &Population) -> Self {
        let mut index = Self::default();
        for (system, department) in &population.systems {
            let department = index.departments.enter(department.as_str());
            let known = index.systems.len();
            index.systems.enter(system.as_str());
            if index.systems.len() > known {
                index.department_of.push(department);
            }
        }
        for resource in &population.resources {
            index.resources.enter(resource.as_str());
        }
        for (grant, rows_per_day) in &population.grants {
            let known = index.grants.len();
            index.grants.enter(grant.as_str());
            if index.grants.len() > known {
                index.rows_per_day.push(*rows_per_day);
            }
        }
        index
    }

    pub(super) fn roll(&self, dimension: Dimension) -> &Roll {
        match dimension {
            Dimension::System => &self.systems,
            Dimension::Department => &self.departments,
            Dimension::Resource => &self.resources,
            Dimension::Grant => &self.grants,
        }
    }

    pub(super) fn department_of(&self, system: u32) -> Option<u32> {
        self.department_of.get(usize::try_from(system).ok()?).copied()
    }

    /// The `rows/day` duty of a grant; `None` also if the grant is unknown.
    pub(super) fn rows_per_day(&self, grant: &str) -> Option<u64> {
        let number = self.grants.number(grant)?;
        self.rows_per_day.get(usize::try_from(number).ok()?).copied().flatten()
    }
}
