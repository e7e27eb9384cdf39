/** Resolvers under test: asking a test's servers, with patience that suits a test. */
import { Resolver } from '../../../src/dns/index.ts'
import { DEFAULT_DNS, type DnsSettings } from '../../../src/host/config/settings.ts'
import { silent } from '../../../src/host/observe/logger.ts'
import { type Clock, systemClock } from '../../../src/host/time/clock.ts'

interface Options extends Partial<DnsSettings> {
  readonly clock?: Clock
  readonly resolvConf?: string
  readonly randomId?: () => number
}

export function resolver({ clock = systemClock, resolvConf, randomId, ...settings }: Options): Resolver {
  return new Resolver({
    clock,
    log: silent,
    settings: { ...DEFAULT_DNS, search: [], ...settings },
    resolvConf: resolvConf ?? '/nowhere/resolv.conf',
    ...(randomId === undefined ? {} : { randomId }),
  })
}

/** The code a look-up fails with, or what it answered. */
export const codeOf = (look: Promise<unknown>): Promise<unknown> =>
  look.then(
    answer => answer,
    (error: { readonly code: string }) => error.code,
  )

/** A clock whose time a test sets, over timers that really run. */
export function shiftedClock(): Clock & { shift: (seconds: number) => void } {
  let offset = 0
  return {
    now: () => systemClock.now() + offset,
    monotonic: () => systemClock.monotonic() + offset,
    after: systemClock.after,
    shift: seconds => {
      offset += seconds * 1000
    },
  }
}
