/** Calls of the first run: how far the install is. What it does, it does by the calls of the nouns themselves. */

import { ask, client } from "./client";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type SetupStatus = Schemas["SetupStatus"];
export type SetupStepKind = Schemas["SetupStepKind"];

export const setupStatus = (): Promise<SetupStatus> => ask(client.GET("/setup"));
