/** What `milterhost replay` has around it: external milters that are really asked, name servers, and whoever sits at a terminal. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startNameServer, zone } from '../dns/support/server.ts'
import { requirePrograms } from '../interop/harness/index.ts'
import { CONFIG_AFTER, CONFIG_BEFORE, fileOf, isPlanted, PLANTED, writeTraffic } from './replay-traffic.ts'
import { atTerminal, milterhost, type Place, place, start } from './support.ts'

const SESSIONS = 20
const planted = Array.from({ length: SESSIONS }, (_, n) => n).filter(isPlanted)

interface Found {
  readonly counts: readonly object[]
  readonly changed: readonly { readonly file: string }[]
  readonly unknowns: Readonly<Record<string, number>>
}

function recorded(): Place & { readonly recordings: string } {
  const folder = place()
  const recordings = join(folder.path, 'recordings')
  writeTraffic(recordings, SESSIONS)
  return { ...folder, recordings }
}

const found = (args: readonly string[]): Found => JSON.parse(milterhost([...args, '--json']).out) as Found

/** The filters of the recording, and one more in front. */
const withFirst = (first: string): string =>
  CONFIG_BEFORE.replace('[picky()', `[${first}, picky()`).replace(
    "import { defineConfig } from 'milterhost'",
    "import { defineConfig, socket } from 'milterhost'",
  )

test('an external milter is asked with --live only; one that is not there then fails', async () => {
  const { path, recordings, file } = recorded()
  const address = `unix:${join(path, 'milter.sock')}`
  const config = file('new.config.ts', withFirst(`socket('external', '${address}', { timeouts: { connect: 1 } })`))
  const replay = ['replay', recordings, '--config', config]

  const unasked = found(replay)
  expect(unasked).toMatchObject({ changed: [], counts: [], unknowns: { external: SESSIONS } })
  expect(milterhost(replay).out).toContain(
    `external was asked in ${SESSIONS} sessions what it was not asked when they were recorded: taken to have no opinion (--live asks it)`,
  )

  const down = found([...replay, '--live'])
  expect(down.unknowns).toEqual({})
  expect(new Set(down.changed.map(change => change.file)).size).toBe(SESSIONS)
  expect(down.counts).toContainEqual({ filter: 'external', from: '-', to: 'failed', messages: SESSIONS })

  // The milter is another milterhost: it refuses the planted sender.
  const milter = CONFIG_AFTER.replace(
    'filters: [planted(), picky(), tag()]',
    `listen: '${address}', filters: [planted()]`,
  )
  await start(['run', '--config', file('milter.config.ts', milter)], path).until('ready')
  const asked = found([...replay, '--live'])
  expect(asked.unknowns).toEqual({})
  expect(asked.changed.map(change => change.file)).toEqual(planted.map(fileOf))
  expect(asked.counts).toEqual([{ filter: 'external', from: '-', to: 'reject 550 5.7.0', messages: planted.length }])
}, 120_000)

const LISTED = `definePlugin({
  name: 'listed',
  setup: host => ({
    async mail(event) {
      try {
        await host.dns.a(event.sender.domain + '.bl.example', event.signal)
        return reject('Listed', { enhanced: '5.7.1' })
      } catch (error) {
        if (error.code !== 'ENOTFOUND') throw error
      }
    },
  }),
})()`
const listed = (servers = ''): string =>
  withFirst(LISTED).replace('export default defineConfig({', `export default defineConfig({ ${servers}`)
/** Of the domains of the senders: one session in forty. */
const LISTED_DOMAIN = 'sender5.example'

test('names are known from the zone file, or from the name servers of the configuration; without --dns none is', async () => {
  const { recordings, file, path } = recorded()
  const server = await startNameServer(
    zone([{ name: `${LISTED_DOMAIN}.bl.example`, type: 'A', ttl: 60, data: '127.0.0.2' }]),
  )
  onTestFinished(() => server.close())
  const config = file('new.config.ts', listed(`dns: { servers: ['127.0.0.1:${server.port}'] },`))
  const replay = ['replay', recordings, '--config', config]
  expect(found(replay).changed).toEqual([])

  const answers = file('answers.zone', `${LISTED_DOMAIN}.bl.example. 60 A 127.0.0.2\n`)
  const refused = [{ filter: 'listed', from: '-', to: 'reject 550 5.7.1', messages: 1 }]
  expect(found([...replay, '--dns', answers])).toMatchObject({ counts: refused, changed: [{ file: fileOf(5) }] })
  expect(server.asked).toEqual([])

  // The name server is in this process, which must not stand still meanwhile.
  const live = start([...replay, '--dns', 'live', '--json'], path)
  expect(await live.ended).toBe(1)
  expect(JSON.parse(live.said())).toMatchObject({ counts: refused, changed: [{ file: fileOf(5) }] })
  expect(server.asked.map(({ name }) => name)).toContain(`${LISTED_DOMAIN}.bl.example`)

  expect(milterhost([...replay, '--dns', join(path, 'none.zone')])).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringContaining('none.zone'),
  })
}, 120_000)

requirePrograms('script')('at a terminal', () => {
  test('progress is shown and taken away before the result; a file gets the result alone', () => {
    const { recordings, file, path } = recorded()
    const replay = ['replay', recordings, '--config', file('new.config.ts', CONFIG_AFTER)]
    const shown = atTerminal(replay, path)
    expect(shown).toMatch(/\r\u001b\[K20 of 20 100 %\r\u001b\[K20 sessions with 20 messages were played/)
    const against = atTerminal([...replay, '--against', file('old.config.ts', CONFIG_BEFORE)], path)
    expect(against).toMatch(/\r\u001b\[K40 of 40 100 %\r\u001b\[K20 sessions/)

    const piped = milterhost(replay, { cwd: path })
    expect(piped).toMatchObject({ code: 1, err: '' })
    expect(shown.replaceAll('\r\n', '\n').endsWith(piped.out)).toBe(true)
    const to = join(path, 'found.json')
    const rest = atTerminal([...replay, '--json'], path, to)
    expect(rest).toMatch(/\r\u001b\[K20 of 20 100 %\r\u001b\[K$/)
    expect(JSON.parse(readFileSync(to, 'utf8'))).toMatchObject({ sessions: 20, changed: [{ sender: `<${PLANTED}>` }] })
  }, 120_000)
})
