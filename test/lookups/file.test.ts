import { chmodSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { file, lookup } from '../../src/lookups.ts'
import { tempDir, until } from '../interop/harness/index.ts'
import { answerOf, around, codeOf, never, opened } from './support.ts'

const at = (name: string, text: string): string => {
  const path = join(tempDir('file'), name)
  writeFileSync(path, text)
  return path
}

it.each([
  [
    'vip.txt',
    '# the important\nA@example.org\n\nexample.net  spf=off greylist=off\n',
    { 'a@example.org': true, 'Example.NET': 'spf=off greylist=off', b: null },
  ],
  ['vip.yaml', 'a@example.org: { spf: off }\n"*": {}\n', { 'A@example.org': { spf: 'off' }, '*': {}, b: null }],
  ['vip.yml', '- a\n- b\n', { a: true, c: null }],
  ['vip.json', '{"a": {"greylist": false}}', { a: { greylist: false }, b: null }],
  ['empty.yaml', '', { a: null }],
])('%s', async (name, text, expected) => {
  const table = await opened(file(at(name, text)))
  for (const [key, value] of Object.entries(expected)) expect(await answerOf(table, key)).toEqual(value)
})

it.each([
  ['a.yaml', 'a: [\n', /line \d/],
  ['a.json', '{', /JSON/],
  ['a.yaml', '7', /list of keys/],
  ['a.json', '[1]', /keys as text/],
  ['a.txt', 'a 1\nA 2\n', /"A" stands twice/],
])('%s with %j is refused when it is loaded', async (name, text, message) => {
  const entry = file(at(name, text))
  await expect(entry.open(around())).rejects.toThrow(message)
  expect(await codeOf(entry.open(around()))).toBe('LOOKUP_FILE')
})

it('a path must be whole', () => {
  expect(() => file('users.txt')).toThrow('from the root')
})

it('values have the type of their schema', async () => {
  const limits = await opened(file(at('limits.txt', 'a 10\nb ten\n'), { schema: z.coerce.number() }))
  expect(await answerOf(limits, 'a')).toBe(10)
  expect(await answerOf(limits, 'b')).toBe('LOOKUP_VALUE')
})

it('is read again when an editor replaces it', async () => {
  const path = at('vip.txt', 'a\n')
  const table = await opened(file(path))
  for (const key of ['b', 'c']) {
    writeFileSync(`${path}~`, `${key}\n`)
    renameSync(`${path}~`, path)
    await until(key, async () => (await answerOf(table, key)) === true)
    expect(await answerOf(table, 'a')).toBeNull()
  }
})

it('a policy in YAML is edited, and its comments stay', async () => {
  const path = at('policy.yaml', '# ours\nA@example.org:\n  spf: off # since May\n"*": { greylist: on }\n')
  chmodSync(path, 0o640)
  const store = await file(path).edit!(around())
  await store.set('b@example.org', { greylist: false })
  await store.set('a@example.org', { spf: true })
  expect(await store.get('A@EXAMPLE.org')).toEqual({ spf: true })
  expect(readFileSync(path, 'utf8')).toContain('# ours')
  const listed: unknown[] = []
  for await (const [key] of store.list()) listed.push(key)
  expect(listed).toEqual(['*', 'a@example.org', 'b@example.org'])
  await store.set('a@example.org', null)
  await store.set('nobody', null)
  expect(await store.get('a@example.org')).toBeNull()
  expect(statSync(path).mode & 0o777).toBe(0o640)
  await store.close()
})

it('a policy in JSON is edited too, a list or a file of lines is not', async () => {
  const path = at('policy.json', '{"a": {"spf": false}}')
  const store = await file(path).edit!(around())
  await store.set('b', { spf: true })
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ a: { spf: false }, b: { spf: true } })
  expect(await codeOf((await file(at('l.json', '["a"]')).edit!(around())).set('b', {}))).toBe('LOOKUP_FILE')
  await expect(file(at('l.txt', 'a')).edit!(around())).rejects.toThrow('only YAML and JSON')
})

it('a function is a look-up, with what the engine puts around it', async () => {
  let asked = 0
  const crm = await opened(
    lookup('crm', async (key, signal) => {
      asked += 1
      signal.throwIfAborted()
      return key === 'a' ? { plan: 'gold' } : undefined
    }),
  )
  expect(await crm.find('a', never)).toMatchObject({ value: { plan: 'gold' }, source: 'crm' })
  expect(await crm.find('a', never)).toMatchObject({ from: 'cache' })
  expect(await answerOf(crm, 'b')).toBeNull()
  expect(asked).toBe(2)
  expect(() => lookup('crm', 'x' as never)).toThrow('write lookup')
})
