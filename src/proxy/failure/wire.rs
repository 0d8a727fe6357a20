//! What a fault of the bytes is called, and what the client is told of it.

use crate::proxy::problem::Code;
use crate::wire::Fault;

/// The code of a head that has `fault`.
pub(super) fn code(fault: Fault) -> Code {
    match fault {
        Fault::BareLf
        | Fault::BareCr
        | Fault::Leading
        | Fault::RequestLine
        | Fault::Fold
        | Fault::BlankBeforeColon
        | Fault::FieldName
        | Fault::Control => Code::RequestSyntax,
        Fault::Length | Fault::LengthTwice | Fault::Coding | Fault::LengthAndCoding => Code::RequestFraming,
        Fault::TooLarge { .. } | Fault::TooManyFields { .. } => Code::RequestHeadTooLarge,
        Fault::Target | Fault::TargetTooLong => Code::RequestPath,
        Fault::Method => Code::RequestMethod,
        Fault::Version => Code::RequestVersion,
        // Those of bodies break their connection; a stand-in for one would be right to say so.
        Fault::ChunkSize
        | Fault::ChunkExtension
        | Fault::ChunkEnd
        | Fault::Trailer
        | Fault::TooManyTrailers => Code::RequestBody,
    }
}

/// The same as its `Display`, in Chinese.
pub(super) fn in_chinese(fault: Fault) -> String {
    let words = match fault {
        Fault::BareLf => "某一行仅以 LF 结尾",
        Fault::BareCr => "某一 CR 之后没有 LF",
        Fault::Leading => "请求行之前有空行或空白",
        Fault::RequestLine => "请求行须由方法、目标和版本组成，其间各有一个空格",
        Fault::Method => "该方法用于建立隧道，或过长",
        Fault::Target => "请求目标须为路径或 `http` URI，只含 ASCII 字符，且不含片段",
        Fault::TargetTooLong => "请求目标过长",
        Fault::Version => "版本不是 HTTP/1.1",
        Fault::Fold => "某一字段行以空白开头",
        Fault::BlankBeforeColon => "某一字段行的冒号之前有空白",
        Fault::FieldName => "某一字段行没有名称或冒号，或名称含有不允许的字符",
        Fault::Control => "某一字段值含有控制字符",
        Fault::TooLarge { limit } => return format!("头部超过 {limit} 字节"),
        Fault::TooManyFields { limit } => return format!("字段超过 {limit} 个"),
        Fault::Length => "`Content-Length` 不是单一的十进制数",
        Fault::LengthTwice => "`Content-Length` 出现了两次",
        Fault::Coding => "`Transfer-Encoding` 不是单一的 `chunked`，或出现了两次，或用于 HTTP/1.0",
        Fault::LengthAndCoding => "`Content-Length` 与 `Transfer-Encoding` 同时出现",
        Fault::ChunkSize => "分块大小不是至多八位的十六进制数",
        Fault::ChunkExtension => "分块带有扩展",
        Fault::ChunkEnd => "分块数据未在其大小所示之处结束",
        Fault::Trailer => "尾部含有只能出现在头部的字段",
        Fault::TooManyTrailers => "尾部字段过多或过大",
    };
    words.to_owned()
}
