//! The vocabulary of what there is: departments and their systems, purposes, resources, fields.
//!
//! Plain data, already checked by whoever built it (`snapshot`). Knows nothing of files, of
//! Casbin or of HTTP. INVARIANT: every id that one of these values names exists in the same
//! [`Catalog`]; the constructors' caller has proved it.

mod media;
mod subject;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::kernel::id::{
    Action, DepartmentId, FieldPath, GroupName, MaskerName, ParameterName, PurposeCode, ResourceId,
    SubjectKind, SystemId,
};

pub use media::{Charset, MediaType, MediaTypeError};
pub use subject::{SUBJECT_KINDS, Subject, resident_id_check};

/// Who there is: the departments and the systems they have registered.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// Departments by id.
    pub departments: BTreeMap<DepartmentId, Arc<Department>>,
    /// Systems by id.
    pub systems: BTreeMap<SystemId, Arc<System>>,
}

/// What kind of body a department is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepartmentKind {
    /// A government department (政务部门).
    Government,
    /// A public service enterprise (公共服务企业).
    PublicService,
    /// A contractor that works for one of them (受托方).
    Contractor,
}

/// A body that owns systems or provides data (部门).
#[derive(Debug, Clone)]
pub struct Department {
    /// Its id.
    pub id: DepartmentId,
    /// Its name, for people.
    pub name: String,
    /// Its unified social credit code (统一社会信用代码, GB 32100), if registered.
    pub credit_code: Option<String>,
    /// Whom to ask about its data.
    pub contact: String,
    /// What kind of body it is.
    pub kind: DepartmentKind,
}

/// A department's registered application (部门业务系统).
#[derive(Debug, Clone)]
pub struct System {
    /// Its id.
    pub id: SystemId,
    /// The department that answers for it.
    pub department: DepartmentId,
    /// Its name, for people.
    pub name: String,
    /// Whether it may call at all.
    pub enabled: bool,
    /// How its certificate is recognised, one or more ways.
    pub certificates: Vec<CertificateRule>,
}

/// What in a verified client certificate names a system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateRule {
    /// A SAN of type URI, compared whole, such as `spiffe://city.example/dept/minzheng/system/minzheng-aid`.
    SanUri(String),
    /// A SAN of type dNSName, compared whole, without wildcards, in lower case.
    SanDns(String),
    /// The subject's only common name.
    SubjectCn(String),
    /// The subject's only serialNumber or organizationIdentifier, holding a unified social credit code.
    SubjectCreditCode(String),
}

/// Why data is wanted (使用用途/应用场景).
#[derive(Debug, Clone)]
pub struct Purpose {
    /// Its code, which travels in tokens and records.
    pub code: PurposeCode,
    /// Its name, for people.
    pub label: String,
    /// The law or decision that it rests on.
    pub legal_basis: String,
}

/// How freely a resource is shared (共享类型).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Open to every department with a purpose (无条件共享).
    Unconditional,
    /// By grant (有条件共享).
    Conditional,
    /// Never (不予共享), and invisible.
    None,
}

impl Sharing {
    /// The word that stands in `catalog.toml` and in the Casbin group `sharing:<word>`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unconditional => "unconditional",
            Self::Conditional => "conditional",
            Self::None => "none",
        }
    }
}

/// How sensitive a field is, from 1 (public) to 4 (most sensitive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// A level from 1 to 4.
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (1..=4).contains(&level).then_some(Self(level))
    }

    /// The level as a number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// What a field's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A date or time, written as text.
    Date,
    /// Members of its own.
    Object,
}

/// One field of a resource (属性).
#[derive(Debug, Clone)]
pub struct Field {
    /// Where it stands in a record.
    pub path: FieldPath,
    /// Its name, for people.
    pub label: String,
    /// What its value is.
    pub kind: FieldType,
    /// How sensitive it is.
    pub level: Level,
    /// The masker that applies unless a grant says otherwise; `None` leaves it as it is.
    pub mask: Option<MaskerName>,
    /// The one authoritative provider (一数一源), if declared.
    pub source: Option<DepartmentId>,
    /// Whether the platform writes this object as a text that holds a JSON document.
    pub nested: bool,
}

/// A request parameter that grants may constrain.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name in scopes and in routes.
    pub name: ParameterName,
    /// Its name, for people.
    pub label: String,
    /// Whether its value may stand in a record.
    pub recordable: bool,
    /// What it names, if that is a person or a company: records then have a keyed digest of its value.
    pub subject: Option<SubjectKind>,
}

/// What the platform answers with for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyFormat {
    /// One JSON document (RFC 8259).
    Json,
    /// JSON documents, one a line.
    NdJson,
    /// Events (WHATWG HTML, section 9.2), each with a JSON document.
    EventStream,
    /// Records apart by lines and fields by commas, under a header (RFC 4180).
    Csv,
    /// One XML document (XML 1.0, fifth edition).
    Xml,
    /// One record of names and values (WHATWG URL, section 5).
    Form,
    /// A file that is granted whole or not at all.
    Opaque,
}

impl BodyFormat {
    /// Every format.
    pub const ALL: [Self; 7] =
        [Self::Json, Self::NdJson, Self::EventStream, Self::Csv, Self::Xml, Self::Form, Self::Opaque];

    /// The word that stands in `catalog.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::NdJson => "ndjson",
            Self::EventStream => "event-stream",
            Self::Csv => "csv",
            Self::Xml => "xml",
            Self::Form => "form",
            Self::Opaque => "opaque",
        }
    }

    /// The media type of its bodies; none if that is whatever the platform says.
    #[must_use]
    pub const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json"),
            Self::NdJson => Some("application/x-ndjson"),
            Self::EventStream => Some("text/event-stream"),
            Self::Csv => Some("text/csv"),
            Self::Xml => Some("application/xml"),
            Self::Form => Some("application/x-www-form-urlencoded"),
            Self::Opaque => None,
        }
    }
}

/// When a name in a body is that of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameMatching {
    /// Letter for letter.
    #[default]
    Exact,
    /// Whatever the case and width of its letters.
    Fold,
}

/// What happens when a value that would leave as it is holds an [`Identifier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Egress {
    /// It leaves; the finding is counted and recorded.
    Report,
    /// The body is refused.
    Block,
}

impl Egress {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Report, Self::Block];

    /// The word that stands in `catalog.toml` and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Block => "block",
        }
    }
}

/// What is found in a text that nobody masked: a number that leads to one person or body, and whose
/// form can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// A resident identity number (公民身份号码, GB 11643).
    ResidentId,
    /// A mobile number (手机号码).
    Mobile,
    /// A bank card number (银行卡号, ISO/IEC 7812-1).
    BankCard,
    /// A unified social credit code (统一社会信用代码, GB 32100).
    CreditCode,
}

impl Identifier {
    /// Every kind, in order.
    pub const ALL: [Self; 4] = [Self::ResidentId, Self::Mobile, Self::BankCard, Self::CreditCode];

    /// The word that stands in records and metrics: that of the masker for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResidentId => "resident-id",
            Self::Mobile => "mobile",
            Self::BankCard => "bank-card",
            Self::CreditCode => "credit-code",
        }
    }
}

/// What stands between the fields of a CSV record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Delimiter {
    /// `,` (RFC 4180).
    #[default]
    Comma,
    /// `;`, where the comma is the decimal sign.
    Semicolon,
    /// A horizontal tab.
    Tab,
    /// `|`.
    Bar,
}

impl Delimiter {
    /// Every delimiter.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    /// The delimiter itself.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

/// What a name in a path stands for in an XML document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum XmlName {
    /// An element of this local name, in this namespace or in none.
    Element {
        /// The namespace.
        namespace: Option<Arc<str>>,
        /// The name without its prefix.
        local: Arc<str>,
    },
    /// An attribute of the element above.
    Attribute {
        /// The namespace.
        namespace: Option<Arc<str>>,
        /// The name without its prefix.
        local: Arc<str>,
    },
    /// The text of the element above, which has attributes too.
    Text,
}

impl XmlName {
    /// The namespace it is in.
    #[must_use]
    pub const fn namespace(&self) -> Option<&Arc<str>> {
        match self {
            Self::Element { namespace, .. } | Self::Attribute { namespace, .. } => namespace.as_ref(),
            Self::Text => None,
        }
    }
}

/// What the names of a resource stand for in its XML documents. A name that is not listed is an element
/// called so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XmlNames {
    /// The namespace of the elements that are not listed.
    pub default: Option<Arc<str>>,
    /// The names on the path of the records, from the document element down; empty if none is listed.
    pub records: Vec<XmlName>,
    /// The last names of fields.
    pub fields: BTreeMap<FieldPath, XmlName>,
}

/// Where in a body the records lie, and what may stand around them.
#[derive(Debug, Clone)]
pub struct BodyShape {
    /// What the body is.
    pub format: BodyFormat,
    /// What stands between fields; of CSV alone.
    pub delimiter: Delimiter,
    /// How its names are compared.
    pub names: NameMatching,
    /// The member that holds the record or the list of records; `None` if the body itself does.
    pub records: Option<FieldPath>,
    /// Members around the records that leave as they are (`code`, `message`, `total`). All others are
    /// dropped. In an event stream they are the fields `event` and `id`.
    pub envelope: Vec<FieldPath>,
    /// What names stand for, if the body is XML.
    pub xml: XmlNames,
}

/// An entry of the resource catalogue (政务数据资源目录).
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its name, for people.
    pub name: String,
    /// Who answers for it (责任方).
    pub provider: DepartmentId,
    /// Its class (分类).
    pub class: String,
    /// How freely it is shared (共享类型).
    pub sharing: Sharing,
    /// How it is used (共享方式): `query`, `verify`, `file`; these are its actions.
    pub actions: Vec<Action>,
    /// How often the provider refreshes it (更新时限), as it says so; [`Self::update_period`] is what that bounds.
    pub update_within: Option<String>,
    /// What a user must observe (使用要求).
    pub requirements: String,
    /// What its bodies look like.
    pub body: BodyShape,
    /// What happens when values that it calls harmless hold identifiers; they are not searched if `None`.
    pub egress: Option<Egress>,
    /// Its fields (属性), in catalogue order.
    pub fields: Vec<Field>,
    /// Named groups of its fields, written `@name` in scopes.
    pub groups: BTreeMap<GroupName, Vec<FieldPath>>,
    /// Request parameters that grants may constrain.
    pub parameters: Vec<Parameter>,
}

/// How often data are refreshed (更新周期), by the words of 《政务信息资源目录编制指南（试行）》 and in English, and how many days
/// there are between two times at most. What is refreshed at once, or at no certain time, has no bound to be held to.
const UPDATE_PERIODS: [(&str, &str, u64); 6] = [
    ("每日", "daily", 1),
    ("每周", "weekly", 7),
    ("每月", "monthly", 31),
    ("每季度", "quarterly", 92),
    ("每半年", "half-yearly", 184),
    ("每年", "yearly", 366),
];

impl Resource {
    /// How old its data may be, if the catalogue says so in one of the words that are known.
    #[must_use]
    pub fn update_period(&self) -> Option<Duration> {
        let said = self.update_within.as_deref()?;
        let period =
            UPDATE_PERIODS.iter().find(|(chinese, english, _)| [chinese, english].contains(&&said))?;
        Some(Duration::from_secs(period.2 * 24 * 60 * 60))
    }

    /// The field at `path`.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.path.as_str() == path)
    }

    /// The parameter called `name`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name.as_str() == name)
    }
}

/// All the vocabulary of one snapshot.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Departments and systems.
    pub registry: Registry,
    /// Purposes by code.
    pub purposes: BTreeMap<PurposeCode, Arc<Purpose>>,
    /// Resources by id.
    pub resources: BTreeMap<ResourceId, Arc<Resource>>,
}
