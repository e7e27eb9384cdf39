// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the shell's
/** The readers of text: shells, units, getopt, UCL, main.cf, greylist.conf. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Setting } from '../../../src/bridge/detect/fact.ts'
import { greylistConf } from '../../../src/bridge/detect/products/milter-greylist.ts'
import { readAssignments } from '../../../src/bridge/detect/text/assignments.ts'
import { expandMainCf, milterList, readMainCf } from '../../../src/bridge/detect/text/main-cf.ts'
import { readOptions } from '../../../src/bridge/detect/text/options.ts'
import { Ucl } from '../../../src/bridge/detect/text/ucl.ts'
import { readUnit, specify, type Unit } from '../../../src/bridge/detect/text/unit.ts'
import { words } from '../../../src/bridge/detect/text/words.ts'

const file = (text: string): { file: string; text: string } => ({ file: 'f', text })
const variables = (values: Record<string, string>) => (name: string) => values[name]
const split = (text: string, values: Record<string, string> = {}): string[] =>
  words(text, variables(values)).map(({ value }) => value)

describe('words', () => {
  it.each<[string, string, string[]]>([
    ['quotes', `a "b c" 'd $X' e\\ f`, ['a', 'b c', 'd $X', 'e f']],
    ['a variable, split where it is not quoted', '$X "$X" p${X}q', ['1', '2', '1 2', 'p1', '2q']],
    ['defaults', '${Y:-d e} ${X:+set} ${Y-n} ${E:-full} ${E-empty}', ['d', 'e', 'set', 'n', 'full']],
    ['empty words, quoted only', `'' $E ""`, ['', '']],
    ['defaults in defaults', '${Y:-${Z:-deep}}', ['deep']],
  ])('are split as a shell splits %s', (_what, text, expected) => {
    expect(split(text, { X: '1 2', E: '' })).toEqual(expected)
  })

  it('that only a shell would know are not known', () => {
    expect(words('a $(b c) `d` $1', variables({})).map(({ known }) => known)).toContain(false)
    expect(words('$(x)/a', variables({}))).toEqual([{ value: '/a', known: false }])
  })

  it('end for any text, and grow within bounds', () => {
    const values: Record<string, string> = { A: 'x'.repeat(16_000) }
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('$', 'A', '{', '}', '"', "'", '\\', ':', '-', '(', ')', '`', ' ') }),
        text => {
          for (const { value } of words(text, variables(values))) expect(value.length).toBeLessThanOrEqual(20_000)
        },
      ),
    )
  })
})

describe('assignments', () => {
  const read = (text: string, rules = {}): Record<string, string> => {
    const into = new Map<string, Setting>()
    readAssignments(file(text), into, rules)
    return Object.fromEntries([...into].map(([name, { value }]) => [name, value]))
  }

  it('of scripts: plain, defaults, conditions; what a branch decides is not taken', () => {
    const text = [
      'A=/run/a # why',
      'export B="$A/b c"',
      ': ${C:="from $A"}',
      ': ${A="kept"}',
      '[ -n "$D" ] || D=given',
      '[ -n "$A" ] || A=other',
      'if true; then',
      '  E=branch',
      'fi',
      'F=`hostname`',
      'G=one; H=two',
    ].join('\n')
    expect(read(text)).toEqual({ A: '/run/a', B: '/run/a/b c', C: 'from /run/a', D: 'given', G: 'one' })
  })

  it('of an EnvironmentFile expand nothing', () => {
    expect(read('A=1\n B="$A x"\n', { expands: false })).toEqual({ A: '1', B: '$A x' })
  })

  it('that double themselves stay small', () => {
    const bomb = `A=${'x'.repeat(100)}\n${'A=$A$A\n'.repeat(60)}`
    expect(read(bomb).A?.length).toBeLessThan(20_000)
  })
})

describe('units', () => {
  it('join lines over comments, and an empty value clears', () => {
    const unit: Unit = new Map()
    readUnit(file('[Service]\nExecStart=/a \\\n# no\n  b\nEnvironment=X=1\n'), unit)
    readUnit({ file: 'g', text: '[Service]\nExecStart=\nExecStart=/c\nEnvironment=Y=2\n' }, unit)
    expect(unit.get('Service.ExecStart')).toEqual([{ value: '/c', source: { file: 'g', line: 3 } }])
    expect(unit.get('Service.Environment')?.map(({ value }) => value)).toEqual(['X=1', 'Y=2'])
  })

  it('replace specifiers', () => {
    const text = '%p|%i|%I|%n|%t|%%|%j|%q'
    expect(specify(text, { unit: 'a-b@c-d.service', user: 'root' })).toBe('a-b|c-d|c/d|a-b@c-d.service|/run|%|b|%q')
  })
})

describe('options', () => {
  const read = (...argv: string[]): Record<string, string> => {
    const args = argv.map(value => ({ value, source: { file: 'f', line: 1 } }))
    return Object.fromEntries([...readOptions(args, 'pu').options].map(([name, { value }]) => [name, value]))
  }

  it('stand alone, together, attached, long', () => {
    expect(read('-f', '-p', 'a', '-ub', '--x=y')).toEqual({ f: '', p: 'a', u: 'b', x: 'y' })
    expect(read('-fp', 'a', 'operand', '--', '-u', 'c')).toEqual({ f: '', p: 'a' })
    expect(read('-p')).toEqual({})
  })
})

describe('UCL', () => {
  it('includes by priority, and merges sections of one name', () => {
    const files: Record<string, string> = {
      '/c/a.inc': 'timeout = 120s;',
      '/c/local.d/a.inc': '/* a\n } */ timeout = 60s; # x\nmilter = yes',
      '/c/override.d/a.inc': 'bind_socket = "/s mode=0660";',
    }
    const ucl = new Ucl(
      path => (files[path] === undefined ? null : { file: path, text: files[path] }),
      () => [],
      { CONFDIR: '/c' },
    )
    ucl.read(
      file(
        'worker "p" {\n bind_socket = "localhost:1";\n .include(try=true; priority=10) "$CONFDIR/override.d/a.inc"\n' +
          ' .include(try=true; priority=1,duplicate=merge) "$CONFDIR/local.d/a.inc"\n .include "${CONFDIR}/a.inc"\n .include "$NO/b"\n}\n',
      ),
    )
    const keys = [...(ucl.sections.get('worker/p') ?? [])].map(([key, { value }]) => [key, value])
    expect(Object.fromEntries(keys)).toEqual({ bind_socket: '/s mode=0660', timeout: '60s', milter: 'yes' })
  })

  it('that includes itself ends', () => {
    const text = file('a { .include "/x"\n }')
    const ucl = new Ucl(
      () => text,
      () => [],
      {},
    )
    ucl.read(text)
    expect(ucl.sections.size).toBeLessThan(50)
  })
})

describe('main.cf', () => {
  it('continues lines over comments, and expands', () => {
    const settings = readMainCf(
      file(
        '# c\nhost = mx\na = inet:$host:1,\n# between\n\n  {inet:h:2, x = y}\nb = ${a?set} ${none:unset} $(host)\nloop = $loop\n',
      ),
    )
    expect(settings.get('a')).toEqual({ value: 'inet:$host:1, {inet:h:2, x = y}', source: { file: 'f', line: 3 } })
    expect(expandMainCf(settings.get('b')!.value, settings)).toBe('set unset mx')
    expect(expandMainCf('$loop', settings)).toBe('')
  })

  it('lists milters, those in braces with their options', () => {
    expect(milterList('unix:a, {inet:h:2, connect_timeout=5s}inet:b:3')).toEqual([
      { address: 'unix:a', options: new Map() },
      { address: 'inet:h:2', options: new Map([['connect_timeout', '5s']]) },
      { address: 'inet:b:3', options: new Map() },
    ])
  })
})

describe('greylist.conf', () => {
  it('has the longest tarpit of its access list', () => {
    const text = 'racl greylist list "tarpit 9h" tarpit 30\nracl "a" tarpit 2m\n# racl tarpit 5h\nsocket "/s" 660\n'
    const settings = greylistConf(file(text))
    expect(settings.get('tarpit')).toEqual({ value: '2m', source: { file: 'f', line: 2 } })
    expect(settings.get('socket')?.value).toBe('/s')
  })
})
