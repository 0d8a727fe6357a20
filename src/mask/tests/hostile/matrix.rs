//! The hostile bodies that parsers were measured by, and the forms that a value, a name or a whole
//! body may take, each as a test with its own name.
//!
//! `M`: the body leaves, masked, exactly so. `R`: it is refused for this reason. [`check_under`] cuts
//! each at every byte, and looks for the secret in whatever leaves.

use super::*;

/// A test for each row: its name, its body, and what becomes of it under a plan.
macro_rules! rows {
    ($($plan:ident $name:ident: $body:expr => $verdict:ident($told:expr);)*) => {
        $(
            #[test]
            fn $name() {
                let (body, told) = ($body, $told);
                check_under(&$plan(), body.as_ref(), verdict!($verdict, told));
            }
        )*
    };
}

macro_rules! verdict {
    (M, $out:ident) => {
        Ok(AsRef::<str>::as_ref(&$out))
    };
    (R, $reason:ident) => {
        Err($reason)
    };
}

const CATALOGUE: &str = "name:string phone:string:mobile id_card:string note:string size:number \
    detail:object detail.phone:string detail.note:string";
const RELEASED: &str = "name phone:mobile id_card:resident-id size detail.phone:mobile";

/// Names letter for letter; a text is a text.
fn exact() -> Arc<Plan> {
    compile(&shape(Some("data"), "code"), &released(RELEASED), &catalogue(CATALOGUE)).unwrap()
}

/// Names whatever their case.
fn fold() -> Arc<Plan> {
    let shape = BodyShape { names: NameMatching::Fold, ..shape(Some("data"), "code") };
    compile(&shape, &released(RELEASED), &catalogue(CATALOGUE)).unwrap()
}

/// `detail` is a text that holds a document.
fn nested() -> Arc<Plan> {
    let mut fields = catalogue(CATALOGUE);
    fields.iter_mut().find(|field| field.path.as_str() == "detail").unwrap().nested = true;
    compile(&shape(Some("data"), "code"), &released(RELEASED), &fields).unwrap()
}

fn utf_16(body: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    body.encode_utf16().flat_map(bytes).collect()
}

fn utf_32(body: &str, bytes: impl Fn(u32) -> [u8; 4]) -> Vec<u8> {
    body.chars().map(u32::from).flat_map(bytes).collect()
}

const PLAIN: &str = r#"{"data":{"phone":"13800138000"}}"#;

/// The 28 bodies by which parsers were compared.
mod bodies {
    use super::*;

    rows! {
        exact duplicate_key: r#"{"data":{"phone":"13800138000","phone":"13800138000"}}"#
            => M(r#"{"data":{"phone":"138****8000","phone":"138****8000"}}"#);
        exact escaped_key: r#"{"data":{"\u0070hone":"13800138000"}}"#
            => M(r#"{"data":{"\u0070hone":"138****8000"}}"#);
        exact case_variant_of_a_key: r#"{"data":{"Phone":"13800138000"}}"# => M(r#"{"data":{}}"#);
        fold case_variant_of_a_key_folded: r#"{"Data":{"Phone":"13800138000"}}"#
            => M(r#"{"Data":{"Phone":"138****8000"}}"#);
        exact number_where_a_text_is_masked: r#"{"data":{"phone":13800138000}}"#
            => M(r#"{"data":{"phone":"138****8000"}}"#);
        exact array_where_a_text_is_masked: r#"{"data":{"phone":[["13800138000"]]}}"#
            => M(r#"{"data":{"phone":[["138****8000"]]}}"#);
        exact object_where_a_text_is_masked: r#"{"data":{"phone":{"phone":"13800138000"}}}"#
            => M(r#"{"data":{"phone":null}}"#);
        exact comment_that_hides_a_quote: r#"{"data":{/*"*/"phone":"13800138000"/*"*/}}"# => R("syntax");
        exact bytes_after_the_end: r#"{"data":{}} 13800138000"# => R("trailing");
        exact second_document: r#"{"data":{}}{"data":{"phone":"13800138000"}}"# => R("trailing");
        exact missing_comma: r#"{"data":{"name":"a" "phone":"13800138000"}}"# => R("syntax");
        exact object_closed_as_an_array: r#"{"data":{"phone":"13800138000"]}"# => R("syntax");
        exact array_closed_as_an_object: r#"{"data":[{"phone":"13800138000"}}}"# => R("syntax");
        exact not_a_number: r#"{"data":{"size":NaN,"phone":"13800138000"}}"# => R("syntax");
        exact leading_zero: r#"{"data":{"size":012,"phone":"13800138000"}}"# => R("syntax");
        exact byte_order_mark: format!("\u{feff}{PLAIN}") => R("byte-order-mark");
        exact utf_16_little_end_first: utf_16(PLAIN, u16::to_le_bytes) => R("syntax");
        exact utf_16_big_end_first: utf_16(PLAIN, u16::to_be_bytes) => R("syntax");
        exact invalid_utf_8_in_a_value: b"{\"data\":{\"name\":\"\xff\",\"phone\":\"13800138000\"}}" => R("utf8");
        exact control_byte_in_a_text: "{\"data\":{\"phone\":\"138\u{1}00138000\"}}" => R("control-character");
        exact half_a_surrogate_pair: r#"{"data":{"phone":"\ud80013800138000"}}"# => R("surrogate");
        exact escapes_inside_a_masked_value: r#"{"data":{"phone":"1\u0033800138\u0030\u00300"}}"#
            => M(r#"{"data":{"phone":"138****8000"}}"#);
        exact document_in_a_text: r#"{"data":{"detail":"{\"phone\":\"13800138000\"}"}}"#
            => M(r#"{"data":{"detail":null}}"#);
        nested document_in_a_text_declared: r#"{"data":{"detail":"{\"phone\":\"13800138000\",\"note\":1}"}}"#
            => M(r#"{"data":{"detail":"{\"phone\":\"138****8000\"}"}}"#);
        exact six_hundred_levels: format!("{}\"13800138000\"{}", "[".repeat(600), "]".repeat(600)) => R("depth");
        exact zero_at_the_end_of_a_fraction: r#"{"data":{"size":1.10}}"# => M(r#"{"data":{"size":1.10}}"#);
        exact exponent: r#"{"data":{"size":1E5}}"# => M(r#"{"data":{"size":1E5}}"#);
        exact twenty_three_digits: r#"{"data":{"size":12345678901234567890123}}"#
            => M(r#"{"data":{"size":12345678901234567890123}}"#);
    }
}

/// Names that are nearly the name.
mod keys {
    use super::*;

    rows! {
        exact escaped_and_plain: r#"{"data":{"phone":"13800138000","\u0070\u0068one":"13800138000"}}"#
            => M(r#"{"data":{"phone":"138****8000","\u0070\u0068one":"138****8000"}}"#);
        exact padded_by_nul: r#"{"data":{"phone\u0000":"13800138000"}}"# => M(r#"{"data":{}}"#);
        fold padded_by_nul_folded: r#"{"data":{"PHONE\u0000":"13800138000"}}"# => M(r#"{"data":{}}"#);
        exact padded_by_space: r#"{"data":{"phone ":"13800138000"," phone":"13800138000"}}"# => M(r#"{"data":{}}"#);
        fold padded_by_space_folded: r#"{"data":{"Phone ":"13800138000"}}"# => M(r#"{"data":{}}"#);
        exact with_a_soft_hyphen: "{\"data\":{\"pho\u{ad}ne\":\"13800138000\"}}" => M(r#"{"data":{}}"#);
        exact with_a_zero_width_space: "{\"data\":{\"phone\u{200b}\":\"13800138000\"}}" => M(r#"{"data":{}}"#);
        exact full_width: r#"{"data":{"ｐｈｏｎｅ":"13800138000"}}"# => M(r#"{"data":{}}"#);
        fold full_width_folded: r#"{"data":{"ＰＨＯＮＥ":"13800138000"}}"#
            => M(r#"{"data":{"ＰＨＯＮＥ":"138****8000"}}"#);
        exact cyrillic: "{\"data\":{\"ph\u{43e}ne\":\"13800138000\"}}" => M(r#"{"data":{}}"#);
        fold cyrillic_folded: "{\"data\":{\"PH\u{41e}NE\":\"13800138000\"}}" => M(r#"{"data":{}}"#);
        composed composed_as_declared: "{\"caf\u{e9}\":\"13800138000\"}" => M("{\"caf\u{e9}\":\"138****8000\"}");
        composed decomposed: "{\"cafe\u{301}\":\"13800138000\"}" => M("{}");
        exact path_in_one_name: r#"{"data":{"detail.phone":"13800138000"}}"# => M(r#"{"data":{}}"#);
        exact empty: r#"{"data":{"":"13800138000"}}"# => M(r#"{"data":{}}"#);
        exact secret_in_a_name: r#"{"data":{"13800138000":{"size":1}},"13800138000":1}"# => M(r#"{"data":{}}"#);
        exact of_more_than_a_kibibyte: format!(r#"{{"data":{{"{}":1}}}}"#, "k".repeat(1_025)) => R("key-too-long");
        exact of_more_than_a_kibibyte_by_escapes: format!(r#"{{"data":{{"phone{}":1}}}}"#, r"\u0000".repeat(170))
            => R("key-too-long");
    }

    /// A name with an accent.
    fn composed() -> Arc<Plan> {
        compile(&shape(None, ""), &released("caf\u{e9}:mobile"), &catalogue("caf\u{e9}:string")).unwrap()
    }
}

/// Values that are nearly what a masker knows, or not what is declared.
mod values {
    use super::*;

    rows! {
        exact full_width_digits: r#"{"data":{"phone":"１３８００１３８０００"}}"# => M(r#"{"data":{"phone":"***"}}"#);
        exact some_full_width_digits: r#"{"data":{"phone":"１３８00138000"}}"# => M(r#"{"data":{"phone":"***"}}"#);
        exact spaces_between_digits: r#"{"data":{"phone":"138 0013 8000"}}"#
            => M(r#"{"data":{"phone":"138 **** 8000"}}"#);
        exact resident_id: r#"{"data":{"id_card":"11010519491231002X"}}"#
            => M(r#"{"data":{"id_card":"1****************X"}}"#);
        exact resident_id_with_a_small_x: r#"{"data":{"id_card":"11010519491231002x"}}"#
            => M(r#"{"data":{"id_card":"1****************x"}}"#);
        exact resident_id_full_width: r#"{"data":{"id_card":"１１０１０５１９４９１２３１００２Ｘ"}}"#
            => M(r#"{"data":{"id_card":"***"}}"#);
        exact resident_id_with_a_wrong_check_digit: r#"{"data":{"id_card":"110105194912310021"}}"#
            => M(r#"{"data":{"id_card":"***"}}"#);
        exact boolean: r#"{"data":{"phone":true,"name":false}}"# => M(r#"{"data":{"phone":null,"name":null}}"#);
        exact nothing: r#"{"data":{"phone":null,"name":null}}"# => M(r#"{"data":{"phone":null,"name":null}}"#);
        exact number_where_a_text_is_clear: r#"{"data":{"name":13800138000}}"# => M(r#"{"data":{"name":null}}"#);
        exact text_where_a_number_is_clear: r#"{"data":{"size":"13800138000"}}"# => M(r#"{"data":{"size":null}}"#);
        exact object_where_a_text_is_clear: r#"{"data":{"name":{"name":"13800138000"}}}"#
            => M(r#"{"data":{"name":null}}"#);
        exact text_where_an_object_is: r#"{"data":{"detail":"13800138000"}}"# => M(r#"{"data":{"detail":null}}"#);
        exact text_where_records_are: r#"{"data":"13800138000"}"# => M(r#"{"data":null}"#);
        exact texts_where_records_are: r#"{"data":["13800138000",{"phone":"13800138000"}]}"#
            => M(r#"{"data":[null,{"phone":"138****8000"}]}"#);
        exact text_where_the_body_is: r#""13800138000""# => M("null");
        exact number_with_an_exponent: r#"{"data":{"phone":1.3800138E10}}"# => M(r#"{"data":{"phone":null}}"#);
        exact number_with_a_sign: r#"{"data":{"phone":-13800138000}}"# => M(r#"{"data":{"phone":null}}"#);
        exact number_beyond_doubles: r#"{"data":{"size":9007199254740993}}"#
            => M(r#"{"data":{"size":9007199254740993}}"#);
        exact number_beyond_every_float: r#"{"data":{"size":-1e9999}}"# => M(r#"{"data":{"size":-1e9999}}"#);
        exact base64: r#"{"data":{"phone":"MTM4MDAxMzgwMDA="}}"# => M(r#"{"data":{"phone":"***"}}"#);
        exact base64_not_released: r#"{"data":{"note":"MTM4MDAxMzgwMDA="}}"# => M(r#"{"data":{}}"#);
        exact token_with_claims: r#"{"data":{"phone":"e30.eyJwaG9uZSI6IjEzODAwMTM4MDAwIn0.c2ln"}}"#
            => M(r#"{"data":{"phone":"***"}}"#);
        exact free_text: r#"{"data":{"note":"请电 13800138000"}}"# => M(r#"{"data":{}}"#);
        exact free_text_around_a_masked_value: r#"{"data":{"phone":"请电 13800138000"}}"#
            => M(r#"{"data":{"phone":"***"}}"#);
        exact two_values_in_one: r#"{"data":{"phone":"13800138000,13900139000"}}"#
            => M(r#"{"data":{"phone":"***"}}"#);
    }

    /// Of what is longer than the bound of a value nothing is shown.
    #[test]
    fn longer_than_the_bound() {
        let long = "1".repeat(100_000);
        for (value, left) in [(long.clone(), "null"), (format!("\"{long}\""), "\"***\"")] {
            let body = format!(r#"{{"data":{{"phone":{value},"name":{value}}}}}"#);
            let text = if left == "null" { left } else { value.as_str() };
            let expected = format!(r#"{{"data":{{"phone":{left},"name":{text}}}}}"#);
            for size in [body.len(), 65_536, 65_535, 4_096, 1] {
                let (out, _) = run_pieces(&exact(), Bounds::default(), body.as_bytes().chunks(size)).unwrap();
                assert!(out == expected.as_bytes(), "in pieces of {size}");
            }
        }
    }
}

/// A document as a text.
mod texts {
    use super::*;

    rows! {
        nested escaped_twice: r#"{"data":{"detail":"{\"ph\\u006fne\":\"1\\u0033800138000\"}"}}"#
            => M(r#"{"data":{"detail":"{\"ph\\u006fne\":\"138****8000\"}"}}"#);
        nested no_document: r#"{"data":{"detail":"13800138000 and more"}}"# => M(r#"{"data":{"detail":null}}"#);
        nested cut_off: r#"{"data":{"detail":"{\"phone\":\"13800138000\""}}"# => M(r#"{"data":{"detail":null}}"#);
        nested two_documents: r#"{"data":{"detail":"{}{\"phone\":\"13800138000\"}"}}"#
            => M(r#"{"data":{"detail":null}}"#);
        nested after_a_mark: "{\"data\":{\"detail\":\"\u{feff}{}\"}}" => M(r#"{"data":{"detail":null}}"#);
        nested with_a_comment: r#"{"data":{"detail":"{/*\"*/\"phone\":\"13800138000\"/*\"*/}"}}"#
            => M(r#"{"data":{"detail":null}}"#);
        nested half_a_surrogate_pair_inside: r#"{"data":{"detail":"{\"phone\":\"\\ud800\"}"}}"#
            => M(r#"{"data":{"detail":null}}"#);
        nested a_text_in_the_text: r#"{"data":{"detail":"\"{\\\"phone\\\":\\\"13800138000\\\"}\""}}"#
            => M(r#"{"data":{"detail":"null"}}"#);
        nested an_object_instead: r#"{"data":{"detail":{"phone":"13800138000"}}}"#
            => M(r#"{"data":{"detail":null}}"#);
        nested levels_of_its_own: format!(r#"{{"data":{{"detail":"{}1{}"}}}}"#, "[".repeat(129), "]".repeat(129))
            => M(r#"{"data":{"detail":null}}"#);
    }
}

/// The body as a whole.
mod encodings {
    use super::*;

    rows! {
        exact utf_16_after_a_mark: utf_16(&format!("\u{feff}{PLAIN}"), u16::to_le_bytes) => R("utf8");
        exact utf_32_little_end_first: utf_32(PLAIN, u32::to_le_bytes) => R("syntax");
        exact utf_32_big_end_first: utf_32(PLAIN, u32::to_be_bytes) => R("syntax");
        exact gbk: b"{\"data\":{\"name\":\"\xd5\xc5\xc8\xfd\",\"phone\":\"13800138000\"}}" => R("utf8");
        exact gbk_trail_byte_as_a_backslash: b"{\"data\":{\"name\":\"\x81\x5c\",\"phone\":\"13800138000\"}}" => R("utf8");
        exact gbk_trail_byte_as_a_bracket: b"{\"data\":{\"name\":\"\x81\x5d\x81\x7d\",\"phone\":\"1\"}}" => R("utf8");
        exact gb18030_of_four_bytes: b"{\"data\":{\"name\":\"\x81\x30\x81\x30\",\"phone\":\"1\"}}" => R("utf8");
        exact overlong_quote: b"{\"data\":{\"name\":\"\xc0\xa2,\xc0\xa2phone\xc0\xa2\"}}" => R("utf8");
        exact surrogates_as_utf_8: b"{\"data\":{\"name\":\"\xed\xa0\x80\xed\xb0\x80\"}}" => R("utf8");
        exact mark_inside: "{\"data\":{\u{feff}\"phone\":\"13800138000\"}}" => R("syntax");
        exact nul_after_the_end: format!("{PLAIN}\0") => R("trailing");
        exact mark_after_the_end: format!("{PLAIN}\u{feff}") => R("trailing");
        exact separator_of_texts_before: format!("\u{1e}{PLAIN}\n") => R("syntax");
        exact guard_against_scripts_before: format!(")]}}',\n{PLAIN}") => R("syntax");
        exact call_around: format!("callback({PLAIN})") => R("syntax");
        exact line_separator_as_white_space: "{\"data\":{\u{2028}\"phone\":\"13800138000\"}}" => R("syntax");
        exact nothing: "" => R("truncated");
        exact depth_of_128: deep(127) => M(deep(127));
        exact depth_of_129: deep(128) => R("depth");
        exact depth_of_129_where_nothing_leaves: deep(128).replace("code", "x") => R("depth");
    }

    /// An object that holds so many arrays inside one another.
    fn deep(arrays: usize) -> String {
        format!(r#"{{"code":{}1{}}}"#, "[".repeat(arrays), "]".repeat(arrays))
    }
}
