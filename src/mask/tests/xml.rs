//! XML: what becomes of elements and attributes, and bodies made to slip something through.

mod differential;
mod hostile;

use crate::catalog::{Egress, XmlName};

use super::*;

/// Elements below `records`, in no namespace.
fn xml(records: &str, envelope: &str) -> BodyShape {
    BodyShape { format: BodyFormat::Xml, ..shape(Some(records), envelope) }
}

fn attribute(local: &str) -> XmlName {
    XmlName::Attribute { namespace: None, local: local.into() }
}

fn element(namespace: &str, local: &str) -> XmlName {
    XmlName::Element { namespace: Some(namespace.into()), local: local.into() }
}

/// The plan under which all that is XML leaves.
fn identity() -> Arc<Plan> {
    let mut plan = Plan::identity();
    plan.format = BodyFormat::Xml;
    Arc::new(plan)
}

const PERSON: &str = "name:string phone:string size:number ok:boolean born:date note:string \
    addr:object addr.city:string addr.line:string tags:object tags.tag:string any:object";

fn plan() -> Arc<Plan> {
    let free = released("name phone:mobile size ok born addr.city tags.tag:first any:full");
    compile(&xml("reply.list.person", "code reply.total"), &free, &catalogue(PERSON))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What becomes of a person's content.
fn person(content: &str) -> String {
    let body = format!("<reply><list><person>{content}</person></list></reply>");
    let out = run(&plan(), &body).unwrap_or_else(|error| panic!("{content}: {error}"));
    let front = "<reply><list><person>";
    out.strip_prefix(front).unwrap().strip_suffix("</person></list></reply>").unwrap().to_owned()
}

#[test]
fn elements_leave_by_their_names() {
    let body = "<?xml version='1.0' encoding='utf-8' standalone=\"yes\" ?>\n<!-- c -->\n<reply>\n  <total>2</total>\n  <debug>13800138000</debug>\n\
         <list>\n    <person>\n      <name>张三</name>\n      <id>1</id>\n      <phone >13800138000</phone >\n    </person>\n    \
        <person/><x/>\n  </list>\n</reply>\n<?pi?> ";
    let (out, summary) = run_all(&plan(), Bounds::default(), body.as_bytes()).unwrap();
    assert_eq!(
        out,
        "<?xml version='1.0' encoding='utf-8' standalone=\"yes\" ?>\n\n<reply>\n  <total>2</total>\n\
         <list>\n    <person>\n      <name>张三</name>\n      <phone >138****8000</phone >\n    </person>\n    \
         <person/>\n  </list>\n</reply>\n "
    );
    let counts = (summary.records(), summary.masked(), summary.dropped(), summary.unclassified());
    assert_eq!(counts, (2, 1, 0, 3));
}

#[test]
fn values() {
    for (content, expected) in [
        ("<name>a&amp;b</name>", "<name>a&amp;b</name>"),
        ("<name>a<![CDATA[<x>&]]>b</name>", "<name>a<![CDATA[<x>&]]>b</name>"),
        ("<name>a<!-- 1 -->b<?p 2?>c</name>", "<name>abc</name>"),
        ("<name>a<b>x</b>c</name>", "<name>ac</name>"),
        ("<name><b>x</b><b/></name>", "<name></name>"),
        ("<name/><name></name><name />", "<name/><name></name><name />"),
        ("<name>a</name> <name>b</name>", "<name>a</name> <name>b</name>"),
        ("<phone>13800138000</phone>", "<phone>138****8000</phone>"),
        ("<phone>1&#x33;8001<![CDATA[38]]>00&#48;</phone>", "<phone>138****8000</phone>"),
        ("<phone>138<!-- x -->0013<?y?>8000</phone>", "<phone>138****8000</phone>"),
        ("<phone>tel 13800138000</phone>", "<phone>***</phone>"),
        ("<phone>13800138000<b/></phone>", "<phone></phone>"),
        ("<phone><b>13800138000</b></phone>", "<phone></phone>"),
        (
            "<phone/><phone></phone><phone><![CDATA[]]></phone>",
            "<phone/><phone></phone><phone><![CDATA[]]></phone>",
        ),
        ("<phone> </phone>", "<phone>***</phone>"),
        ("<phone xsi='1'>13800138000</phone>", "<phone>138****8000</phone>"),
        ("<size>1.50</size><size> +1e5\n</size>", "<size>1.50</size><size> +1e5\n</size>"),
        ("<size>1<!-- x -->0</size>", "<size>10</size>"),
        ("<size>&#49;<![CDATA[0]]></size>", "<size>&#49;<![CDATA[0]]></size>"),
        ("<size>张三</size><size>1 2</size><size><x>1</x></size>", "<size></size><size></size><size></size>"),
        ("<ok>true</ok><ok>0</ok><ok>maybe</ok>", "<ok>true</ok><ok>0</ok><ok></ok>"),
        ("<born>1990-03-07</born>", "<born>1990-03-07</born>"),
        ("<note>13800138000</note>", ""),
        ("<addr><city>黄山</city><line>13800138000</line></addr>", "<addr><city>黄山</city></addr>"),
        ("<addr>13800138000<city>黄山</city> x </addr>", "<addr><city>黄山</city></addr>"),
        ("<addr> <![CDATA[13800138000]]> <city/>\n</addr>", "<addr><city/>\n</addr>"),
        ("<addr>\n&#x33; <city/>\n</addr>", "<addr><city/>\n</addr>"),
        ("<addr>13800138000</addr><addr/>", "<addr></addr><addr/>"),
        (
            "<tags><tag>abcd</tag><tag>a&lt;b&gt;c\td</tag></tags>",
            "<tags><tag>ab***</tag><tag>a&lt;***</tag></tags>",
        ),
        ("<any>13800138000</any>", "<any></any>"),
        ("<any> <x>13800138000</x> </any><any/>", "<any></any><any/>"),
        ("<person><phone>13800138000</phone></person>", ""),
        ("\n <!-- x --> <note/> <?x?> <name/> \n", "  <name/> \n"),
        ("<name a='1'  b='2'>x</name>", "<name>x</name>"),
        ("<name a='1'/>", "<name/>"),
    ] {
        assert_eq!(person(content), expected, "{content}");
    }
}

#[test]
fn counts() {
    let count = |content: &str| {
        let body = format!("<reply><list><person>{content}</person></list></reply>");
        let (_, summary) = run_all(&plan(), Bounds::default(), body.as_bytes()).unwrap();
        (summary.masked(), summary.dropped(), summary.unclassified())
    };
    for (content, counts) in [
        ("<phone>1</phone><phone>2</phone><phone/>", (2, 0, 0)),
        ("<note><name/></note><x><name/></x>", (0, 1, 1)),
        ("<name>a<b><c/></b><b/></name>", (2, 0, 0)),
        ("<size>x</size><phone><a/><a/></phone>", (2, 0, 0)),
        ("<addr>a<city/>b</addr><addr> </addr>", (1, 0, 0)),
        ("<any>a<b/>c</any><any> </any><any><b/><b/></any><any/>", (2, 0, 0)),
        ("<name a='1' b='2'/><!-- x --><?y?>", (0, 0, 2)),
        ("text", (0, 0, 1)),
    ] {
        assert_eq!(count(content), counts, "{content}");
    }
}

#[test]
fn attributes_leave_by_their_names() {
    let fields =
        catalogue("id:number phone:string kind:string mail.kind:string mail.text:string secret:string");
    let mut shape = xml("list.row", "");
    for (field, name) in [
        ("id", attribute("id")),
        ("phone", attribute("phone")),
        ("secret", attribute("secret")),
        ("mail.kind", attribute("kind")),
        ("mail.text", XmlName::Text),
    ] {
        shape.xml.fields.insert(path(field), name);
    }
    let plan = compile(&shape, &released("id phone:mobile mail.kind mail.text:email"), &fields).unwrap();
    for (row, expected) in [
        ("<row id = '1'/>", "<row id = '1'/>"),
        ("<row id='x' />", "<row id='' />"),
        ("<row id=''/>", "<row id=''/>"),
        ("<row phone=\"13800138000\" id='1'></row>", "<row phone=\"138****8000\" id='1'></row>"),
        ("<row\n phone='1&#51;800138000'\tx='13800138000'/>", "<row\n phone='138****8000'/>"),
        ("<row phone='\"&lt;'/>", "<row phone='***'/>"),
        ("<row id='1' secret='s' kind='k'><id>1</id></row>", "<row id='1'></row>"),
        ("<row><mail kind='a>b'>abc@e.cn</mail></row>", "<row><mail kind='a>b'>a***@e.cn</mail></row>"),
        ("<row><mail kind='a'>abc@<x/>e.cn</mail><mail/></row>", "<row><mail kind='a'></mail><mail/></row>"),
    ] {
        assert_eq!(run(&plan, &format!("<list>{row}</list>")).unwrap(), format!("<list>{expected}</list>"));
    }
    let (_, summary) =
        run_all(&plan, Bounds::default(), b"<list a='1'><row id='x' secret='' phone='1' b=''/></list>")
            .unwrap();
    assert_eq!((summary.masked(), summary.dropped(), summary.unclassified()), (2, 1, 2));
    let plan = compile(&shape, &released("mail.kind"), &fields).unwrap();
    let (out, summary) =
        run_all(&plan, Bounds::default(), b"<list><row><mail kind='k'>a@b.cn</mail></row></list>").unwrap();
    assert_eq!(out, "<list><row><mail kind='k'></mail></row></list>");
    assert_eq!((summary.masked(), summary.dropped()), (0, 1));
}

#[test]
fn namespaces_are_compared_by_their_uris() {
    let fields = catalogue("name:string id:string plain:string lang:string");
    let mut shape = xml("Envelope.rows.row", "Envelope.total");
    shape.xml.default = Some("urn:p".into());
    shape.xml.records =
        vec![element("urn:soap", "Envelope"), element("urn:p", "rows"), element("urn:p", "row")];
    shape.xml.fields.insert(path("plain"), XmlName::Element { namespace: None, local: "plain".into() });
    shape
        .xml
        .fields
        .insert(path("id"), XmlName::Attribute { namespace: Some("urn:p".into()), local: "id".into() });
    let xml = "http://www.w3.org/XML/1998/namespace";
    shape
        .xml
        .fields
        .insert(path("lang"), XmlName::Attribute { namespace: Some(xml.into()), local: "lang".into() });
    let plan = compile(&shape, &released("name:name id plain lang"), &fields).unwrap();
    for (body, expected) in [
        (
            "<s:Envelope xmlns:s='urn:soap' xmlns='urn:p'><rows><row><name>张三</name></row></rows></s:Envelope>",
            "<s:Envelope xmlns:s='urn:soap' xmlns='urn:p'><rows><row><name>张**</name></row></rows></s:Envelope>",
        ),
        (
            "<Envelope xmlns='urn:soap'><p:rows xmlns:p='urn:&#112;' ><p:row p:id='1' id='2' xml:lang='zh'><p:name>张三</p:name>\
             <name>张三</name></p:row></p:rows></Envelope>",
            "<Envelope xmlns='urn:soap'><p:rows xmlns:p='urn:&#112;' ><p:row p:id='1' xml:lang='zh'><p:name>张**</p:name>\
             </p:row></p:rows></Envelope>",
        ),
        (
            "<a:Envelope xmlns:a='urn:soap' xmlns:x='urn:x'  xmlns:a2='urn:13800138000'><rows xmlns='urn:p'>\
             <row xmlns:xsi='urn:i' xsi:nil='true'><plain xmlns=''>1</plain><x:name>13800138000</x:name><plain>2</plain></row>\
             <a:total>13800138000</a:total></rows><total xmlns='urn:p'>1</total></a:Envelope>",
            "<a:Envelope xmlns:a='urn:soap'><rows xmlns='urn:p'>\
             <row><plain xmlns=''>1</plain></row></rows><total xmlns='urn:p'>1</total></a:Envelope>",
        ),
        (
            "<a:Envelope xmlns:a='urn:soap' xmlns:b='urn:p'><b:rows xmlns:b='urn:q'><c:row xmlns:c='urn:p'/></b:rows>\
             <b:rows><b:row/></b:rows></a:Envelope>",
            "<a:Envelope xmlns:a='urn:soap' xmlns:b='urn:p'><b:rows><b:row/></b:rows></a:Envelope>",
        ),
    ] {
        assert_eq!(run(&plan, body).as_deref(), Ok(expected), "{body}");
    }
    for body in ["<Envelope/>", "<s:Envelope xmlns:s='urn:p'/>", "<envelope xmlns='urn:soap'/>"] {
        assert_eq!(run(&plan, body), Err(MaskError::DocumentElement { at: 0 }), "{body}");
    }
}

#[test]
fn names_fold_and_texts_nest() {
    let mut fields = catalogue("phone:string detail:object detail.phone:string detail.sex:string");
    fields[1].nested = true;
    let fold = BodyShape { names: NameMatching::Fold, ..xml("rows.row", "") };
    let mut shape = fold.clone();
    shape.xml.default = Some("urn:A".into());
    let free = released("phone:mobile detail.phone:mobile");
    let body = "<ROWS><Row><PHONE>13800138000</PHONE><detail>{\"phone\":\"13800138000\",\"sex\":1}</detail>\
                <detail>13800138000</detail><detail><![CDATA[no]]></detail></Row></ROWS>";
    let plan = compile(&fold, &free, &fields).unwrap();
    assert_eq!(
        run(&plan, body).unwrap(),
        "<ROWS><Row><PHONE>138****8000</PHONE><detail>{&quot;phone&quot;:&quot;138****8000&quot;}</detail>\
         <detail>null</detail><detail></detail></Row></ROWS>"
    );
    let plan = compile(&shape, &free, &fields).unwrap();
    let body = "<ROWS xmlns='urn:A'><row><Phone>13800138000</Phone><Phone xmlns='urn:a'/></row></ROWS>";
    assert_eq!(run(&plan, body).unwrap(), "<ROWS xmlns='urn:A'><row><Phone>138****8000</Phone></row></ROWS>");
}

/// Folding makes `@` of the full-width form, which stands in names.
#[test]
fn no_element_is_taken_for_an_attribute() {
    let fields = catalogue("id:string");
    let mut shape = BodyShape { names: NameMatching::Fold, ..xml("r.p", "") };
    shape.xml.fields.insert(path("id"), attribute("id"));
    let plan = compile(&shape, &released("id"), &fields).unwrap();
    let body = "<r><P ID='1'><＠id>13800138000</＠id></P></r>";
    assert_eq!(run(&plan, body).unwrap(), "<r><P ID='1'></P></r>");
}

#[test]
fn a_document_element_of_any_name_is_in_no_namespace_that_goes() {
    let shape = BodyShape { records: None, ..xml("r", "") };
    let plan = compile(&shape, &released("name"), &catalogue("name:string")).unwrap();
    assert_eq!(run(&plan, "<doc x=''><name>a</name></doc>").unwrap(), "<doc><name>a</name></doc>");
    for body in ["<p:doc xmlns:p='urn:x'/>", "<doc xmlns='urn:x'><name xmlns=''>a</name></doc>"] {
        assert_eq!(run(&plan, body), Err(MaskError::DocumentElement { at: 0 }), "{body}");
    }
}

#[test]
fn the_document_element_may_be_the_record() {
    let fields = catalogue("name:string:name");
    let plan = compile(&xml("person", ""), &released("name:name"), &fields).unwrap();
    let (out, summary) =
        run_all(&plan, Bounds::default(), "<person><name>张三</name><x/></person>".as_bytes()).unwrap();
    assert_eq!((out.as_str(), summary.records()), ("<person><name>张**</name></person>", 1));
    assert_eq!(run(&plan, "<!---->\n<other/>"), Err(MaskError::DocumentElement { at: 8 }));
}

#[test]
fn names_that_stand_for_the_same_are_refused() {
    let fields = catalogue("a:string b:string");
    let mut shape = xml("row", "");
    shape.xml.fields.insert(path("b"), XmlName::Element { namespace: None, local: "a".into() });
    let same = PlanError::SameName { name: "b".to_owned() };
    assert_eq!(compile(&shape, &released("a"), &fields).map(|_| ()), Err(same));
    shape.xml.fields.insert(path("b"), attribute("a"));
    assert!(compile(&shape, &released("a"), &fields).is_ok());
}

#[test]
fn records_are_capped() {
    let bounds = Bounds { records: Some(1), ..Bounds::default() };
    let body = |records: &str| format!("<reply><list>{records}</list></reply>");
    assert!(run_all(&plan(), bounds, body("<person/>").as_bytes()).is_ok());
    let error = run_all(&plan(), bounds, body("<person></person><person/>").as_bytes()).unwrap_err();
    assert_eq!(error, MaskError::TooManyRecords { max: 1 });
}

#[test]
fn what_leaves_clear_is_searched_where_the_catalogue_says_so() {
    let fields = catalogue("name:string size:number note:string ok:boolean id:number");
    let mut shape = xml("r.p", "r.code");
    shape.xml.fields.insert(path("id"), attribute("id"));
    let plan = |egress| {
        let maskers = maskers();
        let free = released("name size note:full ok id");
        let spec = PlanSpec {
            shape: &shape,
            fields: &free,
            catalogue: &fields,
            maskers: &maskers,
            key: None,
            egress,
        };
        Arc::new(Plan::compile(&spec).unwrap())
    };
    let body = "<r><code>a</code><p id='1'><name>a&amp;<![CDATA[b]]></name><size> 1.0</size><ok>true</ok>\
                <note>x</note></p></r>";
    let out = run(&plan(Some(Egress::Block)), body).unwrap();
    assert_eq!(out, body.replace(">x<", ">***<"));
    for place in [
        "<name>S</name>",
        "<size>S</size>",
        "<size> +86S.0 </size>",
        "<name>1&#51;8<!-- -->00138000</name>",
        "<x/><name>tel <![CDATA[S]]></name>",
    ] {
        let body = format!("<r><p>{}</p></r>", place.replace('S', "13800138000"));
        let found = |egress| run_all(&plan(egress), Bounds::default(), body.as_bytes());
        assert_eq!(found(Some(Egress::Block)).unwrap_err().reason(), "egress", "{body}");
        let (out, summary) = found(Some(Egress::Report)).unwrap();
        assert_eq!(out, run(&plan(None), &body).unwrap());
        assert_eq!(summary.masked(), 0, "{body}");
    }
    for body in ["<r><code>13800138000</code></r>", "<r><p id='13800138000'/></r>"] {
        assert_eq!(run(&plan(Some(Egress::Block)), body).unwrap_err().reason(), "egress", "{body}");
    }
    // What is searched is written like what is not: its text leaves, the elements in it do not.
    for (name, left) in [
        ("见<b>x</b>附<c/>件<![CDATA[1]]>", "见附件<![CDATA[1]]>"),
        ("<b><c/>x</b>", ""),
        ("<b>13800138000</b>1", "1"),
        ("]]<b/>]<c>></c>", "]]]"),
    ] {
        let body = format!("<r><code>{name}</code><p><name>{name}</name></p></r>");
        let (out, summary) = run_all(&plan(Some(Egress::Block)), Bounds::default(), body.as_bytes()).unwrap();
        assert_eq!(out, format!("<r><code>{left}</code><p><name>{left}</name></p></r>"));
        let (clear, unsearched) = run_all(&plan(None), Bounds::default(), body.as_bytes()).unwrap();
        assert_eq!(clear, out);
        assert!(unsearched.fields().eq(summary.fields().filter(|field| field.path.as_str() != "r.code")));
    }
    // Numbers with elements in them are none, searched or not.
    for egress in [None, Some(Egress::Report), Some(Egress::Block)] {
        let out = run(&plan(egress), "<r><p><size>1<b/>2</size><size>3</size></p></r>");
        assert_eq!(out.unwrap(), "<r><p><size></size><size>3</size></p></r>");
        // Without the element it would be no XML.
        for text in ["]]<b/>>", "]<b>x</b>]<c/><c/>>"] {
            let error = run(&plan(egress), &format!("<r><p><name>{text}</name></p></r>")).unwrap_err();
            assert_eq!(error.reason(), "syntax", "{text}");
        }
    }
    let split = "<r><p><name>13800<b/>138000</name></p></r>";
    assert_eq!(run(&plan(Some(Egress::Block)), split).unwrap_err().reason(), "egress");
    let small = Bounds { value: 8, ..Bounds::default() };
    let body = b"<r><p><name>123456789</name><size>123456789</size></p></r>";
    let (out, _) = run_all(&plan(Some(Egress::Report)), small, body).unwrap();
    assert_eq!(out, "<r><p><name></name><size></size></p></r>");
}
