//! The grants and the requests, in words that every engine has.

use jiff::civil::{Date, DateTime};
use pinegate::kernel::id::{PurposeCode, ResourceId, SystemId};
use pinegate::kernel::time::{TimeZone, Timestamp};

use crate::city::{City, Sketch, sketch};

/// How many requests are asked in turn.
const REQUESTS: usize = 8_192;
/// Walks over the grants in steps, so that neighbours in time are none in the file.
const STEP: usize = 12_289;
/// A municipality that the grants with an area include, and one that only the deny lines name.
const AREAS: [&str; 2] = ["341003", "990001"];
/// A Wednesday at 10:00 in Shanghai, twice for weight; the next at 18:00, when the working hours of a
/// grant are just over; a Saturday; and the first instant after the year that some grants end with.
const INSTANTS: [&str; 5] = [
    "2026-06-03T02:00:00Z",
    "2026-06-03T02:00:00Z",
    "2026-06-03T10:00:00Z",
    "2026-06-06T02:00:00Z",
    "2026-12-31T16:00:00Z",
];

fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").expect("the zone is built in")
}

/// A grant taken apart. Each window is three half-open ranges: seconds since the epoch, days of the
/// week from Monday as 1, minutes of the day.
#[derive(Debug)]
pub(crate) struct Terms {
    /// A system, or the department of systems.
    pub(crate) subject: String,
    pub(crate) resource: String,
    pub(crate) purpose: String,
    /// What the area of a request begins with; empty for any.
    pub(crate) area: String,
    pub(crate) seconds: Option<[i64; 2]>,
    pub(crate) days: Option<[i64; 2]>,
    pub(crate) minutes: Option<[i64; 2]>,
    pub(crate) allows: bool,
}

impl Terms {
    fn new(grant: &Sketch) -> Self {
        let mut words = grant.window.split(' ');
        let dates = words.next().and_then(|word| word.split_once('/'));
        // The calendar of the city has no holidays: its workdays are Monday to Friday.
        let days = words.next().map(|_| [1, 6]);
        let hours = words.next().and_then(|word| word.split_once('-'));
        Self {
            subject: grant.subject.clone(),
            resource: grant.resource.to_string(),
            purpose: grant.purpose.to_string(),
            area: grant.area.unwrap_or_default().to_owned(),
            seconds: dates.map(|(first, last)| [midnight(first, 0), midnight(last, 1)]),
            days,
            minutes: hours.map(|(from, until)| [minute(from), minute(until)]),
            allows: grant.allows,
        }
    }
}

/// The beginning of the day that comes `later` days after `date`.
fn midnight(date: &str, later: i64) -> i64 {
    let date: Date = date.parse().expect("a date");
    let date = date.checked_add(jiff::Span::new().days(later)).expect("a date of this century");
    zone().to_timestamp(date.at(0, 0, 0, 0)).expect("an instant").as_second()
}

fn minute(time: &str) -> i64 {
    let (hour, minute) = time.split_once(':').expect("a time");
    hour.parse::<i64>().expect("an hour") * 60 + minute.parse::<i64>().expect("a minute")
}

/// The same grants as pinegate's file tells them, and taken apart.
pub(crate) struct Grants {
    pub(crate) sketches: Vec<Sketch>,
    pub(crate) terms: Vec<Terms>,
    /// Each system and its department.
    pub(crate) members: Vec<(String, String)>,
}

impl Grants {
    /// The grants of the other benches without the line for everybody. Each deny line is moved to the
    /// system, resource and purpose of the grant before it, so that there is something it overrides.
    pub(crate) fn new(count: usize) -> Self {
        let sketches: Vec<Sketch> = (0..count)
            .map(|index| {
                let own = sketch(index, false);
                if own.allows {
                    return own;
                }
                let Sketch { subject, resource, purpose, .. } = sketch(index - 1, false);
                Sketch { subject, resource, purpose, ..own }
            })
            .collect();
        let systems = City::with(String::new()).catalog.registry.systems;
        let members = systems.values().map(|system| (system.id.to_string(), system.department.to_string()));
        Self { terms: sketches.iter().map(Terms::new).collect(), members: members.collect(), sketches }
    }
}

/// A request. The local day and minute are worked out before: engines without time zones need them so.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) system: SystemId,
    pub(crate) department: String,
    pub(crate) resource: ResourceId,
    pub(crate) purpose: PurposeCode,
    pub(crate) area: &'static str,
    pub(crate) instant: Timestamp,
    pub(crate) second: i64,
    pub(crate) day: i64,
    pub(crate) minute: i64,
}

/// Requests near the grants: most differ from a grant in one clause, or in none.
pub(crate) fn asks(grants: &Grants) -> Vec<Ask> {
    (0..REQUESTS).map(|number| ask(grants, number)).collect()
}

fn ask(grants: &Grants, number: usize) -> Ask {
    let sketches = &grants.sketches;
    let mut index = number * STEP % sketches.len();
    if number % 4 == 3 {
        // The grant that a deny line follows.
        index = index / 50 * 50 + 48;
    }
    let grant = &sketches[index];
    let other = &sketches[(index + 1) % sketches.len()];
    let members = &grants.members;
    let (system, department) = members
        .iter()
        .cycle()
        .skip(number % members.len())
        .take(members.len())
        .find(|(system, department)| [system, department].contains(&&grant.subject))
        .expect("every grant is given to somebody");
    let instant: Timestamp = INSTANTS[number % INSTANTS.len()].parse().expect("an instant");
    let local: DateTime = zone().to_datetime(instant);
    Ask {
        system: SystemId::parse(system).expect("an id"),
        department: department.clone(),
        resource: grant.resource.clone(),
        purpose: if number % 7 == 6 { other } else { grant }.purpose.clone(),
        area: AREAS[usize::from(number % 3 == 2)],
        instant,
        second: instant.as_second(),
        day: i64::from(local.weekday().to_monday_one_offset()),
        minute: i64::from(local.hour()) * 60 + i64::from(local.minute()),
    }
}
