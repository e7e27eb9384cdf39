/**
 * The cut of the project, held: which part may import which, how large a file may grow, what a module opens with.
 * Imports are read from the text, so that a file which no test loads is checked too.
 */
import { globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const files = globSync(['src/**/*.ts', '{plugins,packages}/*/src/**/*.ts'], { cwd: ROOT }).sort()
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

interface Import {
  readonly file: string
  readonly target: string
}

const STATEMENT =
  /^(?:import|export)\b[^'"]*?\bfrom\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm

const imports: Import[] = files.flatMap(file =>
  [...read(file).matchAll(STATEMENT)].map(match => {
    const specifier = (match[1] ?? match[2] ?? match[3])!
    const target = specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), specifier)) : specifier
    return { file, target }
  }),
)

const from = (folder: string): Import[] => imports.filter(({ file }) => file.startsWith(folder))
const offending = (list: Import[], allowed: (target: string) => boolean): string[] =>
  list.filter(({ target }) => !allowed(target)).map(({ file, target }) => `${file} → ${target}`)

const inside =
  (...folders: string[]) =>
  (target: string): boolean =>
    !/^(src|plugins)\//.test(target) || folders.some(folder => target.startsWith(folder))

describe('imports point one way', () => {
  it('reads the imports of a tree that is there', () => {
    expect(files.length).toBeGreaterThan(50)
    expect(imports).toContainEqual({ file: 'src/host/session.ts', target: 'src/host/chain/chain.ts' })
  })

  it('the host knows neither the bridge, the resolver nor the daemon', () => {
    expect(offending(from('src/host/'), inside('src/host/'))).toEqual([])
  })

  it('the host opens no socket and starts no process', () => {
    const forbidden = /^node:(net|tls|dgram|http|https|http2|child_process|cluster|worker_threads)$/
    expect(offending(from('src/host/'), target => !forbidden.test(target))).toEqual([])
  })

  it('the bridge knows the host and itself', () => {
    expect(offending(from('src/bridge/'), inside('src/host/', 'src/bridge/'))).toEqual([])
  })

  it('the codec knows no I/O and nothing of the bridge but itself', () => {
    expect(
      offending(from('src/bridge/wire/'), inside('src/host/bytes.ts', 'src/host/verdict.ts', 'src/bridge/wire/')),
    ).toEqual([])
    expect(offending(from('src/bridge/wire/'), target => !target.startsWith('node:'))).toEqual([])
  })

  it('the bridge has no third-party dependency', () => {
    expect(offending(from('src/bridge/'), target => /^(src\/|node:)/.test(target))).toEqual([])
  })

  it('the resolver knows the host and itself, and nobody but the command line, serve and the testing kit knows it', () => {
    expect(offending(from('src/dns/'), inside('src/host/', 'src/dns/'))).toEqual([])
    const others = imports.filter(({ file }) => !/^src\/(dns\/|cli\/|testing\/|serve\.ts$)/.test(file))
    expect(offending(others, target => !target.startsWith('src/dns/'))).toEqual([])
  })

  it('the MTA side and the milter side do not know each other', () => {
    expect(offending(from('src/bridge/mta/'), inside('src/host/', 'src/bridge/mta/', 'src/bridge/wire/'))).toEqual([])
    expect(
      offending(
        from('src/bridge/milter/'),
        inside('src/host/', 'src/bridge/milter/', 'src/bridge/wire/', 'src/bridge/launch/'),
      ),
    ).toEqual([])
  })

  it('what starts milters knows neither side of the bridge', () => {
    expect(offending(from('src/bridge/launch/'), inside('src/host/', 'src/bridge/launch/'))).toEqual([])
  })

  it('look-ups know the host and themselves', () => {
    expect(offending(from('src/lookups'), inside('src/host/', 'src/lookups/'))).toEqual([])
    expect(
      offending(['src/bridge/', 'src/host/', 'src/daemon'].flatMap(from), target => !target.startsWith('src/lookups')),
    ).toEqual([])
  })

  it('nothing below the command line imports it', () => {
    expect(
      offending(
        imports.filter(({ file }) => !file.startsWith('src/cli/')),
        target => !target.startsWith('src/cli/'),
      ),
    ).toEqual([])
  })

  // Their text holds imports of what they write, by name; what they import of this repository would be a path.
  it('what makes new plugins knows nothing of milterhost', () => {
    expect(offending(from('packages/'), target => !/^(src|plugins)\//.test(target))).toEqual([])
  })

  it('plugins, the shipped ones too, know the public faces only', () => {
    const faces = /^(milterhost(\/plugin|\/testing)?|src\/(index|plugin)\.ts)$/
    const list = [...from('plugins/'), ...from('src/defaults/')]
    expect(
      offending(
        list,
        target => !/^(src\/|milterhost)/.test(target) || faces.test(target) || target.startsWith('src/defaults/'),
      ),
    ).toEqual([])
  })
})

describe('files', () => {
  const sizes = files.map(file => ({ file, size: statSync(join(ROOT, file)).size }))

  it('none is above 25 kB', () => {
    expect(sizes.filter(({ size }) => size > 25_000)).toEqual([])
  })

  it('nine in ten are below 12 kB', () => {
    const large = sizes.filter(({ size }) => size > 12_000)
    expect(large.length, large.map(({ file }) => file).join(', ')).toBeLessThanOrEqual(sizes.length / 10)
  })

  it('each opens with what it is', () => {
    const silent = files.filter(
      file =>
        !read(file)
          .replace(/^#!.*\n/, '')
          .startsWith('/**'),
    )
    expect(silent).toEqual([])
  })
})

describe('the host', () => {
  it('reads no clock, no randomness and no environment of its own', () => {
    // `systemClock` is the one place that does, and is passed in from the composition root.
    const own = /\b(Date\.now|performance\.now|Math\.random|process\.env|setTimeout|setInterval)\b/
    const offenders = files.filter(
      file =>
        file.startsWith('src/host/') &&
        file !== 'src/host/time/clock.ts' &&
        own.test(read(file).replace(/\/\*\*[\s\S]*?\*\/|\/\/.*/g, '')),
    )
    expect(offenders).toEqual([])
  })
})

describe('what a session leaves behind is freed young', () => {
  // Why, and what to write instead: src/host/roster.ts.
  it('no function literal is assigned to a property', () => {
    const literal = /[\w\])]\.#?\w+ (?:\?\?|\|\||&&)?= (?:async )?(?:function\b|(?:\w+|\([^()]*\))(?:: [^=]+)? =>)/
    const hot = files.filter(file => /^src\/(?:host|bridge\/(?:mta|milter|wire))\//.test(file))
    expect(hot.filter(file => literal.test(read(file)))).toEqual([])
    expect('this.#settle = result => {').toMatch(literal)
    expect('channel.onClosed = () => places.free()').toMatch(literal)
  })
})
