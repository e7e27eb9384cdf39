/**
 * What other filters may read of what was found here, under typed keys.
 */
import { type ResultKey, resultKey } from 'milterhost/plugin'
import type { DmarcResult, SpfResult } from './dmarc/evaluate.ts'
import type { DkimResult } from './verify/dkim.ts'

export const dkimKey: ResultKey<DkimResult> = resultKey('dkim')
export const dmarcKey: ResultKey<DmarcResult> = resultKey('dmarc')
/** Published by `milter-plugin-spf`, if it stands before this filter. */
export const spfKey: ResultKey<SpfResult> = resultKey('spf')
