/** Milters of this machine: found, turned into entries, and watched. */
export { placeOf } from './address.ts'
export type { Change } from './changes.ts'
export { type Detection, detect, type FoundMilter, inUse } from './detect.ts'
export { type DetectedOptions, type DetectedOverrides, detected, detectRoot } from './detected.ts'
export { type DetectWarning, type Fact, type Source, sourceText } from './fact.ts'
export { DetectWatch } from './watch.ts'
