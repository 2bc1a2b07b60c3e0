// Provisional until openapi.json exists; `npm run gen` replaces this file.
/* eslint-disable @typescript-eslint/no-explicit-any */
type Op = { parameters: { query?: any; header?: any; path?: any; cookie?: any }; requestBody?: any; responses: any };
type Any = { parameters: { query?: any; header?: any; path?: any; cookie?: any }; get: Op; post: Op; patch: Op; delete: Op };
export interface paths { [path: `/api/v1/${string}`]: Any }
