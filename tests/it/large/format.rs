//! Long bodies in each format: what the platform sends, and what must leave of it.

use std::sync::LazyLock;

use super::platform::Ending;

/// Records in a block. A body is a head, blocks that are all the same, and a tail.
const RECORDS: u64 = 256;

/// Bodies of one format.
pub(super) struct Format {
    pub(super) name: &'static str,
    format: &'static str,
    pub(super) media_type: &'static str,
    /// Whether the platform says beforehand how long the body is.
    pub(super) tells_length: bool,
    /// Where the catalogue says that the records are.
    place: &'static str,
    pub(super) head: &'static str,
    pub(super) left_head: &'static str,
    pub(super) block: String,
    pub(super) left_block: String,
    pub(super) tail: &'static str,
    pub(super) left_tail: &'static str,
    /// Members of head and tail that no catalogue names.
    pub(super) unlisted: u64,
    /// Why a body is refused that goes on with a control character.
    pub(super) spoiled: &'static str,
    /// Records in the head, which are empty.
    pub(super) empty: u64,
}

pub(super) static FORMATS: LazyLock<[Format; 5]> =
    LazyLock::new(|| [json("json", true), json("json-chunked", false), lines(), csv(), xml()]);

fn json(name: &'static str, tells_length: bool) -> Format {
    Format {
        name,
        format: "json",
        media_type: "application/json",
        tells_length,
        place: "records = \"data\"\nenvelope = [\"code\"]",
        head: r#"{"code":0,"data":[{}"#,
        left_head: r#"{"code":0,"data":[{}"#,
        block: (0..RECORDS).map(|number| format!(",\n  {}", record(number))).collect(),
        left_block: (0..RECORDS).map(|number| format!(",\n  {}", left(number))).collect(),
        tail: r#"], "total":1}"#,
        left_tail: "]}",
        unlisted: 1,
        spoiled: "syntax",
        empty: 1,
    }
}

fn lines() -> Format {
    Format {
        name: "ndjson",
        format: "ndjson",
        media_type: "application/x-ndjson",
        tells_length: false,
        place: "",
        head: "{}\n",
        left_head: "{}\n",
        block: (0..RECORDS).map(|number| format!("{}\n", record(number))).collect(),
        left_block: (0..RECORDS).map(|number| format!("{}\n", left(number))).collect(),
        tail: "",
        left_tail: "",
        unlisted: 0,
        spoiled: "syntax",
        empty: 1,
    }
}

fn csv() -> Format {
    let row = |number: u64| {
        let note = "逐户走访，\"\"已核验\"\"\n".repeat(usize::try_from(number % 3).unwrap());
        format!("{number},欧阳建国,{},\"{note}\",x\r\n", phone(number))
    };
    let left = |number: u64| format!("{number},欧阳**,138****{}\r\n", &phone(number)[7..]);
    Format {
        name: "csv",
        format: "csv",
        media_type: "text/csv",
        tells_length: true,
        place: "",
        head: "id,name,phone,note,x\r\n",
        left_head: "id,name,phone\r\n",
        block: (0..RECORDS).map(row).collect(),
        left_block: (0..RECORDS).map(left).collect(),
        tail: "",
        left_tail: "",
        unlisted: 0,
        spoiled: "control-character",
        empty: 0,
    }
}

fn xml() -> Format {
    let row = |number: u64| {
        let note = "<![CDATA[逐户走访 & 已核验]]>".repeat(usize::try_from(number % 3).unwrap());
        let phone = phone(number);
        format!(
            "  <row x=\"x\"><id>{number}</id><name>欧阳建国</name><phone>{phone}</phone><note>{note}</note></row>\n"
        )
    };
    let left = |number: u64| {
        let phone = format!("138****{}", &phone(number)[7..]);
        format!("  <row><id>{number}</id><name>欧阳**</name><phone>{phone}</phone></row>\n")
    };
    Format {
        name: "xml",
        format: "xml",
        media_type: "application/xml",
        tells_length: false,
        place: "records = \"list.row\"",
        head: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list>\n",
        left_head: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list>\n",
        block: (0..RECORDS).map(row).collect(),
        left_block: (0..RECORDS).map(left).collect(),
        tail: "</list>\n",
        left_tail: "</list>\n",
        unlisted: 0,
        spoiled: "character",
        empty: 0,
    }
}

/// A record as the platform sends it; no two in a block are the same.
fn record(number: u64) -> String {
    format!(
        "{{\"id\": {number}, \"name\": \"欧阳建国\", \"phone\": \"{}\", \"note\": \"{}\", \"x\": [{number}]}}",
        phone(number),
        "逐户走访，已核验。".repeat(usize::try_from(number % 5).unwrap()),
    )
}

/// The same as it leaves.
fn left(number: u64) -> String {
    format!("{{\"id\": {number}, \"name\": \"欧阳**\", \"phone\": \"138****{}\"}}", &phone(number)[7..])
}

fn phone(number: u64) -> String {
    format!("138{:08}", number * 7_919)
}

impl Format {
    pub(super) fn resource(&self) -> String {
        format!(
            r#"
[[resource]]
id = "large.{name}"
name = "大数据量"
provider = "dept:shuju"
class = "测试"
sharing = "conditional"
mode = ["query"]
format = "{format}"
{place}
fields = [
    {{ name = "id", label = "编号", type = "number", level = 1 }},
    {{ name = "name", label = "姓名", level = 2, mask = "name" }},
    {{ name = "phone", label = "手机号码", level = 3, mask = "mobile" }},
    {{ name = "note", label = "备注", level = 2 }},
]
"#,
            name = self.name,
            format = self.format,
            place = self.place,
        )
    }

    pub(super) fn grant(&self) -> String {
        let name = self.name;
        format!(
            "p, LARGE-{name}, sys:ziran-map, large.{name}, query, planning.survey, id|name|phone, always, allow\n"
        )
    }

    pub(super) fn routes(&self) -> String {
        format!(
            "\n[[route]]\nmethod = \"GET\"\npath = \"/large/{name}/{{ending}}\"\nresource = \"large.{name}\"\n\
             action = \"query\"\nupstream = \"platform\"\n",
            name = self.name,
        )
    }

    pub(super) fn target(&self, ending: Ending) -> String {
        format!("/large/{}/{}", self.name, ending.as_str())
    }

    /// The blocks of a body of at least `size` bytes.
    pub(super) fn blocks(&self, size: u64) -> u64 {
        size.div_ceil(u64::try_from(self.block.len()).unwrap())
    }

    pub(super) fn length(&self, size: u64) -> u64 {
        let ends = u64::try_from(self.head.len() + self.tail.len()).unwrap();
        self.blocks(size) * u64::try_from(self.block.len()).unwrap() + ends
    }

    /// The size of a body that is streamed, but only just.
    pub(super) fn small(&self) -> u64 {
        512 << 10
    }

    pub(super) fn records(&self, size: u64) -> u64 {
        self.blocks(size) * RECORDS + self.empty
    }
}
