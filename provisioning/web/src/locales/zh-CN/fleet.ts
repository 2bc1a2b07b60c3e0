/** 终端的曲线、事件、网络，以及读数的名称。 */
export default {
  right: { fleet: { read: "查看终端总体情况" } },
  series: {
    whole: "看全部", drag: "拖动两端选一段时间，或在左边填写", window: "选定的时间", range: "时间范围", ranges: { "1d": "近 1 天", "7d": "近 7 天", "30d": "近 30 天", "1y": "近 1 年" },
    tier: { raw: "每条读数", "5m": "每 5 分钟平均", "1h": "每小时平均" }, group: { load: "负载", heat: "温度与磁盘", network: "网络", use: "使用", traffic: "流量" }, gap: "灰色表示没有数据，不是零", none: "这段时间没有数据",
  },
  metric: {
    cpu_percent: "处理器占用", load_1m: "1 分钟负载", memory_total_bytes: "内存总量", memory_available_bytes: "可用内存", memory_used_percent: "内存占用", memory_pressure_percent: "等待内存", io_pressure_percent: "等待磁盘", cpu_pressure_percent: "等待处理器",
    disk_total_bytes: "磁盘总量", disk_free_bytes: "磁盘可用", disk_used_percent: "磁盘占用", disk_free_inodes: "剩余文件数", inodes_used_percent: "文件数占用", emmc_wear_percent: "闪存磨损", emmc_pre_eol: "闪存寿命级别", disk_wear_percent: "磁盘磨损", disk_reallocated_sectors: "重映射扇区",
    temperature_celsius: "温度", network_rx_bytes: "接收", network_tx_bytes: "发送", link_mbps: "端口速率", agent_rss_bytes: "程序占用内存", lessons_ready: "已就绪课程", lessons_assigned: "应有课程", lessons_pending: "未到课程", lessons_failed: "失败课程",
    fetched_bytes: "从线路下载", lan_in_bytes: "从同校终端取得", lan_out_bytes: "分给同校终端", copied_bytes: "从旧版复制", pack_bytes: "从 U 盘取得", written_bytes: "写入磁盘", peers: "相连的同校终端", screen_on_s: "亮屏", speaker_on_s: "出声",
    player_errors: "播放错误", outbox_samples: "等待上报", wifi_signal_percent: "无线信号", gateway_rtt_ms: "到网关时延", console_rtt_ms: "到控制台时延", console_loss_percent: "到控制台丢失", dns_ms: "域名解析", telemetry_bytes: "上报流量",
    lessons_missing: "缺少的课程", reports_limited: "被限流的上报", readings_implausible: "不可信的读数",
  },
  deviceTab: { events: "事件" },
  deviceEvent: { booted: "开机", usb: "USB 设备", app: "程序", tamper: "异常操作", player_error: "播放错误", clock_step: "时钟变动", link: "网络", storage: "磁盘故障", bandwidth: "宽带检测", other: "其他" },
  eventSays: {
    booted: "开机，此前{reason}", bootedOff: "（关了 {time}）",
    usb: { attached: "插入 USB 设备 {ids}（{classes}）", detached: "拔出 USB 设备 {ids}", other: "USB 设备 {ids} 有变化" },
    app: { started: "启动程序 {app}", ended: "程序 {app} 结束", other: "程序 {app}" },
    unlisted: "不在允许清单里", firstIndex: "第一次启动，还没有索引",
    tamper: { case_opened: "机箱被打开", pin_tries: "技术员 PIN 试错太多", local_api: "其他网页试图操作终端", file_changed: "程序文件被改动", other: "异常操作" },
    player_error: "播放不了：{code}（第 {count} 次）", clock_step: "时钟变动 {seconds} 秒，来自{by}", link: { up: "网络接通", down: "网络断开" },
    storage: { read_only: "磁盘变为只读", corrupt: "课程文件损坏，已隔离", index_rebuilt: "索引重建", write_failed: "写入失败", other: "磁盘异常" },
    bandwidth: "宽带检测：下行 {down}，上行 {up}", bandwidthFailed: "宽带检测没有结果：{why}", other: "这个版本还不认识的事件",
  },
  clockBy: { console: "控制台", ntp: "NTP", rtc: "硬件时钟", hand: "手动", peer: "同校终端" },
  usbClass: { storage: "存储", hid: "键盘或鼠标", hub: "集线器", audio: "音频", video: "视频", other: "其他" },
  events: { kind: "事件种类", all: "全部事件", none: "这段时间没有事件", noneText: "开关机、U 盘、程序、磁盘和时钟的变化会出现在这里。", late: "{at} 才报上来", more: "更早的", technical: "原始内容" },
  liveness: { online: "在线", offline: "离线", off: "已关机", unknown: "未知" },
  livenessWhy: { connected: "已连接", lost: "该在线却失联", after_hours: "放学后关机", never_heard: "从未联系", not_watched: "控制台当时没有运行", broker_down: "消息服务没有运行", line_down: "学校线路中断", silent: "连着但没有数据" },
  fleetCard: { title: "终端现在怎样", reason: "{state}（{why}）{count} 台", off: "按课表已关机，不算故障", unknown: "暂时无法判断，不算故障", why: "原因", incidents: "未结束的事件", allIncidents: "全部事件", noIncidents: "没有未结束的事件", orders: "未完成工单", late: "其中 {count} 张超时" },
  asset: {
    owner: "主管单位", builder: "建设单位", maintainer: "运维单位",
  },
};
