//! The policy of [`super::policy`] and the limits of [`super::embedded`], written for a broker that somebody else runs.
//!
//! One table ([`rules`]) feeds Mosquitto's access list, the table for other brokers, and the tests that hold both against
//! the embedded broker. Text only; who writes it to a disk is the command line.

use std::{fmt::Write, path::Path};

use contract::topic::{Direction, Leaf};

use super::{
    CONSOLE_NAME, MAX_PACKET_BYTES, MAX_PAYLOAD_BYTES,
    embedded::{MAX_INFLIGHT, MAX_QUEUE, SESSION_EXPIRY},
};

/// Stands for the name in the client's certificate.
pub const OWN_NAME: &str = "<name>";

/// One thing that may be done; everything else is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it is the console that may; else a device.
    pub console: bool,
    /// Whether it may send there.
    pub publish: bool,
    /// Whether it may listen there.
    pub subscribe: bool,
    /// Topic, with [`OWN_NAME`] for the client's own name.
    pub topic: String,
}

/// Everything that anybody may do.
pub fn rules() -> Vec<Rule> {
    let device = Leaf::ALL.into_iter().map(|leaf| Rule {
        console: false,
        publish: leaf.direction() == Direction::Up,
        subscribe: leaf.direction() == Direction::Down,
        topic: format!("bbt/v1/d/{OWN_NAME}/{}", leaf.as_str()),
    });
    let console = Rule {
        console: true,
        publish: true,
        subscribe: true,
        topic: "bbt/#".to_owned(),
    };
    std::iter::once(console).chain(device).collect()
}

/// Mosquitto's access list.
pub fn mosquitto_acl() -> String {
    let mut text = String::from(
        "# Made by `bbt-console broker export`; change nothing here, export again.\n\
         # Mosquitto asks this list when a message is sent and when it is delivered. It never refuses a subscription:\n\
         # a foreign one is answered as granted and hears nothing.\n",
    );
    let word = |rule: &Rule| match (rule.publish, rule.subscribe) {
        (true, true) => "readwrite",
        (true, false) => "write",
        _ => "read",
    };
    // A user's block goes on to the next `user` line or pattern, so the console's comes first.
    for rule in rules().iter().filter(|rule| rule.console) {
        let _ = write!(
            text,
            "\nuser {CONSOLE_NAME}\ntopic {} {}\n",
            word(rule),
            rule.topic
        );
    }
    text.push_str("\n# %u is the name in the device's certificate.\n");
    for rule in rules().iter().filter(|rule| !rule.console) {
        let _ = writeln!(
            text,
            "pattern {} {}",
            word(rule),
            rule.topic.replace(OWN_NAME, "%u")
        );
    }
    text
}

/// Mosquitto's configuration, for files that lie in `at` on the broker's machine.
pub fn mosquitto_conf(at: &Path, listen: &str, max_connections: usize) -> String {
    let at = at.display();
    let (bind, port) = listen.rsplit_once(':').unwrap_or(("", listen));
    let bind = bind.trim_matches(['[', ']']);
    format!(
        "# Made by `bbt-console broker export` for Mosquitto 2.0. Change nothing here, export again.
per_listener_settings false
listener {port} {bind}
# Nobody comes in without a certificate of our authority that is not revoked; its name is the user and the client id.
allow_anonymous false
require_certificate true
use_identity_as_username true
use_username_as_clientid true
tls_version tlsv1.2
cafile {at}/ca.pem
crlfile {at}/crl.pem
certfile {at}/server.pem
keyfile {at}/server.key
acl_file {at}/acl
# Limits.
max_connections {max_connections}
message_size_limit {MAX_PAYLOAD_BYTES}
max_packet_size {MAX_PACKET_BYTES}
max_inflight_messages {MAX_INFLIGHT}
max_queued_messages {MAX_QUEUE}
max_topic_alias 0
# What is owed is in the console's database: nothing here has to survive a restart.
persistence false
persistent_client_expiration {hours}h
log_dest stderr
log_type error
log_type warning
log_type notice
",
        hours = SESSION_EXPIRY.as_secs().div_ceil(3_600).max(1),
    )
}

/// What any broker must enforce, as a table in Markdown.
pub fn policy_table() -> String {
    let mut text = String::from("| 谁（证书通用名） | 可发布 | 可订阅 | 主题 |\n|---|---|---|---|\n");
    for rule in rules() {
        let who = match rule.console {
            true => format!("`{CONSOLE_NAME}`（管理平台）"),
            false => "终端".to_owned(),
        };
        let yes = |may: bool| if may { "是" } else { "否" };
        let _ = writeln!(
            text,
            "| {who} | {} | {} | `{}` |",
            yes(rule.publish),
            yes(rule.subscribe),
            rule.topic
        );
    }
    let _ = writeln!(
        text,
        "| 任何人 | 否 | 否 | 其余一切，包括 `#`、`+`、`$SYS/#`、`$share/…`（终端） |"
    );
    let _ = write!(
        text,
        "\n| 限制 | 值 |\n|---|---|\n\
         | 单条消息 | {MAX_PAYLOAD_BYTES} 字节 |\n\
         | 单个报文 | {MAX_PACKET_BYTES} 字节 |\n\
         | 每终端未确认消息 | {MAX_INFLIGHT} |\n\
         | 每终端排队消息 | {MAX_QUEUE} |\n\
         | 会话保留 | {} 秒 |\n",
        SESSION_EXPIRY.as_secs()
    );
    text
}

/// What stands beside the files.
pub fn readme() -> String {
    format!(
        "# 外部 MQTT 服务器（Mosquitto 2.0）

本文件夹由 `bbt-console broker export` 生成，`server.key` 是私钥，请勿外传。

1. 把整个文件夹复制到 Mosquitto 所在机器（路径与导出时 `--at` 一致），属主改为 `mosquitto`。
2. `mosquitto -c mosquitto.conf`，或在 `/etc/mosquitto/conf.d/` 中 `include_dir` 本文件夹。
3. 终端连接的名称必须是 `server.pem` 里的名称（管理平台配置的 `public_host`）。
4. 管理平台 `console.toml` 写 `external_broker = \"主机:端口\"`，重启管理平台。
5. 吊销终端后执行 `bbt-console ca crl --out crl.pem` 并**重启** Mosquitto：它只在启动时读吊销列表，也不会断开已连接的终端。
   吊销列表有效 30 天，过期后 Mosquitto 拒绝所有人：请用定时任务每周更新一次。

## 任何服务器都必须做到

- 双向 TLS，只信任 `ca.pem`；查 `crl.pem`；客户端编号 = 证书通用名，不接受别的编号。
- 遗嘱消息按发布处理。

{}
## Mosquitto 做不到的

| 内置服务器 | Mosquitto |
|---|---|
| 吊销后 5 秒内断开 | 需要重启才读新的吊销列表 |
| 连接时识别复制盘，不让复制盘顶掉原终端 | 后来者顶掉先来者；复制盘只能靠终端自检和 HTTPS 发现 |
| 拒绝无权订阅（SUBACK 0x87） | 订阅显示成功，但收不到任何消息 |
| 拒绝编号与证书不符的连接 | 连接被接受，但编号改为证书通用名 |
| 拒绝遗嘱写到别人主题的连接 | 连接被接受，遗嘱不发出 |
",
        policy_table()
    )
}

#[cfg(test)]
mod tests {
    use contract::id::DeviceId;

    use super::*;
    use crate::broker::policy::{Action, Subject, allowed};

    #[test]
    fn the_table_says_what_the_embedded_broker_does() {
        let me = Subject::Device(DeviceId::new("d1").unwrap());
        let device: Vec<Rule> = rules().into_iter().filter(|rule| !rule.console).collect();
        assert_eq!(device.len(), Leaf::ALL.len());
        for rule in device {
            let topic = rule.topic.replace(OWN_NAME, "d1");
            assert_eq!(allowed(&me, Action::Publish, &topic), rule.publish, "{topic}");
            assert_eq!(allowed(&me, Action::Subscribe, &topic), rule.subscribe, "{topic}");
        }
    }

    #[test]
    fn the_access_list_names_every_leaf_once_and_no_wildcard_for_devices() {
        let acl = mosquitto_acl();
        let patterns: Vec<&str> = acl.lines().filter(|line| line.starts_with("pattern ")).collect();
        assert_eq!(patterns.len(), Leaf::ALL.len(), "{acl}");
        for pattern in &patterns {
            assert!(
                pattern.contains("/%u/") && !pattern.contains(['+', '#']),
                "{pattern}"
            );
        }
        assert!(acl.contains("pattern write bbt/v1/d/%u/report\n"), "{acl}");
        assert!(acl.contains("pattern read bbt/v1/d/%u/command\n"), "{acl}");
        let console = acl.find("user bbt-console\ntopic readwrite bbt/#").unwrap();
        assert!(console < acl.find("pattern ").unwrap(), "{acl}");
    }

    #[test]
    fn the_configuration_demands_a_certificate_that_is_not_revoked() {
        let conf = mosquitto_conf(Path::new("/etc/mosquitto/bbt"), "[::]:8883", 10_000);
        for line in [
            "listener 8883 ::",
            "require_certificate true",
            "use_identity_as_username true",
            "use_username_as_clientid true",
            "allow_anonymous false",
            "crlfile /etc/mosquitto/bbt/crl.pem",
            "acl_file /etc/mosquitto/bbt/acl",
            "message_size_limit 1048576",
        ] {
            assert!(conf.lines().any(|l| l == line), "{line}\n{conf}");
        }
    }
}
