import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { importMilterManager, type Written } from '../../../src/bridge/import/index.ts'
import { EXAMPLES } from './examples.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'milterhost-import-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const convert = (source: string): Written => {
  const file = join(folder, 'milter-manager.conf')
  writeFileSync(file, source)
  return importMilterManager(file)
}

const code = (text: string): string => text.replaceAll(/\s+/g, ' ')

describe('import milter-manager', () => {
  it.each(EXAMPLES.map(example => [example.of, example] as const))(
    'converts the example: %s',
    (_, { source, has, notes }) => {
      const written = convert(source)
      for (const text of has) expect(code(written.text)).toContain(code(text))
      expect(written.notes.map(({ why }) => why)).toEqual(notes.map(note => expect.stringContaining(note)))
      for (const { line } of written.notes) expect(written.text).toContain(`milter-manager.conf:${line}`)
    },
  )

  it('writes configurations that milterhost takes, of every example', () => {
    const files = EXAMPLES.map(({ source }, index) => {
      const file = join(folder, `example-${index}.config.ts`)
      writeFileSync(file, convert(source).text)
      return file
    })
    const loader = resolve(import.meta.dirname, 'load-all.ts')
    const results = JSON.parse(
      execFileSync(process.execPath, [loader, ...files], {
        encoding: 'utf8',
        env: { ...process.env, MILTERHOST_DETECT_ROOT: folder },
      }),
    ) as unknown[]
    const failed = results.flatMap((result, index) => (result === null ? [] : [[EXAMPLES[index]!.of, result]]))
    expect(failed).toEqual([])
    expect(results.length).toBe(EXAMPLES.length)
  }, 60_000)

  it('follows what is loaded, and says where a note comes from', () => {
    writeFileSync(
      join(folder, 'more-1.conf'),
      'define_milter("a") do |m|\n  m.connection_spec = "inet:1@h"\nend\nfoo.bar = 1\n',
    )
    writeFileSync(join(folder, 'more-2.conf'), 'remove_milter("b")\n')
    const { text, notes } = convert(
      'define_milter("b") { |m| m.connection_spec = "inet:2@h" }\nload("more-*.conf")\nload_if_exist("none.conf")\nload("none.conf")\n',
    )
    expect(text).toContain("socket('a', 'inet:1@h', { onFailure: 'accept' })")
    expect(text).not.toContain("socket('b'")
    expect(notes.map(({ file, line, why }) => [file, line, why])).toEqual([
      [join(folder, 'more-1.conf'), 4, 'it is no setting of milter manager that is known'],
      [join(folder, 'milter-manager.conf'), 4, 'the file was not read: none.conf is not there'],
    ])
  })

  it('takes nothing out of code that may not run', () => {
    const { text, notes } = convert(`if production?
  define_milter("hidden") do |m|
    m.connection_spec = "inet:1@h"
  end
end
unless $x then manager.max_connections = 5 end
manager.max_connections = ENV["N"].to_i
[1, 2].each { |n| remove_milter(n) }
def helper(x)
  while x do x -= 1 end
  x.end
end
manager.connection_spec = "inet:#{port}@localhost"
`)
    expect(text).toContain('filters: []')
    expect(text).not.toMatch(/listen|limits/)
    expect(notes.map(({ line }) => line)).toEqual([1, 6, 7, 8, 9, 13])
  })

  it('keeps a milter that is defined again where it is, and says so', () => {
    const { text, notes } =
      convert(`define_milter("a") { |m| m.connection_spec = "inet:1@h"; m.fallback_status = "reject" }
define_milter("b") { |m| m.connection_spec = "inet:2@h" }
define_milter("a") { |m| m.enabled = false }
`)
    expect(text.indexOf("socket('a', 'inet:1@h', { enabled: false, onFailure: 'reject' })")).toBeGreaterThan(0)
    expect(text.indexOf("socket('a'")).toBeLessThan(text.indexOf("socket('b'"))
    expect(notes.map(({ line }) => line)).toEqual([3])
  })

  it('makes names that milterhost takes, each once', () => {
    const { text, notes } = convert(`define_milter("my milter") { |m| m.connection_spec = "inet:1@h" }
define_milter("my/ milter") { |m| m.connection_spec = "inet:2@h" }
define_milter("my+milter") { |m| m.connection_spec = "inet:3@h" }
`)
    expect([...text.matchAll(/socket\('(.*?)'/g)].map(match => match[1])).toEqual([
      'my-milter',
      'my/-milter',
      'my-milter-2',
    ])
    expect(notes.length).toBe(3)
  })

  it.each([
    ['a string that does not end', 'x = 1\nmanager.connection_spec = "inet:1', ':2: a string does not end'],
    [
      'a block that does not end',
      'define_milter("a") do |m|\n  m.enabled = true\n',
      ':1: what begins here is not closed with end',
    ],
    ['an end too many', 'load_default\nend\n', ':2: an end closes nothing'],
    ['code that does not end', 'if x\n  y\n', 'the file ends inside of a block'],
  ])('refuses %s, with the line', (_, source, message) => {
    expect(() => convert(source)).toThrow(message)
  })

  it('says that a file is not there', () => {
    expect(() => importMilterManager('/nowhere/m.conf')).toThrow('the configuration /nowhere/m.conf cannot be read')
  })

  it('cannot be made to write code into the result, whatever the texts are', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, words) => {
        const ruby = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
        const { text } = convert(`define_milter(${ruby(name)}) do |m|
  m.connection_spec = "inet:1@h"
  m.description = ${ruby(words)}
  m.command = ${ruby(words)}
end
`)
        // Take the comments and the strings away: what is left is always the same.
        const bare = text
          .replace(/^\/\/.*$/gm, '')
          .replace(/^ *\/\/.*$/gm, '')
          .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
        expect(
          bare
            .replaceAll(/\s+/g, '')
            .replace(/,?launch:.*?\}(?=,?\}\))/, '')
            .replace('{,', '{'),
        ).toBe("import{defineConfig,socket}from''exportdefaultdefineConfig({filters:[socket('','',{onFailure:''}),],})")
      }),
      { numRuns: 200 },
    )
  })

  it('never crashes over anything else than a coded error', () => {
    const pieces = [
      'define_milter("a") do |m|',
      'end',
      'if x',
      '}',
      '{ |y|',
      '"a',
      '\\',
      '/re',
      'x = [1,',
      ')',
      '\n',
      "m.enabled = 'x'",
      '%w[a b]',
      ':s',
      '#{',
      'load_default',
      '-1',
      '0x',
      '=begin',
      '|',
    ]
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string()), { maxLength: 12 }), parts => {
        try {
          convert(parts.join(' '))
        } catch (error) {
          expect((error as { code?: string }).code).toBe('IMPORT_SYNTAX')
        }
      }),
      { numRuns: 500 },
    )
  })
})
