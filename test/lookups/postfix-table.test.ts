/** Our reading of Postfix's tables, compared with `postmap -q` on random tables and random keys. */
import { execFileSync } from 'node:child_process'
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { postfixTable } from '../../src/lookups.ts'
import { requirePrograms, tempDir, until } from '../interop/harness/index.ts'
import { answerOf, around, codeOf, never, opened } from './support.ts'

let dir: string
let count = 0

beforeAll(() => {
  dir = tempDir('tables')
  writeFileSync(join(dir, 'main.cf'), 'compatibility_level = 3.6\n')
  process.env.MAIL_CONFIG = dir
})

const tableFile = (text: string): string => {
  const path = join(dir, `table${++count}`)
  writeFileSync(path, text)
  return path
}

/** What Postfix finds: keys without an answer are not in the map. */
function postmap(table: string, keys: readonly string[]): Map<string, string> {
  let output: string
  try {
    output = execFileSync('/usr/sbin/postmap', ['-q', '-', table], {
      input: `${keys.join('\n')}\n`,
      stdio: ['pipe', 'pipe', 'pipe'],
    }).toString()
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer }
    // 1 and no word: nothing found.
    if (status !== 1 || stderr.length > 0) throw new Error(`postmap ${table}: ${stderr}`)
    output = stdout.toString()
  }
  const found = new Map<string, string>()
  for (const line of output.split('\n').filter(line => line !== '')) {
    const tab = line.indexOf('\t')
    found.set(line.slice(0, tab), line.slice(tab + 1))
  }
  return found
}

async function compare(table: string, keys: readonly string[]): Promise<number> {
  const expected = postmap(table, keys)
  const lookup = await postfixTable(table).open(around())
  try {
    for (const key of keys) {
      const found = await lookup.find(key, never)
      expect({ table, key, value: found.value }).toEqual({ table, key, value: expected.get(key) ?? null })
    }
  } finally {
    await lookup.close()
  }
  return expected.size
}

const sample = <T>(arbitrary: fc.Arbitrary<T>, runs: number, seed: number): T[] =>
  fc.sample(arbitrary, { numRuns: runs, seed })

const word = fc.string({ unit: fc.constantFrom(...'abcABC012.-_@+'), minLength: 1, maxLength: 6 })
const key = fc.oneof(
  word,
  fc.tuple(word, word).map(([local, domain]) => `${local}@${domain}`),
  fc.constantFrom('"a b"@c', '"x\\"y"@c', 'é@exämple.org', '用户@例え.jp', '*'),
)
const value = fc.stringMatching(/^[a-zé0-9][ a-z0-9=,$]{0,12}[a-z0-9]$/)
const lines = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.tuple(key, value).map(pair => pair.join(' ')) },
      fc.constantFrom('', '# a comment', '  continued', '\t# and one', '   '),
    ),
    { minLength: 15, maxLength: 40 },
  )
  .map(list => `first line\n${list.join('\n')}\n`)

requirePrograms('postfix-tables')('tables of Postfix', () => {
  const keysFor = (text: string, extra: readonly string[]): string[] =>
    [...new Set([...text.split('\n').map(line => /^"[^"]*"\S*|^\S+/.exec(line)?.[0] ?? 'none'), ...extra])].flatMap(
      k => [k, k.toUpperCase()],
    )

  it.each(['hash', 'btree', 'lmdb', 'cdb', 'texthash'])('%s: the same answers as postmap', async type => {
    let found = 0
    for (const text of sample(lines, 5, 1)) {
      const path = tableFile(text)
      if (type !== 'texthash') execFileSync('/usr/sbin/postmap', [`${type}:${path}`], { stdio: 'ignore' })
      found += await compare(`${type}:${path}`, keysFor(text, sample(key, 20, 2)))
    }
    expect(found).toBeGreaterThan(50)
  })

  it('inline: the same answers as postmap', async () => {
    for (const pairs of sample(
      fc.array(fc.tuple(word, fc.stringMatching(/^[a-z0-9]{1,8}$/), fc.boolean()), { minLength: 1, maxLength: 8 }),
      8,
      3,
    )) {
      const items = pairs.map(([name, given, braces]) => (braces ? `{ ${name} = ${given} x }` : `${name}=${given}`))
      await compare(`inline:{ ${items.join(', ')} }`, [...pairs.map(([name]) => name), 'zzz'])
    }
  })

  const atoms = [
    'a',
    'b',
    'c',
    '.',
    '[ab]',
    '[^a]',
    '[a-c]',
    '[]a]',
    '[^]a]',
    '[[:digit:]]',
    '[[:alpha:]_]',
    '\\.',
    '@',
    '-',
    '[b-]',
    '(a|b)',
    '(ab)',
    '^',
    '$',
    '()',
    '\\w',
    '\\W',
    '\\b',
    '\\B',
  ]
  const both = fc
    .array(fc.tuple(fc.constantFrom(...atoms), fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{1,}')), {
      minLength: 1,
      maxLength: 5,
    })
    .map(parts => parts.map(([atom, times]) => (/^[\^$]$|^\\[bB]$/.test(atom) ? atom : atom + times)).join(''))
  const flags = fc.constantFrom('', '', '', 'i')
  const rule = (pattern: fc.Arbitrary<string>, allFlags: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc
      .tuple(fc.constantFrom('', '', '', '!'), pattern, allFlags, fc.constantFrom('one', 'two $$', 'x'))
      .map(([not, p, f, result]) => `${not}/${p}/${f} ${result}`)
  const table = (pattern: fc.Arbitrary<string>, allFlags: fc.Arbitrary<string>): fc.Arbitrary<string> => {
    const block = fc
      .tuple(fc.constantFrom('', '!'), pattern, fc.array(rule(pattern, allFlags), { maxLength: 3 }))
      .map(([not, p, inner]) => `if ${not}/${p}/\n${inner.join('\n')}\nendif`)
    return fc
      .array(fc.oneof({ weight: 3, arbitrary: rule(pattern, allFlags) }, block), { minLength: 1, maxLength: 4 })
      .map(list => `${list.join('\n')}\n`)
  }
  const keys = sample(
    fc.oneof(
      key,
      fc.string({ unit: fc.constantFrom(...'abcAB1.-_@ ]'), minLength: 1, maxLength: 6 }).filter(k => k.trim() === k),
    ),
    50,
    4,
  )

  it('regexp: the same answers as postmap', async () => {
    const ascii = keys.filter(k => /^[ -~]+$/.test(k))
    let found = 0
    for (const text of sample(
      table(fc.oneof(both, fc.constantFrom('a+?', 'a**b', '[\\.]', '[a\\]', '\\<a', 'b\\>', '(a)\\1')), flags),
      25,
      5,
    ))
      found += await compare(`regexp:${tableFile(text)}`, ascii)
    expect(found).toBeGreaterThan(200)
  })

  it('pcre: the same answers as postmap', async () => {
    const ascii = keys.filter(k => /^[ -~]+$/.test(k))
    const own = fc.constantFrom(
      'a+?b',
      '(?i)A(?-i)b',
      '(?:a(?i)b)c',
      '\\Aa',
      'c\\z',
      '\\d+',
      '[\\d.]',
      '[\\]a]',
      '(?<x>a)b',
      '(?!a)',
      'a(?=b)',
      '(?<=a)b',
      '\\Qa.b\\E',
      '\\h',
      'a{',
      '{a',
      '[[:^digit:]]?'.slice(0, 0) || 'a|',
    )
    let found = 0
    for (const text of sample(
      table(fc.oneof(both, own), fc.oneof(flags, fc.constantFrom('A', 'x', 's', 'm', 'E', 'ix'))),
      25,
      6,
    ))
      found += await compare(`pcre:${tableFile(text)}`, ascii)
    expect(found).toBeGreaterThan(200)
  })

  it('groups stand in results as in Postfix', async () => {
    const text = ['/^(a+)@(b*)(c)?$/ <$1|$', '{2}|$(3)> $$1\n/^x(.)(.)?/ $2$1\n'].join('')
    for (const type of ['regexp', 'pcre'])
      await compare(`${type}:${tableFile(text)}`, ['aa@b', 'a@', 'a@bc', 'xy', 'xyz', 'AA@BB'])
  })

  it('cidr: the same answers as postmap', async () => {
    const v4 = fc
      .tuple(fc.constantFrom(10, 192), fc.constantFrom(0, 1, 255), fc.nat(3), fc.nat(255))
      .map(parts => parts.join('.'))
    const v6 = fc
      .tuple(fc.constantFrom('2001:db8', 'fe80', ''), fc.nat(0xffff))
      .map(([head, tail]) => `${head}::${tail.toString(16)}`)
    const network = fc.oneof(
      v4,
      v6,
      fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '192.0.0.0/7', '0.0.0.0/0', '[2001:db8::]/32', '::/0', 'fe80::/10'),
    )
    const plain = fc
      .tuple(
        fc.constantFrom('', '', '', '!'),
        network,
        value.filter(v => !v.includes('$')),
      )
      .map(([not, net, result]) => `${not}${net}  ${result}`)
    const block = fc
      .tuple(fc.constantFrom('', '!'), network, fc.array(plain, { maxLength: 3 }))
      .map(([not, net, inner]) => `if ${not}${net}\n${inner.join('\n')}\nendif`)
    const text = fc.array(fc.oneof({ weight: 4, arbitrary: plain }, block), { minLength: 1, maxLength: 12 })
    const asked = [...sample(fc.oneof(v4, v6), 60, 7), 'example.org', '10.0.0']
    let found = 0
    for (const rules of sample(text, 15, 8)) found += await compare(`cidr:${tableFile(`${rules.join('\n')}\n`)}`, asked)
    expect(found).toBeGreaterThan(150)
  })

  it('rules may stand in the configuration', async () => {
    await compare('regexp:{ { /^a/ yes }, { !/b/ no } }', ['a', 'b', 'c'])
  })

  it('a table that postmap makes anew is read again', async () => {
    const path = tableFile('a one\n')
    const run = (): unknown => execFileSync('/usr/sbin/postmap', [`lmdb:${path}`], { stdio: 'ignore' })
    run()
    const lookup = await opened(postfixTable(`lmdb:${path}`))
    expect(await answerOf(lookup, 'a')).toBe('one')
    writeFileSync(path, 'a two\nb three\n')
    run()
    await until('the new table', async () => (await answerOf(lookup, 'a')) === 'two')
    expect(await answerOf(lookup, 'b')).toBe('three')
  })
})

describe('a file that changes', () => {
  it('is read again each time it is replaced, also behind a symbolic link', async () => {
    const path = tableFile('a 0\n')
    const link = join(tempDir('link'), 'table')
    symlinkSync(path, link)
    const [direct, linked] = await Promise.all([
      opened(postfixTable(`texthash:${path}`)),
      opened(postfixTable(`texthash:${link}`)),
    ])
    for (const round of ['1', '2', '3']) {
      writeFileSync(`${path}.new`, `a ${round}\n`)
      renameSync(`${path}.new`, path)
      for (const lookup of [direct, linked])
        await until(`value ${round}`, async () => (await answerOf(lookup, 'a')) === round)
    }
  })

  it('leaves the last good one in use when it becomes wrong or goes, and says so', async () => {
    const path = tableFile('/^a/ yes\n')
    const environment = around()
    const lookup = await opened(postfixTable(`regexp:${path}`), environment)
    writeFileSync(path, '/^a(/ yes\n')
    await until('the complaint', () => environment.said.some(line => line.startsWith('error')))
    expect(await answerOf(lookup, 'a')).toBe('yes')
    await expect(lookup.probe(never)).rejects.toThrow(/line 1.*"\(" without "\)"/)
    rmSync(path)
    await until('the next complaint', () => environment.said.filter(line => line.startsWith('error')).length === 2)
    expect(await codeOf(lookup.probe(never))).toBe('LOOKUP_FILE')
    writeFileSync(path, '/^b/ yes\n')
    await until('the new rules', async () => (await answerOf(lookup, 'b')) === 'yes')
    expect(await codeOf(lookup.probe(never))).toBe('fine')
  })

  it('tells the age of its content', async () => {
    const lookup = await opened(postfixTable(`texthash:${tableFile('a 1\n')}`))
    const found = await lookup.find('a', never)
    expect(found.from).toBe('source')
    expect(found.age).toBeGreaterThanOrEqual(0)
    expect(found.age).toBeLessThan(60_000)
  })
})

describe('mistakes are told when the configuration is loaded', () => {
  it.each([
    ['hash', /type:name/],
    ['mysql:/etc/x.cf', /one of the types hash/],
    ['hash:users', /from the root/],
    ['inline:a=b', /braces/],
    ['inline:{ a }', /not "key = value"/],
    ['tcp:localhost', /no address/],
    ['socketmap:unix:/x:', /name of the map/],
    ['socketmap:inet:h:0:name', /no address/],
    ['regexp:{ { /(/ x } }', /line 1/],
  ])('%s', (table, message) => {
    expect(() => postfixTable(table)).toThrow(message)
  })

  it.each([
    ['regexp', '/a/\n', /line 1: there is no result/],
    ['regexp', '# c\n\n/a/x y\n', /line 3: basic/],
    ['regexp', '/(?=a)/ y\n', /pcre/],
    ['regexp', 'if /a/\n/b/ c\n', /line 1: if without endif/],
    ['regexp', 'endif\n', /line 1: endif without if/],
    ['regexp', '/a/ $1\n', /no group \$1/],
    ['regexp', '!/(a)/ $1\n', /no group \$1/],
    ['regexp', '/a/ 1$\n', /written "\$\$"/],
    ['regexp', '/a/z y\n', /no flag "z"/],
    ['regexp', '/a y\n', /ends the pattern/],
    ['regexp', 'a y\n', /no pattern/],
    ['pcre', '/(?>a)/ y\n', /"\(\?>" is not supported/],
    ['pcre', '/a++/ y\n', /possessive/],
    ['pcre', '/\\K/ y\n', /not supported/],
    ['pcre', '/a/U y\n', /flag U/],
    ['cidr', '10.0.0.1/8 y\n', /line 1: .*bits beyond the prefix/],
    ['cidr', 'if 10.0.0.0/8 x\nendif\n', /behind the condition/],
    ['texthash', 'a\n', /line 1: there is no value/],
    ['cdb', 'x', /no cdb/],
  ])('%s with %j', async (type, text, message) => {
    const path = tableFile(text)
    if (type === 'cdb') writeFileSync(`${path}.cdb`, text)
    await expect(postfixTable(`${type}:${path}`).open(around())).rejects.toThrow(message)
    expect(await codeOf(postfixTable(`${type}:${path}`).open(around()))).toBe('LOOKUP_FILE')
  })

  it('a file that is not there, and a postmap that is not', async () => {
    await expect(postfixTable('texthash:/no/such').open(around())).rejects.toThrow('there is no such file')
    const path = tableFile('x')
    writeFileSync(`${path}.db`, 'x')
    await expect(postfixTable(`hash:${path}`, { postmap: '/no/postmap' }).open(around())).rejects.toThrow(
      '/no/postmap is not there',
    )
  })
})
