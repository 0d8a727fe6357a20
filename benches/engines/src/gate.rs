//! pinegate from its `grants.csv`. A permit also tells which fields leave and how, the row duties and until
//! when it holds, a refusal the clause that it failed by; instants are held against windows in local time.

use pinegate::catalog::Catalog;
use pinegate::grant::DenyReason;
use pinegate::kernel::id::{Action, ParameterName};
use pinegate::kernel::time::Timestamp;
use pinegate::policy::Policy;

use crate::city::{Asking, City, write_line};
use crate::engine::Engine;
use crate::grants::{Ask, Grants};

pub(crate) struct Pinegate {
    policy: Policy,
    catalog: Catalog,
    query: Action,
    area: ParameterName,
}

impl Pinegate {
    pub(crate) fn refuses_for(&self, (asking, instant): &<Self as Engine>::Request) -> Option<DenyReason> {
        self.policy.permit(&asking.query(&self.query), *instant).err()
    }
}

impl Engine for Pinegate {
    const NAME: &'static str = "pinegate";

    /// The text of the grants, and the catalogue that they are checked against, which is parsed already.
    type Source = City;
    type Request = (Asking, Timestamp);

    fn source(grants: &Grants) -> City {
        let mut text = String::new();
        grants.sketches.iter().for_each(|grant| write_line(&mut text, grant));
        City::with(text)
    }

    fn load(city: &City) -> Self {
        Self {
            policy: city.load(),
            catalog: city.catalog.clone(),
            query: Action::parse("query").expect("an action"),
            area: ParameterName::parse("area").expect("a name"),
        }
    }

    fn request(&self, ask: &Ask) -> Self::Request {
        let Ask { system, resource, purpose, area, instant, .. } = ask;
        (Asking::new(&self.catalog, system, resource, purpose, (&self.area, area), &[]), *instant)
    }

    fn allows(&mut self, (asking, instant): &Self::Request) -> bool {
        self.policy.permit(&asking.query(&self.query), *instant).is_ok()
    }
}
