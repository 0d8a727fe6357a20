//! Everything that can go wrong between a request's head and its reply, as one sum.
//!
//! Stages return a [`Failure`]; `rescue` turns it into a problem document, metrics and the record
//! read its [`Code`]. What it tells the client is chosen here and nowhere else; causes that are
//! nobody's business outside go to the log only.

mod denied;
mod who;
mod wire;

use http::Method;

use super::problem::{Code, Language, Particulars, Words, words};
use crate::catalog::BodyFormat;
use crate::grant::{Denial, DenyReason};
use crate::identity::{IdentityError, TokenError};
use crate::kernel::id::{FieldPath, GrantId};
use crate::mask::MaskError;
use crate::parameters::{BodyFault, MAX_VALUES};
use crate::quota::{Bound, Exceeded};
use crate::upstream::{ClientError, UpstreamError};
use crate::wire::Fault;

/// What is wrong with a request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// Its head was not read: its bytes have more than one reading, or none.
    Wire(Fault),
    /// It has content, which its method gives no meaning.
    Content,
    /// Its path has more than one reading, or none.
    Path { why: Words },
    /// Its query has more than one reading, or none.
    Query { why: Words },
    /// A name in its query could be taken for a parameter that the policy reads.
    Alike {
        /// The name, as a client may be shown it.
        name: String,
        /// The parameter's own name.
        meant: String,
        /// Where the parameter is looked for.
        place: Place,
    },
    /// Its host is missing, doubled, contradictory or malformed.
    Host,
    /// A header field is not acceptable.
    Header { name: String, why: Words },
    /// It asks for another protocol.
    Upgrade,
    /// It asks for WebSocket, and is no sound handshake.
    Handshake { why: Words },
    /// The method is not allowed on this path; empty if it is not allowed anywhere.
    Method { allowed: Vec<Method> },
    /// It is of a version of HTTP that marks no end of a reply.
    Version,
    /// It expects something other than `100-continue`.
    Expectation,
    /// Its body is larger than the route allows.
    TooLarge { limit: u64 },
    /// Its body broke off or was malformed.
    Body,
    /// Its body is read here, and cannot be read in one way.
    Unreadable(Unreadable),
    /// It took longer than the route allows.
    Timeout,
    /// Its body comes slower than it must.
    Slow,
    /// It has more header fields than it may have.
    Fields { most: usize },
}

/// Where a parameter is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the query.
    Query,
    /// In the path.
    Path,
    /// In the body.
    Body,
}

impl Place {
    /// What is wrong with `name` beside the parameter `meant` of this place.
    fn of_likeness(self, name: &str, meant: &str, language: Language) -> String {
        match (self, language) {
            (Self::Query, Language::En) => {
                format!("`{name}` could be taken for `{meant}`; write `{meant}`, once")
            }
            (Self::Query, Language::Zh) => {
                format!("`{name}` 可能被当作 `{meant}`；请写作 `{meant}`，且只出现一次")
            }
            (Self::Path, Language::En) => {
                format!(
                    "`{name}` could be taken for `{meant}`, which is in the path; leave it out of the query"
                )
            }
            (Self::Path, Language::Zh) => {
                format!("`{name}` 可能被当作路径中的 `{meant}`；请从查询参数中去掉")
            }
            (Self::Body, Language::En) => {
                format!(
                    "`{name}` could be taken for `{meant}`, which is in the body; leave it out of the query"
                )
            }
            (Self::Body, Language::Zh) => {
                format!("`{name}` 可能被当作请求体中的 `{meant}`；请从查询参数中去掉")
            }
        }
    }
}

/// Why a body that the gate reads is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It does not say that it is of this format.
    MediaType(BodyFormat),
    /// It has a content coding.
    Coding,
    /// It is JSON with more than one reading, or none.
    Parameters(BodyFault),
    /// It is not of the format.
    Format(MaskError),
    /// A value is of another type than the catalogue declares.
    WrongType { record: Option<u64>, field: Option<FieldPath> },
}

impl Unreadable {
    fn why(&self, language: Language) -> String {
        match (self, language) {
            (Self::MediaType(format), _) => {
                let media_type = format.media_type().unwrap_or("application/octet-stream");
                match language {
                    Language::En => format!("on this route it must be `{media_type}`, in UTF-8"),
                    Language::Zh => format!("该路由的请求体须为 UTF-8 编码的 `{media_type}`"),
                }
            }
            (Self::Coding, Language::En) => "on this route it must have no content coding".to_owned(),
            (Self::Coding, Language::Zh) => "该路由的请求体不得使用内容编码".to_owned(),
            (Self::Parameters(fault), Language::En) => fault.to_string(),
            (Self::Parameters(fault), Language::Zh) => fault_in_chinese(fault),
            (Self::Format(error), Language::En) => error.to_string(),
            (Self::Format(error), Language::Zh) => format!("不符合该路由的格式（{error}）"),
            (Self::WrongType { record, field }, Language::En) => {
                let place = place_in_english(*record);
                match field {
                    Some(field) => format!("{place} has `{field}` of another type than declared"),
                    None => format!("{place} has another value where an object must be"),
                }
            }
            (Self::WrongType { record, field }, Language::Zh) => {
                let place = place_in_chinese(*record);
                match field {
                    Some(field) => format!("{place}中 `{field}` 的类型与目录声明不符"),
                    None => format!("{place}中应为对象之处不是对象"),
                }
            }
        }
    }
}

fn place_in_english(record: Option<u64>) -> String {
    record.map_or_else(|| "the body".to_owned(), |record| format!("record {record}"))
}

fn place_in_chinese(record: Option<u64>) -> String {
    record.map_or_else(|| "请求体".to_owned(), |record| format!("第 {record} 条记录"))
}

fn fault_in_chinese(fault: &BodyFault) -> String {
    match fault {
        BodyFault::Syntax => "不是一段完整的 UTF-8 编码 JSON".to_owned(),
        BodyFault::Doubled { path } => format!("`{path}` 出现了两次"),
        BodyFault::Alike { path } => format!("某一成员名可能被当作 `{path}`"),
        BodyFault::ControlInName { path } => format!("与 `{path}` 并列的某一成员名含有控制字符"),
        BodyFault::Control { path } => format!("`{path}` 的取值含有控制字符"),
        BodyFault::Obscure { path } => {
            format!("`{path}` 指明查询的对象，取值须为文本或文本列表，且不得位于列表之下")
        }
        BodyFault::TooManyValues { path } => format!("`{path}` 的取值超过 {MAX_VALUES} 个"),
    }
}

/// What is wrong with the platform's answer.
#[derive(Debug)]
pub(crate) enum UpstreamFailure {
    /// There is no answer.
    None(UpstreamError),
    /// The answer breaks HTTP, redirects, or is a part of something.
    Invalid { why: Words },
    /// The platform says that it failed.
    Failed { status: u16 },
    /// The platform does not accept the request.
    Rejected { status: u16 },
    /// The platform has no such record.
    NotFound,
}

/// Why an answer could not be masked.
#[derive(Debug)]
pub(crate) enum MaskFailure {
    /// It is not of the declared type.
    MediaType { declared: String },
    /// It has a content coding that is not known, or more than one.
    Coding,
    /// It is not what the masks can read.
    Body { reason: &'static str },
    /// It has an identifier in a field that leaves as it is. Which and where is nothing for the client:
    /// it would help to find what is hidden.
    Egress,
    /// The masks could not be built.
    Plan,
    /// A session is asked for, in which nobody masks or counts anything, and the grants ask for that.
    Session {
        /// Whom to ask.
        contact: String,
    },
}

/// Why the purpose of a request is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PurposeFailure {
    /// None was given.
    Missing,
    /// The header says another than the token.
    Mismatch,
    /// It is not registered.
    Unknown(String),
    /// The scope that was asked for cannot be read, or exceeds the token's.
    Scope { item: String, why: Words },
}

/// Why a request gets a problem in place of data.
#[derive(Debug)]
pub(crate) enum Failure {
    Request(RequestFailure),
    Identity(IdentityError),
    /// The certificate is revoked, or nobody trusts its issuer any more.
    Revoked,
    Token(TokenError),
    Purpose(PurposeFailure),
    ResourceUnknown,
    Denied(Box<Denied>),
    /// The body of the request holds what its grants do not give.
    Outside(Box<Outside>),
    Limited(Box<Exceeded>),
    /// The reply has more records than the grant allows.
    Rows {
        limit: u64,
    },
    Upstream(UpstreamFailure),
    Mask(MaskFailure),
    /// The system has as many sessions as it may have.
    Sessions {
        most: usize,
    },
    /// The record cannot be made durable.
    Audit {
        /// Whether the platform was asked before that was known.
        asked: bool,
    },
    Overloaded,
    /// A panic was caught, or something that cannot be was.
    Gate,
}

/// A denial, and whom to ask about it.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) denial: Denial,
    pub(crate) contact: Option<String>,
    /// Whether the route tells nothing but the code.
    pub(crate) coarse: bool,
}

/// A member of a request's body that no grant of the permit gives.
#[derive(Debug)]
pub(crate) struct Outside {
    /// In which record, from 1; none if it is beside the records.
    pub(crate) record: Option<u64>,
    /// The catalogue field that it is. A name that the catalogue does not have is not repeated: it may
    /// be anything.
    pub(crate) field: Option<FieldPath>,
    /// The first grant that the permit rests on, and which fields it gives.
    pub(crate) grant: Option<(GrantId, String)>,
    /// Whom to ask.
    pub(crate) contact: String,
    /// Whether the route tells nothing but the code.
    pub(crate) coarse: bool,
}

impl From<RequestFailure> for Failure {
    fn from(failure: RequestFailure) -> Self {
        Self::Request(failure)
    }
}

impl From<Unreadable> for Failure {
    fn from(why: Unreadable) -> Self {
        RequestFailure::Unreadable(why).into()
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<PurposeFailure> for Failure {
    fn from(failure: PurposeFailure) -> Self {
        Self::Purpose(failure)
    }
}

impl From<UpstreamFailure> for Failure {
    fn from(failure: UpstreamFailure) -> Self {
        Self::Upstream(failure)
    }
}

impl From<MaskFailure> for Failure {
    fn from(failure: MaskFailure) -> Self {
        Self::Mask(failure)
    }
}

impl RequestFailure {
    /// Whether somebody between the client and the gate could have read another end of this request: then what
    /// follows it on its connection is nothing to be answered.
    pub(super) fn doubts_framing(&self) -> bool {
        matches!(self, Self::Wire(_) | Self::Content | Self::Header { .. } | Self::Host)
    }

    fn code(&self) -> Code {
        match self {
            Self::Wire(fault) => wire::code(*fault),
            Self::Content => Code::RequestFraming,
            Self::Path { .. } => Code::RequestPath,
            Self::Query { .. } | Self::Alike { .. } => Code::RequestQuery,
            Self::Host => Code::RequestHost,
            Self::Header { .. } => Code::RequestHeader,
            Self::Upgrade => Code::RequestUpgrade,
            Self::Handshake { .. } => Code::RequestHandshake,
            Self::Method { .. } => Code::RequestMethod,
            Self::Version => Code::RequestVersion,
            Self::Expectation => Code::RequestExpectation,
            Self::TooLarge { .. } => Code::RequestTooLarge,
            Self::Body | Self::Unreadable(_) => Code::RequestBody,
            Self::Timeout => Code::RequestTimeout,
            Self::Slow => Code::RequestSlow,
            Self::Fields { .. } => Code::RequestHeader,
        }
    }

    fn detail(&self, language: Language) -> String {
        match (self, language) {
            (Self::Wire(fault), Language::En) => {
                format!("{}: {fault}", self.code().title(language))
            }
            (Self::Wire(fault), Language::Zh) => {
                format!("{}（{}）", self.code().title(language), wire::in_chinese(*fault))
            }
            (Self::Content, Language::En) => {
                format!("{}: a request of this method has no content", self.code().title(language))
            }
            (Self::Content, Language::Zh) => {
                format!("{}（使用该方法的请求不得带有请求体）", self.code().title(language))
            }
            (Self::Path { why } | Self::Query { why } | Self::Handshake { why }, Language::En) => {
                format!("{}: {}", self.code().title(language), why.to(language))
            }
            (Self::Path { why } | Self::Query { why } | Self::Handshake { why }, Language::Zh) => {
                format!("{}（{}）", self.code().title(language), why.to(language))
            }
            (Self::Alike { name, meant, place }, _) => {
                let title = self.code().title(language);
                let why = place.of_likeness(name, meant, language);
                match language {
                    Language::En => format!("{title}: {why}"),
                    Language::Zh => format!("{title}（{why}）"),
                }
            }
            (Self::Header { name, why }, Language::En) => {
                format!("header field `{name}`: {}", why.to(language))
            }
            (Self::Header { name, why }, Language::Zh) => {
                format!("请求头 `{name}` 不被接受（{}）", why.to(language))
            }
            (Self::Unreadable(why), Language::En) => {
                format!("{}: {}", self.code().title(language), why.why(language))
            }
            (Self::Unreadable(why), Language::Zh) => {
                format!("{}（{}）", self.code().title(language), why.why(language))
            }
            (Self::TooLarge { limit }, Language::En) => {
                format!("this route takes bodies of at most {limit} bytes")
            }
            (Self::TooLarge { limit }, Language::Zh) => format!("该路由接受的请求体最大为 {limit} 字节"),
            (Self::Fields { most }, Language::En) => format!("a request has at most {most} header fields"),
            (Self::Fields { most }, Language::Zh) => format!("请求头字段最多为 {most} 个"),
            (Self::Method { allowed }, Language::En) if !allowed.is_empty() => {
                format!("this path answers {}", methods(allowed))
            }
            (Self::Method { allowed }, Language::Zh) if !allowed.is_empty() => {
                format!("该路径支持的方法：{}", methods(allowed))
            }
            (
                Self::Host
                | Self::Upgrade
                | Self::Method { .. }
                | Self::Version
                | Self::Expectation
                | Self::Body
                | Self::Slow
                | Self::Timeout,
                _,
            ) => self.code().title(language).to_owned(),
        }
    }
}

fn bound_in_chinese(bound: Bound) -> &'static str {
    match bound {
        Bound::Rate => "速率",
        Bound::Concurrency => "并发数",
        Bound::PerDay => "每日次数",
        Bound::RowsPerDay => "每日记录数",
    }
}

/// The methods of a path, for `Allow` and for people; where `GET` is answered, `HEAD` is.
pub(crate) fn methods(allowed: &[Method]) -> String {
    let mut names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.join(", ")
}

fn token_code(error: &TokenError) -> Code {
    let code = error.code();
    Code::ALL.iter().copied().find(|known| known.as_str() == code).unwrap_or(Code::TokenMalformed)
}

fn identity_code(error: &IdentityError) -> Code {
    match error {
        IdentityError::Unknown { .. } => Code::IdentityUnknown,
        IdentityError::Ambiguous { .. } => Code::IdentityAmbiguous,
        IdentityError::Disabled { .. } => Code::IdentityDisabled,
        IdentityError::Expired { .. } => Code::IdentityExpired,
    }
}

fn no_answer(error: &UpstreamError) -> Code {
    match error {
        UpstreamError::Call(ClientError::Timeout { .. }) => Code::UpstreamTimeout,
        UpstreamError::Call(ClientError::Unreachable { .. }) => Code::UpstreamUnreachable,
        UpstreamError::Call(ClientError::Broken { .. } | ClientError::Address { .. })
        | UpstreamError::Gone { .. } => Code::UpstreamInvalid,
        UpstreamError::Full { .. } => Code::UpstreamBusy,
        UpstreamError::Open { .. } | UpstreamError::Nowhere { .. } => Code::UpstreamUnavailable,
    }
}

/// The code that a refusal for `reason` has.
pub(crate) fn denial_code(reason: DenyReason) -> Code {
    match reason {
        DenyReason::ResourceUnknown => Code::ResourceUnknown,
        DenyReason::NoGrant | DenyReason::EvaluationFailed => Code::GrantNone,
        DenyReason::PurposeNotGranted => Code::PurposeNotGranted,
        DenyReason::GrantExpired => Code::GrantExpired,
        DenyReason::GrantNotYetValid => Code::GrantNotYetValid,
        DenyReason::OutsideSchedule => Code::GrantOutsideWindow,
        DenyReason::ParameterNotGranted => Code::ScopeParameter,
        DenyReason::ScopeExceeded => Code::ScopeExceeded,
        DenyReason::Denied => Code::GrantDenied,
    }
}

fn clause(reason: DenyReason) -> Option<&'static str> {
    match reason {
        DenyReason::PurposeNotGranted => Some("purpose"),
        DenyReason::GrantExpired | DenyReason::GrantNotYetValid | DenyReason::OutsideSchedule => {
            Some("window")
        }
        DenyReason::ParameterNotGranted => Some("parameter"),
        DenyReason::ScopeExceeded => Some("fields"),
        DenyReason::NoGrant => Some("resource"),
        DenyReason::ResourceUnknown | DenyReason::Denied | DenyReason::EvaluationFailed => None,
    }
}

impl MaskFailure {
    /// What the client is told beyond the title of its code.
    fn detail(&self, language: Language) -> Option<String> {
        Some(match (self, language) {
            (Self::MediaType { declared }, Language::En) => format!("the platform must send `{declared}`"),
            (Self::MediaType { declared }, Language::Zh) => format!("交换平台应返回 `{declared}`"),
            (Self::Coding, _) => words(
                "the platform must send no content coding, or one of `gzip`, `br` and `zstd`",
                "交换平台应不使用内容编码，或只使用 `gzip`、`br`、`zstd` 之一",
            )
            .to(language)
            .to_owned(),
            (Self::Body { reason }, Language::En) => {
                format!("the answer is not what the catalogue declares ({reason}); nothing of it left")
            }
            (Self::Body { reason }, Language::Zh) => {
                format!("应答内容与目录声明不符（{reason}），未予放行")
            }
            (Self::Session { contact }, Language::En) => format!(
                "WebSocket is passed on as it is, and a grant of yours has masks or row limits; \
                 ask {contact} for a grant of the whole resource"
            ),
            (Self::Session { contact }, Language::Zh) => {
                format!("WebSocket 会话原样转发，而您的授权带有脱敏或记录数限制；请向 {contact} 申请整体授权")
            }
            (Self::Egress | Self::Plan, _) => return None,
        })
    }
}

impl Failure {
    /// Its code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Request(failure) => failure.code(),
            Self::Identity(error) => identity_code(error),
            Self::Revoked => Code::IdentityRevoked,
            Self::Token(error) => token_code(error),
            Self::Purpose(PurposeFailure::Missing) => Code::PurposeMissing,
            Self::Purpose(PurposeFailure::Mismatch) => Code::PurposeMismatch,
            Self::Purpose(PurposeFailure::Unknown(_)) => Code::PurposeUnknown,
            Self::Purpose(PurposeFailure::Scope { .. }) => Code::ScopeMalformed,
            Self::ResourceUnknown => Code::ResourceUnknown,
            Self::Denied(denied) => denial_code(denied.denial.reason),
            Self::Outside(_) => Code::ScopeExceeded,
            Self::Limited(exceeded) => match exceeded.bound {
                Bound::Rate => Code::RateExceeded,
                Bound::Concurrency => Code::RateConcurrency,
                Bound::PerDay | Bound::RowsPerDay => Code::QuotaExhausted,
            },
            Self::Rows { .. } => Code::QuotaRows,
            Self::Upstream(failure) => match failure {
                UpstreamFailure::None(error) => no_answer(error),
                UpstreamFailure::Invalid { .. } => Code::UpstreamInvalid,
                UpstreamFailure::Failed { .. } => Code::UpstreamFailed,
                UpstreamFailure::Rejected { .. } => Code::UpstreamRejected,
                UpstreamFailure::NotFound => Code::UpstreamNotFound,
            },
            Self::Mask(MaskFailure::MediaType { .. } | MaskFailure::Coding) => Code::MaskMediaType,
            Self::Mask(MaskFailure::Body { .. }) => Code::MaskBody,
            Self::Mask(MaskFailure::Egress) => Code::MaskEgress,
            Self::Mask(MaskFailure::Plan) => Code::MaskUnavailable,
            Self::Mask(MaskFailure::Session { .. }) => Code::MaskSession,
            Self::Sessions { .. } => Code::RateConcurrency,
            Self::Audit { .. } => Code::AuditUnavailable,
            Self::Overloaded => Code::Overloaded,
            Self::Gate => Code::GateFailed,
        }
    }

    /// What the client is told in words.
    pub(crate) fn detail(&self, language: Language) -> String {
        match (self, language) {
            (Self::Request(failure), _) => failure.detail(language),
            (Self::Identity(error), _) => who::identity(error, language),
            (Self::Token(error), _) => who::token(error, language),
            (Self::Purpose(PurposeFailure::Unknown(purpose)), _) => {
                let why = match language {
                    Language::En => format!("`{purpose}` is not a registered purpose code"),
                    Language::Zh => format!("使用用途代码 `{purpose}` 未登记"),
                };
                who::mended(why, self.code(), language)
            }
            (Self::Purpose(PurposeFailure::Scope { item, why }), Language::En) => {
                let apart = denied::apart(std::slice::from_ref(item), language);
                format!("scope item `{item}`: {}{apart}", why.to(language))
            }
            (Self::Purpose(PurposeFailure::Scope { item, why }), Language::Zh) => {
                let apart = denied::apart(std::slice::from_ref(item), language);
                format!("范围 `{item}`：{}{apart}", why.to(language))
            }
            (Self::Denied(denied), _) if !denied.coarse => denied.detail(language),
            (Self::Outside(outside), _) if !outside.coarse => outside.detail(language),
            (Self::Limited(exceeded), Language::En) => format!(
                "limit `{}` ({}) allows {}; try again in {} s",
                exceeded.name,
                exceeded.bound.as_str(),
                exceeded.quota,
                exceeded.retry_after_secs()
            ),
            (Self::Limited(exceeded), Language::Zh) => format!(
                "限额 `{}`（{}）上限为 {}，请在 {} 秒后重试",
                exceeded.name,
                bound_in_chinese(exceeded.bound),
                exceeded.quota,
                exceeded.retry_after_secs()
            ),
            (Self::Sessions { most }, Language::En) => {
                format!("a system may have {most} WebSocket sessions at once")
            }
            (Self::Sessions { most }, Language::Zh) => {
                format!("每个业务系统最多同时保持 {most} 个 WebSocket 会话")
            }
            (Self::Rows { limit }, Language::En) => format!("the grant allows {limit} records in one reply"),
            (Self::Rows { limit }, Language::Zh) => format!("授权规定单次最多返回 {limit} 条记录"),
            (
                Self::Upstream(UpstreamFailure::Failed { status } | UpstreamFailure::Rejected { status }),
                Language::En,
            ) => {
                format!("the platform answered with status {status}")
            }
            (
                Self::Upstream(UpstreamFailure::Failed { status } | UpstreamFailure::Rejected { status }),
                Language::Zh,
            ) => {
                format!("交换平台返回状态码 {status}")
            }
            (Self::Upstream(UpstreamFailure::Invalid { why }), Language::En) => {
                format!("{}: {}", self.code().title(language), why.to(language))
            }
            (Self::Upstream(UpstreamFailure::Invalid { why }), Language::Zh) => {
                format!("{}（{}）", self.code().title(language), why.to(language))
            }
            (Self::Audit { asked }, _) => who::unrecorded(*asked, language),
            (Self::Mask(failure), _) => {
                failure.detail(language).unwrap_or_else(|| self.code().title(language).to_owned())
            }
            _ => who::mended(self.code().title(language).to_owned(), self.code(), language),
        }
    }

    /// What the client is told for programs.
    pub(crate) fn particulars(&self) -> Particulars {
        if let Self::Denied(denied) = self
            && !denied.coarse
        {
            return denied.particulars();
        }
        if let Self::Outside(outside) = self
            && !outside.coarse
        {
            return outside.particulars();
        }
        Particulars::default()
    }

    /// After how many seconds another try makes sense, where that is known.
    pub(crate) fn retry_after_secs(&self) -> Option<u64> {
        if let Self::Limited(exceeded) = self {
            return Some(exceeded.retry_after_secs());
        }
        if let Self::Upstream(UpstreamFailure::None(UpstreamError::Open { after, .. })) = self {
            return Some(after.as_secs().saturating_add(1));
        }
        let is_shed = matches!(
            self,
            Self::Upstream(UpstreamFailure::None(UpstreamError::Full { .. } | UpstreamError::Nowhere { .. }))
        );
        let may_pass = is_shed
            || matches!(
                self,
                Self::Audit { .. } | Self::Overloaded | Self::Sessions { .. } | Self::Mask(MaskFailure::Plan)
            );
        may_pass.then_some(1)
    }
}

impl Outside {
    fn particulars(&self) -> Particulars {
        Particulars {
            clause: clause(DenyReason::ScopeExceeded),
            failing: self.field.iter().map(FieldPath::to_string).collect(),
            nearest_grant: self.grant.as_ref().map(|(id, _)| id.to_string()),
            contact: Some(self.contact.clone()),
        }
    }

    /// Where in the body what is, which grant was looked at, and whom to ask.
    fn detail(&self, language: Language) -> String {
        let mut detail = Code::ScopeExceeded.title(language).to_owned();
        detail.push_str(&match (language, &self.field) {
            (Language::En, Some(field)) => format!("; {} has `{field}`", place_in_english(self.record)),
            (Language::En, None) => {
                format!("; {} has a member that the catalogue does not know", place_in_english(self.record))
            }
            (Language::Zh, Some(field)) => format!("；{}含有 `{field}`", place_in_chinese(self.record)),
            (Language::Zh, None) => format!("；{}含有目录未列的成员", place_in_chinese(self.record)),
        });
        if let Some((grant, fields)) = &self.grant {
            detail.push_str(&match language {
                Language::En => format!("; grant {grant} has fields `{fields}`"),
                Language::Zh => format!("；授权 {grant} 的字段范围为 `{fields}`"),
            });
        }
        let contact = &self.contact;
        detail.push_str(&match language {
            Language::En => format!("; ask {contact}"),
            Language::Zh => format!("；请联系 {contact}"),
        });
        detail
    }
}
