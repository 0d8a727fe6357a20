//! What is said where it is not settled who asks, or what for, and where the platform or the record fails: what
//! is wrong, and what mends it.
//!
//! A newcomer meets most of these first. Nothing here depends on other systems: it is what the documentation says to
//! anybody, and the caller's own words.

use super::{identity_code, token_code};
use crate::identity::token::{Expected, Form, MAX_TOKEN_BYTES};
use crate::identity::{IdentityError, TokenError};
use crate::proxy::problem::{Code, Language, Words, words};

/// What is wrong with the certificate.
pub(super) fn identity(error: &IdentityError, language: Language) -> String {
    let why = match (error, language) {
        (error, Language::En) => error.to_string(),
        (IdentityError::Unknown { serial }, Language::Zh) => {
            format!("{}（证书序列号 {serial}）", identity_code(error).title(language))
        }
        (IdentityError::Ambiguous { .. }, Language::Zh) => identity_code(error).title(language).to_owned(),
        (IdentityError::Disabled { system }, Language::Zh) => {
            format!("{}（{system}）", identity_code(error).title(language))
        }
        (IdentityError::Expired { not_before, not_after }, Language::Zh) => {
            format!("{}（有效期 {not_before} 至 {not_after}）", identity_code(error).title(language))
        }
    };
    mended(why, identity_code(error), language)
}

/// What is wrong with the token.
pub(super) fn token(error: &TokenError, language: Language) -> String {
    let why = match language {
        Language::En => error.to_string(),
        Language::Zh => token_in_chinese(error),
    };
    if matches!(error, TokenError::Binding { named: Some(_) }) {
        // The certificate was not renewed: the token was never this system's.
        return joined(why, OTHER_SYSTEM, language);
    }
    mended(why, token_code(error), language)
}

/// `why`, and what mends it.
pub(super) fn mended(mut why: String, code: Code, language: Language) -> String {
    if let Some((_, mend)) = MENDS.iter().find(|(known, _)| *known == code) {
        why = joined(why, *mend, language);
    }
    why
}

fn joined(mut why: String, mend: Words, language: Language) -> String {
    why.push_str(match language {
        Language::En => "; ",
        Language::Zh => "；",
    });
    why.push_str(mend.to(language));
    why
}

/// Whether anything was done where the record of a request cannot be kept, and what to do.
pub(super) fn unrecorded(asked: bool, language: Language) -> String {
    let mend = if asked {
        words(
            "the platform had been asked, and may have acted: unless it was a `GET`, find out before you try again \
             after `Retry-After`; if it lasts, tell whoever runs the gate",
            "交换平台已收到请求，可能已经处理：除 `GET` 外，请先核实，再按 `Retry-After` 重试；若持续出现，请联系网关管理方",
        )
    } else {
        words(
            "the platform was not asked: try again after `Retry-After`; if it lasts, tell whoever runs the gate",
            "请求未送往交换平台：请按 `Retry-After` 重试；若持续出现，请联系网关管理方",
        )
    };
    joined(Code::AuditUnavailable.title(language).to_owned(), mend, language)
}

/// What mends a token that is neither this certificate's nor this system's.
const OTHER_SYSTEM: Words = words(
    "each system has tokens of its own: get one for this system with its certificate",
    "各业务系统须使用自己的令牌：请以本系统的证书获取",
);

fn token_in_chinese(error: &TokenError) -> String {
    let title = token_code(error).title(Language::Zh);
    let why = match error {
        TokenError::Repeated => "`Authorization` 请求头不止一个".to_owned(),
        TokenError::Scheme => "`Authorization` 须为 `Bearer`、一个空格和令牌（RFC 6750）".to_owned(),
        TokenError::TooLong => format!("令牌超过 {MAX_TOKEN_BYTES} 字节"),
        TokenError::Malformed(form) => form_in_chinese(*form).to_owned(),
        TokenError::HeaderMember(member) => format!("令牌头部含有不被接受的 `{member}`"),
        TokenError::Algorithm { accepted } if accepted.is_empty() => "算法须与密钥一致".to_owned(),
        TokenError::Algorithm { accepted } => {
            let names: Vec<_> = accepted.iter().map(|algorithm| algorithm.as_str()).collect();
            format!("算法须与密钥一致，此处接受 {}", names.join("、"))
        }
        TokenError::Audience { accepted } => {
            let names: Vec<_> = accepted.iter().map(|audience| format!("`{audience}`")).collect();
            format!("`aud` 须为 {}", names.join("、"))
        }
        TokenError::KeyUnknown => "签发方的密钥中没有与 `kid`、`alg` 相符的".to_owned(),
        TokenError::Subject { system } => format!("客户端证书对应的是 {system}"),
        TokenError::Expired { at, now } => format!("{at} 到期，网关时间为 {now}"),
        TokenError::NotYetValid { at, now } => format!("自 {at} 起生效，网关时间为 {now}"),
        TokenError::LivesTooLong { limit } => {
            format!("`iat` 至 `exp` 不得超过 {} 秒", limit.as_secs())
        }
        TokenError::Binding { named: Some(system) } => {
            format!("其 `sub` 也是其他业务系统，客户端证书对应的是 {system}")
        }
        TokenError::Unbound => "缺少带 `x5t#S256` 的 `cnf`".to_owned(),
        TokenError::Claim { claim, expected } => format!("`{claim}` {}", expected_in_chinese(*expected)),
        TokenError::Missing
        | TokenError::Signature
        | TokenError::Issuer
        | TokenError::Binding { named: None } => return title.to_owned(),
    };
    format!("{title}（{why}）")
}

/// The same as its `Display`, in Chinese.
fn form_in_chinese(form: Form) -> &'static str {
    match form {
        Form::Parts => "不是由三段组成",
        Form::Coding => "有一段不是无填充的 base64url",
        Form::Header => "头部不是名称不重复的 JSON 对象",
        Form::Type => "`typ` 既不是 `JWT` 也不是 `at+jwt`",
        Form::Claims => "声明不是名称不重复的 JSON 对象",
        Form::NoClaims => "没有声明",
    }
}

/// The same as its `Display`, in Chinese.
fn expected_in_chinese(expected: Expected) -> &'static str {
    match expected {
        Expected::Text => "须为非空文本",
        Expected::Date => "须为自 1970 年起的整数秒（RFC 7519 NumericDate）",
        Expected::LaterThanBegin => "须晚于 `iat` 和 `nbf`",
        Expected::Audience => "须为一个受众：一段文本，或只含一段文本的列表",
        Expected::System => "须为业务系统标识，例如 `sys:minzheng-aid`",
        Expected::Id => "须为不超过 128 个可见 ASCII 字符，不含引号和反斜杠",
        Expected::Purpose => "须为用途代码，例如 `social-aid.eligibility`",
        Expected::Scope => "须为字段名组成的文本，以一个空格或 `|` 分隔；不限定时请省略",
        Expected::Grants => "须为一个授权编号或其列表；不限定时请省略",
        Expected::Confirmation => "须为带 `x5t#S256` 的对象",
    }
}

/// What mends it, by code.
const MENDS: &[(Code, Words)] = &[
    (
        Code::IdentityUnknown,
        words(
            "ask whoever runs the gate to register it in `registry.toml`, or connect with the certificate that is; \
             unless the registry says otherwise it has one SAN URI \
             `spiffe://<trust domain>/dept/<department>/system/<system>`",
            "请网关管理方在 `registry.toml` 中登记，或改用已登记的证书；除非登记另有说明，证书须带一个 SAN URI \
             `spiffe://<信任域>/dept/<部门>/system/<系统>`",
        ),
    ),
    (Code::IdentityAmbiguous, words("have one issued that does", "请换发只对应一个已登记业务系统的证书")),
    (Code::IdentityDisabled, words("ask whoever runs the gate to enable it", "如需恢复，请联系网关管理方")),
    (
        Code::IdentityExpired,
        words(
            "connect anew with a certificate that is in force; if this one is, its issuer's clock and the gate's differ",
            "请用有效的证书重新连接；若证书本应有效，请核对签发方与网关的时间",
        ),
    ),
    (Code::IdentityRevoked, words("have a new one issued, and connect anew with it", "请换发证书后重新连接")),
    (
        Code::TokenMissing,
        words(
            "the issuer that `WWW-Authenticate` names gives one out for each purpose",
            "请以 `Authorization: Bearer <令牌>` 发送；令牌由 `WWW-Authenticate` 中的签发方按用途发放",
        ),
    ),
    (
        Code::TokenMalformed,
        words(
            "send the token as the issuer gave it out, in one field `Authorization: Bearer <token>`",
            "请原样发送签发方给出的令牌，且只用一个 `Authorization: Bearer <令牌>`",
        ),
    ),
    (
        Code::TokenAlgorithm,
        words("the issuer has to sign with the algorithm of its key", "签发方须使用其密钥对应的算法"),
    ),
    (
        Code::TokenKeyUnknown,
        words(
            "get a new token; if that does not help, ask whoever runs the gate to fetch the issuer's key set",
            "请重新获取令牌；仍不行时请网关管理方更新签发方的密钥集",
        ),
    ),
    (
        Code::TokenSignature,
        words(
            "get a new token and send it unchanged; if that does not help, the issuer signs with another key than it publishes",
            "请重新获取令牌并原样发送；仍不行时说明签发方的签名密钥与其公布的不一致",
        ),
    ),
    (
        Code::TokenExpired,
        words(
            "get a new one; if it is new, the issuer's clock and the gate's differ",
            "请重新获取；若刚刚获取，请核对签发方与网关的时间",
        ),
    ),
    (
        Code::TokenNotYetValid,
        words(
            "wait until then; if it was to be valid at once, the issuer's clock and the gate's differ",
            "请届时再用；若本应立即生效，请核对签发方与网关的时间",
        ),
    ),
    (
        Code::TokenIssuer,
        words(
            "get one from the issuer that `WWW-Authenticate` names",
            "请向 `WWW-Authenticate` 中的签发方获取",
        ),
    ),
    (
        Code::TokenAudience,
        words("ask the issuer for one that is for this gate", "请向签发方说明令牌用于本网关"),
    ),
    (
        Code::TokenSubject,
        words(
            "get a token for that system, or connect with the certificate of the system that the token is for",
            "请为该业务系统获取令牌，或改用令牌所属业务系统的证书",
        ),
    ),
    (
        Code::TokenBinding,
        words(
            "get a token for this certificate; after a renewal of the certificate the tokens have to be new, too",
            "请为当前证书获取令牌；证书换发后令牌也须重新获取",
        ),
    ),
    (Code::TokenClaims, words("the issuer has to put it right", "请签发方更正")),
    (
        Code::PurposeMissing,
        words(
            "send a purpose token, or say the purpose in `Data-Purpose`",
            "请发送用途令牌，或在 `Data-Purpose` 中说明用途",
        ),
    ),
    (
        Code::PurposeMismatch,
        words("leave `Data-Purpose` out, or say the same in it", "请去掉 `Data-Purpose`，或使其与令牌一致"),
    ),
    (
        Code::PurposeUnknown,
        words(
            "`/.well-known/pinegate/grants` has the purposes of your grants",
            "授权所列的用途见 `/.well-known/pinegate/grants`",
        ),
    ),
    (
        Code::ResourceUnknown,
        words(
            "check the path; `/.well-known/pinegate/catalog` lists the resources that are shared, and \
             `/.well-known/pinegate/openapi.json` the paths to them",
            "请核对路径；可以共享的资源见 `/.well-known/pinegate/catalog`，路径见 `/.well-known/pinegate/openapi.json`",
        ),
    ),
    (
        Code::UpstreamUnreachable,
        words(
            // Not that nothing was sent: an attempt before, of a method that may be repeated, may have been.
            "no connection to it could be made, so that trying again is safe: do so later; if it lasts, tell whoever \
             runs the gate",
            "未能建立连接，可以放心重试：请稍后再试；若持续出现，请联系网关管理方",
        ),
    ),
    (
        Code::UpstreamTimeout,
        words(
            "it may have acted all the same: unless it was a `GET`, find out before you try again",
            "交换平台可能仍已处理：除 `GET` 外，请先核实再重试",
        ),
    ),
    (
        Code::UpstreamBusy,
        words("nothing was sent to it: try again after `Retry-After`", "请求未送出：请按 `Retry-After` 重试"),
    ),
    (
        Code::UpstreamUnavailable,
        words(
            "nothing was sent to it: try again after `Retry-After`; if it lasts, tell whoever runs the gate",
            "请求未送出：请按 `Retry-After` 重试；若持续出现，请联系网关管理方",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whoever_is_not_identified_is_told_what_to_do() {
        for code in Code::ALL {
            let family = code.as_str().split('-').next().unwrap();
            if matches!(family, "identity" | "token") {
                for language in [Language::En, Language::Zh] {
                    let said = mended("why".to_owned(), *code, language);
                    assert!(said.len() > "why; ".len(), "{code} says nothing to do");
                }
            }
        }
    }

    #[test]
    fn what_fails_behind_the_gate_is_told_with_what_was_done_and_what_to_do() {
        use std::time::Duration;

        use crate::kernel::id::UpstreamId;
        use crate::proxy::failure::{Failure, UpstreamFailure};
        use crate::upstream::{ClientError, UpstreamError};

        let said = |failure: Failure| [failure.detail(Language::En), failure.detail(Language::Zh)];
        let upstream = UpstreamId::parse("platform").unwrap();
        let open = UpstreamError::Open { upstream: upstream.clone(), after: Duration::from_secs(3) };
        assert_eq!(
            said(Failure::Upstream(UpstreamFailure::None(open))),
            [
                "The platform failed too often and is left alone for a while; nothing was sent to it: try again after \
                 `Retry-After`; if it lasts, tell whoever runs the gate",
                "交换平台暂不可用，稍后重试；请求未送出：请按 `Retry-After` 重试；若持续出现，请联系网关管理方",
            ]
        );
        let late = ClientError::Timeout { upstream, within: Duration::from_secs(3) };
        let [english, chinese] = said(Failure::Upstream(UpstreamFailure::None(late.into())));
        assert!(english.contains("may have acted"), "{english}");
        assert!(chinese.contains("可能仍已处理"), "{chinese}");
        for (asked, english, chinese) in
            [(false, "was not asked", "未送往交换平台"), (true, "may have acted", "可能已经处理")]
        {
            let said = said(Failure::Audit { asked });
            assert!(said[0].contains(english) && said[0].contains("`Retry-After`"), "{}", said[0]);
            assert!(said[1].contains(chinese) && said[1].contains("`Retry-After`"), "{}", said[1]);
        }
    }

    #[test]
    fn what_is_not_shared_is_answered_like_what_is_not_there() {
        use crate::grant::{Denial, DenyReason};
        use crate::proxy::failure::{Denied, Failure};

        let denial = || Denial {
            reason: DenyReason::ResourceUnknown,
            detail: vec!["x".to_owned()],
            denied_by: Vec::new(),
            nearest: None,
        };
        for language in [Language::En, Language::Zh] {
            let absent = Failure::ResourceUnknown.detail(language);
            for coarse in [false, true] {
                let denied = Denied { denial: denial(), contact: Some("y".to_owned()), coarse };
                assert_eq!(Failure::Denied(Box::new(denied)).detail(language), absent);
            }
        }
    }

    #[test]
    fn what_is_wrong_with_the_form_of_a_token_is_said_in_both_languages() {
        let said = |error: TokenError| [token(&error, Language::En), token(&error, Language::Zh)];
        let [english, chinese] = said(TokenError::Malformed(Form::Coding));
        assert_eq!(
            english,
            "the token is not well formed: a part is not base64url without padding; send the token as the issuer gave \
             it out, in one field `Authorization: Bearer <token>`"
        );
        assert_eq!(
            chinese,
            "用途令牌不是格式正确的签名令牌（有一段不是无填充的 base64url）；请原样发送签发方给出的令牌，且只用一个 \
             `Authorization: Bearer <令牌>`"
        );
        let forms = [Form::Parts, Form::Coding, Form::Header, Form::Type, Form::Claims, Form::NoClaims];
        let told: HashSet<_> =
            forms.map(|form| said(TokenError::Malformed(form))).into_iter().flatten().collect();
        assert_eq!(told.len(), 2 * forms.len(), "each is told apart: {told:#?}");
        // A bound is named in both.
        assert!(said(TokenError::TooLong).iter().all(|text| text.contains("8192")));
    }

    #[test]
    fn what_a_claim_must_be_is_said_in_both_languages() {
        let said = |claim, expected| {
            let error = TokenError::Claim { claim, expected };
            [token(&error, Language::En), token(&error, Language::Zh)]
        };
        assert_eq!(
            said("exp", Expected::Date),
            [
                "the token's `exp` is not a whole number of seconds since 1970 (RFC 7519 NumericDate); the issuer has \
                 to put it right",
                "用途令牌的声明缺失或类型错误（`exp` 须为自 1970 年起的整数秒（RFC 7519 NumericDate））；请签发方更正",
            ]
        );
        assert_eq!(
            said("aud", Expected::Audience),
            [
                "the token's `aud` is not one audience: a text, or a list of one text; the issuer has to put it right",
                "用途令牌的声明缺失或类型错误（`aud` 须为一个受众：一段文本，或只含一段文本的列表）；请签发方更正",
            ]
        );
    }

    #[test]
    fn what_is_accepted_is_named() {
        use crate::identity::token::SignatureAlgorithm;

        let said = |error| [token(&error, Language::En), token(&error, Language::Zh)];
        assert_eq!(
            said(TokenError::Algorithm {
                accepted: vec![SignatureAlgorithm::Es256, SignatureAlgorithm::Ps256]
            }),
            [
                "the token's algorithm is not the one its key is for; accepted here: ES256, PS256; the issuer has to \
                 sign with the algorithm of its key",
                "用途令牌的签名算法不被接受（算法须与密钥一致，此处接受 ES256、PS256）；签发方须使用其密钥对应的算法",
            ]
        );
        assert_eq!(
            said(TokenError::Audience { accepted: vec!["pinegate".into()] }),
            [
                "the token's `aud` is not this gate, which is `pinegate`; ask the issuer for one that is for this gate",
                "用途令牌的受众不正确（`aud` 须为 `pinegate`）；请向签发方说明令牌用于本网关",
            ]
        );
    }

    #[test]
    fn whose_token_it_is_is_said_where_that_differs() {
        use crate::kernel::id::SystemId;

        let said = |named| {
            let error = TokenError::Binding { named };
            [token(&error, Language::En), token(&error, Language::Zh)]
        };
        let [english, chinese] = said(Some(SystemId::parse("sys:water-billing").unwrap()));
        assert_eq!(
            english,
            "the token is bound to another certificate than this connection's, and its `sub` is another system than \
             the one that the certificate names, `sys:water-billing`; each system has tokens of its own: get one for \
             this system with its certificate"
        );
        assert_eq!(
            chinese,
            "用途令牌绑定的是其他证书（其 `sub` 也是其他业务系统，客户端证书对应的是 sys:water-billing）；各业务系统须使用\
             自己的令牌：请以本系统的证书获取"
        );
        let [english, chinese] = said(None);
        assert!(english.contains("renewal") && !english.contains("sub"), "{english}");
        assert!(chinese.contains("换发") && !chinese.contains("sub"), "{chinese}");
    }

    #[test]
    fn a_clock_that_differs_shows() {
        let error = TokenError::Expired {
            at: "2026-06-01T01:00:00Z".parse().unwrap(),
            now: "2026-06-01T01:30:00Z".parse().unwrap(),
        };
        assert_eq!(
            token(&error, Language::En),
            "the token expired at 2026-06-01T01:00:00Z, and by the gate's clock it is 2026-06-01T01:30:00Z; \
             get a new one; if it is new, the issuer's clock and the gate's differ"
        );
        assert_eq!(
            token(&error, Language::Zh),
            "用途令牌已过期（2026-06-01T01:00:00Z 到期，网关时间为 2026-06-01T01:30:00Z）；请重新获取；若刚刚获取，\
             请核对签发方与网关的时间"
        );
    }
}
