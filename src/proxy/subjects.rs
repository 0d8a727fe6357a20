//! Whom a request is about: noted as keyed digests as soon as the route is known, and of the body as soon as
//! it is read, so that refusals name them as permits do. No value outlives the stage that reads it.

use foldhash::{HashSet, HashSetExt as _};

use super::exchange::Draft;
use super::resolve::Routed;
use super::routes::RouteParameter;
use crate::audit::SubjectDigest;
use crate::catalog::Subject;
use crate::config::ParameterSource;
use crate::kernel::id::ParameterName;

/// Notes whom the parameters of the head name.
pub(super) fn note_of_head(routed: &Routed) {
    let named = routed.route().parameters.iter().filter(|parameter| parameter.subject.is_some());
    let named: Vec<_> = named.map(|parameter| (parameter, routed.values_of(&parameter.source))).collect();
    if !named.is_empty() {
        let pairs = named.iter().map(|(parameter, values)| (*parameter, values.as_slice()));
        Draft::note(&routed.exchange().draft.subjects, digests(routed, pairs));
    }
}

/// Notes whom the parameters of the body name; `values` are those of all parameters of the route, in its order.
pub(super) fn note_of_body(routed: &Routed, values: &[(ParameterName, Vec<String>)]) {
    let pairs =
        routed.route().parameters.iter().zip(values).map(|(parameter, (_, values))| (parameter, values));
    let in_body = pairs
        .filter(|(parameter, _)| matches!(parameter.source, ParameterSource::Body(_)))
        .map(|(parameter, values)| (parameter, values.as_slice()));
    Draft::note(&routed.exchange().draft.subjects_in_body, digests(routed, in_body));
}

/// How many subjects are noted of a head or a body. A record has room for fewer, and says that there were more.
const MAX_NOTED: usize = 512;

/// The digests of all values of subjects, each once. A catalogue with subjects does not load without a key.
fn digests<'p>(
    routed: &Routed,
    parameters: impl Iterator<Item = (&'p RouteParameter, &'p [String])>,
) -> Vec<SubjectDigest> {
    let (mut digests, mut seen) = (Vec::new(), HashSet::new());
    let Some(key) = &routed.exchange().snapshot.digests else { return digests };
    for (parameter, values) in parameters {
        let Some(kind) = &parameter.subject else { continue };
        for subject in values.iter().flat_map(|value| Subject::all(kind, value)) {
            if digests.len() == MAX_NOTED {
                return digests;
            }
            if !seen.contains(&subject) {
                digests.push(key.subject(&subject));
                seen.insert(subject);
            }
        }
    }
    digests
}

/// Adds a digest that is not there yet.
pub(super) fn add(digests: &mut Vec<SubjectDigest>, digest: SubjectDigest) {
    if !digests.contains(&digest) {
        digests.push(digest);
    }
}
