/**
 * The milters that milter manager defines by itself (`load_default`): their names here, and the conditions they come with.
 *
 * Pure. Names differ between its platforms; a name that is not here is one that `detected()` does not find.
 */
import { PRODUCT_NAMES } from '../detect/detect.ts'

/** Its name for each platform, and ours. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  'amavisd-new-milter': 'amavisd-milter',
  amavisd: 'amavisd-milter',
  amavismilter: 'amavisd-milter',
  'amavis-milter': 'amavisd-milter',
  'milter-enma': 'enma',
  'milter-opendkim': 'opendkim',
  'milter-sid': 'sid-milter',
}

const CAUTIOUS = ['Remote Network', 'Unauthenticated', 'No Stress']
const GREYLIST = ['Sendmail Compatible', 'Stress Notify', 'Trust', 'Remote Network', 'S25R', 'Unauthenticated']

const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  'milter-greylist': GREYLIST,
  enma: CAUTIOUS,
  'sid-milter': CAUTIOUS,
  'spamass-milter': CAUTIOUS,
  rspamd: CAUTIOUS,
}

/** The name that `detected()` knows it by; `null` when it does not. */
export function productOf(name: string): string | null {
  const ours = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name]! : name
  return PRODUCT_NAMES.includes(ours) ? ours : null
}

/** Conditions of a milter that milter manager finds, before the configuration adds any. */
export const shippedFor = (name: string): readonly string[] => CONDITIONS[productOf(name) ?? ''] ?? []
