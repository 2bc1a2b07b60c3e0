/** 总览、大屏、终端列表的筛选。 */
export default {
  device: { stateSince: "{why}，始于" },
  page: { wall: "大屏" },
  wall: { open: "大屏模式（按 Esc 返回，F 全屏）", title: "{name} 班班通运行情况" },
  county: {
    schools: "各校终端", allSchools: "查看全部学校", view: "看法", bySize: "按规模", byPlace: "按位置", treeMap: "学校按终端数量大小排列，颜色表示离线的多少", map: "学校按经纬度标出，颜色和形状表示离线的多少",
    awayOf: "{all} 台中 {away} 台离线", awayShort: "{away} 台离线", devices: "{all} 台", unknownShort: "{unknown} 台未知", worst: "离线最多的学校", mapNote: "按经纬度，上北下南；图形越大，终端越多", allThere: "{all} 台，没有离线",
    unsureOf: "{all} 台中 {unknown} 台状态未知", level: { none: "没有终端", unsure: "多半未知", fine: "没有离线", some: "少量离线", many: "离线较多", most: "大半离线" },
    incidents: "未结束的事件", incidentsBy: "严重 {critical} · 警告 {warning} · 提示 {notice}",
    noneLate: "没有超时", arriving: "正在送达的课程", failed: "{count} 个送达失败", pushes: "{count} 次推送进行中",
    lines: "本月宽带达标", linesOf: "达标 {met} 所 · 未达标 {not} 所 · 还不能定 {open} 所", linesNone: "本月还没有测速",
    ready: "明日备课到位", readyOf: "安排 {planned} 节，缺 {missing} 节", readyNone: "明天没有安排课程",
  },
  deviceLessons: { ready: "全部就绪", arriving: "还在下载", failed: "有失败的", none: "没有课程" },
  devices: {
    region: "区域", standing: "身份", since: "状态始于", anyPlace: "全部位置", anyLessons: "课程不限", more: "更多条件", moreOn: "更多条件（{count}）", choice: "{value}（{count} 台）",
    hot: "温度至少", hotHint: "°C，例如 75", full: "空间不足", fullHint: "可用低于 %，例如 10", silent: "多久没联系", silentDays: "{n} 天以上",
  },
};
