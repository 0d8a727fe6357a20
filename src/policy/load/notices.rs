//! What loads but deserves a look: grants that have ended or soon will, years without a calendar.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use jiff::SignedDuration;

use super::Loader;
use crate::catalog::Sharing;
use crate::grant::Effect;
use crate::kernel::time::Timestamp;
use crate::policy::csv::Place;
use crate::policy::terms::Grant;

/// How long before a grant ends this is said, in days.
pub(super) const EXPIRY_NOTICE_DAYS: i64 = 30;
/// How long before a year without a calendar matters this is said, in days: the State Council
/// publishes a year's holidays in the November before it.
pub(super) const CALENDAR_NOTICE_DAYS: i64 = 60;

impl Loader<'_> {
    /// Warns about `grants` as they stand at `now`.
    pub(super) fn notices(&mut self, places: &[Place], grants: &[Grant], now: Timestamp) {
        let mut years: BTreeMap<i16, (Range<usize>, usize)> = BTreeMap::new();
        for grant in grants {
            let place = places.binary_search_by_key(&grant.line, |place| place.line).ok();
            let span = place.and_then(|found| places.get(found)).map_or(0..0, |place| place.span.clone());
            self.expiry(grant, span.clone(), now);
            self.unshared(grant, span.clone());
            for year in self.years_without_calendar(grant, now) {
                match years.entry(year) {
                    Entry::Vacant(entry) => {
                        entry.insert((span.clone(), 0));
                    }
                    Entry::Occupied(mut entry) => entry.get_mut().1 += 1,
                }
            }
        }
        for (year, (span, more)) in years {
            let message = match more {
                0 => format!("this line asks for kinds of days, and the calendar lacks {year}"),
                _ => {
                    format!("this line and {more} more ask for kinds of days, and the calendar lacks {year}")
                }
            };
            let help = "add the year to calendar.toml: until then an allow line fails on its days and a deny line holds";
            self.warning("calendar-lacks-year", span, message, help);
        }
    }

    fn expiry(&mut self, grant: &Grant, span: Range<usize>, now: Timestamp) {
        let Some(ends) = grant.expires() else { return };
        let soon = now.saturating_add(SignedDuration::from_hours(24 * EXPIRY_NOTICE_DAYS)).unwrap_or(now);
        if ends <= now {
            let message = format!("`{}` has ended", grant.id);
            self.warning("grant-expired", span, message, "renew it or remove this line");
        } else if ends <= soon && grant.effect == Effect::Allow {
            let local = self.frame.zone.to_datetime(ends);
            let message = format!("`{}` ends at {local}, within {EXPIRY_NOTICE_DAYS} days", grant.id);
            self.warning("grant-expires-soon", span, message, "renew it if it is still needed");
        }
    }

    fn unshared(&mut self, grant: &Grant, span: Range<usize>) {
        let unshared: Vec<bool> = self
            .vocabulary
            .member_places(grant.resource_node)
            .map(|place| place.resource.sharing == Sharing::None)
            .collect();
        if grant.effect == Effect::Allow && !unshared.is_empty() && !unshared.contains(&false) {
            let message = format!("`{}` is of sharing type `none`: nothing is granted here", grant.resource);
            self.warning("grant-of-unshared", span, message, "remove this line or mend the catalogue");
        }
    }

    fn years_without_calendar(&self, grant: &Grant, now: Timestamp) -> Vec<i16> {
        if !grant.window.asks_day_kinds() {
            return Vec::new();
        }
        let notice = now.saturating_add(SignedDuration::from_hours(24 * CALENDAR_NOTICE_DAYS)).unwrap_or(now);
        let first = grant.window.begins().map_or(now, |begins| begins.max(now));
        let last = grant.window.ends().map_or(notice, |ends| ends.min(notice));
        let year = |at: Timestamp| self.frame.zone.to_datetime(at).year();
        if last <= first {
            return Vec::new();
        }
        // The end is not part of the window.
        let last = last.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(last);
        (year(first)..=year(last)).filter(|&year| !self.frame.calendar.covers(year)).collect()
    }
}
