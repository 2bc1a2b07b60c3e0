//! Tables for other programs (数据目录): which there are, what each column is, and how rows are written as CSV or JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clean;

/// Changes with any change of a table that is here; columns are only ever added within a version.
pub const SCHEMA_VERSION: &str = "1.0";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExportColumnType)]
pub enum ColumnType {
    /// A whole number of 64 bits.
    Integer,
    /// UTF-8.
    Text,
}

/// A column.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ExportColumn)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds; a value may always be missing (未知).
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it means, with unit.
    pub about: &'static str,
}

/// A table that can be exported.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ExportTable)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What one row is.
    pub about: &'static str,
    /// Its rows are of days, so that a stretch of time has to be named.
    pub dated: bool,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// `SELECT` in which ?1 is a JSON list of schools, ?2 and ?3 the first and the last day, ?4 and ?5 the instants at which
    /// they begin and end; it names the columns in order.
    #[serde(skip)]
    pub(crate) sql: &'static str,
}

const fn text(name: &'static str, about: &'static str) -> Column {
    Column {
        name,
        kind: ColumnType::Text,
        about,
    }
}

const fn number(name: &'static str, about: &'static str) -> Column {
    Column {
        name,
        kind: ColumnType::Integer,
        about,
    }
}

/// A cell; none: 未知.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Unknown.
    Null,
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// All tables, by name.
pub const TABLES: &[Table] = &[
    Table {
        name: "assets",
        about: "设备台账：每件在用或停用的设备一行",
        dated: false,
        columns: &[
            number("asset_id", "编号"),
            number("school_id", "学校"),
            number("classroom_id", "教室；空：不在教室"),
            text("kind", "设备种类"),
            text("owner", "主管单位"),
            text("builder", "建设单位"),
            text("maintainer", "运维单位"),
            number("created_at", "登记时间，Unix 毫秒"),
            number("retired_at", "停用时间，Unix 毫秒；空：在用"),
        ],
        sql: "SELECT id, school_id, classroom_id, kind, owner, builder, maintainer, created_at, retired_at FROM assets
               WHERE school_id IN (SELECT value FROM json_each(?1)) ORDER BY id",
    },
    Table {
        name: "bandwidth_tests",
        about: "带宽测试：每次一行",
        dated: true,
        columns: &[
            text("test_id", "编号"),
            number("school_id", "学校"),
            number("starts_at", "开始时间，Unix 毫秒"),
            text("state", "ordered、decided"),
            text(
                "verdict",
                "met 达标、not_met 未达标、port_cannot_prove 端口不足以证明、no_target 无目标、no_figures 无数据",
            ),
        ],
        sql: "SELECT id, school_id, starts_at, state, verdict FROM bandwidth_tests
               WHERE school_id IN (SELECT value FROM json_each(?1)) AND starts_at >= ?4 AND starts_at < ?5 ORDER BY starts_at, id",
    },
    Table {
        name: "classrooms",
        about: "教室：每间一行",
        dated: false,
        columns: &[
            number("classroom_id", "编号"),
            number("school_id", "学校"),
            text("code", "教室代码"),
            text("name", "名称"),
            text("grade", "年级"),
        ],
        sql: "SELECT id, school_id, code, name, grade FROM classrooms WHERE school_id IN (SELECT value FROM json_each(?1))
               ORDER BY id",
    },
    Table {
        name: "device_days",
        about: "终端·天：每台终端每天一行，含没有数据的日子",
        dated: true,
        columns: &[
            text("device_id", "终端"),
            text("date", "日期"),
            number("classroom_id", "当天所在教室"),
            number("school_id", "当天所在学校"),
            number("expected_s", "当天教学时段，秒；0：放假"),
            number("online_s", "其中开机，秒；空：未知"),
            number("screen_on_s", "亮屏，秒；空：未知"),
            number("samples", "采样数"),
            text("verdict", "on 开机、off 未在教学时段开机、silent 未知（上课日没有数据）、free 放假且没有数据"),
        ],
        sql: "SELECT d.id, t.date, t.classroom_id, c.school_id, t.expected_s, t.online_s, t.screen_on_s, t.samples, t.verdict
               FROM device_days t JOIN devices d ON d.device_no = t.device_no JOIN classrooms c ON c.id = t.classroom_id
              WHERE c.school_id IN (SELECT value FROM json_each(?1)) AND t.date BETWEEN ?2 AND ?3 ORDER BY d.id, t.date",
    },
    Table {
        name: "devices",
        about: "终端：每台一行，含停用的",
        dated: false,
        columns: &[
            text("device_id", "编号"),
            number("classroom_id", "教室"),
            number("school_id", "学校"),
            text("serial", "序列号"),
            text("board", "型号"),
            number("enrolled_at", "注册时间，Unix 毫秒"),
            text("standing", "active 在用、replaced 已替换、revoked 已吊销、stolen 已挂失"),
        ],
        sql: "SELECT d.id, d.classroom_id, c.school_id, d.serial, d.board, d.enrolled_at, d.standing
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE c.school_id IN (SELECT value FROM json_each(?1)) ORDER BY d.id",
    },
    Table {
        name: "inspections",
        about: "巡检：每台终端每天的自动检测和每次人工检查一行",
        dated: true,
        columns: &[
            number("inspection_id", "编号"),
            text("kind", "automatic 自动、human 人工"),
            text("date", "日期"),
            number("school_id", "学校"),
            number("classroom_id", "教室"),
            text("device_id", "终端；空：人工检查教室"),
            text("result", "pass 合格、fail 不合格、unknown 未知"),
        ],
        sql: "SELECT i.id, i.kind, i.date, i.school_id, i.classroom_id, d.id, i.result
               FROM inspections i LEFT JOIN devices d ON d.device_no = i.device_no
              WHERE i.school_id IN (SELECT value FROM json_each(?1)) AND i.date BETWEEN ?2 AND ?3 ORDER BY i.id",
    },
    Table {
        name: "manual_figures",
        about: "人工填报：每校每月每项一行",
        dated: true,
        columns: &[
            number("school_id", "学校"),
            text("month", "月份的第一天"),
            text("indicator", "指标"),
            number("numerator", "分子"),
            number("denominator", "分母"),
        ],
        sql: "SELECT school_id, month, indicator, numerator, denominator FROM manual_figures
               WHERE school_id IN (SELECT value FROM json_each(?1)) AND month BETWEEN ?2 AND ?3 ORDER BY 1, 2, 3",
    },
    Table {
        name: "orders",
        about: "工单：期内新开的每张一行",
        dated: true,
        columns: &[
            number("order_id", "编号"),
            text("kind", "repair 维修、rectification 整改"),
            number("school_id", "学校"),
            number("classroom_id", "教室"),
            text("class", "infrastructure 基础设施、application 应用系统、resource 教育资源"),
            text("state", "现在的状态"),
            number("opened_at", "报修时间，Unix 毫秒"),
            number("accepted_at", "接单时间，Unix 毫秒"),
            number("repaired_at", "修好时间，Unix 毫秒"),
            number("confirmed_at", "教师确认时间，Unix 毫秒"),
            number("ended_at", "结束时间，Unix 毫秒"),
            number("response_s", "响应用时（自然时间），秒"),
            number("repair_s", "修复用时（自然时间），秒"),
        ],
        sql: "SELECT id, kind, school_id, classroom_id, class, state, opened_at, accepted_at, repaired_at, confirmed_at, ended_at,
                     CASE WHEN accepted_at IS NOT NULL THEN coalesce(response_wall_s, (accepted_at - opened_at) / 1000) END,
                     CASE WHEN repaired_at IS NOT NULL THEN coalesce(repair_wall_s, (repaired_at - opened_at) / 1000) END
                FROM orders WHERE school_id IN (SELECT value FROM json_each(?1)) AND opened_at >= ?4 AND opened_at < ?5 ORDER BY id",
    },
    Table {
        name: "order_events",
        about: "工单动作：期内有动作的工单，到期末为止的每个动作一行",
        dated: true,
        columns: &[
            number("order_id", "工单编号"),
            text("kind", "repair 维修、rectification 整改"),
            number("school_id", "学校"),
            number("n", "第几个动作"),
            text("act", "动作"),
            text("state", "动作之后的状态"),
            number("at", "时间，Unix 毫秒"),
            text("by_kind", "user 账户、board 终端、qr 墙上二维码、console 系统"),
            text("by", "账户；没有则空"),
        ],
        sql: "SELECT e.order_id, o.kind, o.school_id, e.n, e.act, e.state, e.at, e.by_kind, e.by
                FROM order_events e JOIN orders o ON o.id = e.order_id
               WHERE o.school_id IN (SELECT value FROM json_each(?1)) AND e.at < ?5
                 AND EXISTS (SELECT 1 FROM order_events f WHERE f.order_id = e.order_id AND f.at >= ?4 AND f.at < ?5)
               ORDER BY 1, 4",
    },
    Table {
        name: "push_devices",
        about: "推送·终端：期内发出且未撤回的推送所及的每台终端一行",
        dated: true,
        columns: &[
            number("push_id", "推送"),
            text("device_id", "终端"),
            number("school_id", "学校"),
            number("arrived_at", "全部到位的时间，Unix 毫秒；空：没有到位"),
        ],
        sql: "SELECT p.id, d.id, c.school_id, a.arrived_at
               FROM pushes p JOIN push_devices pd ON pd.push_id = p.id
               JOIN devices d ON d.device_no = pd.device_no AND d.enrolled_at < ?5 JOIN classrooms c ON c.id = d.classroom_id
               LEFT JOIN push_arrivals a ON a.push_id = p.id AND a.device_no = d.device_no
              WHERE p.created_at >= ?4 AND p.created_at < ?5 AND (p.withdrawn_at IS NULL OR p.withdrawn_at >= ?5)
                AND c.school_id IN (SELECT value FROM json_each(?1)) ORDER BY 1, 2",
    },
    Table {
        name: "schools",
        about: "学校和教学点：每所一行",
        dated: false,
        columns: &[
            number("school_id", "编号"),
            text("code", "学校代码"),
            text("name", "名称"),
            text("kind", "school 学校、teaching_point 教学点"),
            text("region", "区域"),
            number("contracted_down_mbps", "名册登记的下行带宽，Mbit/s；空：未登记"),
        ],
        sql: "SELECT s.id, s.code, s.name, s.kind, r.name, s.contracted_down_mbps FROM schools s JOIN regions r ON r.id = s.region_id
               WHERE s.id IN (SELECT value FROM json_each(?1)) ORDER BY s.id",
    },
    Table {
        name: "use_days",
        about: "使用日：每台终端报告过的每天一行",
        dated: true,
        columns: &[
            text("device_id", "终端"),
            text("date", "日期"),
            number("classroom_id", "当天所在教室"),
            number("school_id", "当天所在学校"),
        ],
        sql: "SELECT d.id, t.date, t.classroom_id, c.school_id FROM use_days t JOIN devices d ON d.device_no = t.device_no
               JOIN classrooms c ON c.id = t.classroom_id
              WHERE t.trusted = 1 AND c.school_id IN (SELECT value FROM json_each(?1)) AND t.date BETWEEN ?2 AND ?3 ORDER BY 1, 2",
    },
    Table {
        name: "use_lessons",
        about: "课程使用：每台终端每天每门课程一行",
        dated: true,
        columns: &[
            text("device_id", "终端"),
            text("date", "日期"),
            number("classroom_id", "当天所在教室"),
            number("school_id", "当天所在学校"),
            text("lesson_id", "课程；空：教师自带的文件"),
            text("subject", "学科"),
            number("opens", "打开次数"),
            number("finished", "播放到结尾的次数"),
            number("seconds", "播放时长，秒"),
        ],
        sql: "SELECT d.id, t.date, t.classroom_id, c.school_id, u.lesson_id, u.subject, u.opens, u.finished, u.seconds
               FROM use_days t JOIN devices d ON d.device_no = t.device_no JOIN classrooms c ON c.id = t.classroom_id
               JOIN use_lessons u ON u.device_no = t.device_no AND u.date = t.date
              WHERE t.trusted = 1 AND c.school_id IN (SELECT value FROM json_each(?1)) AND t.date BETWEEN ?2 AND ?3
              ORDER BY 1, 2, 5, 6",
    },
    Table {
        name: "use_periods",
        about: "课时：终端报告过的每节课一行",
        dated: true,
        columns: &[
            text("device_id", "终端"),
            text("date", "日期"),
            number("classroom_id", "当天所在教室"),
            number("school_id", "当天所在学校"),
            number("number", "节次"),
            text("subject", "学科"),
            text("planned", "所备课程；空：没有备课"),
            number("opened", "1：打开过课程内容"),
            number("planned_opened", "1：打开过所备课程"),
        ],
        sql: "SELECT d.id, t.date, t.classroom_id, c.school_id, p.number, p.subject, p.planned, p.opened, p.planned_opened
               FROM use_days t JOIN devices d ON d.device_no = t.device_no JOIN classrooms c ON c.id = t.classroom_id
               JOIN use_periods p ON p.device_no = t.device_no AND p.date = t.date
              WHERE t.trusted = 1 AND c.school_id IN (SELECT value FROM json_each(?1)) AND t.date BETWEEN ?2 AND ?3
              ORDER BY 1, 2, 5",
    },
];

impl Table {
    /// The table of a name.
    pub fn of(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// As CSV: UTF-8 with a mark; an unknown value is empty, and a text a spreadsheet would reckon out begins with `'`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn csv(&self, rows: &[Vec<Value>]) -> Result<Vec<u8>, csv::Error> {
        let mut writer = self.csv_into(b"\xef\xbb\xbf".to_vec())?;
        for row in rows {
            writer.write_record(Self::record(row))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }

    /// The same into any place, row by row: headed, and behind the mark of UTF-8 that the caller has written.
    ///
    /// # Errors
    /// The place's.
    pub fn csv_into<W: std::io::Write>(&self, into: W) -> Result<csv::Writer<W>, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(into);
        writer.write_record(self.columns.iter().map(|column| column.name))?;
        Ok(writer)
    }

    /// A row as a CSV has it; no cell is a formula.
    pub fn record(row: &[Value]) -> impl Iterator<Item = String> {
        row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => clean::cell(text),
        })
    }

    /// As JSON: the table's name, the version, and one object for each row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn json(&self, rows: &[Vec<Value>]) -> Result<Vec<u8>, serde_json::Error> {
        let row = |row: &Vec<Value>| -> serde_json::Map<String, serde_json::Value> {
            let value = |value: &Value| match value {
                Value::Null => serde_json::Value::Null,
                Value::Integer(number) => (*number).into(),
                Value::Text(text) => text.as_str().into(),
            };
            let cells = self.columns.iter().zip(row);
            cells
                .map(|(column, cell)| (column.name.to_owned(), value(cell)))
                .collect()
        };
        let all: Vec<_> = rows.iter().map(row).collect();
        serde_json::to_vec(&serde_json::json!({
            "table": self.name, "schema_version": SCHEMA_VERSION, "rows": all,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The catalogue is published: `docs/src/reference/data-catalogue.md`. Made again with `BBT_BLESS=1`.
    #[test]
    fn the_published_catalogue_is_this_one() {
        let mut text = format!(
            "# 数据目录\n\n版本 {SCHEMA_VERSION}。同一版本内只会增加列，不会改变已有的列。取数：网页“数据导出”、\
             `GET /api/v1/catalogue/{{表名}}?format=csv|json|parquet&from=…&to=…`、`bbt-console report export`。\n\n\
             空值（CSV 里的空格子、JSON 和 Parquet 里的 null）是“未知”，不是 0。只有账户能看到的学校的行。没有任何人的姓名，也没有学生数据。\n"
        );
        for table in TABLES {
            let dated = if table.dated {
                "按日期取"
            } else {
                "不分日期"
            };
            let _ = write!(
                text,
                "\n## `{}`\n\n{}（{dated}）。\n\n| 列 | 类型 | 意思 |\n|---|---|---|\n",
                table.name, table.about
            );
            for column in table.columns {
                let kind = match column.kind {
                    ColumnType::Integer => "整数",
                    ColumnType::Text => "文字",
                };
                let _ = writeln!(text, "| `{}` | {kind} | {} |", column.name, column.about);
            }
        }
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/src/reference/data-catalogue.md");
        if std::env::var_os("BBT_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&file).unwrap_or_default(),
            text,
            "run this test with BBT_BLESS=1"
        );
    }

    #[test]
    fn cells_are_text_for_a_spreadsheet_and_unknown_is_empty() {
        let table = Table::of("classrooms").unwrap();
        let row = vec![
            Value::Integer(1),
            Value::Integer(2),
            Value::Text("=1+1".into()),
            Value::Text("a\u{202E}b".into()),
            Value::Null,
        ];
        let csv = String::from_utf8(table.csv(std::slice::from_ref(&row)).unwrap()).unwrap();
        assert!(csv.ends_with("1,2,'=1+1,ab,\r\n"), "{csv}");
        let json: serde_json::Value = serde_json::from_slice(&table.json(&[row]).unwrap()).unwrap();
        assert_eq!(json["rows"][0]["code"], "=1+1", "a program gets what is there");
        assert!(json["rows"][0]["grade"].is_null());
    }
}
