/** A folder of many recorded sessions, made up from a number, as a filter that refuses one in ten would have left them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RecordedCommand, RecordedSession, RecordedTurn } from '../../src/testing/recording/recorded.ts'
import { toScenario } from '../../src/testing/recording/scenario-form.ts'
import { scenarioText } from '../../src/testing/scenario/write.ts'

/** The sender whose every message a test wants to find. */
export const PLANTED: string = 'planted@sender.example'

/** Whether session n is that sender's. */
export const isPlanted = (n: number): boolean => n % 97 === 13

const refused = (n: number): boolean => n % 10 === 7 && !isPlanted(n)

/** The configuration under which they were recorded. */
export const CONFIG_BEFORE: string = `import { defineConfig } from 'milterhost'
import { definePlugin, reject } from 'milterhost/plugin'
const picky = definePlugin({
  name: 'picky',
  setup: () => ({ rcpt: event => (event.recipient.local.startsWith('no') ? reject('No one here') : undefined) }),
})
const tag = definePlugin({ name: 'tag', setup: () => ({ end: event => event.edit.prependHeader('X-Tag', 'seen') }) })
const planted = definePlugin({
  name: 'planted',
  setup: () => ({ mail: event => (event.sender.address === '${PLANTED}' ? reject('Go away', { enhanced: '5.7.0' }) : undefined) }),
})
export default defineConfig({ filters: [picky(), tag()] })
`
export const CONFIG_AFTER: string = CONFIG_BEFORE.replace('[picky()', '[planted(), picky()')

export const fileOf = (n: number): string => join('2026-05-01', `${String(n).padStart(6, '0')}.scenario`)

export function writeTraffic(folder: string, sessions: number): void {
  mkdirSync(join(folder, '2026-05-01'), { recursive: true })
  for (let n = 0; n < sessions; n++)
    writeFileSync(join(folder, fileOf(n)), `${scenarioText(toScenario(sessionOf(n)))}# end\n`)
}

function sessionOf(n: number): RecordedSession {
  const address = `192.0.${(n >> 8) & 255}.${n & 255}`
  const sender = isPlanted(n) ? PLANTED : `user${n % 500}@sender${n % 40}.example`
  const recipient = refused(n) ? 'nobody@example.com' : `person${n % 300}@example.com`
  const path = (of: string): { raw: string; args: string[] } => ({ raw: `<${of}>`, args: [] })
  const plain = { answer: { kind: 'continue' }, filters: ['picky', 'tag'] } as const
  const commands: RecordedCommand[] = [
    { kind: 'connect', client: { family: 'inet', address, port: 4711, hostname: `mx${n}.sender.example` } },
    { kind: 'helo', name: `mx${n}.sender.example` },
    { kind: 'mail', path: path(sender) },
    { kind: 'rcpt', path: path(recipient) },
  ]
  if (!refused(n)) {
    const headers = [
      ['Received', ` from mx${n} by mx.example.com; Fri, 1 May 2026 00:00:00 +0000`],
      ['From', ` ${sender}`],
      ['To', ` ${recipient}`],
      ['Subject', ` message ${n}`],
    ] as const
    const fields = headers.map(([name, value]) => ({ name, value }))
    commands.push({ kind: 'data' }, { kind: 'message', fields, body: { bytes: 5_120, lines: 64, content: null } })
  }
  const turns = commands.map(
    (command, at): RecordedTurn => ({
      at: at * 20,
      macros: new Map(command.kind === 'connect' ? [['connect', new Map([['j', 'mx.example.com']])]] : []),
      command,
      answer: plain.answer,
      filters: plain.filters.map(filter => ({ filter, verdict: plain.answer, edits: [] })),
    }),
  )
  const last = turns.at(-1)!
  const reply = { code: 550, enhanced: '5.7.1', lines: ['No one here'] }
  const edit = { kind: 'insertHeader', index: 0, name: 'X-Tag', value: ' seen' } as const
  turns[turns.length - 1] = refused(n)
    ? {
        ...last,
        answer: { kind: 'reject', reply },
        filters: [{ filter: 'picky', verdict: { kind: 'reject', reply }, edits: [] }],
      }
    : { ...last, filters: [last.filters[0]!, { filter: 'tag', verdict: { kind: 'continue' }, edits: [edit] }] }
  const quit = { at: 200, macros: new Map(), command: { kind: 'quit' }, answer: null, filters: [] } as const
  return { id: `t.${n}`, began: Date.UTC(2026, 4, 1) + n * 50, mta: 'postfix', turns: [...turns, quit] }
}
