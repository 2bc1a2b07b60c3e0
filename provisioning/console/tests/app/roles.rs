//! The page of roles is made from the matrix itself.

use std::{fmt::Write, path::Path};

use bbt_console::access::{Permissions, Role};

const fn name(role: Role) -> &'static str {
    match role {
        Role::Overseer => "省/市监管",
        Role::CountyOperator => "县运维",
        Role::ContentOfficer => "县内容管理",
        Role::Reviewer => "教研员（审核）",
        Role::Technician => "厂商技术员（包区）",
        Role::SchoolAdmin => "学校管理员",
        Role::Auditor => "审计员",
        Role::SystemAdmin => "系统管理员",
    }
}

/// What an action is called on the page; an action without a name fails.
fn meaning(action: &str) -> &'static str {
    match action {
        "account.own" => "自己的账号：资料、密码、第二因素、登录会话、保存的视图",
        "overview.read" => "总览与变化通知",
        "tree.read" => "看区域、学校、教室",
        "regions.write" => "新建区域、改名",
        "schools.write" => "新建学校、改名",
        "lines.read" => "看学校的专线设置与可签名的终端",
        "lines.write" => "设置学校的专线与上课时间",
        "lines.defaults_read" => "看区域的专线默认值",
        "lines.defaults" => "设置区域的专线默认值",
        "timetables.read" => "看课表、校历、备课安排",
        "timetables.write" => "设置、导入课表；设置本校校历、作息与报修电话",
        "calendars.defaults_read" => "看区域的校历默认值",
        "calendars.defaults" => "设置区域的校历默认值",
        "technician_pin.write" => "设置终端的技术员 PIN",
        "plans.write" => "备课：安排哪节课上哪一课（单班或多班）",
        "readiness.read" => "看备课到位率",
        "authors.write" => "指定哪些终端可为本校签名校本课程",
        "classrooms.write" => "新建教室、改名",
        "roster.read" => "下载花名册模板",
        "roster.import" => "导入花名册",
        "devices.read" => "看终端及其身份",
        "health.read" => "看终端健康数据",
        "devices.move" => "移动终端到别的教室",
        "devices.command" => "给终端下命令",
        "commands.read" => "看命令记录",
        "devices.logs" => "下载终端交来的日志",
        "devices.standing" => "吊销、挂失、解除挂失",
        "devices.replace" => "换机",
        "clones.read" => "看复制盘",
        "clones.decide" => "处理复制盘",
        "tickets.read" => "看注册码与批次",
        "tickets.issue" => "签发、打印、收回注册码；U 盘注册",
        "claims.decide" => "看并处理待注册终端",
        "orders.read" => "看工单、照片、墙上二维码",
        "orders.open" => "开工单",
        "orders.work" => "办理工单：受理、到场、修好、用备件",
        "orders.photos" => "给工单加照片",
        "orders.verdict" => "评判维修：修好了、没修好、关闭",
        "orders.manage" => "派单、改紧急程度、取消；开网络安全整改单",
        "orders.figures" => "看技术员工作量、导出运维服务证据包",
        "walls.write" => "生成、更换墙上二维码",
        "order_slas.read" => "看工单时限",
        "order_slas.write" => "设置工单时限",
        "parts.read" => "看备件库存（含上级库房）",
        "parts.write" => "登记备件、出入库",
        "areas.read" => "看包区",
        "areas.write" => "设置包区",
        "assets.read" => "看资产台账与配备情况",
        "assets.write" => "登记、修改资产",
        "assets.import" => "导入资产台账",
        "inspections.read" => "看巡检",
        "inspections.write" => "记巡检",
        "lessons.read" => "看课程与预览（含上级发布的课程）",
        "lessons.write" => "上传、修改、停用课程",
        "reviews.read" => "看课程审核",
        "lessons.self_check" => "自审",
        "lessons.review_first" => "初审（通过或退回）",
        "lessons.review_second" => "复审（通过或退回）",
        "lessons.admit" => "准入（通过或退回）",
        "lessons.release" => "出库：签名，可以推送",
        "lessons.withdraw" => "下架：已下发的也不再播放",
        "pushes.read" => "看推送",
        "pushes.forecast" => "推送前预测到达时间",
        "pushes.write" => "推送课程、撤回",
        "packs.read" => "看课程包与下载",
        "packs.write" => "制作课程包（U 盘、光盘）",
        "packs.receipts" => "导入回执盘",
        "security.read" => "看安全事件",
        "security.acknowledge" => "确认安全事件",
        "users.read" => "看账号、角色、会话",
        "users.write" => "管理账号与授权",
        "audit.read" => "看、导出、校验审计日志",
        "trust.read" => "看信任根、密钥与下架名单（只限授权在整个平台的账号）",
        "backups.read" => "看、下载备份（只限授权在整个平台的账号）",
        "backups.write" => "立即备份（只限授权在整个平台的账号）",
        "restore.read" => "看恢复旧备份后的冲突",
        "restore.decide" => "决定恢复旧备份后的冲突：保持终端现状，或重新下发",
        "restore.withdrawals" => "恢复旧备份后确认下架名单（只限授权在整个平台的账号）",
        "system.read" => "控制台本身的状态（只限授权在整个平台的账号）",
        "usage.read" => "看使用情况与开课情况",
        "exams.read" => "看考试与静默记录（含上级安排的考试）",
        "exams.write" => "安排、修改、取消考试，重设监考 PIN",
        "faults.read" => "看报修",
        "faults.write" => "处理报修",
        "notices.read" => "看群发的通知",
        "notices.write" => "群发通知",
        "reports.read" => "看报表、登记簿、指标字典，导出数据",
        "reports.write" => "做报表、上报、更正；人工填报",
        "reports.review" => "退回、审核、冻结下级的报表",
        "fleet.read" => "看全部终端的状态统计",
        "bandwidth.read" => "看宽带测速、结论与证据包",
        "bandwidth.rules_read" => "看宽带达标规则与测速设置",
        "bandwidth.follow_read" => "看区域按哪套达标规则",
        "bandwidth.follow" => "设置区域按哪套达标规则",
        "bandwidth.test" => "让学校测速",
        "bandwidth.rules" => "改宽带达标规则与测速设置",
        "alerts.read" => "看告警、事件单、规则、维护时段",
        "alerts.rules" => "设置告警规则",
        "incidents.write" => "处理事件单：认领、暂停、结束、备注",
        "maintenance.write" => "设置维护时段",
        "notifications.read" => "看通知通道、接收人与发送记录",
        "notifications.write" => "设置通知通道、接收人与升级时限",
        other => panic!("{other} has no name on the page of roles: say it in tests/app/roles.rs"),
    }
}

fn page() -> String {
    let mut page = String::from(
        "# 角色与权限

本页由 `provisioning/console/permissions.toml` 生成：程序按同一份数据放行，测试经 HTTP 接口走遍每一格。

授权 = 角色 + 节点（整个平台、某个区域、某所学校）。角色在自己的节点及其下级生效：

- 节点以外的东西等于不存在（404），列表里也没有；角色不允许的操作被拒绝（403 `forbidden`）。
- 上级区域只显示名称，好让人看清自己在哪里；同级的看不到。
- 课程例外：上级发布的课程，下级可以看、可以推送，不能改。
- 一个人可以有多个授权，权限相加。系统里至少留一个“整个平台”的系统管理员。
- 系统管理员只能管理“全部授权都在自己节点以内”的账号，也只能授予自己节点以内的权限。

",
    );
    page.push_str("| 权限 | 动作 |");
    for role in Role::ALL {
        write!(page, " {} |", name(role)).unwrap();
    }
    page.push_str("\n|---|---|");
    page.push_str(&":-:|".repeat(Role::ALL.len()));
    page.push('\n');
    for action in Permissions::get().unwrap().actions() {
        write!(page, "| {} | `{}` |", meaning(&action.name), action.name).unwrap();
        for role in Role::ALL {
            let may = action.roles.as_ref().is_none_or(|roles| roles.contains(&role));
            page.push_str(if may { " ● |" } else { "  |" });
        }
        page.push('\n');
    }
    page.push_str("\n角色代号（接口与命令行用）：");
    let ids = Role::ALL.map(|role| format!("`{}` {}", role.as_str(), name(role)));
    writeln!(page, "{}。", ids.join("，")).unwrap();
    page.push_str("\n## 每个动作包括哪些接口\n\n| 动作 | 接口（`/api/v1` 之下） |\n|---|---|\n");
    for action in Permissions::get().unwrap().actions() {
        let routes: Vec<_> = action.routes.iter().map(|route| format!("`{route}`")).collect();
        writeln!(page, "| `{}` | {} |", action.name, routes.join("，")).unwrap();
    }
    page
}

#[test]
fn the_page_of_roles_is_the_matrix() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference/roles.md");
    let page = page();
    if std::env::var_os("BBT_BLESS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap_or_default(),
        page,
        "run: BBT_BLESS=1 cargo test -p bbt-console --test app roles"
    );
}
