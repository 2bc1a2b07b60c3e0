import { init, type EChartsType } from "echarts/core";
import { onBeforeUnmount, onMounted, watch, type Ref, type WatchSource } from "vue";

import { dark } from "./useTheme";

/** A drawing in `box`: made once, drawn anew when a source or the theme changes, fitted to its frame, thrown away with the page. */
export function useChart(box: Ref<HTMLElement | undefined>, option: () => Record<string, unknown>, sources: WatchSource[], click?: (data: unknown) => void): void {
  let chart: EChartsType | null = null;
  let watcher: ResizeObserver | null = null;
  const draw = (): void => {
    chart?.clear(); // some parts of a drawing keep the size that letters had before
    chart?.setOption(option(), { notMerge: true });
  };
  onMounted(() => {
    if (!box.value) return;
    chart = init(box.value);
    if (click) chart.on("click", (event) => click(event.data));
    watcher = new ResizeObserver(() => {
      chart?.resize();
      draw();
    });
    watcher.observe(box.value);
    draw();
  });
  watch([...sources, dark], () => requestAnimationFrame(draw));
  onBeforeUnmount(() => {
    watcher?.disconnect();
    chart?.dispose();
    chart = null;
  });
}

/** A tooltip of text nodes: a name never becomes markup. */
export function lines(...texts: string[]): HTMLElement {
  const box = document.createElement("div");
  texts.forEach((text, i) => {
    const row = document.createElement(i === 0 ? "b" : "div");
    row.textContent = text;
    if (i === 0) row.style.display = "block";
    box.append(row);
  });
  return box;
}
