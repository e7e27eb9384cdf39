/** `detected()` in a configuration: which entries it makes, who overrides them, where they stand. */
import { describe, expect, it } from 'vitest'
import { type DetectedOverrides, detected, placeOf } from '../../../src/bridge/detect/index.ts'
import { socket } from '../../../src/bridge/milter/index.ts'
import { ConfigError, validateConfig } from '../../../src/host/config/validate.ts'
import { enable, installOpendkim, type TestTree, testTree } from './tree.ts'

function machine(): TestTree {
  const tree = testTree()
  installOpendkim(tree, 8891)
  enable(tree, 'opendkim.service')
  tree.file('/etc/clamav/clamav-milter.conf', 'MilterSocket /run/clamav/milter.sock\nReadTimeout 60\n')
  tree.file('/usr/lib/systemd/system/clamav-milter.service', '[Service]\nExecStart=/usr/sbin/clamav-milter\n')
  enable(tree, 'clamav-milter.service')
  tree.file(
    '/usr/lib/systemd/system/pyspf-milter.service',
    '[Service]\nExecStart=/usr/bin/pyspf-milter /etc/pyspf.conf\n',
  )
  tree.file('/etc/pyspf.conf', 'Socket = inet:8893@localhost\n')
  return tree
}

const configured = (filters: unknown[], listen = 'inet:10025@127.0.0.1') =>
  validateConfig({ listen, filters }, 'c.ts', address => placeOf(address) ?? undefined)
const names = (filters: unknown[]): string[] => configured(filters).entries.map(({ policy }) => policy.name)
const problems = (filters: unknown[]): readonly string[] => {
  try {
    configured(filters)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('detected()', () => {
  it('makes an entry of every enabled milter, in the recommended order, with what its settings say', () => {
    const entries = configured(detected({}, { root: machine().root })).entries
    expect(entries.map(({ policy }) => [policy.name, policy.timeouts.end])).toEqual([
      ['opendkim', 300_000],
      ['clamav-milter', 70_000],
    ])
    expect(entries[0]!.entry).toMatchObject({
      describe: 'inet:8891@127.0.0.1',
      options: { launch: { systemd: 'opendkim.service' }, onFailure: 'tempfail' },
    })
  })

  it('leaves out by name, overrides, and takes up what is not enabled when told to', () => {
    const overrides: DetectedOverrides = {
      'clamav-milter': false,
      opendkim: { onFailure: 'accept', timeouts: { command: '7s' }, mode: 'observe' },
      'pyspf-milter': { enabled: true, address: 'inet:9@localhost' },
    }
    const { entries } = configured(detected(overrides, { root: machine().root }))
    expect(entries.map(({ policy, entry }) => [policy.name, entry.describe])).toEqual([
      ['opendkim', 'inet:8891@127.0.0.1'],
      ['pyspf-milter', 'inet:9@localhost'],
    ])
    expect(entries[0]!.policy).toMatchObject({ onFailure: 'accept', mode: 'observe', timeouts: { command: 7_000 } })
    expect(entries[1]!.policy.selection?.when?.describe).toContain('remoteNetwork')
  })

  it.each<[string, unknown, string]>([
    ['a name that is near one', { opendkin: false }, '"opendkin" is no milter that is known; did you mean "opendkim"?'],
    [
      'a name that is near none',
      { zzz: {} },
      '"zzz" is no milter that is known; known are opendkim, pyspf-milter, clamav-milter, amavisd-milter, dkimpy-milter',
    ],
    ['a value that is none', { opendkim: true }, 'opendkim must be an object of options, or false, not true'],
    ['a place that is none', { opendkim: { after: 7 } }, 'opendkim.after must be the name of a filter'],
    ['a list', [], 'the overrides must be an object'],
  ])('refuses %s', (_what, overrides, words) => {
    const root = machine().root
    expect(() => detected(overrides as DetectedOverrides, { root })).toThrow(
      expect.objectContaining({ code: 'DETECT_OPTIONS', message: expect.stringContaining(words) }),
    )
  })

  it('says that it was asked even where it finds nothing, and makes no filter of that', () => {
    const { entries, detects } = configured(detected({}, { root: testTree().root }))
    expect({ entries, detects }).toEqual({ entries: [], detects: true })
    expect(configured([]).detects).toBe(false)
  })
})

describe('entries that were found', () => {
  const root = (): string => machine().root

  it('give way to one of the same name, of the same socket, and to milterhost itself', () => {
    expect(names([socket('opendkim', 'inet:1@localhost'), ...detected({}, { root: root() })])).toEqual([
      'opendkim',
      'clamav-milter',
    ])
    expect(names([...detected({}, { root: root() }), socket('mine', 'inet:localhost:8891')])).toEqual([
      'clamav-milter',
      'mine',
    ])
    const tree = machine()
    tree.file(
      '/etc/postfix/main.cf',
      'smtpd_milters = inet:localhost:10025, inet:127.0.0.1:8891, unix:/var/run/x.sock\n',
    )
    expect(names(detected({}, { root: tree.root }))).toEqual(['opendkim', 'clamav-milter', 'x'])
    expect(
      configured(detected({}, { root: tree.root }), 'unix:/run/x.sock').entries.map(({ policy }) => policy.name),
    ).toEqual(['opendkim', 'clamav-milter', 'milter-10025'])
  })

  it('stand after and before what they name, wherever that is written', () => {
    const a = socket('a', 'inet:1@localhost')
    const b = socket('b', 'inet:2@localhost')
    const at = root()
    expect(names([...detected({ opendkim: { after: 'b' } }, { root: at }), a, b])).toEqual([
      'clamav-milter',
      'a',
      'b',
      'opendkim',
    ])
    expect(names([a, b, ...detected({ opendkim: { before: 'b' } }, { root: at })])).toEqual([
      'a',
      'opendkim',
      'b',
      'clamav-milter',
    ])
    expect(names([a, b, ...detected({ opendkim: { after: ['a', 'clamav-milter'] } }, { root: at })])).toEqual([
      'a',
      'b',
      'clamav-milter',
      'opendkim',
    ])
    expect(names([a, ...detected({ opendkim: { after: 'a' } }, { root: at })])).toEqual([
      'a',
      'opendkim',
      'clamav-milter',
    ])
    expect(names([a, b, ...detected({ opendkim: { after: 'a', before: 'b' } }, { root: at })])).toEqual([
      'a',
      'opendkim',
      'b',
      'clamav-milter',
    ])
  })

  it('may name a product that is not installed, but nothing else that is not there', () => {
    const at = root()
    expect(names(detected({ opendkim: { after: 'milter-greylist' } }, { root: at }))).toEqual([
      'opendkim',
      'clamav-milter',
    ])
    expect(
      problems([socket('spf', 'inet:1@localhost'), ...detected({ opendkim: { after: 'spff' } }, { root: at })]),
    ).toEqual(['filters[1] (opendkim): after names no filter with "spff"; did you mean "spf"?'])
  })

  it('cannot be put where there is no place', () => {
    const at = root()
    const overrides = { opendkim: { after: 'clamav-milter' }, 'clamav-milter': { after: 'opendkim' } }
    expect(problems(detected(overrides, { root: at }))).toEqual([expect.stringContaining('contradict each other')])
    expect(problems(detected({ opendkim: { after: 'opendkim' } }, { root: at }))).toEqual([
      'filters[0] (opendkim): after names itself',
    ])
  })
})

describe('where nothing starts services', () => {
  it('a milter counts while its socket is there', () => {
    const tree = machine()
    const inUse = (): string[] => names(detected({}, { root: tree.root }))
    tree.file('/proc/1/comm', 'bash\n')
    expect(inUse()).toEqual(['opendkim'])
    tree.file('/run/clamav/milter.sock', '')
    expect(inUse()).toContain('clamav-milter')
    tree.file('/proc/1/comm', 'systemd\n')
    expect(inUse()).toContain('clamav-milter')
  })
})
