import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { milterhost, place } from './support.ts'

const ZOD = JSON.stringify(import.meta.resolve('zod'))
const BELL = `import { definePlugin } from 'milterhost/plugin'
import { z } from ${ZOD}
export default definePlugin({
  name: 'bell',
  options: z.object({ tone: z.string(), loud: z.boolean().default(false), times: z.number().optional() }),
  setup() {
    throw new Error('nothing is set up')
  },
})`

it('lists the packages with the keyword, of the folder and of those above it, with their options', () => {
  const at = place()
  const package_ = (folder: string, manifest: object, files: Record<string, string> = {}): void => {
    for (const [name, text] of Object.entries({ 'package.json': JSON.stringify(manifest), ...files })) {
      mkdirSync(dirname(join(at.path, folder, name)), { recursive: true })
      writeFileSync(join(at.path, folder, name), text)
    }
  }
  const common = { type: 'module', exports: './index.js', keywords: ['milter-plugin'] }
  package_(
    'inner/node_modules/milter-plugin-bell',
    { ...common, name: 'milter-plugin-bell', version: '1.2.3', milterhost: { hooks: ['rcpt', 'end'] } },
    { 'index.js': BELL },
  )
  package_('node_modules/milter-plugin-bell', { ...common, name: 'milter-plugin-bell', version: '0.0.1' })
  package_(
    'node_modules/@example/milter-plugin-mute',
    { ...common, name: '@example/milter-plugin-mute', version: '2.0.0' },
    { 'index.js': 'export default {}' },
  )
  package_('node_modules/milter-plugin-broken', { ...common, name: 'milter-plugin-broken', version: '1.0.0' })
  package_('node_modules/other', { ...common, name: 'other', keywords: ['milter'] })
  writeFileSync(join(at.path, 'node_modules/note'), 'no package')
  writeFileSync(join(at.path, 'inner/milterhost.config.ts'), 'throw new Error("not executed")')

  const { code, out, err } = milterhost(['plugins', '--json'], { cwd: join(at.path, 'inner') })
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(JSON.parse(out)).toEqual({
    folder: join(at.path, 'inner'),
    plugins: [
      {
        package: '@example/milter-plugin-mute',
        version: '2.0.0',
        folder: join(at.path, 'node_modules/@example/milter-plugin-mute'),
        hooks: null,
        options: null,
        problem: 'its default export is not made by definePlugin',
      },
      {
        package: 'milter-plugin-bell',
        version: '1.2.3',
        folder: join(at.path, 'inner/node_modules/milter-plugin-bell'),
        hooks: ['rcpt', 'end'],
        options: [
          { name: 'tone', required: true },
          { name: 'loud', required: false, initial: false },
          { name: 'times', required: false },
        ],
        problem: null,
      },
      {
        package: 'milter-plugin-broken',
        version: '1.0.0',
        folder: join(at.path, 'node_modules/milter-plugin-broken'),
        hooks: null,
        options: null,
        problem: expect.stringMatching(/index\.js|nothing that a configuration/),
      },
    ],
  })
  const text = milterhost(['plugins'], { cwd: join(at.path, 'inner') }).out
  expect(text).toMatch(/^milter-plugin-bell +1\.2\.3 +rcpt end +tone! loud=false times$/m)
})

it('says what to do where none is installed', () => {
  const { path } = place()
  expect(milterhost(['plugins'], { cwd: path })).toMatchObject({
    code: 0,
    out: `No plugin is installed for ${path}: npm install milter-plugin-NAME there.\n`,
  })
})
