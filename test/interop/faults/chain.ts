// The chain of every test here: a plugin that stamps, the filter that fails, a plugin that stamps. Of a message that went through it
// well the two stamps and the work of the middle one are to be seen; and what each stamping plugin saw is in its stamp.

import { definePlugin, type FilterEntry } from 'milterhost/plugin'
import { type HostOptions, type RunningHost, startHost } from '../harness/host.ts'
import { onCleanup, sleep } from '../harness/index.ts'

export type OnFailure = 'tempfail' | 'accept' | 'reject' | 'quarantine'
export const POLICIES: readonly OnFailure[] = ['tempfail', 'accept', 'reject', 'quarantine']

/** The stamp is the length of the body as this plugin saw it. */
export const stamp = (header: string): FilterEntry =>
  definePlugin({
    name: header.toLowerCase(),
    setup: () => ({
      async end(event) {
        let bytes = 0
        for await (const chunk of event.body()) bytes += chunk.length
        event.edit.prependHeader(header, String(bytes))
      },
    }),
  })()

export type Hosts = Record<OnFailure, RunningHost>

/** A host for each policy, the faulty filter in the middle of its chain. */
export async function hostsFor(
  middle: (onFailure: OnFailure) => FilterEntry,
  options: HostOptions = {},
): Promise<Hosts> {
  const started = POLICIES.map(async onFailure => {
    const filters = [stamp('X-First'), middle(onFailure), stamp('X-Last')]
    return [onFailure, await startHost({ ...options, filters })] as const
  })
  return Object.fromEntries(await Promise.all(started)) as Hosts
}

let clients = 0

/** An address that no other case has; the MTAs connect from it, so it is one of this machine's. */
export const newClient = (): string => {
  const n = clients++
  return `127.1.${Math.floor(n / 250)}.${(n % 250) + 1}`
}

/** Runs until the end of the test file at the latest. */
export function steadily(work: () => Promise<void>, pause = 0.03): { stop(): Promise<number> } {
  let going = true
  let rounds = 0
  const run = (async () => {
    while (going) {
      await work()
      rounds++
      await sleep(pause)
    }
  })()
  // Told to who calls stop.
  run.catch(() => {})
  const stop = async (): Promise<number> => {
    going = false
    await run
    return rounds
  }
  onCleanup(async () => void (await stop().catch(() => {})))
  return { stop }
}
