/** 报表、登记簿、指标、数据目录。 */
export default {
  right: { reports: { read: "查看报表、登记簿和数据目录", write: "生成、上报和更正报表", review: "审核、退回和冻结报表" } },
};
