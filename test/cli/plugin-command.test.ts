import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { milterhost, place } from './support.ts'

const CONFIG = `
import { defineConfig } from 'milterhost'
import bell from 'milter-plugin-bell'
export default defineConfig({ filters: [bell({ tone: 'low' }), bell({ tone: 'high' }, { name: 'second' })] })
`
const PLUGIN = `
import { definePlugin } from 'milterhost/plugin'
export default definePlugin({
  name: 'bell',
  options: { '~standard': { version: 1, vendor: 'test', validate: value => ({ value }) } },
  setup: () => ({}),
})`
const COMMAND = `
export const command = {
  description: 'ring',
  subcommands: {
    ring: {
      description: 'ring a bell',
      operands: '<times> [rest...]',
      options: { '--dry-run': 'only say it', '-t, --tone <name>': 'which' },
      examples: ['milterhost bell ring 3'],
      async run({ operands, options, entries, print, complain }) {
        print(JSON.stringify({ operands, options, entries: await entries() }))
        complain('red\\u001b[31m')
        if (operands[0] === 'lost') throw Object.assign(new Error('there is no bell'), { code: 'NO_BELL' })
        return operands[0] === '0' ? 1 : undefined
      },
    },
  },
}`

function installed(command: string | null = COMMAND): { path: string; file(name: string, text: string): string } {
  const at = place()
  const file = (name: string, text: string): string => {
    mkdirSync(dirname(join(at.path, name)), { recursive: true })
    writeFileSync(join(at.path, name), text)
    return join(at.path, name)
  }
  const exports = { '.': './index.js', ...(command !== null && { './command': './command.js' }) }
  file('node_modules/milter-plugin-bell/package.json', JSON.stringify({ type: 'module', exports }))
  file('node_modules/milter-plugin-bell/index.js', PLUGIN)
  if (command !== null) file('node_modules/milter-plugin-bell/command.js', command)
  file('milterhost.config.ts', CONFIG)
  return { path: at.path, file }
}

describe('milterhost NAME', () => {
  it('runs the command of milter-plugin-NAME from where the configuration lies, with its entries as written', () => {
    const { path } = installed()
    const elsewhere = place()
    const args = ['bell', 'ring', '3', 'x', '--dry-run', '--tone', 'low', '--config', path]
    const { code, out, err } = milterhost(args, { cwd: elsewhere.path })
    expect({ code, err }).toEqual({ code: 0, err: 'red\\x1b[31m\n' })
    expect(JSON.parse(out)).toEqual({
      operands: ['3', 'x'],
      options: { dryRun: true, tone: 'low', config: path },
      entries: [
        { name: 'bell', options: { tone: 'low' } },
        { name: 'second', options: { tone: 'high' } },
      ],
    })
  })

  it('ends with the code it returns, and tells an error with a code in one line', () => {
    const { path: cwd } = installed()
    expect(milterhost(['bell', 'ring', '0'], { cwd }).code).toBe(1)
    const { code, err } = milterhost(['bell', 'ring', 'lost'], { cwd })
    expect({ code, last: err.trimEnd().split('\n').at(-1) }).toEqual({ code: 1, last: 'milterhost: there is no bell' })
  })

  it('has help and usage mistakes like any other command', () => {
    const { path: cwd } = installed()
    expect(milterhost(['bell', '--help'], { cwd })).toMatchObject({
      code: 0,
      out: expect.stringContaining('ring [options] <times> [rest...]'),
    })
    expect(milterhost(['bell', 'ring', '--help'], { cwd })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/--dry-run[\s\S]*milterhost bell ring 3[\s\S]*Exit codes/),
    })
    expect(milterhost(['bell', 'ring'], { cwd }).code).toBe(2)
    expect(milterhost(['bell', 'ring', '1', '--wrong'], { cwd }).code).toBe(2)
    expect(milterhost(['bell', 'rong'], { cwd }).code).toBe(2)
  }, 90_000)

  it('says where it looked when the package is not installed or brings no command', () => {
    const { path: cwd } = installed(null)
    for (const name of ['bell', 'gong'])
      expect(milterhost([name, 'ring'], { cwd })).toMatchObject({
        code: 2,
        err: expect.stringContaining(`no package milter-plugin-${name} with a command is installed for ${cwd}`),
      })
  })

  it('refuses what is no command, and names a package that the command itself lacks', () => {
    const { path: cwd, file } = installed('export const command = { description: "x", subcommands: { ring: {} } }')
    expect(milterhost(['bell', 'ring'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringContaining('ring needs a description and a function run'),
    })
    file('node_modules/milter-plugin-bell/command.js', 'import "not-installed-anywhere"')
    expect(milterhost(['bell', 'ring'], { cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining("package 'not-installed-anywhere'"),
    })
  })

  it('is not asked for when a command is only misspelt, nor for help', () => {
    const { path: cwd } = installed()
    expect(milterhost(['lst'], { cwd }).err).toContain('Did you mean list?')
    expect(milterhost(['--help'], { cwd }).out).toContain('milter-plugin-NAME')
  })
})
