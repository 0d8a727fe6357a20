//! What is said where the policy says no: the clause that failed, with both values.

use super::{Denied, clause, denial_code, who};
use crate::grant::{Clause, DenyReason, Had};
use crate::kernel::id::GrantId;
use crate::proxy::problem::{Language, Particulars};

impl Denied {
    pub(super) fn particulars(&self) -> Particulars {
        if self.denial.reason == DenyReason::ResourceUnknown {
            return Particulars::default();
        }
        let (mut name, mut failing) = (clause(self.denial.reason), self.denial.detail.clone());
        if self.denial.reason == DenyReason::NoGrant
            && let Some((_, clause)) = self.failing()
        {
            // A grant for the resource is there; what it lacks is said better than by the resource.
            (name, failing) = (Some(clause.name), vec![clause.requested.to_string()]);
        }
        Particulars {
            clause: name,
            failing,
            nearest_grant: self.denial.nearest.as_ref().map(|near| near.grant.to_string()),
            // What a token says is not the provider's to change.
            contact: if self.left_out().is_some() { None } else { self.contact.clone() },
        }
    }

    /// What the caller's nearest own grant fails on. One that gives some of the fields fails on none by
    /// itself, but on the fields as asked for.
    fn failing(&self) -> Option<(&GrantId, &Clause)> {
        let near = self.denial.nearest.as_ref()?;
        let reason = self.denial.reason;
        // That there is no grant is said where none covers the action, or where the token names others.
        let is_it = |name| {
            if reason == DenyReason::NoGrant {
                matches!(name, "action" | "token")
            } else {
                clause(reason) == Some(name)
            }
        };
        let broken = || near.clauses.iter().filter(|clause| !clause.holds);
        let found = broken()
            .find(|clause| is_it(clause.name))
            .or_else(|| broken().next())
            .or_else(|| near.clauses.iter().find(|clause| is_it(clause.name)));
        Some((&near.grant, found?))
    }

    /// The caller's nearest own grant, where the first that it fails on is that the token names others.
    fn left_out(&self) -> Option<(&GrantId, &Clause)> {
        self.failing().filter(|(_, clause)| clause.name == "token" && !clause.holds)
    }

    /// The failing clause with both values, as the caller's nearest own grant has it.
    pub(super) fn detail(&self, language: Language) -> String {
        let code = denial_code(self.denial.reason);
        let title = code.title(language);
        if self.denial.reason == DenyReason::ResourceUnknown {
            // Word for word what is said where there is none: that it is there is not told.
            return who::mended(title.to_owned(), code, language);
        }
        let mut detail = title.to_owned();
        if let Some((grant, clause)) = self.left_out() {
            let named = &clause.requested;
            detail.push_str(&match language {
                Language::En => format!(
                    "; the token's `grant` claim names only `{named}`, and leaves out grant {grant}, which comes \
                     nearest; ask the token's issuer for one without that claim, or for one that names the grant"
                ),
                Language::Zh => format!(
                    "；令牌的 `grant` 声明只列出 `{named}`，不含最接近的授权 {grant}；请向签发方获取不带该声明或列有该授权的令牌"
                ),
            });
            return detail;
        }
        if let Some((grant, clause)) = self.failing() {
            let (name, granted) = (clause.name, &clause.granted);
            let asked = had(&clause.requested, language);
            detail.push_str(&match language {
                Language::En => format!("; grant {grant} has {name} `{granted}`, {asked}"),
                Language::Zh => {
                    let name = clause_in_chinese(name);
                    format!("；授权 {grant} 的{name}为 `{granted}`，{asked}")
                }
            });
        } else if !self.denial.detail.is_empty() {
            detail.push_str(&format!(": {}", self.denial.detail.join(", ")));
        }
        if self.denial.reason == DenyReason::ScopeExceeded {
            detail.push_str(apart(&self.denial.detail, language));
        }
        if let Some(contact) = &self.contact {
            detail.push_str(&match language {
                Language::En => format!("; ask {contact}"),
                Language::Zh => format!("；请联系 {contact}"),
            });
        }
        detail
    }
}

/// How field names are parted, where one of `items` looks as if its sender parted them otherwise.
pub(super) fn apart(items: &[String], language: Language) -> &'static str {
    if !items.iter().any(|item| item.contains([',', '，', '、'])) {
        return "";
    }
    match language {
        Language::En => "; field names are apart by `|`, as in `name|phone`, not by commas",
        Language::Zh => "；字段名之间须用 `|` 分隔，例如 `name|phone`，而不是逗号或顿号",
    }
}

/// What the request has, in a few words.
fn had(had: &Had, language: Language) -> String {
    match (had, language) {
        (Had::Value(value), Language::En) => format!("the request has `{value}`"),
        (Had::Value(value), Language::Zh) => format!("请求为 `{value}`"),
        (Had::Absent(name), Language::En) => {
            format!("the request has no `{name}`: send it once, with one value")
        }
        (Had::Absent(name), Language::Zh) => format!("请求没有 `{name}`，该参数须出现一次，且只有一个取值"),
        (Had::Hidden(name), Language::En) => format!("the request has another value of `{name}`"),
        (Had::Hidden(name), Language::Zh) => format!("请求中 `{name}` 为其他取值"),
        (Had::Repeated(name, count), Language::En) => {
            format!("the request has {count} values of `{name}`: send it once, with one value")
        }
        (Had::Repeated(name, count), Language::Zh) => {
            format!("请求中 `{name}` 有 {count} 个取值，该参数须出现一次，且只有一个取值")
        }
    }
}

/// The clauses of a grant by the names that `policy` gives them; one it may add later keeps its own.
fn clause_in_chinese(name: &str) -> &str {
    match name {
        "system" => "主体",
        "resource" => "资源",
        "action" => "操作",
        "purpose" => "使用用途",
        "fields" => "字段范围",
        "parameter" => "参数约束",
        "window" => "时间窗口",
        "token" => "令牌限定",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Denial, NearMiss};

    /// A refusal for `reason`, with a grant that fails on `clause`.
    fn denied(reason: DenyReason, name: &'static str, granted: &str, requested: Had) -> Denied {
        let clause = Clause { name, holds: false, granted: granted.to_owned(), requested };
        let nearest = NearMiss { grant: GrantId::parse("HS-2026-0117").unwrap(), clauses: vec![clause] };
        let denial = Denial { reason, detail: Vec::new(), denied_by: Vec::new(), nearest: Some(nearest) };
        Denied { denial, contact: Some("PSB 0559-0000002".to_owned()), coarse: false }
    }

    #[test]
    fn whose_token_leaves_the_grant_out_is_sent_to_its_issuer() {
        let had = Had::Value("HS-2026-0118".to_owned());
        let denied = denied(DenyReason::NoGrant, "token", "HS-2026-0117", had);
        assert_eq!(
            denied.detail(Language::En),
            "No grant gives this system this resource; the token's `grant` claim names only `HS-2026-0118`, and leaves \
             out grant HS-2026-0117, which comes nearest; ask the token's issuer for one without that claim, or for \
             one that names the grant"
        );
        assert_eq!(
            denied.detail(Language::Zh),
            "该业务系统没有此资源的授权；令牌的 `grant` 声明只列出 `HS-2026-0118`，不含最接近的授权 HS-2026-0117；\
             请向签发方获取不带该声明或列有该授权的令牌"
        );
        let told = denied.particulars();
        assert_eq!((told.clause, told.contact), (Some("token"), None));
        assert_eq!(told.failing, ["HS-2026-0118"]);
    }

    #[test]
    fn who_parts_fields_by_commas_is_told_how() {
        let said = |item: &str, language| {
            let mut denied =
                denied(DenyReason::ScopeExceeded, "fields", "name|phone", Had::Value(item.to_owned()));
            denied.denial.detail = vec![item.to_owned()];
            denied.detail(language)
        };
        let hint = "; field names are apart by `|`, as in `name|phone`, not by commas; ask PSB 0559-0000002";
        assert!(said("name,phone", Language::En).ends_with(hint));
        assert!(said("name、phone", Language::Zh).contains("；字段名之间须用 `|` 分隔，例如 `name|phone`，"));
        assert!(!said("email", Language::En).contains("apart"));
    }

    #[test]
    fn a_parameter_that_is_not_as_it_must_be_is_told_of_in_words() {
        let said = |had| {
            let denied = denied(DenyReason::ParameterNotGranted, "parameter", "area=3410*", had);
            [denied.detail(Language::En), denied.detail(Language::Zh)]
        };
        let area = || "area".to_owned();
        let cases = [
            (
                Had::Value("area=3101".to_owned()),
                "the request has `area=3101`; ask PSB 0559-0000002",
                "请求为 `area=3101`；请联系 PSB 0559-0000002",
            ),
            (
                Had::Absent(area()),
                "the request has no `area`: send it once, with one value; ask PSB 0559-0000002",
                "请求没有 `area`，该参数须出现一次，且只有一个取值；请联系 PSB 0559-0000002",
            ),
            (
                Had::Hidden(area()),
                "the request has another value of `area`; ask PSB 0559-0000002",
                "请求中 `area` 为其他取值；请联系 PSB 0559-0000002",
            ),
            (
                Had::Repeated(area(), 2),
                "the request has 2 values of `area`: send it once, with one value; ask PSB 0559-0000002",
                "请求中 `area` 有 2 个取值，该参数须出现一次，且只有一个取值；请联系 PSB 0559-0000002",
            ),
        ];
        let head = [
            "A request parameter lies outside the grant; grant HS-2026-0117 has parameter `area=3410*`, ",
            "请求参数超出授权范围；授权 HS-2026-0117 的参数约束为 `area=3410*`，",
        ];
        for (had, english, chinese) in cases {
            assert_eq!(said(had), [format!("{}{english}", head[0]), format!("{}{chinese}", head[1])]);
        }
    }
}
