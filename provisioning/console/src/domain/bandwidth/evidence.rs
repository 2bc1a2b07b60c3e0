//! 宽带达标证据包: what was measured of a school's line in a month, as files that anybody can check. The same facts give the same
//! bytes.

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
};

use contract::signed::{KeyRole, Signed, SignedBody};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::rules::local;
use crate::{
    api::bandwidth::{BandwidthBoard, BandwidthMonth, BandwidthTest, BoardRate, Rules},
    reports::clean,
};

/// Everything that goes in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    /// What the month comes to.
    pub month: BandwidthMonth,
    /// Every test that was decided in it, oldest first, with its boards.
    pub tests: Vec<BandwidthTest>,
    /// The versions of the rules that its verdicts name.
    pub rules: Vec<Rules>,
}

/// What is signed: the files by their hashes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The school's code.
    pub school: String,
    /// The month.
    pub month: String,
    /// Name and SHA-256 of each file, in lower-case hexadecimal.
    pub files: Vec<(String, String)>,
}

impl SignedBody for Manifest {
    const KIND: &'static str = "bandwidth-evidence/1";
    const ROLE: KeyRole = KeyRole::Command;
}

/// A file of the pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The files, without their list.
///
/// # Errors
/// A figure that JSON or CSV cannot hold.
pub fn files(evidence: &Evidence) -> Result<Vec<File>, String> {
    let mut json = serde_json::to_vec_pretty(evidence).map_err(|e| e.to_string())?;
    json.push(b'\n');
    Ok(vec![
        File {
            name: "evidence.json",
            bytes: json,
        },
        File {
            name: "boards.csv",
            bytes: table(evidence).map_err(|e| e.to_string())?,
        },
        File {
            name: "evidence.html",
            bytes: page(evidence).into_bytes(),
        },
    ])
}

/// The list of files that is to be signed.
pub fn manifest(evidence: &Evidence, files: &[File]) -> Manifest {
    let hash = |bytes: &[u8]| {
        Sha256::digest(bytes)
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    };
    Manifest {
        school: evidence.month.code.clone(),
        month: evidence.month.month.clone(),
        files: files
            .iter()
            .map(|file| (file.name.to_owned(), hash(&file.bytes)))
            .collect(),
    }
}

/// The pack as a zip: the files, their hashes in the form of `sha256sum`, and the signed list. No times of its own.
///
/// # Errors
/// A zip that cannot be written.
pub fn pack(files: &[File], manifest: &Manifest, signed: &Signed<Manifest>) -> Result<Vec<u8>, String> {
    let mut sums = String::new();
    for (name, hash) in &manifest.files {
        let _ = writeln!(sums, "{hash}  {name}");
    }
    let mut list = serde_json::to_vec_pretty(signed).map_err(|e| e.to_string())?;
    list.push(b'\n');
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let all = files
        .iter()
        .map(|file| (file.name, file.bytes.as_slice()))
        .chain([
            ("SHA256SUMS", sums.as_bytes()),
            ("manifest.signed.json", list.as_slice()),
        ]);
    for (name, bytes) in all {
        zip.start_file(name, options).map_err(|e| e.to_string())?;
        zip.write_all(bytes).map_err(|e| e.to_string())?;
    }
    Ok(zip.finish().map_err(|e| e.to_string())?.into_inner())
}

/// One row for each board of each test.
fn table(evidence: &Evidence) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record([
        "测试",
        "开始时间",
        "终端",
        "教室",
        "端口 Mbit/s",
        "接入方式",
        "下行净荷 kbit/s",
        "下行计入 kbit/s",
        "上行净荷 kbit/s",
        "上行计入 kbit/s",
        "其他流量字节",
        "往返时延 ms",
        "同步",
        "未得结果的原因",
        "结论",
    ])?;
    for test in &evidence.tests {
        let verdict = test.decision.as_ref().map_or("", |d| d.verdict.zh());
        for board in &test.boards {
            let of = |rate: Option<BoardRate>, pick: fn(BoardRate) -> u64| {
                rate.map_or_else(String::new, |rate| pick(rate).to_string())
            };
            let text = |value: Option<String>| value.unwrap_or_default();
            writer.write_record([
                clean::cell(&test.id),
                moment(test.starts_at),
                clean::cell(&board.device_id),
                clean::cell(&board.classroom),
                text(board.port_mbps.map(|mbps| mbps.to_string())),
                link(board).to_owned(),
                of(board.down, |r| r.payload_kbps),
                of(board.down, |r| r.counted_kbps),
                of(board.up, |r| r.payload_kbps),
                of(board.up, |r| r.counted_kbps),
                text(board.other_bytes.map(|bytes| bytes.to_string())),
                text(board.rtt_ms.map(|ms| format!("{ms:.1}"))),
                match board.in_step {
                    Some(true) => "是".to_owned(),
                    Some(false) => "否".to_owned(),
                    None => String::new(),
                },
                clean::cell(board.failed.as_deref().unwrap_or_default()),
                verdict.to_owned(),
            ])?;
        }
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

const fn link(board: &BandwidthBoard) -> &'static str {
    use contract::bandwidth::LinkKind;
    match board.link {
        Some(LinkKind::Wired) => "有线",
        Some(LinkKind::Wireless) => "无线",
        Some(LinkKind::Mobile) => "移动",
        Some(LinkKind::None) | None => "",
    }
}

fn moment(at: jiff::Timestamp) -> String {
    local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn mbps(kbps: u64) -> String {
    format!("{}.{}", kbps / 1_000, kbps % 1_000 / 100)
}

/// A page to be printed.
fn page(evidence: &Evidence) -> String {
    let month = &evidence.month;
    let mut html = String::from(concat!(
        "<!doctype html>\n<html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>宽带达标证据</title>\n<style>",
        "body{font:11pt/1.6 \"Noto Sans CJK SC\",sans-serif;margin:18mm}h1{font-size:18pt;margin:0 0 2mm}",
        "table{border-collapse:collapse;width:100%;margin:3mm 0 6mm}td,th{border:.3mm solid #888;padding:1mm 2mm;text-align:left}",
        "td.n{text-align:right;font-variant-numeric:tabular-nums}.v{font-size:15pt;font-weight:700}small{color:#444}",
        "th{background:#eef2f7;print-color-adjust:exact}section{break-inside:avoid}h2{font-size:13pt;margin:4mm 0 1mm}",
        "@page{size:A4;margin:15mm}@media print{body{margin:0}}</style>\n"
    ));
    let _ = writeln!(
        html,
        "<h1>宽带达标证据</h1><p>{}（{}） · {}</p><p class=\"v\">{}</p>",
        clean::html(&month.school),
        clean::html(&month.code),
        clean::html(&month.month),
        month.verdict.zh()
    );
    let _ = writeln!(
        html,
        "<p>当月有结论的测试 {} 次，其中存疑 {} 次。文件校验值见 SHA256SUMS，签名见 manifest.signed.json。</p>",
        month.tests, month.doubtful
    );
    for test in &evidence.tests {
        let _ = writeln!(
            html,
            "<section><h2>{}</h2><p><small>测试 {}</small></p>",
            moment(test.starts_at),
            clean::html(&test.id)
        );
        if let Some(decision) = &test.decision {
            for (name, direction) in [("下行", decision.down), ("上行", decision.up)] {
                let Some(direction) = direction else { continue };
                let target = direction.target_kbps.map_or_else(
                    || "—".to_owned(),
                    |kbps| format!("{} Mbit/s", mbps(u64::from(kbps))),
                );
                let _ = writeln!(
                    html,
                    "<p>{name}：{} Mbit/s（净荷 {}），标准 {target}，{}</p>",
                    mbps(direction.counted_kbps),
                    mbps(direction.payload_kbps),
                    direction.verdict.zh()
                );
            }
            if let Some(quote) = &decision.target.quote {
                let _ = writeln!(
                    html,
                    "<p><small>依据：“{}”（规则第 {} 版，容差 {}%）</small></p>",
                    clean::html(quote),
                    decision.target.rules_version,
                    decision.target.tolerance_percent
                );
            }
        }
        html.push_str("<table><tr><th>教室</th><th>端口 Mbit/s</th><th>接入</th><th>下行 Mbit/s</th><th>上行 Mbit/s</th><th>其他流量</th></tr>\n");
        for board in &test.boards {
            let rate =
                |rate: Option<BoardRate>| rate.map_or_else(|| "—".to_owned(), |r| mbps(r.counted_kbps));
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                clean::html(&board.classroom),
                board.port_mbps.map_or_else(|| "—".to_owned(), |m| m.to_string()),
                link(board),
                rate(board.down),
                rate(board.up),
                board
                    .other_bytes
                    .map_or_else(|| "—".to_owned(), |b| format!("{} KB", b / 1_000)),
            );
        }
        html.push_str("</table></section>\n");
    }
    html.push_str("</html>\n");
    html
}
