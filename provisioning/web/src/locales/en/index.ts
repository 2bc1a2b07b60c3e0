import { merge, type Words } from "../merge";

export default merge(Object.values(import.meta.glob<Words>(["./*.ts", "!./index.ts"], { eager: true, import: "default" })));
