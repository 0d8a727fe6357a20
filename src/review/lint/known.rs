//! The lints there are: the one table that the linter, `--deny`, `check --lints` and the
//! documentation read.

use crate::kernel::diagnostic::{Severity, did_you_mean};

/// What comes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is not shown.
    Allow,
    /// It is shown as a note: worth knowing.
    Note,
    /// It is shown as a warning: probably a mistake.
    Warn,
    /// It is an error for `check`. What loads still loads.
    Deny,
}

impl Level {
    /// Its word in `check --lints` and the documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }

    /// The severity of a finding at this level; `None` if it is not shown.
    #[must_use]
    pub fn severity(self) -> Option<Severity> {
        match self {
            Self::Allow => None,
            Self::Note => Some(Severity::Note),
            Self::Warn => Some(Severity::Warning),
            Self::Deny => Some(Severity::Error),
        }
    }
}

/// When a lint is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Whenever a policy or configuration is loaded: `run` and `reload` warn of it too.
    Load,
    /// By `check` alone.
    Check,
}

impl Stage {
    /// Its word in `check --lints` and the documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Check => "check",
        }
    }
}

/// One thing that loads but deserves a look.
#[derive(Debug, PartialEq, Eq)]
pub struct Lint {
    /// Its name, which never changes: the code of its findings.
    pub name: &'static str,
    /// What comes of it unless told otherwise.
    pub default: Level,
    /// When it is looked for.
    pub stage: Stage,
    /// What it says, in one line.
    pub meaning: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// Lines that it is about.
    pub example: &'static str,
    /// What to do.
    pub mend: &'static str,
}

impl Lint {
    /// The lint called `name`.
    ///
    /// # Errors
    /// The nearest name there is, if there is one near.
    pub fn named(name: &str) -> Result<&'static Self, Option<&'static str>> {
        let found = ALL.iter().copied().find(|lint| lint.name == name);
        found.ok_or_else(|| did_you_mean(name, ALL.iter().map(|lint| lint.name)))
    }
}

macro_rules! lints {
    ($($constant:ident $name:literal $level:ident $stage:ident $meaning:literal
       why $why:literal example $example:literal mend $mend:literal)*) => {
        $(
            #[doc = $meaning]
            pub static $constant: Lint = Lint {
                name: $name,
                default: Level::$level,
                stage: Stage::$stage,
                meaning: $meaning,
                why: $why,
                example: $example,
                mend: $mend,
            };
        )*
        /// Every lint, in the order of the documentation.
        pub static ALL: &[&Lint] = &[$(&$constant),*];
    };
}

lints! {
    DUPLICATE_GRANT "duplicate-grant" Warn Check
    "a line says what an earlier line says, under another number"
    why "Two approvals for the same thing: whoever withdraws one believes the access is gone, and it is not."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name, always, allow
p, HS-2, sys:minzheng-aid, population.resident, query, social-aid.*, name, always, allow"
    mend "Keep one line. A token whose `grant` claim names the other must name the one that stays."

    SHADOWED_GRANT "shadowed-grant" Warn Check
    "another line gives all that this grant gives, to all and for all that it is given"
    why "The line decides nothing: without it the same requests are allowed, with the same fields, treatments \
and row duties. Whoever narrows or withdraws it changes nothing, and may believe otherwise. A line that holds \
something down (a smaller row duty, a masker that is named first, a limit of its own in limits.toml) is not shadowed."
    example "\
p, HS-1, dept:minzheng, population.resident, query, social-aid.*, name|phone, always, allow
p, HS-2, sys:minzheng-aid, population.resident, query, social-aid.review, name;area=3410*, always, allow"
    mend "Remove the line, or narrow the wider one. A token whose `grant` claim names the line must name the wider one."

    OVERRULED_GRANT "overruled-grant" Warn Check
    "a deny line refuses every request that this grant would allow"
    why "The line reads as an access that nobody has; once the deny line is removed, it opens unasked."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name, always, allow
p, NO-1, dept:minzheng, population.resident, *, *, *, always, deny"
    mend "Remove the grant, or narrow the deny line by subject, resource, purpose or window."

    NEVER_MATCHES "never-matches" Warn Check
    "a line that no request can match"
    why "Its group has no enabled system, its theme no resource, its days never come between its dates, or no resource \
that it names has the action, a field and the parameters together. Most often a name or a date is wrong, and the access that \
was approved does not exist. (A window that has ended is `grant-expired`; an unknown name is an error.)"
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, *, name, 2026-10-01/2026-10-07 workday, allow"
    mend "Mend what the message names, or remove the line."

    IDLE_DENY "idle-deny" Warn Check
    "a deny line that changes no decision"
    why "No grant allows what it refuses, or another deny line refuses all of it. It gives a feeling of safety, \
and often it is a deny line that misses what it was meant for. A deny line about resources of sharing type `none` is \
not reported: it says in Casbin's words what the catalogue says."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name, always, allow
p, NO-1, sys:minzheng-aid, population.resident, verify, *, *, always, deny"
    mend "Remove the line, or mend it so that it meets the grants it is meant for. To keep it as a guard against grants to come, \
run `check` with `--allow idle-deny`."

    CLEAR_OF_SENSITIVE "clear-of-sensitive" Warn Check
    "a grant lets a field of level 4 leave unmasked"
    why "The catalogue calls the field most sensitive. It leaves clear because the grant says `:clear`, or because the \
catalogue names no masker and the grant none either."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name|id_card:clear, always, allow"
    mend "Leave `:clear` out, or name a masker such as `:resident-id`. Where the approval really covers the clear value, \
say so in a comment and run `check` with `--allow clear-of-sensitive`."

    WIDE_GRANT "wide-grant" Warn Check
    "a grant of all fields where some are sensitive, or of all purposes on a conditional resource"
    why "`*` also gives every sensitive field that the catalogue will gain, and conditional sharing is sharing for a purpose: \
an approval names both. Reported are `*` as fields on a resource with fields of level 3 or 4, and `*` as purpose on a \
conditional resource."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, *, *, always, allow"
    mend "Name the fields, or a field group, and the purposes."

    GRANT_OF_UNSHARED "grant-of-unshared" Warn Load
    "a grant on a resource of sharing type `none`"
    why "Such a resource does not exist for callers, whatever is granted. The line or the catalogue is wrong."
    example "\
p, HS-1, sys:minzheng-aid, population.adoption, query, social-aid.*, *, always, allow"
    mend "Remove the line, or mend `sharing` in catalog.toml."

    PARTIAL_SCOPE "partial-scope" Warn Load
    "a field or parameter that only some resources of a theme or sharing type have"
    why "On the others the field gives nothing, and the constraint of an allow line never holds (that of a deny line always does)."
    example "\
p, HS-1, sys:minzheng-aid, theme:subjects, query, social-aid.*, id_card;area=3410*, always, allow"
    mend "Name the resources that have it, a line each, or add it to the others in catalog.toml."

    GRANT_EXPIRED "grant-expired" Warn Load
    "a line whose window has ended"
    why "It decides nothing any more, and makes the file longer to review."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name, 2020-01-01/2020-12-31, allow"
    mend "Renew it under a new approval, or remove the line; the history keeps it."

    GRANT_EXPIRES_SOON "grant-expires-soon" Warn Load
    "a grant that ends within 30 days"
    why "Without a renewal the system that lives on it stops working on that day."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name, ../2026-06-20, allow"
    mend "Ask the department whether it is still needed, and renew it in time."

    CALENDAR_LACKS_YEAR "calendar-lacks-year" Warn Load
    "lines ask for workdays or holidays of a year that calendar.toml lacks, within 60 days"
    why "On days of which nobody knows what they are, an allow line fails and a deny line holds."
    example "\
p, HS-1, sys:minzheng-aid, population.resident, query, social-aid.*, name, 2026-01-01/2027-12-31 workday, allow"
    mend "Add the year to calendar.toml; it is published in the November before."

    DISABLED_SYSTEM "disabled-system" Warn Load
    "a line given to a system that is disabled in the registry"
    why "The system cannot call. Once somebody enables it, it has this access again."
    example "\
p, HS-1, sys:minzheng-old, population.resident, query, social-aid.*, name, always, allow"
    mend "Remove the line, or enable the system in registry.toml."

    REPEATED_ROLE "repeated-role" Warn Load
    "a `g` or `g2` line that says what is so already"
    why "The registry puts systems into departments and everybody into `group:all`, the catalogue puts resources into sharing types. \
Whoever removes the line changes nothing."
    example "\
g, sys:minzheng-aid, dept:minzheng"
    mend "Remove the line."

    SYSTEM_WITHOUT_GRANTS "system-without-grants" Warn Check
    "an enabled system that no grant reaches"
    why "Its certificate opens the gate for nothing. Either its grants are missing, or it should not be registered any more."
    example "\
[[system]]
id = \"sys:minzheng-new\"
department = \"dept:minzheng\"        # and no `p` line for it, its department or its groups"
    mend "Add its grants, or set `enabled = false`."

    SYSTEM_WITHOUT_OWN_GRANTS "system-without-own-grants" Note Check
    "an enabled system that only the lines of `group:all` reach"
    why "It can do what everybody can. That may be all it is for."
    example "\
p, SHARE-0, group:all, sharing:unconditional, query, *, @basic, always, allow"
    mend "Nothing, if it is meant so; else add its grants, or set `enabled = false`."

    RESOURCE_WITHOUT_GRANTS "resource-without-grants" Warn Check
    "a resource that is shared and that no enabled system may use"
    why "The catalogue promises it and nobody gets it: the grants are missing, have ended, or name something else."
    example "\
[[resource]]
id = \"licence.electronic\"
sharing = \"conditional\"              # and no `p` line for it, its themes or its sharing type"
    mend "Add the grants, or set `sharing = \"none\"` if it is not shared."

    ACTION_WITHOUT_GRANTS "action-without-grants" Note Check
    "a way of using a resource that no enabled system has, while others are used"
    why "Perhaps nobody asked for it yet; perhaps a line says `query` where `verify` was meant."
    example "\
mode = [\"query\", \"verify\"]           # and every `p` line says `query`"
    mend "Nothing, if nobody needs it; else add the grants, or leave the word out of `mode`."

    CONFLICTING_SOURCES "conflicting-sources" Warn Check
    "one data element with two authoritative sources (一数一源)"
    why "Every element has one department that answers for its value. Fields are taken for the same element where the last word of \
their name and their label are the same in several resources; of those that name a `source`, all must name the same."
    example "\
{ name = \"id_card\", label = \"居民身份号码\", level = 4, source = \"dept:gongan\" }
{ name = \"holder.id_card\", label = \"居民身份号码\", level = 4, source = \"dept:shuju\" }   # of another resource"
    mend "Agree on the department that answers for it, and name it everywhere. If they are different things, give them different labels."

    UNMASKED_SENSITIVE "unmasked-sensitive" Warn Check
    "a field of level 3 or 4 that the catalogue gives no masker"
    why "Every grant that names the field, or `*`, lets its value leave as it is, without saying `:clear`."
    example "\
{ name = \"phone\", label = \"手机号码\", level = 3 }"
    mend "Give it, or the field above it, a `mask`; grants that need the value say `:clear`."

    UNUSED_MASKER "unused-masker" Note Check
    "a masker that neither the catalogue nor a grant names"
    why "It is one more thing to review, or the name of the masker that was meant instead is wrong elsewhere."
    example "\
[[masker]]
name = \"mobile-short\"
method = \"mobile\""
    mend "Remove it from masks.toml, or use it."

    UNUSED_PURPOSE "unused-purpose" Note Check
    "a purpose that no grant names, itself or by a prefix"
    why "Only lines with `*` as purpose let anybody use it. Perhaps its grants are missing."
    example "\
[[purpose]]
code = \"planning.survey\"             # and no `p` line says `planning.survey` or `planning.*`"
    mend "Add the grants, or remove it from purposes.toml."

    UNUSED_GROUP "unused-group" Note Check
    "a group that nothing is given to"
    why "Its `g` lines say who is in it, and no `p` line gives anything to it or to a group it is in. Perhaps a `p` line misspells it."
    example "\
g, dept:minzheng, group:livelihood   # and no `p` line for group:livelihood"
    mend "Remove its `g` lines, or add the grants."

    UNUSED_THEME "unused-theme" Note Check
    "a theme that nothing is given of"
    why "Its `g2` lines say what is in it, and no `p` line is about it or a theme it is in."
    example "\
g2, population.resident, theme:subjects   # and no `p` line about theme:subjects"
    mend "Remove its `g2` lines, or add the grants."

    JWKS_UNUSED "jwks-unused" Warn Load
    "a key of the token issuer that the gate does not use"
    why "Its algorithm or use is not one that `[purpose] algorithms` allows. Tokens signed with it are refused."
    example "\
{ \"kty\": \"RSA\", \"use\": \"enc\", … }"
    mend "Nothing, if no tokens are signed with it; else allow its algorithm."

    COMPARED_IN_PART "compared-in-part" Note Check
    "so many lines can meet that not all were compared"
    why "Lines are compared with those that share a subject and a resource with them, up to a bound for all together; \
`shadowed-grant`, `overruled-grant` and `idle-deny` may be missing for the lines after it."
    example "\
thousands of lines with the same subject and resource"
    mend "Give lines that belong together to a group or a theme."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_sentences_are_whole() {
        for lint in ALL {
            let is_kebab =
                |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(lint.name.split('-').all(is_kebab), "{}", lint.name);
            assert!(!lint.meaning.ends_with('.') && !lint.meaning.contains('\n'), "{}", lint.name);
            assert!(lint.why.ends_with(['.', ')']) && lint.mend.ends_with('.'), "{}", lint.name);
            assert_eq!(ALL.iter().filter(|other| other.name == lint.name).count(), 1, "{}", lint.name);
            assert_eq!(Lint::named(lint.name), Ok(*lint));
        }
        assert_eq!(Lint::named("shadow-grant"), Err(Some("shadowed-grant")));
        assert_eq!(Lint::named("warnings-of-all"), Err(None));
    }
}
