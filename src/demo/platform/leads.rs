//! `POST /aid/leads`: departments report people in need (困难群众预警线索) and get a receipt.

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::envelope::refusal;
use super::received::Ticket;
use super::routes::{Dropped, Exchange, Reply, json, method_not_allowed};
use crate::kernel::id::Digest;

/// The longest body, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// What a lead must say. Whatever else it says is taken, too: what may be said is not for the platform
/// to judge.
#[derive(Deserialize)]
struct Lead {
    name: String,
    id_card: String,
}

/// Takes a lead.
pub(super) async fn take(
    exchange: &Exchange,
    request: Request<Incoming>,
    ticket: &Ticket,
) -> Result<Reply, Dropped> {
    if request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    let body = match Limited::new(request.into_body(), MAX_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, refusal(413, "请求体过大")));
        }
        Err(_) => return Err(Dropped),
    };
    ticket.body_ended(u64::try_from(body.len()).unwrap_or(u64::MAX));
    let Ok(lead) = serde_json::from_slice::<Lead>(&body) else {
        return Ok(json(StatusCode::BAD_REQUEST, refusal(400, "请求体应为含 name、id_card 的 JSON")));
    };
    let resident = exchange.data.residents.get(&lead.id_card);
    let number: String = Digest::of(&body).to_hex().chars().take(8).collect();
    let reply = serde_json::json!({
        "receipt": format!("XS-{}", number.to_uppercase()),
        "accepted": resident.is_some_and(|resident| resident.name == lead.name),
        "handler": resident.map(|resident| resident.address.district.clone()),
        "internal_note": format!("{} 已登记", lead.id_card),
    });
    Ok(json(StatusCode::OK, reply.to_string()))
}
