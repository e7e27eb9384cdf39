/** A daemon with a shadow: its answers reach nobody, whatever it does, and what it would decide otherwise is counted and logged. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Status } from '../../src/daemon/control/protocol.ts'
import { mtaClient, until } from '../interop/harness/index.ts'
import { milterhost, place, type Running, start } from './support.ts'

const CHAIN = `import { defineConfig } from 'milterhost'
import { definePlugin, reject, stateFilePath } from 'milterhost/plugin'
import { writeFileSync } from 'node:fs'
const tag = definePlugin({ name: 'tag', setup: () => ({ end: event => event.edit.prependHeader('X-Tag', 'seen') }) })
const strict = definePlugin({
  name: 'strict',
  setup(host) {
    writeFileSync(stateFilePath('strict-' + host.rehearsal, process.env), '')
    return {
      mail(event) {
        if (event.sender.local === 'spin') for (;;);
        if (event.sender.local === 'die') process.exit(3)
        if (event.sender.local === 'spam') return reject('Go away')
      },
    }
  },
})
`

interface Shadowed {
  readonly daemon: Running
  /** The letter of the MTA's last answer. */
  deliver(sender: string): Promise<string>
  shadow(what: string, is: (shadow: NonNullable<Status['shadow']>) => boolean): Promise<void>
  readonly state: string
}

async function shadowed(proposed: string): Promise<Shadowed> {
  const folder = place()
  const file = folder.file('new.config.ts', proposed)
  const socket = join(folder.path, 'm.sock')
  const text = `${CHAIN}export default defineConfig({ listen: 'unix:${socket}', filters: [tag()], shadow: '${file}' })\n`
  const daemon = start(['run', '--config', folder.file('milterhost.config.ts', text)], folder.path)
  await daemon.until('ready')
  const status = (): NonNullable<Status['shadow']> =>
    (JSON.parse(milterhost(['status', '--json'], { cwd: folder.path }).out) as Status).shadow!
  return {
    daemon,
    state: folder.path,
    async deliver(sender) {
      const mta = await mtaClient(`unix:${socket}`)
      await mta.negotiate()
      await mta.connect()
      await mta.helo()
      const raw = 'Subject: hello\n\nhello\n'
      const { verdict } = await mta.message({ from: `<${sender}>`, to: ['<b@example.com>'], raw })
      mta.quit()
      await mta.closed
      return verdict.command
    },
    shadow: async (what, is) => {
      await until(
        () => `${what}: ${JSON.stringify(status())}, the daemon said ${daemon.said()}`,
        () => is(status()),
      )
    },
  }
}

test('counts and logs what the shadow would decide otherwise, and keeps its state apart', {
  timeout: 120_000,
}, async () => {
  const at = await shadowed(`${CHAIN}export default defineConfig({ filters: [strict(), tag()] })\n`)
  await at.shadow('it runs', ({ state }) => state === 'running')
  for (const sender of ['a@example.org', 'spam@example.org', 'c@example.org'])
    expect(['a', 'c']).toContain(await at.deliver(sender))
  await at.shadow(
    'three messages, one different',
    ({ messages, different, filters }) =>
      messages === 3 && different === 1 && filters.length === 1 && filters[0]!.filter === 'strict',
  )
  await at.daemon.until('the shadow differs')
  expect(at.daemon.said()).toContain('<spam@example.org>')
  expect(readdirSync(join(at.state, 'shadow'))).toEqual(['strict-true'])
  expect(readdirSync(at.state)).not.toContain('strict-false')
  const { out } = milterhost(['status'], { cwd: at.state })
  expect(out).toContain('of 3 messages 1 would be different')
  expect(out).toContain('strict: - → reject')
})

test('a shadow that never ends an answer, or ends itself, does not touch mail', { timeout: 120_000 }, async () => {
  const at = await shadowed(`${CHAIN}export default defineConfig({ filters: [strict(), tag()] })\n`)
  await at.shadow('it runs', ({ state }) => state === 'running')
  expect(['a', 'c']).toContain(await at.deliver('die@example.org'))
  await at.shadow('it has stopped', ({ state }) => state === 'stopped')
  expect(['a', 'c']).toContain(await at.deliver('a@example.org'))
  at.daemon.process.kill('SIGHUP')
  await at.shadow('a reload begins anew', ({ state, sessions }) => state === 'running' && sessions === 0)
  expect(['a', 'c']).toContain(await at.deliver('spin@example.org'))
  expect(['a', 'c']).toContain(await at.deliver('a@example.org'))
  at.daemon.process.kill('SIGTERM')
  expect(await at.daemon.ended).toBe(0)
})

test('one that cannot be read is said, and mail goes on', { timeout: 120_000 }, async () => {
  const at = await shadowed('export default { filtres: [] }\n')
  await at.shadow('it has stopped', ({ state, reason }) => state === 'stopped' && /filtres/.test(reason ?? ''))
  await at.daemon.until('SHADOW_STOPPED')
  expect(['a', 'c']).toContain(await at.deliver('a@example.org'))
})
