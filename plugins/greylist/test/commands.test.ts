/** `milterhost greylist`: what is explained is what is answered, and what is taken over is known. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { EmbeddedStore } from '../src/embedded.ts'
import { linesOf } from '../src/import/lines.ts'
import type { GreylistOptions } from '../src/index.ts'
import type { Entry } from '../src/store.ts'
import { KEYS, NOW, runner, SECRET } from './command-stand.ts'

const open: EmbeddedStore[] = []
afterEach(async () => {
  for (const store of open.splice(0)) await store.close()
})

/** A store that a daemon has open, and the command beside it. */
function place(options: GreylistOptions = {}) {
  const path = join(mkdtempSync(join(tmpdir(), 'greylist-command-')), 'greylist.sqlite')
  const daemon = new EmbeddedStore({ path, sweepEvery: 0, now: () => NOW, problem: () => {} })
  open.push(daemon)
  const written = { store: { path }, secret: SECRET, ...options }
  return { path, daemon, greylist: runner([{ name: 'greylist', options: written }]) }
}

async function marks(store: EmbeddedStore): Promise<readonly Entry[]> {
  const found: Entry[] = []
  for await (const entry of store.entries(NOW)) found.push(entry)
  return found
}

const sample = (name: string): string => new URL(`./samples/${name}`, import.meta.url).pathname
const CHECK = { client: '192.0.2.200', from: 'a@example.org', to: 'me@example.com' }

describe('milterhost greylist', () => {
  it('needs a greylist in the configuration, a store that is there, and a choice between several', async () => {
    await expect(runner([])('stats')).rejects.toThrow('there is no greylist in the configuration')
    const path = join(tmpdir(), 'no-such-folder', 'greylist.sqlite')
    const entry = (name: string) => ({ name, options: { store: { path } } })
    await expect(runner([entry('greylist')])('stats')).rejects.toThrow(`there is no greylist in ${path} yet`)
    await expect(runner([entry('one'), entry('two')])('stats')).rejects.toThrow('--filter one, --filter two')
    await expect(runner([{ name: 'one', options: { wait: 3 } }])('stats')).rejects.toThrow('one: wait:')
  })

  it('check explains a first attempt and leaves no trace', async () => {
    const { greylist, daemon } = place()
    const { text } = await greylist('check', [], CHECK)
    expect(text).toMatch(/^client\t192\.0\.2\.200, without a name$/m)
    expect(text).toMatch(/^bypass\tnone$/m)
    expect(text).toMatch(/^suspicion\ts25r:/m)
    expect(text).toMatch(/^origin\ta:192\.0\.2\.200 /m)
    expect(text).toMatch(/^answer\tis put off with 450 4\.7\.1 at RCPT \(new\)$/m)
    expect(await marks(daemon)).toEqual([])
  })

  it('check says of a client with a name of its own that it need not wait, and of a bounce that it waits at DATA', async () => {
    const { greylist } = place()
    const known = await greylist('check', [], { ...CHECK, client: '192.0.2.10' })
    expect(known.text).toMatch(/^answer\tpasses \(unsuspicious\)$/m)
    const bounce = JSON.parse((await greylist('check', [], { ...CHECK, from: '', json: true })).text)
    expect(bounce).toMatchObject({ verdict: 'defer', rule: 'new', at: 'data' })
  })

  it('check takes what an spf filter found, and names the bypass that lets mail pass', async () => {
    const { greylist } = place({ bypass: { networks: ['192.0.2.128/25'] } })
    const spf = await greylist('check', [], { ...CHECK, client: '192.0.2.10', spf: 'softfail' })
    expect(spf.text).toMatch(/^suspicion\tspf:softfail$/m)
    const bypass = await greylist('check', [], CHECK)
    expect(bypass.text).toMatch(/^bypass\tnetwork\nanswer\tpasses \(network\)$/m)
  })

  it.each([
    [{ ...CHECK, client: 'mail.example.org' }, 'is no address of a client'],
    [{ client: '192.0.2.1' }, '--to is missing'],
    [{ ...CHECK, from: 'nobody' }, 'is no mail address'],
    [{ ...CHECK, spf: 'good' }, '--spf is one of'],
  ])('check %j is refused', async (options, message) => {
    await expect(place().greylist('check', [], options)).rejects.toThrow(message)
  })

  it('pass, trap and forget are seen by the daemon at once, under the origin the client has', async () => {
    const { greylist } = place({ mode: 'all' })
    const answer = async (client: string) =>
      JSON.parse((await greylist('check', [], { ...CHECK, client, json: true })).text).rule
    expect((await greylist('pass', ['192.0.2.200'], { for: '2d' })).text).toBe(
      'a:192.0.2.200: passes until 2026-12-13T15:00:00Z',
    )
    expect(await answer('192.0.2.200')).toBe('pinned')
    expect((await greylist('trap', ['192.0.2.10'])).text).toBe('h:example.org: trapped until 2026-12-12T15:00:00Z')
    expect(await answer('192.0.2.10')).toBe('trapped')
    expect((await greylist('forget', ['192.0.2.200', 'example.org'])).out).toEqual([
      'a:192.0.2.200: 1 mark forgotten',
      'n:192.0.2.0/24: 0 marks forgotten',
      'd:example.org: 0 marks forgotten',
      'h:example.org: 1 mark forgotten',
    ])
    expect(await answer('192.0.2.10')).toBe('new')
    await expect(greylist('pass', ['192.0.0.0/16'])).rejects.toThrow('bypass.networks')
    await expect(greylist('pass', ['no one'])).rejects.toThrow('is no address, network, domain')
    await expect(greylist('pass', ['192.0.2.1'], { for: 'ever' })).rejects.toThrow('--for')
  })

  it('list shows the marks of a client, of a kind and up to a limit; stats counts them', async () => {
    const { greylist } = place()
    await greylist('pass', ['192.0.2.200', '192.0.2.0/24', 'd:example.org'])
    expect(
      (await greylist('list', [], { client: '192.0.2.200' })).out
        .slice(1)
        .map(line => line.split('\t')[1])
        .sort(),
    ).toEqual(['a:192.0.2.200', 'n:192.0.2.0/24'])
    expect((await greylist('list', [], { state: 'trap,tuple' })).out).toHaveLength(1)
    const some = await greylist('list', [], { limit: '2', json: true })
    expect(some.out.map(line => JSON.parse(line).kind)).toEqual(['pin', 'pin'])
    expect(some.err).toEqual(['there are more; --limit 0 shows all'])
    await expect(greylist('list', [], { state: 'good' })).rejects.toThrow('--state good')
    await expect(greylist('list', [], { limit: 'x' })).rejects.toThrow('--limit')
    expect(JSON.parse((await greylist('stats', [], { json: true })).text).entries.pin).toBe(3)
    expect((await greylist('stats')).text).toMatch(/^pin\t3$/m)
  })
})

describe('export and import', () => {
  const entry = (at: number): Entry => ({
    kind: at % 2 === 0 ? 'tuple' : 'origin',
    origin: KEYS.origin(`a:${at}`),
    item: at % 2 === 0 ? KEYS.domain(String(at)) : null,
    first: NOW - 60_000,
    last: NOW - 30_000,
    count: at % 3,
    expires: NOW + 3_600_000,
  })

  it('an export is read by another greylist of the same secret, twice with the same result', async () => {
    const [one, two] = [place(), place()]
    const given = Array.from({ length: 1_200 }, (_, at) => entry(at))
    for (let at = 0; at < given.length; at += 400) await one.daemon.merge(given.slice(at, at + 400), NOW)
    const file = `${one.path}.jsonl`
    const told = await one.greylist('export', [], { output: file })
    expect(told.out).toEqual(['1200 marks written'])
    expect(told.steps.at(-1)).toEqual([1200, 1200])
    await expect(one.greylist('export', [], { output: file })).rejects.toThrow('EEXIST')
    const dry = await two.greylist('import', [file], { dryRun: true })
    expect([dry.text, await marks(two.daemon)]).toEqual(['1200 entries read, 1200 marks found, 0 too old', []])
    const first = await two.greylist('import', [file])
    expect(first).toMatchObject({ code: 0, text: '1200 entries read, 1200 marks taken, 0 too old', err: [] })
    expect(first.steps.length).toBeGreaterThan(1)
    const taken = await marks(two.daemon)
    expect(taken).toEqual(await marks(one.daemon))
    await two.greylist('import', [file])
    expect(await marks(two.daemon)).toEqual(taken)
    expect((await two.daemon.stats()).entries).toMatchObject({ tuple: 600, origin: 600 })
  })

  it('an export on standard output is the same file', async () => {
    const { greylist, daemon } = place()
    await daemon.merge([entry(1)], NOW)
    const { out } = await greylist('export')
    const [head, line] = out
      .join('\n')
      .split('\n')
      .map(text => JSON.parse(text))
    expect(head).toMatchObject({ format: 'milterhost-greylist', version: 1 })
    expect(line).toEqual({
      kind: 'origin',
      origin: Buffer.from(KEYS.origin('a:1')).toString('base64url'),
      first: '2026-12-11T14:59:00Z',
      last: '2026-12-11T14:59:30Z',
      count: 1,
      expires: '2026-12-11T16:00:00Z',
    })
  })

  it('a broken line is told with its number and the rest goes on, with --strict nothing does', async () => {
    const { greylist, daemon, path } = place()
    await daemon.merge([entry(1), entry(2)], NOW)
    const lines = (await greylist('export')).out.join('\n').split('\n')
    const file = `${path}.jsonl`
    writeFileSync(
      file,
      [lines[0], lines[1], '{"kind":"tuple"', lines[2], '{"kind":"sum"}', 'x'.repeat(70_000), ''].join('\n'),
    )
    expect(await greylist('import', [file])).toMatchObject({
      code: 1,
      text: '2 entries read, 2 marks taken, 0 too old',
      err: [
        'line 3: undefined is no kind of mark',
        'line 5: "sum" is no kind of mark',
        'line 6: too long',
        '3 lines make no sense',
      ],
    })
    await expect(greylist('import', [file], { strict: true })).rejects.toThrow('line 3: ')
  })

  it('an export of another secret, and what is no export, are refused whole', async () => {
    const one = place()
    const other = place({ secret: 'another secret than that' })
    const file = `${one.path}.jsonl`
    await one.greylist('export', [], { output: file })
    await expect(other.greylist('import', [file])).rejects.toThrow('made with another secret')
    await expect(one.greylist('import', [sample('spamdb.txt')])).rejects.toThrow(
      'line 1: the first line is none of an export',
    )
    await expect(one.greylist('import', ['/no/such/file'])).rejects.toThrow('ENOENT')
    await expect(one.greylist('import', [file], { from: 'mail' })).rejects.toThrow('--from is one of')
  })

  it('a client is taken over under the origin that it has in the DNS', async () => {
    const { greylist } = place({ mode: 'all' })
    const result = await greylist('import', [sample('spamdb.txt')], { from: 'spamdb' })
    expect(result).toMatchObject({ code: 1, err: ['line 6: not nine or ten columns', '1 lines make no sense'] })
    expect(result.text).toContain('1 left out: addresses of traps')
    const rule = async (client: string, from: string) =>
      JSON.parse((await greylist('check', [], { ...CHECK, client, from, json: true })).text).rule
    // The name of 192.0.2.10 leads back: all of example.org's machines are known.
    expect((await greylist('list', [], { client: 'h:example.org' })).out[1]).toMatch(/^origin\th:example\.org\t-\t5\t/)
    expect(await rule('192.0.2.10', 'new@example.com')).toBe('known')
    expect(await rule('192.0.2.11', 'one@example.org')).toBe('passed')
    expect(await rule('192.0.2.12', '')).toBe('passed')
    expect(await rule('192.0.2.13', 'x@example.com')).toBe('trapped')
  })

  it('postgrey: clients with enough passes are known, triplets that passed are learned, others wait on', async () => {
    const { greylist } = place({ mode: 'all' })
    const clients = await greylist('import', [sample('postgrey-clients.txt')], { from: 'postgrey' })
    expect(clients).toMatchObject({ code: 0, err: [] })
    expect(clients.out.slice(1).sort()).toEqual([
      '1 left out: clients with fewer than 5 passes',
      '1 left out: hashed by --privacy',
    ])
    const triplets = await greylist('import', [sample('postgrey.txt')], { from: 'postgrey' })
    expect(triplets).toMatchObject({
      code: 1,
      err: ['line 15: "not-an-address" is no address', '1 lines make no sense'],
    })
    const rule = async (client: string, from: string) =>
      JSON.parse((await greylist('check', [], { ...CHECK, client, from, json: true })).text).rule
    expect(await rule('192.0.2.10', 'new@example.com')).toBe('known')
    expect(await rule('203.0.113.7', "o'hara@example.net")).toBe('new')
    const list = async (client: string) =>
      (await greylist('list', [], { client })).out
        .slice(1)
        .map(line => line.split('\t')[0])
        .sort()
    expect(await list('192.0.2.0/24')).toEqual(['domain', 'origin'])
    expect(await list('198.51.100.0/24')).toEqual(['tuple', 'tuple'])
    expect(await list('203.0.113.7')).toEqual(['tuple'])
  })

  it('milter-greylist: white tuples are learned, those that wait wait on', async () => {
    const { greylist } = place({ mode: 'all' })
    const result = await greylist('import', [sample('milter-greylist.db')], { from: 'milter-greylist' })
    expect(result).toMatchObject({ code: 1, err: ['line 13: "nonsense" is no address', '1 lines make no sense'] })
    const rule = async (client: string, from: string) =>
      JSON.parse((await greylist('check', [], { ...CHECK, client, from, json: true })).text).rule
    expect(await rule('192.0.2.11', 'another@example.net')).toBe('domain')
    expect(await rule('2001:db8::25', 'two@example.org')).toBe('passed')
    expect(await rule('192.0.2.12', '')).toBe('passed')
  })

  it('sqlgrey: its SQLite file and a dump with tabs', async () => {
    const { greylist, path } = place({ mode: 'all' })
    const dump = await greylist('import', [sample('sqlgrey.tsv')], { from: 'sqlgrey' })
    expect(dump).toMatchObject({ code: 1, err: ['line 6: "nowhere" is no address', '1 lines make no sense'] })
    const list = async (client: string) =>
      (await greylist('list', [], { client })).out
        .slice(1)
        .map(line => line.split('\t')[0])
        .sort()
    // SPF lets 192.0.2.12 speak for example.net.
    expect(await list('d:example.net')).toEqual(['domain', 'origin'])
    expect(await list('192.0.2.0/24')).toEqual(['tuple'])
    const file = `${path}.sqlgrey`
    const db = new DatabaseSync(file)
    db.exec(`CREATE TABLE connect (sender_name, sender_domain, src, rcpt, first_seen);
      CREATE TABLE from_awl (sender_name, sender_domain, src, first_seen, last_seen);
      CREATE TABLE domain_awl (sender_domain, src, first_seen, last_seen);
      INSERT INTO connect VALUES ('one', 'example.org', '198.51.100', 'me@example.com', 1797000000);
      INSERT INTO from_awl VALUES ('two', 'example.com', '198.51.100.9', 1796000000, 1797000000);
      INSERT INTO domain_awl VALUES ('example.edu', 'nowhere', 1796000000, 1797000000);`)
    db.close()
    const read = await greylist('import', [file], { from: 'sqlgrey' })
    expect(read).toMatchObject({ code: 1, err: ['domain_awl row 1: "nowhere" is no address', '1 lines make no sense'] })
    expect(await list('198.51.100.0/24')).toEqual(['tuple'])
    expect(await list('a:198.51.100.9')).toEqual(['domain', 'origin'])
    writeFileSync(file, readFileSync(file).subarray(0, 2_000))
    await expect(greylist('import', [file], { from: 'sqlgrey' })).rejects.toMatchObject({ code: 'GREYLIST_COMMAND' })
  })

  it('without the DNS a client is learned as an address and as its network', async () => {
    const { greylist } = place()
    await greylist('import', [sample('postgrey-clients.txt')], { from: 'postgrey', dns: false })
    for (const origin of ['a:192.0.2.10', 'n:192.0.2.0/24', 'a:2001:db8:0:0::/64'])
      expect((await greylist('list', [], { client: origin })).out).toHaveLength(2)
  })

  it('lines are the same however the file is cut', async () => {
    const text = `one\r\ntwo\n${'x'.repeat(200_000)}\nlast`
    for (const size of [1_000, 65_536, 1_000_000]) {
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size))
      }
      const found: (string | null)[] = []
      for await (const line of linesOf(chunks())) found[line.number - 1] = line.text
      expect(found).toEqual(['one', 'two', null, 'last'])
    }
  })
})
