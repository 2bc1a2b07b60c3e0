import { ElTableColumn } from "element-plus/es/components/table/index";
import "element-plus/es/components/table-column/style/css";

type Scope<Row> = { row: Row; $index: number };

/** Element Plus' table column, told what a row is, so that templates are checked like the rest. */
export function columnOf<Row>() {
  return ElTableColumn as unknown as new () => {
    $props: Parameters<typeof ElTableColumn>[0];
    $slots: { default?: (scope: Scope<Row>) => unknown; header?: () => unknown };
  };
}
