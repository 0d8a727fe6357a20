//! Documents that are none, and what they try to carry out.

use super::*;

const SECRET: &str = "13800138000";

/// The document is refused for this reason, with what stands around it as a record's content.
#[track_caller]
fn refused(body: &str, reason: &str) {
    for plan in [plan(), identity()] {
        let result = run(&plan, body);
        assert_eq!(result.as_deref().map_err(MaskError::reason), Err(reason), "{body}");
    }
}

#[track_caller]
fn refused_inside(content: &str, reason: &str) {
    for (front, back) in [
        ("<reply><list><person>", "</person></list></reply>"),
        ("<reply><x><person>", "</person></x></reply>"),
        ("<reply><list><person><name>", "</name></person></list></reply>"),
        ("<reply><list><person><phone>", "</phone></person></list></reply>"),
        ("<reply><list><person><any>", "</any></person></list></reply>"),
    ] {
        refused(&format!("{front}{content}{back}"), reason);
    }
}

#[test]
fn prolog_and_end() {
    for (body, reason) in [
        ("", "truncated"),
        (" \n", "truncated"),
        ("<!-- -->", "truncated"),
        ("<?xml version='1.0'?>", "truncated"),
        ("text", "syntax"),
        ("&amp;", "syntax"),
        ("<![CDATA[]]><reply/>", "syntax"),
        ("</reply>", "syntax"),
        ("<reply>", "truncated"),
        ("<reply", "truncated"),
        ("<", "truncated"),
        ("<reply/><reply/>", "trailing"),
        ("<reply></reply></reply>", "trailing"),
        ("<reply/>13800138000", "trailing"),
        ("<reply/>&#32;", "trailing"),
        ("<reply/><![CDATA[]]>", "trailing"),
        ("<reply/> <!-- ", "truncated"),
        ("<reply/><?x", "truncated"),
        ("\u{feff}<reply/>", "byte-order-mark"),
        (" \u{feff}<reply/>", "syntax"),
        ("<!DOCTYPE reply><reply/>", "document-type"),
        (
            "<?xml version='1.0'?>\n<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><reply>&e;</reply>",
            "document-type",
        ),
        ("<!doctype html><reply/>", "syntax"),
        ("<reply><!DOCTYPE x></reply>", "document-type"),
        ("<!ENTITY a 'b'><reply/>", "syntax"),
        ("<![IGNORE[x]]><reply/>", "syntax"),
    ] {
        refused(body, reason);
    }
}

#[test]
fn declarations() {
    for (declaration, reason) in [
        ("<?xml?>", "syntax"),
        ("<?xml ?>", "syntax"),
        ("<?xml version='1.1'?>", "syntax"),
        ("<?xml version='1.0' ?", "truncated"),
        ("<?xml version=1.0?>", "syntax"),
        ("<?xml encoding='utf-8'?>", "syntax"),
        ("<?xml encoding='utf-8' version='1.0'?>", "syntax"),
        ("<?xml version='1.0' standalone='yes' encoding='utf-8'?>", "syntax"),
        ("<?xml version='1.0' version='1.0'?>", "syntax"),
        ("<?xml version='1.0'encoding='utf-8'?>", "syntax"),
        ("<?xml version='1.0' encoding='GBK'?>", "declared-encoding"),
        ("<?xml version='1.0' encoding='UTF-16'?>", "declared-encoding"),
        ("<?xml version='1.0' encoding='utf-8 '?>", "declared-encoding"),
        ("<?xml version='1.0' encoding=''?>", "declared-encoding"),
        ("<?xml version='1.0' standalone='maybe'?>", "syntax"),
        ("<?xml version='1.0' secret='13800138000'?>", "syntax"),
        ("<?XML version='1.0'?>", "syntax"),
        ("<?xMl?>", "syntax"),
        (" <?xml version='1.0'?>", "syntax"),
        ("<!----><?xml version='1.0'?>", "syntax"),
        ("<?xml version='1.0'?><?xml version='1.0'?>", "syntax"),
    ] {
        refused(&format!("{declaration}<reply/>"), reason);
    }
    for declaration in [
        "<?xml version=\"1.0\"?>",
        "<?xml\tversion = '1.0'\nencoding=\"Utf-8\"  standalone='no'?>",
        "<?xml-x?>",
        "<?a xml?>",
    ] {
        assert!(run(&plan(), &format!("{declaration}<reply/>")).is_ok(), "{declaration}");
    }
    refused_inside("<?xml version='1.0'?>", "syntax");
}

/// What is no markup, and what is no text.
const NONE: [&str; 70] = [
    "<>",
    "< a/>",
    "<1/>",
    "<a/ >",
    "<a / >",
    "<a//>",
    "</a>",
    "<a></b>",
    "<a></a b='c'>",
    "<a></a/>",
    "<a><b></a></b>",
    "<a></ a>",
    "<a></A>",
    "<a></aa>",
    "<aa></a>",
    "</>",
    "<a:/>",
    "<:a/>",
    "<a:b:c/>",
    "<a\u{d7}/>",
    "<a b/>",
    "<a b=/>",
    "<a b=c/>",
    "<a b='c'd='e'/>",
    "<a b='c' b='d'/>",
    "<a b='<'/>",
    "<a 'b'/>",
    "<a b='c' 1='d'/>",
    "<a b='&nbsp;'/>",
    "<a b='&amp'/>",
    "<a b='&'/>",
    "<a b='&#0;'/>",
    "<a b='a&#x1F;'/>",
    "<a =''/>",
    "<a b=='c'/>",
    "<a ? b='c'/>",
    "<!-- -- -->",
    "<!-- --->",
    "<!-x-->",
    "<!>",
    "<!--x--!>-->",
    "<![cdata[x]]>",
    "<![CDATA x]]>",
    "<!ELEMENT a ANY>",
    "<??>",
    "<? x?>",
    "<?1?>",
    "<?a:b?>",
    "<?x+?>",
    "&",
    "& ",
    "&;",
    "&amp",
    "&nbsp;",
    "&#;",
    "&#x;",
    "&#xZ;",
    "&#0;",
    "&#x0;",
    "&#xD800;",
    "&#xFFFE;",
    "&#x110000;",
    "&#x0000000000000000000000000000000000041;",
    "&lt",
    "&a.b;",
    "&AMP;",
    "]]>",
    "x]]>y",
    "]]]]>",
    "]]<!-- -->>",
];

#[test]
fn markup() {
    for content in NONE {
        refused_inside(content, "syntax");
    }
    for content in [
        "<a b=\"c'/>\" d=\"/>",
        "<!--",
        "<!-- -",
        "<![CDATA[",
        "<![CDATA[]]",
        "<?x",
        "<?x>",
        "<a b='",
        "<a b='/>",
        "<![CDATA[x>]]",
    ] {
        refused_inside(content, "truncated");
    }
}

#[test]
fn namespaces() {
    for content in [
        "<p:a/>",
        "<a p:b='c'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<xmlns:a/>",
        "<a xmlns:p='urn:x'/><p:b/>",
        "<a xmlns:p='urn:x'></a><p:b/>",
    ] {
        refused_inside(content, "namespace");
    }
    for content in [
        "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='1' q:b='2'/>",
        "<a xmlns:p='urn:x' xmlns:q='urn:&#120;' p:b='1' q:b='2'/>",
        "<a xmlns='urn:x' xmlns='urn:y'/>",
        "<a xmlns:p:q='urn:x'/>",
    ] {
        refused_inside(content, "syntax");
    }
}

#[test]
fn attributes_and_declarations_are_bounded() {
    let reason = |body: &str| -> Vec<&str> {
        let result = |size| run_pieces(&plan(), Bounds::default(), body.as_bytes().chunks(size));
        [1, 7, 1 << 20].into_iter().map(|size| result(size).unwrap_err().reason()).collect()
    };
    let many =
        |count: usize, name: &str| -> String { (0..count).map(|i| format!(" {name}{i}='x'")).collect() };
    let body = |tag: &str| format!("<reply><x>{tag}</x></reply>");
    assert!(
        run_pieces(&plan(), Bounds::default(), [body(&format!("<a{}/>", many(64, "b"))).as_bytes()]).is_ok()
    );
    assert_eq!(reason(&body(&format!("<a{}/>", many(65, "b")))), ["too-many-attributes"; 3]);
    let declares = many(64, "xmlns:b");
    let twice = format!("<a{declares}><a{declares}/></a>");
    assert!(run_pieces(&plan(), Bounds::default(), [body(&twice.repeat(2)).as_bytes()]).is_ok());
    assert_eq!(reason(&body(&format!("<a{declares}>{twice}</a>"))), ["namespace"; 3]);
}

#[test]
fn characters() {
    for character in ["\0", "\u{1}", "\u{8}", "\u{b}", "\u{c}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        for content in [
            "x",
            "<a>x</a>",
            "<a b='x'/>",
            "<ax/>",
            "<!--x-->",
            "<?a x?>",
            "<![CDATA[x]]>",
            "<!x>",
            "&x;",
            "<a></a x>",
        ] {
            refused_inside(&content.replace('x', character), "character");
        }
    }
    for character in ["\t", "\u{7f}", "\u{85}", "\u{fffd}", "\u{10ffff}", "\u{2028}", "\u{fdd0}", "￥"] {
        assert_eq!(person(&format!("<name>{character}</name>")), format!("<name>{character}</name>"));
    }
}

#[test]
fn encodings() {
    let reason =
        |body: &[u8]| run_all(&plan(), Bounds::default(), body).map(|_| ()).map_err(|error| error.reason());
    let body = "<reply><list><person><phone>13800138000</phone></person></list></reply>";
    let utf16 = |big: bool| -> Vec<u8> {
        body.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    };
    assert_eq!(reason(&utf16(true)), Err("character"));
    assert_eq!(reason(&utf16(false)), Err("character"));
    assert_eq!(reason(&[b"\xff\xfe", &*utf16(false)].concat()), Err("utf8"));
    for bad in [&b"\xd5\xc5"[..], b"\xc0\xbc", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe5\xbc"] {
        for (front, back) in [("<reply>", "</reply>"), ("<reply><!--", "--></reply>"), ("<reply a='", "'/>")]
        {
            assert_eq!(reason(&[front.as_bytes(), bad, back.as_bytes()].concat()), Err("utf8"));
        }
    }
}

#[test]
fn bounds() {
    let small = Bounds { depth: 3, key: 8, value: 12, space: 8, records: None };
    let fields = catalogue("p:string:full n:number s:string");
    let plan = compile(&xml("r", ""), &released("p:full n s"), &fields).unwrap();
    let result = |body: &str| {
        run_all(&plan, small, body.as_bytes()).map(|(out, _)| out).map_err(|error| error.to_string())
    };
    let ok = |body: &str, out: &str| assert_eq!(result(body).as_deref(), Ok(out));
    let err = |body: &str, message: &str| assert_eq!(result(body), Err(message.to_owned()), "{body}");
    ok("<r><s><b/></s></r>", "<r><s></s></r>");
    err("<r><s><b><c/></b></s></r>", "nested deeper than 3 levels at byte 9");
    err("<r><x><b><c></c></b></x></r>", "nested deeper than 3 levels at byte 9");
    ok("<r><abcdefgh/></r>", "<r></r>");
    err("<r><abcdefghi/></r>", "member name longer than 8 bytes at byte 12");
    err("<r><a abcdefghi=''/></r>", "member name longer than 8 bytes at byte 14");
    err("<r><a xmlns:a='urn:567890'/></r>", "member name longer than 8 bytes at byte 23");
    ok("<r><p>123456789012</p><p>1234567890123</p></r>", "<r><p>***</p><p>***</p></r>");
    ok("<r><n>123456789012</n><n>1234567890123</n></r>", "<r><n>123456789012</n><n></n></r>");
    ok("<r><n><![CDATA[1]]></n><n><![CDATA[12345]]></n></r>", "<r><n></n><n></n></r>");
    ok("<r>        <s/></r>", "<r>        <s/></r>");
    err("<r>         <s/></r>", "more than 8 bytes of white space before byte 11");
    err("<r>     <!-- x -->    <s/></r>", "more than 8 bytes of white space before byte 21");
    let long = "x".repeat(100_000);
    let body = format!("<r><s>{long}</s><!--{long}--><s><![CDATA[{long}]]></s></r>");
    let mut transform = Transform::new(plan, small);
    let mut out = Vec::new();
    for piece in body.as_bytes().chunks(1000) {
        transform.push(piece, &mut out).unwrap();
        assert!(transform.footprint() < 4000, "{}", transform.footprint());
    }
    transform.finish(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), body.replace(&format!("<!--{long}-->"), ""));
}

#[test]
fn tags_are_bounded() {
    let plan = plan();
    let long = |length: usize| format!("<reply a='{}'/>", "x".repeat(length - "<reply a=''/>".len()));
    let max = 64 << 10;
    let result = |body: &str, size: usize| {
        run_pieces(&plan, Bounds::default(), body.as_bytes().chunks(size)).map(|(out, _)| out)
    };
    for size in [1, 1000, max, max + 1, 1 << 20] {
        assert_eq!(result(&long(max), size), Ok(b"<reply/>".to_vec()));
        for body in [
            long(max + 1),
            format!("<reply a='{}", "x".repeat(2 * max)),
            format!("<?x {}", "?".repeat(2 * max)),
        ] {
            assert_eq!(result(&body, size), Err(MaskError::TagTooLong { at: 65536, max }), "by {size}");
        }
    }
}

/// What came before is expected again, and expected only.
#[test]
fn what_is_expected_is_not_taken_for_granted() {
    let fields = catalogue("id:string b:string:full c:string");
    let mut shape = xml("r.p", "");
    shape.xml.fields.insert(path("id"), attribute("id"));
    let plan = compile(&shape, &released("id b:full"), &fields).unwrap();
    let first = "<r><p id='1'><b>1</b><c>2</c></p>";
    for (second, expected) in [
        ("<p id='1'><b>1</b><c>2</c></p>", "<p id='1'><b>***</b></p>"),
        ("<p><c>2</c><b>1</b></p>", "<p><b>***</b></p>"),
        ("<p><b>]]</b>&gt;<b>></b></p>", "<p><b>***</b><b>***</b></p>"),
        ("<p>]]<b>></b></p>", "<p><b>***</b></p>"),
        ("<p><id>1</id><bb>1</bb><b x=''>1</b><b >1</b></p>", "<p><b>***</b><b >***</b></p>"),
        ("<p xmlns='urn:x'/>", ""),
        ("<p><b xmlns='urn:x'>1</b><c xmlns:b='urn:x'><b:b/></c></p>", "<p></p>"),
        ("<p xmlns:x='urn:x' xmlns:y='urn:y'><x:b/><y:b/><b/></p>", "<p><b/></p>"),
    ] {
        let out = run(&plan, &format!("{first}{second}</r>"));
        assert_eq!(out, Ok(format!("<r><p id='1'><b>***</b></p>{expected}</r>")), "{second}");
    }
    for second in ["<p><@id>1</@id></p>", "<@id></@id>", "<p @id='1'></p>", "<p><b</p>"] {
        let error = run(&plan, &format!("{first}{second}</r>")).unwrap_err();
        assert_eq!(error.reason(), "syntax", "{second}");
    }
    let deep = Bounds { depth: 3, key: 2, ..Bounds::default() };
    assert!(run_all(&plan, deep, format!("{first}</r>").as_bytes()).is_ok());
    let deep = Bounds { depth: 2, ..deep };
    assert_eq!(run_all(&plan, deep, format!("{first}</r>").as_bytes()).unwrap_err().reason(), "depth");
}

/// Whatever the secret is written as, and wherever: it leaves masked or not at all.
#[test]
fn no_way_out() {
    let spelled = [
        SECRET.to_owned(),
        SECRET.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        SECRET.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect(),
        format!("<![CDATA[{SECRET}]]>"),
        SECRET.chars().map(|c| format!("<![CDATA[{c}]]>")).collect(),
        SECRET.chars().map(|c| format!("{c}<!---->")).collect(),
        SECRET.chars().map(|c| format!("{c}<?x?>")).collect(),
        SECRET.chars().map(|c| format!("{c}<x/>")).collect(),
    ];
    for secret in spelled {
        for around in [
            "<phone>S</phone>",
            "<phone> S </phone>",
            "<phone><phone>S</phone></phone>",
            "<phone><name>S</name></phone>",
            "<Phone>S</Phone>",
            "<note>S</note>",
            "<note><name>S</name></note>",
            "<name><x>S</x></name>",
            "<ok>S</ok>",
            "<any>S</any>",
            "<any><name>S</name></any>",
            "<addr>S</addr>",
            "<addr>S<city/>S</addr>",
            "<addr><name>S</name></addr>",
            "<x xmlns='urn:x'><name>S</name></x>",
            "<name xmlns='urn:x'>S</name>",
            "<p:name xmlns:p='urn:x'>S</p:name>",
            "<tags>S<tag><x>S</x></tag></tags>",
            "S",
            "S<name/>S",
            "<person>S</person>",
            "<list><person><name>S</name></person></list>",
        ] {
            let body = format!(
                "<reply><list><person>{}</person>{secret}</list>{secret}<name>{secret}</name></reply>",
                around.replace('S', &secret)
            );
            let out = run(&plan(), &body).unwrap();
            assert!(!shows(&out), "{body} leaks: {out}");
        }
    }
    for way in [
        "<!--S-->",
        "<?S?>",
        "<?x S?>",
        "<x S='1'/>",
        "<name S='1'/>",
        "<name x='S'/>",
        "<addr x='S'><city x='S'/></addr>",
        "<name xmlns:x='S'/>",
        "<name xmlns='S'/>",
        "<S/>",
        "<name><S/></name>",
        "<name xmlns:S='urn:x'/>",
    ] {
        let body = format!(
            "<!--{SECRET}--><reply x='{SECRET}'><list x='{SECRET}' xmlns:x='{SECRET}'><person x='{SECRET}'>{}</person></list>\
             </reply><!--{SECRET}-->",
            way.replace('S', "s13800138000")
        );
        let out = run(&plan(), &body).unwrap();
        assert!(!shows(&out), "{body} leaks: {out}");
    }
}

/// Whether the secret can be read out of a document, whatever it is written as.
fn shows(out: &str) -> bool {
    let mut reader = quick_xml::Reader::from_str(out);
    let mut text = String::new();
    loop {
        use quick_xml::events::Event;
        match reader.read_event().unwrap() {
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(part) => match part.resolve_char_ref().unwrap() {
                Some(c) => text.push(c),
                None => text.push('&'),
            },
            Event::Eof => break,
            Event::Start(_) | Event::End(_) | Event::Empty(_) => {}
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => panic!("{out}"),
        }
    }
    out.contains(SECRET) || text.contains(SECRET)
}
