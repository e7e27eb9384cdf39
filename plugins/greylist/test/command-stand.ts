/** `milterhost greylist` as the host runs it, with a DNS and a clock of the test. */
import type { CommandCall } from 'milterhost/plugin'
import { type FakeZone, fakeDns } from 'milterhost/testing'
import { command } from '../src/command.ts'
import { Keys } from '../src/keys.ts'

/** 2026-12-11 15:00 UTC, twenty minutes after the samples were taken. */
export const NOW = 1_797_001_200_000
export const SECRET = 'the secret of this test'
export const KEYS: Keys = new Keys(SECRET)
const ZONE: FakeZone = {
  '10.2.0.192.in-addr.arpa': { ptr: ['mail.example.org'] },
  'mail.example.org': { a: ['192.0.2.10'] },
  'example.net': { txt: ['v=spf1 ip4:192.0.2.12 -all'] },
}

export interface Said {
  readonly code: number
  readonly out: readonly string[]
  readonly err: readonly string[]
  readonly steps: readonly (readonly [number, number | null])[]
  readonly text: string
}

export function runner(entries: Awaited<ReturnType<CommandCall['entries']>>) {
  return async (
    name: string,
    operands: readonly string[] = [],
    options: CommandCall['options'] = {},
  ): Promise<Said> => {
    const out: string[] = []
    const err: string[] = []
    const steps: (readonly [number, number | null])[] = []
    const code = await command.subcommands[name]!.run({
      operands,
      options,
      entries: async () => entries,
      print: text => out.push(text),
      complain: text => err.push(text),
      progress: (done, total) => steps.push([done, total]),
      dns: fakeDns(ZONE),
      clock: { now: () => NOW },
    })
    return { code: code ?? 0, out, err, steps, text: out.join('\n') }
  }
}
