import { ref } from "vue";

const query = window.matchMedia("(min-width: 1500px)");

/** Whether there is room for the columns that are nice to have. */
export const wide = ref(query.matches);
query.addEventListener("change", (event) => {
  wide.value = event.matches;
});
