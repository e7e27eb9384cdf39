/** Recorded sessions for tests: made up, then played once against a configuration, as if they had been recorded there. */
import fc from 'fast-check'
import { rehearse } from '../../../src/cli/rehearsal.ts'
import type { Config } from '../../../src/host/config/config.ts'
import { validateConfig } from '../../../src/host/config/validate.ts'
import { fakeDns } from '../../../src/testing/dns.ts'
import type { RecordedCommand, RecordedSession, RecordedTurn } from '../../../src/testing/recording/recorded.ts'
import { toScenario } from '../../../src/testing/recording/scenario-form.ts'
import type { Outcomes } from '../../../src/testing/replay/outcome.ts'
import { scenarioText } from '../../../src/testing/scenario/write.ts'

const START = Date.UTC(2026, 4, 1)
const NONE: RecordedTurn['macros'] = new Map()

/** What one client does: commands, and the seconds before each. */
export const session = (
  id: string,
  began: number,
  commands: readonly (readonly [milliseconds: number, command: RecordedCommand])[],
): RecordedSession => {
  let at = 0
  const turns = commands.map(([milliseconds, command]): RecordedTurn => {
    at += milliseconds
    return { at, macros: NONE, command, answer: null, filters: [] }
  })
  return { id, began: START + began, mta: 'postfix', turns }
}

const path = (address: string): { raw: string; args: string[] } => ({ raw: `<${address}>`, args: [] })
export const mail = (address: string): RecordedCommand => ({ kind: 'mail', path: path(address) })
export const rcpt = (address: string): RecordedCommand => ({ kind: 'rcpt', path: path(address) })
export const connect = (address: string): RecordedCommand => ({
  kind: 'connect',
  client: { family: 'inet', address, port: 4711, hostname: `[${address}]` },
})
export const helo: RecordedCommand = { kind: 'helo', name: 'client.example.net' }
export const content = (subject: string): RecordedCommand => ({
  kind: 'message',
  fields: [{ name: 'Subject', value: ` ${subject}` }],
  body: { bytes: 7, lines: 1, content: Buffer.from('hello\r\n') },
})
export const quit: RecordedCommand = { kind: 'quit' }

/** As they would have been recorded under this configuration. */
export async function recordedUnder(config: Config, sessions: readonly RecordedSession[]): Promise<RecordedSession[]> {
  const came = await played(config, sessions)
  return sessions.map(one => {
    const outcomes = came.get(one.id)!
    const turns = one.turns.flatMap((turn, at): RecordedTurn[] => {
      const outcome = outcomes[at]
      return outcome === null || outcome === undefined ? [] : [{ ...turn, ...outcome }]
    })
    return { ...one, turns }
  })
}

/** What comes of each session, by its id. */
export async function played(
  config: Config,
  sessions: readonly RecordedSession[],
  live = false,
): Promise<Map<string, Outcomes>> {
  const configuration = validateConfig(config, 'the test')
  const came = new Map<string, Outcomes>()
  await rehearse({ configuration, dns: fakeDns(), live }, sessions, ({ id }, outcomes) => void came.set(id, outcomes))
  return came
}

export const recordingText = (recorded: RecordedSession): string => `${scenarioText(toScenario(recorded))}# end\n`

const address = fc.constantFrom('a@example.org', 'b@example.org', '', 'spam@example.net', 'nobody@example.com')
const gap = fc.constantFrom(0, 1, 50, 2_000, 400_000)
const transaction = fc
  .record({
    sender: address,
    recipients: fc.array(address, { minLength: 1, maxLength: 3 }),
    subject: fc.constantFrom('hello', 'virus', 'später "x"', ''),
    ends: fc.constantFrom('content', 'content', 'content', 'reset', 'gone'),
  })
  .map(({ sender, recipients, subject, ends }): RecordedCommand[] => [
    mail(sender),
    ...recipients.map(rcpt),
    ...(ends === 'content' ? [{ kind: 'data' } as const, content(subject)] : []),
    ...(ends === 'reset' ? [{ kind: 'reset' } as const] : []),
    ...(ends === 'gone' ? [{ kind: 'disconnect' } as const] : []),
  ])

/** Any few sessions, some of them open together. */
export const someSessions: fc.Arbitrary<RecordedSession[]> = fc
  .array(
    fc.record({
      began: fc.constantFrom(0, 1_000, 60_000, 400_000, 1_000_000),
      client: fc.constantFrom('192.0.2.1', '192.0.2.2', '198.51.100.1'),
      messages: fc.array(transaction, { maxLength: 3 }),
      gaps: fc.array(gap, { minLength: 30, maxLength: 30 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map(list =>
    list
      .toSorted((a, b) => a.began - b.began)
      .map(({ began, client, messages, gaps }, n) => {
        const commands = [connect(client), helo, ...messages.flat()]
        const gone = commands.findIndex(({ kind }) => kind === 'disconnect')
        const said = gone < 0 ? [...commands, quit] : commands.slice(0, gone + 1)
        return session(
          `s${n}`,
          began,
          said.map((command, at) => [at === 0 ? 0 : gaps[at]!, command]),
        )
      }),
  )
