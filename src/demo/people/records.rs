//! The records as the platform writes them: the catalogue's fields, and members beside them that no
//! catalogue knows.
//!
//! The unknown ones (`internal_note`, `ext`, `kind_name`) hold things that must not leave, so a gate
//! that only masks what it knows would be seen to leak.

use serde::Serialize;

use super::words::Sex;

/// What the platform needs to know of every record to find it.
pub trait Record: Serialize + Send + Sync + 'static {
    /// What names it within its kind.
    fn key(&self) -> &str;
    /// What the platform filters by.
    fn ext(&self) -> &Ext;
    /// Its kind, where records have one.
    fn kind(&self) -> Option<&str> {
        None
    }
}

/// Members of the platform's own, in no catalogue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ext {
    /// The district, six digits in the form of GB/T 2260; the parameter `area` is a prefix of it.
    pub area_code: String,
    /// The edition of the register; the parameter `year`.
    pub year: u16,
    /// Free text, now and then with a person's number in it.
    pub remark: String,
}

/// 常住人口基本信息, `population.resident`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resident {
    /// 姓名
    pub name: String,
    /// 公民身份号码, GB 11643.
    pub id_card: String,
    /// 性别
    pub sex: Sex,
    /// 出生日期, the same as in the number.
    pub birth_date: String,
    /// 手机号
    pub phone: String,
    /// 电子邮箱; not everybody has one.
    pub email: Option<String>,
    /// 住址
    pub address: Address,
    /// 户内人数
    pub household_size: u32,
    /// In no catalogue: must never leave.
    pub internal_note: String,
    /// In no catalogue.
    pub ext: Ext,
}

/// 住址
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Address {
    /// 省
    pub province: String,
    /// 市
    pub city: String,
    /// 区县
    pub district: String,
    /// 详细地址
    pub detail: String,
}

/// 法人基本信息, `legal.enterprise`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Enterprise {
    /// 名称
    pub name: String,
    /// 统一社会信用代码, GB 32100.
    pub credit_code: String,
    /// 法定代表人
    pub legal_representative: Representative,
    /// 注册资本, in yuan.
    pub registered_capital: u64,
    /// 银行账户, with a Luhn check digit.
    pub bank_account: String,
    /// 电子邮箱
    pub email: Option<String>,
    /// 成立日期
    pub established: String,
    /// 登记状态
    pub status: String,
    /// 住所
    pub address: String,
    /// In no catalogue: must never leave.
    pub internal_note: String,
    /// In no catalogue.
    pub ext: Ext,
}

/// 法定代表人
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Representative {
    /// 姓名
    pub name: String,
    /// 公民身份号码
    pub id_card: String,
    /// 手机号
    pub phone: String,
}

/// 电子证照, `licence.electronic`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Licence {
    /// 证照编号
    pub licence_no: String,
    /// 证照类型, as a code; the parameter `kind`.
    pub kind: String,
    /// In no catalogue: the kind in words.
    pub kind_name: String,
    /// 持证人
    pub holder: Holder,
    /// 号牌; only vehicle licences have one.
    pub plate: Option<String>,
    /// 颁发机构
    pub issuer: String,
    /// 颁发日期
    pub issued: String,
    /// 有效期至; `null` where it never ends.
    pub expires: Option<String>,
    /// In no catalogue: must never leave.
    pub internal_note: String,
    /// In no catalogue.
    pub ext: Ext,
}

/// 持证人
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holder {
    /// 姓名
    pub name: String,
    /// 公民身份号码
    pub id_card: String,
}

/// 空间地理地块, `spatial.parcel`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parcel {
    /// 宗地代码, in the form of GB/T 37346.
    pub parcel_id: String,
    /// 土地用途
    pub land_use: String,
    /// 面积, in square metres, of `boundary`.
    pub area_sqm: f64,
    /// 中心点, degrees.
    pub centroid: Point,
    /// 界址线: a closed ring of `[lon, lat]`, degrees.
    pub boundary: Vec<[f64; 2]>,
    /// 权利人
    pub owner: Owner,
    /// In no catalogue: must never leave.
    pub internal_note: String,
    /// In no catalogue.
    pub ext: Ext,
}

/// A place, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// East.
    pub lon: f64,
    /// North.
    pub lat: f64,
}

/// 权利人
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Owner {
    /// 姓名
    pub name: String,
}

/// 收养登记, `population.adoption`: of sharing type none, so no gate ever lets one out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adoption {
    /// 登记证号
    pub adoption_no: String,
    /// 收养人
    pub adopter: Holder,
    /// 被收养人
    pub child: Holder,
    /// 登记日期
    pub registered: String,
    /// In no catalogue.
    pub ext: Ext,
}

macro_rules! records {
    ($($record:ty => $key:ident;)*) => {$(
        impl Record for $record {
            fn key(&self) -> &str {
                &self.$key
            }

            fn ext(&self) -> &Ext {
                &self.ext
            }
        }
    )*};
}

records! {
    Resident => id_card;
    Enterprise => credit_code;
    Parcel => parcel_id;
    Adoption => adoption_no;
}

impl Record for Licence {
    fn key(&self) -> &str {
        &self.licence_no
    }

    fn ext(&self) -> &Ext {
        &self.ext
    }

    fn kind(&self) -> Option<&str> {
        Some(&self.kind)
    }
}
