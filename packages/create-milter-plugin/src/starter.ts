/**
 * The source, test and scenario of a plugin with the hooks and options that were asked for, in place of the template's own.
 *
 * Pure: text in, text out. Each hook does something harmless that can be seen in the log, so that what was made runs at once. Called
 * by `project.ts`; that all of it compiles, passes its tests and lints is tested with the packed package.
 */
import type { Hook, Names, Option } from './choice.ts'

/** The body of a hook, one line each. */
const BODIES: Readonly<Record<Hook, readonly string[]>> = {
  connect: ["event.log.debug({ client: event.client.address }, 'connect')"],
  helo: ["event.log.debug({ name: event.name }, 'helo')"],
  mail: ["event.log.debug({ sender: event.sender.address }, 'mail')"],
  rcpt: [
    "event.log.debug({ recipient: event.recipient.address }, 'rcpt')",
    "// To refuse: return reject('Not here', { enhanced: '5.7.1' }), with reject from milterhost/plugin.",
  ],
  data: ["event.log.debug({ recipients: event.recipients.length }, 'data')"],
  headers: ["event.log.debug({ subject: event.header('Subject')?.value }, 'headers')"],
  body: ["event.log.debug({ bytes: event.chunk.length }, 'body')"],
  end: ["event.edit.prependHeader('X-NAME', 'seen')"],
  settled: ["event.log.debug({ outcome: event.outcome }, 'settled')"],
}

/** Name of the header that the `end` hook of a new plugin adds. */
export const headerName = ({ plugin }: Names): string =>
  `X-${plugin
    .split(/[^a-z0-9]+/)
    .filter(word => word !== '')
    .map(word => word[0]!.toUpperCase() + word.slice(1))
    .join('-')}`

const literal = (value: string | number | boolean): string =>
  typeof value === 'string' ? `'${value.replace(/[\\']/g, '\\$&')}'` : String(value)

/** A value of the right type for an option that has to be given. */
const example = ({ type, initial }: Option): string =>
  initial === null ? { string: "'example'", number: '1', boolean: 'true' }[type] : literal(initial)

/** What a configuration has to write between the parentheses. */
export function callArguments(options: readonly Option[]): string {
  const needed = options.filter(({ initial }) => initial === null)
  return needed.length === 0 ? '' : `{ ${needed.map(option => `${option.name}: ${example(option)}`).join(', ')} }`
}

export function sourceText(names: Names, hooks: readonly Hook[], options: readonly Option[]): string {
  const hookText = (hook: Hook): string =>
    [
      `      ${hook}(event) {`,
      ...BODIES[hook].map(line => `        ${line.replace('X-NAME', headerName(names))}`),
      '      },',
    ].join('\n')
  const has = options.length > 0
  return `/**
 * ${names.package}: say here what it does, for whom, and what it never does.
 */
import { definePlugin, type Plugin } from 'milterhost/plugin'
${has ? `import { z } from 'zod'\n\n${interfaceText(options)}` : ''}
const plugin: Plugin${has ? '<Options>' : ''} = definePlugin({
  name: '${names.plugin}',
  version: '0.1.0',
  api: 1,
${has ? `  options: z.object({\n${options.map(schemaText).join('\n')}\n  }),\n` : ''}  setup(host${has ? ', options' : ''}) {
    host.log.debug({${has ? ' options ' : ''}}, 'set up')
    return {
${hooks.map(hookText).join('\n')}
    }
  },
})

export default plugin
`
}

const interfaceText = (options: readonly Option[]): string =>
  `export interface Options {\n${options
    .map(({ name, type, initial }) =>
      initial === null
        ? `  readonly ${name}: ${type}`
        : `  /** @default ${literal(initial).replaceAll('*/', '*\\/')} */\n  readonly ${name}?: ${type}`,
    )
    .join('\n')}\n}\n`

const schemaText = ({ name, type, initial }: Option): string =>
  `    ${name}: z.${type}()${initial === null ? '' : `.default(${literal(initial)})`},`

export const testText = (options: readonly Option[]): string => `import { testPlugin } from 'milterhost/testing'
import { expect, test } from 'vitest'
import plugin from '../src/index.ts'

test('a message goes through', async () => {
  await using host = await testPlugin(plugin(${callArguments(options)}))
  const { verdict } = await host.deliver({ message: 'Subject: hello\\r\\n\\r\\nhello\\r\\n' })
  expect(verdict.kind).toBe('continue')
})

test('an option that is not there is refused when the configuration is loaded', async () => {
  await expect(testPlugin(plugin({ misspelt: 1 } as never))).rejects.toThrow('misspelt')
})
`

export const scenarioTestText = ({ plugin }: Names): string =>
  `import { readScenarios, runScenario, testConfig } from 'milterhost/testing'
import { test } from 'vitest'
import config from '../milterhost.config.ts'

for (const scenario of readScenarios(new URL('${plugin}.scenario', import.meta.url)))
  test(scenario.title, () => runScenario(scenario, options => testConfig(config, options)))
`

export const scenarioText = (
  names: Names,
  hooks: readonly Hook[],
): string => `# The format is in docs/testing.md of milterhost.

SCENARIO a message goes through
CONNECT 192.0.2.7 mx.example.org
MAIL <a@example.org>
RCPT <b@example.com>
HEADER Subject: hello
BODY Hello there
END
EXPECT accept
EXPECT ${hooks.includes('end') ? `header ${headerName(names)}: seen` : 'unchanged'}
`

export function readmeText(names: Names, options: readonly Option[]): string {
  const rows = options.map(
    ({ name, type, initial }) =>
      `| \`${name}\` | ${initial === null ? 'must be given' : `\`${literal(initial)}\``} | ${type} |`,
  )
  return `# ${names.package}

A plugin for [milterhost](https://www.npmjs.com/package/milterhost).

\`\`\`ts
import { defineConfig } from 'milterhost'
import plugin from '${names.package}'

export default defineConfig({
  filters: [plugin(${callArguments(options)})],
})
\`\`\`
${rows.length === 0 ? '' : `\n| option | default | type |\n| --- | --- | --- |\n${rows.join('\n')}\n`}`
}
