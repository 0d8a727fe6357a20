//! What is granted arrives, masked, over both versions of HTTP, and on record.

mod own;
mod platform;
mod streams;

use http::Method;
use pinegate::audit::ParsedRecord;
use pinegate::demo::people::Resident;
use serde_json::{Value, json};

use crate::city::{Call, Http, Plan, assert_intact, data, whole};

/// Two-character surnames among the invented people.
const COMPOUND: [&str; 12] =
    ["欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯"];

/// A name as the masker `name` leaves it.
pub(crate) fn masked_name(name: &str) -> String {
    let kept = COMPOUND.iter().find(|surname| name.starts_with(*surname));
    let kept = kept.map_or_else(|| name.chars().take(1).collect(), |surname| (*surname).to_owned());
    format!("{kept}**")
}

/// A mobile number as the masker `mobile` leaves it.
pub(crate) fn masked_phone(phone: &str) -> String {
    format!("{}****{}", &phone[..3], &phone[7..])
}

/// A resident as the survey's grant lets it out, to the byte.
pub(crate) fn surveyed(resident: &Resident) -> String {
    format!(
        "{{\"name\":\"{}\",\"id_card\":\"{}\",\"birth_date\":\"{}\",\"phone\":\"{}\",\"address\":{{\"district\":\"{}\"}}}}",
        masked_name(&resident.name),
        resident.id_card,
        &resident.birth_date[..4],
        masked_phone(&resident.phone),
        resident.address.district,
    )
}

fn assert_permit(record: &ParsedRecord, grant: &str) {
    assert_eq!(record.decision.as_deref(), Some("permit"), "{record:#?}");
    assert_eq!(record.grants, [grant]);
    assert_eq!(record.reason, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_list_over_both_versions() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let call = Call::aid("/population/residents?area=3410&size=3").over(http);
        let reply = city.call(call).await;
        reply.assert_data();
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("pinegate-grant"), Some("HS-2026-0117"));
        let announced = reply.header("pinegate-masked").unwrap();
        assert!(
            announced.starts_with("masked=\"name birth_date phone\", dropped=\"sex email "),
            "{announced}"
        );
        assert_eq!(reply.header("etag"), None, "a tag of what was not sent");

        let residents = data();
        let within: Vec<_> = residents
            .residents
            .records()
            .iter()
            .filter(|one| one.ext.area_code.starts_with("3410"))
            .collect();
        let expected: Vec<Value> =
            within.iter().take(3).map(|one| serde_json::from_str(&surveyed(one)).unwrap()).collect();
        let whole = json!({
            "code": 0, "message": "成功", "data": expected, "total": within.len(), "page": 1,
        });
        assert_eq!(reply.json(), whole);

        let record = city.record_of(&reply).await;
        assert_permit(&record, "HS-2026-0117");
        assert_eq!(record.kind, "access");
        assert_eq!((record.status, record.records), (Some(200), Some(3)));
        assert_eq!(record.bytes_out, Some(u64::try_from(reply.body.len()).unwrap()));
        assert_eq!(record.sent_sha256.as_deref(), Some(sha256(&reply.body).as_str()));
        assert_eq!(record.purpose.as_deref(), Some("social-aid.eligibility"));
        assert_eq!(record.purpose_source.as_deref(), Some("token"));
        assert_eq!(record.provider.as_deref(), Some("dept:gongan"));
        assert_eq!(record.parameters.get("area").map(String::as_str), Some("3410"));
        assert_eq!(record.masked.get("phone"), Some(&3));
        assert_eq!(record.dropped.get("sex"), Some(&3));
        assert!(record.unclassified > Some(0), "internal_note, ext and debug_sql are in no catalogue");
        assert_eq!(city.last_received().method, Method::GET);
        assert_eq!(city.last_received().path_and_query, "/population/residents?area=3410&size=3");
    }
    assert_intact(&city.files().audit());
    let released = "pinegate_records_released_total{resource=\"population.resident\"}";
    assert!((city.gate.metric(released).await - 6.0).abs() < 0.1);
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_record_by_a_key_that_stays_out_of_the_records() {
    let city = Plan::new().start().await;
    let data = data();
    let one = data.residents.records().iter().find(|one| one.ext.area_code.starts_with("3410")).unwrap();
    let target = format!("/population/residents/{}?area=3410", one.id_card);
    let reply = city.call(Call::aid(&target)).await;
    reply.assert_data();
    assert_eq!(reply.json()["data"], serde_json::from_str::<Value>(&surveyed(one)).unwrap());
    let record = city.record_of(&reply).await;
    assert_eq!(record.route.as_deref(), Some("/population/residents/{id_card}"));
    // That it came is in the record, what it was is not.
    assert_eq!((record.parameters.get("id_card"), record.withheld.get("id_card")), (None, Some(&1)));
    assert_eq!(record.narrowed_to, [""; 0]);
    assert!(!format!("{record:?}").contains(&one.id_card), "{record:#?}");
    assert!(!city.gate.log_text().contains(&one.id_card));
    assert!(!city.gate.page("/metrics").await.text.contains(&one.id_card));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_fields_than_granted() {
    let city = Plan::new().start().await;
    let call =
        Call::aid("/population/residents?area=3410&size=1").header("data-scope", "name|address.district");
    let reply = city.call(call).await;
    reply.assert_data();
    let record = reply.json()["data"][0].clone();
    assert_eq!(record.as_object().unwrap().len(), 2, "{record}");
    assert_eq!(city.record_of(&reply).await.requested, ["name", "address.district"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_tells_no_length() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let target = "/population/residents?area=3410&size=3";
        let call = Call::new(Method::HEAD, "minzheng-aid", "social-aid.eligibility", target).over(http);
        let reply = city.call(call).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0), "{reply:?}");
        assert_eq!(reply.header("content-length"), None, "{http:?}");
        let record = city.record_of(&reply).await;
        assert_eq!(record.method.as_deref(), Some("HEAD"));
        assert_eq!(city.last_received().method, Method::HEAD);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_content() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let reply = city.call(Call::survey("/_test/status/204").over(http)).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{reply:?}");
        assert_permit(&city.record_of(&reply).await, "TEST-1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_is_on_record_before_it_is_forwarded() {
    let city = Plan::new().start().await;
    let data = data();
    let one = &data.residents.records()[0];
    for http in [Http::One, Http::Two] {
        let claim = json!({ "name": one.name, "id_card": one.id_card }).to_string();
        let call = Call::post("minzheng-aid", "social-aid.eligibility", "/population/verify", whole(claim));
        let reply = city.call(call.header("content-type", "application/json").over(http)).await;
        reply.assert_data();
        assert!(!reply.text().contains(&one.id_card));
        let outcome = city.outcome_of(&reply).await;
        assert_permit(&outcome, "HS-2026-0118");
        assert_eq!(outcome.action.as_deref(), Some("verify"));
        assert_eq!(city.last_received().body_len, outcome.bytes_in);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_resource() {
    let city = Plan::new().start().await;
    let reply = city.call(Call::get("shichang-credit", "enterprise.credit", "/spatial/parcels?size=2")).await;
    reply.assert_data();
    let parcel = reply.json()["data"][0].clone();
    let members: Vec<_> = parcel.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["area_sqm", "centroid", "land_use", "parcel_id"]);
    assert_permit(&city.record_of(&reply).await, "SHARE-0");
}
