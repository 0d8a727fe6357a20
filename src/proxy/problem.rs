//! Problem codes and the documents that carry them (RFC 9457).
//!
//! A published code never changes meaning: retire, never reuse. The table here is the only one;
//! `docs/errors.md` is held against it by a test.

use std::fmt;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::kernel::id::RequestId;
use crate::telemetry::Outcome;

/// The languages that problems speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Chinese, and what is spoken unless the client prefers English.
    Zh,
    /// English.
    En,
}

impl Language {
    /// The better of the two by `Accept-Language` (RFC 9110, section 12.5.4).
    #[must_use]
    pub fn preferred(headers: &HeaderMap) -> Self {
        let mut best = (Self::Zh, 0_u16);
        let Some(value) = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
            return Self::Zh;
        };
        for range in value.split(',').take(16) {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or("").trim();
            let primary = tag.split('-').next().unwrap_or("");
            let language = match primary {
                _ if primary.eq_ignore_ascii_case("zh") => Self::Zh,
                _ if primary.eq_ignore_ascii_case("en") => Self::En,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1_000, permille);
            if quality > best.1 {
                best = (language, quality);
            }
        }
        best.0
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }
}

/// A few words in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    en: &'static str,
    zh: &'static str,
}

/// The same in English and in Chinese.
pub(crate) const fn words(en: &'static str, zh: &'static str) -> Words {
    Words { en, zh }
}

impl Words {
    /// The words in `language`.
    pub(crate) fn to(self, language: Language) -> &'static str {
        match language {
            Language::Zh => self.zh,
            Language::En => self.en,
        }
    }
}

/// A quality value (RFC 9110, section 12.4.2) in thousandths; nonsense counts as nothing.
fn permille(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1")
        || fraction.len() > 3
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return 0;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().unwrap_or(0);
    if whole == "1" { 1_000 } else { thousandths }
}

macro_rules! codes {
    ($($variant:ident = $code:literal, $status:ident, $outcome:ident, $en:literal, $zh:literal;)*) => {
        /// What a refusal is called, for machines. The order is that of the reference page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $en] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in `code`, records and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status it travels with; always 4xx or 5xx.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// How metrics sum it up.
            #[must_use]
            pub fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)* }
            }

            /// What it means in a few words.
            #[must_use]
            pub fn title(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::En) => $en, (Self::$variant, Language::Zh) => $zh,)*
                }
            }
        }
    };
}

codes! {
    IdentityUnknown = "identity-unknown", FORBIDDEN, Unidentified, "The client certificate names no registered system", "客户端证书未对应任何已登记的业务系统";
    IdentityAmbiguous = "identity-ambiguous", FORBIDDEN, Unidentified, "The client certificate names more than one system", "客户端证书对应多个业务系统";
    IdentityDisabled = "identity-disabled", FORBIDDEN, Unidentified, "The system is disabled in the registry", "该业务系统已被停用";
    IdentityExpired = "identity-expired", FORBIDDEN, Unidentified, "The client certificate is no longer valid", "客户端证书已失效";
    IdentityRevoked = "identity-revoked", FORBIDDEN, Unidentified, "The client certificate is no longer trusted", "客户端证书已被吊销或不再受信任";
    TokenMissing = "token-missing", UNAUTHORIZED, Unidentified, "A purpose token is required", "缺少用途令牌";
    TokenMalformed = "token-malformed", UNAUTHORIZED, Unidentified, "The purpose token is not a well-formed signed token", "用途令牌不是格式正确的签名令牌";
    TokenAlgorithm = "token-algorithm", UNAUTHORIZED, Unidentified, "The purpose token's algorithm is not accepted", "用途令牌的签名算法不被接受";
    TokenKeyUnknown = "token-key-unknown", UNAUTHORIZED, Unidentified, "The purpose token's key is not known", "用途令牌的签名密钥未知";
    TokenSignature = "token-signature", UNAUTHORIZED, Unidentified, "The purpose token's signature is wrong", "用途令牌签名验证失败";
    TokenExpired = "token-expired", UNAUTHORIZED, Unidentified, "The purpose token has expired", "用途令牌已过期";
    TokenNotYetValid = "token-not-yet-valid", UNAUTHORIZED, Unidentified, "The purpose token is not valid yet", "用途令牌尚未生效";
    TokenIssuer = "token-issuer", UNAUTHORIZED, Unidentified, "The purpose token is from another issuer", "用途令牌的签发方不正确";
    TokenAudience = "token-audience", UNAUTHORIZED, Unidentified, "The purpose token is for another audience", "用途令牌的受众不正确";
    TokenSubject = "token-subject", UNAUTHORIZED, Unidentified, "The purpose token was issued to another system", "用途令牌属于其他业务系统";
    TokenBinding = "token-binding", UNAUTHORIZED, Unidentified, "The purpose token is bound to another certificate", "用途令牌绑定的是其他证书";
    TokenClaims = "token-claims", UNAUTHORIZED, Unidentified, "The purpose token lacks a claim or has one of a wrong type", "用途令牌的声明缺失或类型错误";
    PurposeMissing = "purpose-missing", BAD_REQUEST, Unidentified, "No purpose was given", "未说明使用用途";
    PurposeMismatch = "purpose-mismatch", BAD_REQUEST, Unidentified, "The declared purpose differs from the token's", "声明的用途与令牌不一致";
    PurposeUnknown = "purpose-unknown", FORBIDDEN, Denied, "The purpose is not registered", "使用用途未登记";
    PurposeNotGranted = "purpose-not-granted", FORBIDDEN, Denied, "No grant allows this purpose", "授权不包含该使用用途";
    GrantNone = "grant-none", FORBIDDEN, Denied, "No grant gives this system this resource", "该业务系统没有此资源的授权";
    GrantExpired = "grant-expired", FORBIDDEN, Denied, "The grant has ended", "授权已到期";
    GrantNotYetValid = "grant-not-yet-valid", FORBIDDEN, Denied, "The grant has not begun", "授权尚未生效";
    GrantOutsideWindow = "grant-outside-window", FORBIDDEN, Denied, "The grant does not cover this day or hour", "当前不在授权的时间窗口内";
    GrantDenied = "grant-denied", FORBIDDEN, Denied, "A rule forbids this access", "存在禁止性规定";
    ScopeExceeded = "scope-exceeded", FORBIDDEN, Denied, "The request has fields that no grant gives", "请求的字段超出授权范围";
    ScopeParameter = "scope-parameter", FORBIDDEN, Denied, "A request parameter lies outside the grant", "请求参数超出授权范围";
    ScopeMalformed = "scope-malformed", BAD_REQUEST, Invalid, "The requested scope cannot be read", "请求的范围格式不正确";
    RateExceeded = "rate-exceeded", TOO_MANY_REQUESTS, Limited, "Too many requests", "请求过于频繁";
    RateConcurrency = "rate-concurrency", TOO_MANY_REQUESTS, Limited, "Too many requests at once", "并发请求过多";
    QuotaExhausted = "quota-exhausted", TOO_MANY_REQUESTS, Limited, "The quota of this day is used up", "当日配额已用完";
    QuotaRows = "quota-rows", FORBIDDEN, Limited, "The reply has more records than the grant allows", "返回记录数超出授权上限";
    RequestSyntax = "request-syntax", BAD_REQUEST, Invalid, "The request is not well-formed HTTP/1.1", "请求不是格式正确的 HTTP/1.1";
    RequestFraming = "request-framing", BAD_REQUEST, Invalid, "Where the request ends could be read in more than one way", "请求的结束位置存在歧义";
    RequestHeadTooLarge = "request-head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, Invalid, "The request head is too large", "请求头部过大";
    RequestPath = "request-path", BAD_REQUEST, Invalid, "The path could be read in more than one way", "请求路径存在歧义";
    RequestQuery = "request-query", BAD_REQUEST, Invalid, "The query could be read in more than one way", "查询参数存在歧义";
    RequestHost = "request-host", BAD_REQUEST, Invalid, "The Host is missing, doubled or malformed", "Host 缺失、重复或格式不正确";
    RequestHeader = "request-header", BAD_REQUEST, Invalid, "A header field is not acceptable", "请求头不被接受";
    RequestUpgrade = "request-upgrade", BAD_REQUEST, Invalid, "No route allows an upgrade to another protocol", "没有路由允许协议升级";
    RequestHandshake = "request-handshake", BAD_REQUEST, Invalid, "The request is no sound WebSocket handshake", "不是正确的 WebSocket 握手请求";
    RequestMethod = "request-method", METHOD_NOT_ALLOWED, Invalid, "The method is not allowed here", "不允许使用该请求方法";
    RequestVersion = "request-version", HTTP_VERSION_NOT_SUPPORTED, Invalid, "The request is not HTTP/1.1 or HTTP/2", "请求不是 HTTP/1.1 或 HTTP/2";
    RequestExpectation = "request-expectation", EXPECTATION_FAILED, Invalid, "The expectation is not known", "不支持的 Expect";
    RequestTooLarge = "request-too-large", PAYLOAD_TOO_LARGE, Invalid, "The request body is too large", "请求体过大";
    RequestBody = "request-body", BAD_REQUEST, Invalid, "The request body broke off or is malformed", "请求体不完整或格式不正确";
    RequestTimeout = "request-timeout", GATEWAY_TIMEOUT, Upstream, "The request took too long", "请求处理超时";
    RequestSlow = "request-slow", REQUEST_TIMEOUT, Invalid, "The request body comes too slowly", "请求体发送过慢";
    ResourceUnknown = "resource-unknown", NOT_FOUND, Invalid, "There is no such resource", "没有这样的资源";
    UpstreamUnreachable = "upstream-unreachable", BAD_GATEWAY, Upstream, "The platform cannot be reached", "无法连接交换平台";
    UpstreamTimeout = "upstream-timeout", GATEWAY_TIMEOUT, Upstream, "The platform did not answer in time", "交换平台响应超时";
    UpstreamBusy = "upstream-busy", SERVICE_UNAVAILABLE, Upstream, "The platform has as much to do as it may have", "交换平台在途请求已达上限";
    UpstreamUnavailable = "upstream-unavailable", SERVICE_UNAVAILABLE, Upstream, "The platform failed too often and is left alone for a while", "交换平台暂不可用，稍后重试";
    UpstreamInvalid = "upstream-invalid", BAD_GATEWAY, Upstream, "The platform's answer is not acceptable", "交换平台的应答不可接受";
    UpstreamFailed = "upstream-failed", BAD_GATEWAY, Upstream, "The platform failed", "交换平台内部错误";
    UpstreamRejected = "upstream-rejected", UNPROCESSABLE_ENTITY, Upstream, "The platform did not accept the request", "交换平台不接受该请求";
    UpstreamNotFound = "upstream-not-found", NOT_FOUND, Upstream, "The platform has no such record", "交换平台没有该记录";
    MaskMediaType = "mask-media-type", BAD_GATEWAY, Mask, "The platform's answer is not of the declared type", "应答的媒体类型与目录不符";
    MaskBody = "mask-body", BAD_GATEWAY, Mask, "The platform's answer cannot be masked", "应答内容无法脱敏，未予放行";
    MaskEgress = "mask-egress", BAD_GATEWAY, Mask, "The platform's answer holds an unmasked identifier where there must be none", "应答的非敏感字段中含有未脱敏的号码，未予放行";
    MaskUnavailable = "mask-unavailable", SERVICE_UNAVAILABLE, Mask, "The masks for this answer cannot be built", "脱敏规则不可用";
    MaskSession = "mask-session", FORBIDDEN, Mask, "The grant asks for masks or row limits, which a WebSocket session cannot keep", "授权带有脱敏或记录数限制，不能用于 WebSocket 会话";
    AuditUnavailable = "audit-unavailable", SERVICE_UNAVAILABLE, Audit, "The access cannot be recorded, so no data leaves", "审计记录不可用，暂停提供数据";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, Overloaded, "The gate is too busy", "网关繁忙";
    GateFailed = "gate-failed", INTERNAL_SERVER_ERROR, Overloaded, "The gate failed", "网关内部错误";
}

impl Code {
    /// The URI that names the problem type; stable.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("urn:pinegate:problem:{}", self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a refusal tells besides its code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Particulars {
    /// Which clause failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<&'static str>,
    /// What of the request failed it, in the caller's own words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// The caller's own grant that came nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_grant: Option<String>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

/// A problem document, ready to be sent.
#[derive(Debug, Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'static str,
    request_id: String,
    #[serde(flatten)]
    particulars: &'a Particulars,
}

/// The bytes of a problem document.
#[must_use]
pub fn render(
    code: Code,
    language: Language,
    detail: &str,
    particulars: &Particulars,
    request_id: RequestId,
) -> Response<Vec<u8>> {
    let document = Document {
        r#type: code.type_uri(),
        title: code.title(language),
        status: code.status().as_u16(),
        detail,
        instance: format!("urn:uuid:{request_id}"),
        code: code.as_str(),
        request_id: request_id.to_string(),
        particulars,
    };
    // Serialising a struct of texts and numbers cannot fail; an empty body would still refuse.
    let mut body = serde_json::to_vec(&document).unwrap_or_default();
    body.push(b'\n');
    let mut response = Response::new(body);
    *response.status_mut() = code.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_case_and_an_error() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code}");
        }
    }

    #[test]
    fn languages_are_chosen_by_quality() {
        for (accept, expected) in [
            ("", Language::Zh),
            ("en", Language::En),
            ("en-GB,en;q=0.9", Language::En),
            ("zh-CN, en;q=0.8", Language::Zh),
            ("en;q=0.3, zh;q=0.7", Language::Zh),
            ("fr, en;q=0.5", Language::En),
            ("en;q=0", Language::Zh),
            ("en;q=nonsense", Language::Zh),
            ("*", Language::Zh),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(accept).unwrap());
            assert_eq!(Language::preferred(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn a_document_has_the_members_of_rfc_9457() {
        let id: RequestId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let particulars = Particulars { clause: Some("fields"), ..Particulars::default() };
        let response = render(Code::ScopeExceeded, Language::En, "asked for `id_card`", &particulars, id);
        insta::assert_snapshot!(String::from_utf8(response.into_body()).unwrap(), @r#"{"type":"urn:pinegate:problem:scope-exceeded","title":"The request has fields that no grant gives","status":403,"detail":"asked for `id_card`","instance":"urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057","code":"scope-exceeded","request_id":"01890a5d-ac96-774b-bcce-b302099a8057","clause":"fields"}"#);
    }
}
