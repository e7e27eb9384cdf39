// A host whose filter holds each client as a test has planned it, by the address that the client comes from, and a client that
// bears it.

import type { Config } from 'milterhost'
import { type Answer, definePlugin, type HoldOutcome, tempfail } from 'milterhost/plugin'
import { type RunningHost, startHost } from '../harness/host.ts'
import { type Mta, smtp } from '../harness/index.ts'

export const STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'end'] as const
export type HeldAt = (typeof STAGES)[number]

export interface Held {
  host: RunningHost
  /** The next client: its address, held at that stage for that long. */
  plan(at: HeldAt, seconds: number): string
  /** What became of the holds of that client. */
  outcomes(client: string): HoldOutcome[]
  /** All of them. */
  all: HoldOutcome[]
}

interface Holdable {
  readonly client: { readonly address: string }
  hold(seconds: number): Promise<HoldOutcome>
}

/** A hold that is refused is told to the client. */
export async function holdingHost(config: Pick<Config, 'budget' | 'holds'> = {}): Promise<Held> {
  const plans = new Map<string, { at: HeldAt; seconds: number; outcomes: HoldOutcome[] }>()
  const all: HoldOutcome[] = []
  const at = (stage: HeldAt) => {
    return async ({ client, hold }: Holdable): Promise<Answer> => {
      const plan = plans.get(client.address)
      if (plan?.at !== stage) return
      const outcome = await hold(plan.seconds)
      plan.outcomes.push(outcome)
      all.push(outcome)
      if (outcome === 'refused') return tempfail('Not held', { code: 451, enhanced: '4.7.1' })
    }
  }
  const bound = (stage: HeldAt) => {
    const act = at(stage)
    return (event: Holdable) => act({ client: event.client, hold: seconds => event.hold(seconds) })
  }
  const holding = definePlugin({
    name: 'holding',
    setup: () => Object.fromEntries(STAGES.map(stage => [stage, bound(stage)])),
  })
  const host = await startHost({ filters: [holding()], ...config })
  return {
    host,
    all,
    plan(stage, seconds) {
      const client = `127.0.1.${plans.size + 1}`
      plans.set(client, { at: stage, seconds, outcomes: [] })
      return client
    },
    outcomes: client => plans.get(client)?.outcomes ?? [],
  }
}

/** One message from that address; the last reply, and how many seconds it all took. */
export async function send(port: Mta['port'], client: string): Promise<{ text: string; seconds: number }> {
  const began = performance.now()
  const spent = (): number => (performance.now() - began) / 1000
  const connection = await smtp(port, { greeting: false, localAddress: client })
  let last = await connection.read(60)
  for (const line of [
    'EHLO client.example',
    'MAIL FROM:<alice@example.com>',
    'RCPT TO:<bob@example.net>',
    'DATA',
    'Subject: held\r\n\r\nHello\r\n.',
  ]) {
    if (last.code >= 400) break
    connection.send(line)
    last = await connection.read(60)
  }
  connection.abortFin()
  return { text: last.text, seconds: spent() }
}
